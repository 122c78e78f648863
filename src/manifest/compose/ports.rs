//! Published ports, in their short and long forms.

use super::super::node::Node;
use super::reader::Reader;

/// A port as one item publishes it.
struct Port {
    target: String,
    published: String,
    protocol: String,
    in_host_mode: bool,
}

/// Tells of every port, and gives the container's TCP ports.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Vec<u16> {
    let mut targets = Vec::new();
    for item in node.items() {
        let Some(port) = port(reader, &item) else {
            continue;
        };
        tell(reader, &item, &port);
        if port.protocol == "tcp" {
            targets.extend(port.target.parse::<u16>().ok());
        }
    }
    targets.dedup();
    targets
}

fn port(reader: &mut Reader<'_>, item: &Node<'_>) -> Option<Port> {
    if item.value.is_object() {
        let mode = reader.text(&item.get("mode"));
        let known = [
            "target",
            "published",
            "protocol",
            "mode",
            "name",
            "app_protocol",
        ];
        reader.others("ports", item, &known);
        return Some(Port {
            target: reader.text(&item.get("target")).unwrap_or_default(),
            published: reader.text(&item.get("published")).unwrap_or_default(),
            protocol: reader
                .text(&item.get("protocol"))
                .unwrap_or_else(|| "tcp".to_owned()),
            in_host_mode: mode.as_deref() == Some("host"),
        });
    }
    // [[IP:]PUBLISHED:]TARGET[/PROTOCOL], in ingress mode.
    let text = reader.text(item)?;
    let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    let (published, target) = ports.rsplit_once(':').unwrap_or(("", ports));
    let published = published
        .rsplit_once(':')
        .map_or(published, |(_, port)| port);
    Some(Port {
        target: target.to_owned(),
        published: published.to_owned(),
        protocol: protocol.to_owned(),
        in_host_mode: false,
    })
}

fn tell(reader: &mut Reader<'_>, item: &Node<'_>, port: &Port) {
    let Port {
        target,
        published,
        protocol,
        in_host_mode,
    } = port;
    let is_chosen = !published.is_empty();
    let published = if is_chosen {
        format!("port {published}/{protocol}")
    } else {
        "a port of the engine's choice".to_owned()
    };
    if *in_host_mode && is_chosen {
        reader.lost(
            &item.path,
            format!("{published} of each node with a task leads to {target}; a rollout lets the engine choose the port, so that two revisions fit on one node"),
            "choose `spec.traffic.reach: host`, and let clients go to HAProxy instead of the nodes",
        );
    } else if *in_host_mode {
        reader.replaced(
            &item.path,
            format!(
                "{published} of the nodes is published for {target}, as a rollout does it, too"
            ),
            "choose `spec.traffic.reach: host`",
        );
    } else {
        reader.lost(
            &item.path,
            format!("{published} of every node leads to {target} by the routing mesh, which a rollout does not use"),
            "let clients go to HAProxy: its front end can `bind` that port on other addresses than the nodes', or DNS can lead to it",
        );
    }
}

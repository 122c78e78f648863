//! Rules for how requests reach the tasks: production traffic, or a preview's own.

use super::super::diagnostic::Findings;
use super::super::node::Node;
use super::repeated;
use crate::api::{Duration, Preview, Reach};

pub(super) fn check(spec: &Node<'_>, findings: &mut Findings) {
    networks(spec, findings);
    let preview = spec.at(&["strategy", "preview"]);
    if preview.is_given() {
        previewed(spec, &preview, findings);
    } else {
        reach(spec, findings);
    }
}

/// A preview has no production traffic, and somebody has to reach it all the same.
fn previewed(spec: &Node<'_>, preview: &Node<'_>, findings: &mut Findings) {
    let networks = spec.at(&["template", "networks"]);
    if networks.items().is_empty() && !preview.get("publish").is_given() {
        findings.warning(
            &preview.path,
            "nothing reaches this preview: its template names no network, and it publishes no port",
            "name a network in `spec.template.networks`, or write `publish: {port: 8080, hostPort: 18080}`",
        );
    }
    let Some(Preview { ttl, .. }) = preview.read() else {
        return;
    };
    let bake = preview.at(&["checks", "bake"]);
    if let Some(time) = bake.read::<Duration>().filter(|time| *time >= ttl) {
        findings.error(
            &bake.path,
            format!("the checks take {time} at least, and the preview is gone after {ttl}"),
            "shorten it, or raise `ttl`",
        );
    }
}

fn networks(spec: &Node<'_>, findings: &mut Findings) {
    let networks = spec.at(&["template", "networks"]).items();
    for (first, item) in repeated(&networks, Node::text) {
        findings.error(
            &item.path,
            format!("the network is named already, as item {first}"),
            "keep one of them",
        );
    }
    for item in networks.iter().filter(|item| item.text() == Some("")) {
        findings.error(
            &item.path,
            "the name is empty",
            "name an existing Swarm network",
        );
    }
}

fn reach(spec: &Node<'_>, findings: &mut Findings) {
    let traffic = spec.get("traffic");
    let template = spec.get("template");
    if !traffic.value.is_object() || !template.value.is_object() {
        return;
    }
    let node = traffic.get("reach");
    let reach = if node.is_given() {
        node.read()
    } else {
        Some(Reach::default())
    };
    let networks = template.get("networks");
    let without = !networks.is_given() || networks.value.as_array().is_some_and(Vec::is_empty);
    if reach == Some(Reach::Network) && without {
        let given = if node.is_given() {
            ""
        } else {
            " (the default)"
        };
        findings.error(
            &node.path,
            format!("`network`{given} needs a network, and the template names none"),
            "name the proxies' network in `spec.template.networks`, or write `reach: host`",
        );
    }
}

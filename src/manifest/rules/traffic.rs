//! Rules for how requests reach the tasks.

use super::super::diagnostic::Findings;
use super::super::node::Node;
use super::repeated;
use crate::api::Reach;

pub(super) fn check(spec: &Node<'_>, findings: &mut Findings) {
    networks(spec, findings);
    reach(spec, findings);
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

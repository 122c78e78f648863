//! Rules for the template: what the engine would refuse later, and what would be a risk.

use super::super::diagnostic::Findings;
use super::super::node::Node;
use super::super::suggest::nearest;
use super::super::words::quoted;
use super::repeated;

mod resources;

/// Checks the template of a rollout.
pub(super) fn check(template: &Node<'_>, findings: &mut Findings) {
    floating(&template.get("image"), findings);
    check_any(template, findings);
}

/// Checks a template, whatever runs it.
pub(super) fn check_any(template: &Node<'_>, findings: &mut Findings) {
    image(&template.get("image"), findings);
    environment(&template.get("environment"), findings);
    for field in ["command", "entrypoint"] {
        command_line(&template.get(field), findings);
    }
    for item in template.get("volumes").items() {
        mount(&item, findings);
    }
    for field in ["secrets", "configs"] {
        targets(&template.get(field).items(), findings);
    }
    healthcheck(&template.at(&["healthcheck", "test"]), findings);
    addresses(template, findings);
    let deploy = template.get("deploy");
    resources::check(&deploy.get("resources"), findings);
    placement(&deploy.get("placement"), findings);
    for labels in [template.get("labels"), deploy.get("labels")] {
        reserved_labels(&labels, findings);
    }
}

fn image(image: &Node<'_>, findings: &mut Findings) {
    let Some(text) = image.text().filter(|text| !text.is_empty()) else {
        return;
    };
    if text.contains(char::is_whitespace) {
        findings.error(
            &image.path,
            format!("{} is not an image's name", quoted(text)),
            "write it without spaces, as in `registry.example/web:1.4.2`",
        );
    }
}

fn floating(image: &Node<'_>, findings: &mut Findings) {
    let sound = |text: &&str| !text.is_empty() && !text.contains(char::is_whitespace);
    let Some(text) = image.text().filter(sound) else {
        return;
    };
    let name = text.rsplit('/').next().unwrap_or(text);
    let floating = !name.contains('@') && (!name.contains(':') || name.ends_with(":latest"));
    if floating {
        findings.warning(
            &image.path,
            "the image may change without a new revision, which then is released without stages",
            "name a version's tag or, better, a digest",
        );
    }
}

/// Names of variables that hold secrets, in lower case.
const SECRET_WORDS: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "credentials",
];

fn environment(environment: &Node<'_>, findings: &mut Findings) {
    for (name, node) in environment.fields() {
        let value = node.text().unwrap_or_default();
        if holds_secret(name, value) {
            secret(&node, name, findings);
        }
    }
    for item in environment.items() {
        if let Some((name, value)) = item.text().and_then(|line| line.split_once('='))
            && holds_secret(name, value)
        {
            secret(&item, name, findings);
        }
    }
    twice(&environment.items(), findings);
}

/// As Compose takes them: its schema wants the items of a list to differ, and of two values for one name the last one
/// counts.
fn twice(items: &[Node<'_>], findings: &mut Findings) {
    let name = |item: &Node<'_>| Some(item.text()?.split_once('=')?.0.to_owned());
    for (first, item) in repeated(items, name) {
        let shown = quoted(&name(item).unwrap_or_default());
        let mut before = items.iter().take_while(|other| other.path != item.path);
        match before.position(|other| other.value == item.value) {
            Some(same) => findings.error(
                &item.path,
                format!("{shown} is given twice, first as item {same}"),
                "keep one of them",
            ),
            None => findings.warning(
                &item.path,
                format!("{shown} has a value already, in item {first}, and the last one counts"),
                "keep one of them",
            ),
        }
    }
}

/// Whether a variable looks like a secret written out: not a path to a file, not a switch.
fn holds_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let by_name = SECRET_WORDS.iter().any(|word| name.contains(word))
        && !name.ends_with("_file")
        && !name.ends_with("_path");
    by_name && !value.is_empty() && !value.starts_with('/') && !value.contains("{{")
}

fn secret(node: &Node<'_>, name: &str, findings: &mut Findings) {
    findings.key_warning(
        &node.path,
        format!(
            "{} looks like a secret, and manifests are stored and shown in clear text",
            quoted(name)
        ),
        format!("put it into a Docker secret, list that in `secrets`, and give its path, as in `{name}_FILE: /run/secrets/…`"),
    );
}

fn command_line(command: &Node<'_>, findings: &mut Findings) {
    let Some(text) = command.text() else { return };
    if shlex::split(text).is_none() {
        findings.error(
            &command.path,
            format!("{} has an unclosed quote", quoted(text)),
            "close it, or write a list",
        );
    }
}

fn mount(item: &Node<'_>, findings: &mut Findings) {
    if item.text().is_some() {
        if item.read::<crate::api::Mount>().is_none() {
            findings.error(
                &item.path,
                format!("{} is not a mount", quoted(item.text().unwrap_or_default())),
                "write `SOURCE:/TARGET`, `SOURCE:/TARGET:ro`, or the long form",
            );
        }
        return;
    }
    let target = item.get("target");
    if target.text().is_some_and(|path| !path.starts_with('/')) {
        findings.error(
            &target.path,
            "the path in the container is relative",
            "write an absolute path",
        );
    }
    let source = item.get("source");
    match item.get("type").text() {
        Some("bind") if !source.text().is_some_and(|path| path.starts_with('/')) => findings.error(
            &source.path,
            "a bind mount needs an absolute path of the node",
            "write `source: /path/on/the/node`",
        ),
        Some("tmpfs") if source.is_given() => findings.error(
            &source.path,
            "a tmpfs mount has no source",
            "remove the line, or choose `type: volume`",
        ),
        _ => {}
    }
}

/// Two files cannot have one name in the container.
fn targets(references: &[Node<'_>], findings: &mut Findings) {
    let target = |item: &Node<'_>| {
        item.text()
            .or_else(|| item.get("target").text())
            .or_else(|| item.get("source").text())
            .map(str::to_owned)
    };
    for (first, item) in repeated(references, target) {
        findings.error(
            &item.path,
            format!("item {first} becomes a file of the same name"),
            "remove one of them, or give it another `target`",
        );
    }
}

fn healthcheck(test: &Node<'_>, findings: &mut Findings) {
    if !test.value.is_array() {
        return;
    }
    let items = test.items();
    let (problem, remedy) = match items.first().map(Node::text) {
        None => (
            "the list is empty",
            "write `[CMD, program, argument]`, or remove the line",
        ),
        Some(Some("CMD" | "CMD-SHELL")) if items.len() == 1 => (
            "there is nothing to run",
            "write the program after it, or `[NONE]`",
        ),
        Some(Some("CMD" | "CMD-SHELL" | "NONE") | None) => return,
        Some(Some(_)) => (
            "the list begins with neither `CMD`, `CMD-SHELL` nor `NONE`",
            "write `[CMD, program, argument]`",
        ),
    };
    findings.error(&test.path, problem, remedy);
}

fn addresses(template: &Node<'_>, findings: &mut Findings) {
    for item in template.get("dns").items() {
        if let Some(text) = item.text()
            && text.parse::<std::net::IpAddr>().is_err()
        {
            findings.error(
                &item.path,
                format!("{} is not an IP address", quoted(text)),
                "write one such as `10.0.0.2`",
            );
        }
    }
    for item in template.get("extra_hosts").items() {
        if let Some(text) = item.text()
            && !text.split_once([':', '=']).is_some_and(|(name, address)| {
                !name.is_empty() && address.parse::<std::net::IpAddr>().is_ok()
            })
        {
            findings.error(
                &item.path,
                format!("{} is not a host's entry", quoted(text)),
                "write `name:address`, as in `db:10.0.0.3`",
            );
        }
    }
}

/// What SwarmKit's constraints can ask of a node; other keys match no node, ever.
const NODE_KEYS: [&str; 6] = [
    "node.id",
    "node.hostname",
    "node.ip",
    "node.role",
    "node.platform.os",
    "node.platform.arch",
];
const NODE_LABELS: [&str; 2] = ["node.labels.", "engine.labels."];

fn placement(placement: &Node<'_>, findings: &mut Findings) {
    for item in placement.get("constraints").items() {
        if let Some(text) = item.text() {
            constraint(text, &item, findings);
        }
    }
    for item in placement.get("preferences").items() {
        let spread = item.get("spread");
        if spread.text().is_some_and(|text| !is_label(text)) {
            findings.error(
                &spread.path,
                "tasks are spread over the values of a label only",
                "write `node.labels.NAME` or `engine.labels.NAME`",
            );
        }
    }
}

fn constraint(text: &str, item: &Node<'_>, findings: &mut Findings) {
    let halves = text.split_once("==").or_else(|| text.split_once("!="));
    let Some((key, value)) = halves else {
        findings.error(
            &item.path,
            format!("{} is not a constraint", quoted(text)),
            "compare with `==` or `!=`, as in `node.role == worker`",
        );
        return;
    };
    let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
    if !NODE_KEYS.contains(&key.as_str()) && !is_label(&key) {
        let remedy = match nearest(&key, NODE_KEYS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!(
                "known: {}, `node.labels.NAME`, `engine.labels.NAME`",
                NODE_KEYS.map(|key| format!("`{key}`")).join(", ")
            ),
        };
        findings.error(
            &item.path,
            format!(
                "{} is nothing that a node has, so no task could ever run",
                quoted(&key)
            ),
            remedy,
        );
    } else if value.is_empty() {
        findings.error(
            &item.path,
            "the constraint compares with nothing",
            "write a value after the operator",
        );
    } else if key == "node.role" && !["manager", "worker"].contains(&value) {
        findings.error(
            &item.path,
            format!("{} is not a role", quoted(value)),
            "write `manager` or `worker`",
        );
    }
}

fn is_label(key: &str) -> bool {
    NODE_LABELS
        .iter()
        .any(|prefix| key.len() > prefix.len() && key.starts_with(prefix))
}

fn reserved_labels(labels: &Node<'_>, findings: &mut Findings) {
    for (name, node) in labels.fields() {
        if name == "rolloutctl" || name.starts_with("rolloutctl.") {
            findings.key_error(
                &node.path,
                "labels that begin with `rolloutctl.` are the controller's own",
                "choose another name",
            );
        } else if name == "com.docker.stack.namespace" {
            findings.key_error(
                &node.path,
                "`docker stack` would take the service for its own and remove it",
                "remove the label",
            );
        }
    }
}

//! `deploy`, and `restart` where that says nothing of restarts.

use serde_json::{Map, Value, json};

use super::super::node::Node;
use super::container::About;
use super::reader::Reader;

/// What belongs into the template's `deploy`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    node: &Node<'_>,
    about: &mut About,
) -> Map<String, Value> {
    let replicas = reader.number(&node.get("replicas"));
    about.replicas = replicas.and_then(|number| u32::try_from(number).ok());
    let mode = node.get("mode");
    match reader.text(&mode).as_deref() {
        None | Some("replicated") => {}
        Some(_) => {
            about.is_global = true;
            reader.lost(
                &mode.path,
                "a rollout's services are replicated: shares of the traffic need a number of tasks",
                "set `spec.replicas`; `deploy: {placement: {max_replicas_per_node: 1}}` keeps tasks of a revision on different nodes",
            );
        }
    }
    told(reader, node);
    let mut deploy = Map::new();
    let labels = reader.pairs(&node.get("labels"));
    put(&mut deploy, "labels", json!(labels));
    let read = resources(reader, &node.get("resources"));
    put(&mut deploy, "resources", read);
    let read = placement(reader, &node.get("placement"));
    put(&mut deploy, "placement", read);
    let read = restart_policy(reader, &node.get("restart_policy"));
    put(&mut deploy, "restart_policy", read);
    deploy
}

/// What the rollout does in its own way, and what nobody knows.
fn told(reader: &mut Reader<'_>, node: &Node<'_>) {
    for (name, problem, remedy) in [
        (
            "update_config",
            "the rollout's strategy takes the place of Swarm's own updates",
            "say in `spec.strategy` how a new revision comes in",
        ),
        (
            "rollback_config",
            "the rollout takes the place of Swarm's own rollback",
            "say in `spec.onFailure` what happens when a stage fails",
        ),
        (
            "endpoint_mode",
            "a rollout's services have no virtual IP: the proxies send to each task itself",
            "let other services go through HAProxy, or call the rollout's name, which has the tasks' addresses",
        ),
    ] {
        let field = node.get(name);
        if field.is_given() {
            reader.replaced(&field.path, problem, remedy);
        }
    }
    let known = [
        "replicas",
        "mode",
        "update_config",
        "rollback_config",
        "endpoint_mode",
        "labels",
        "resources",
        "placement",
        "restart_policy",
    ];
    reader.others("deploy", node, &known);
}

/// Puts what says something.
fn put(map: &mut Map<String, Value>, name: &str, value: Value) {
    let is_empty = match &value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if !is_empty {
        map.insert(name.to_owned(), value);
    }
}

fn resources(reader: &mut Reader<'_>, node: &Node<'_>) -> Value {
    let mut resources = Map::new();
    for (part, known) in [
        ("limits", &["cpus", "memory", "pids"][..]),
        ("reservations", &["cpus", "memory"]),
    ] {
        let given = node.get(part);
        let mut amounts = Map::new();
        put(
            &mut amounts,
            "cpus",
            json!(reader.processors(&given.get("cpus"))),
        );
        put(
            &mut amounts,
            "memory",
            json!(reader.memory(&given.get("memory"))),
        );
        if known.contains(&"pids") {
            put(
                &mut amounts,
                "pids",
                json!(reader.number(&given.get("pids"))),
            );
        }
        reader.others(part, &given, known);
        put(&mut resources, part, Value::Object(amounts));
    }
    reader.others("resources", node, &["limits", "reservations"]);
    Value::Object(resources)
}

fn placement(reader: &mut Reader<'_>, node: &Node<'_>) -> Value {
    let mut placement = Map::new();
    put(
        &mut placement,
        "constraints",
        json!(reader.texts(&node.get("constraints"))),
    );
    let preferences = node.get("preferences").items();
    let spread = preferences
        .iter()
        .filter_map(|item| reader.text(&item.get("spread")));
    let spread: Vec<_> = spread.map(|label| json!({"spread": label})).collect();
    put(&mut placement, "preferences", json!(spread));
    let most = reader
        .number(&node.get("max_replicas_per_node"))
        .filter(|most| *most > 0);
    put(&mut placement, "max_replicas_per_node", json!(most));
    let known = ["constraints", "preferences", "max_replicas_per_node"];
    reader.others("placement", node, &known);
    Value::Object(placement)
}

fn restart_policy(reader: &mut Reader<'_>, node: &Node<'_>) -> Value {
    let mut policy = Map::new();
    put(
        &mut policy,
        "condition",
        json!(reader.text(&node.get("condition"))),
    );
    for name in ["delay", "window"] {
        put(&mut policy, name, json!(reader.duration(&node.get(name))));
    }
    put(
        &mut policy,
        "max_attempts",
        json!(reader.number(&node.get("max_attempts"))),
    );
    let known = ["condition", "delay", "window", "max_attempts"];
    reader.others("restart_policy", node, &known);
    Value::Object(policy)
}

/// `no`, `always`, `unless-stopped`, `on-failure[:N]`, as `docker stack deploy` reads them.
pub(super) fn restart(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Value> {
    let text = reader.text(node)?;
    let (name, attempts) = text.split_once(':').unwrap_or((&text, ""));
    let condition = match name {
        "no" | "false" => return None,
        "always" | "unless-stopped" => "any",
        "on-failure" => "on-failure",
        _ => {
            let remedy = "write `no`, `always`, `unless-stopped` or `on-failure`";
            reader
                .findings
                .error(&node.path, format!("`{text}` is no restart policy"), remedy);
            return None;
        }
    };
    let mut policy = Map::new();
    put(&mut policy, "condition", json!(condition));
    put(
        &mut policy,
        "max_attempts",
        json!(attempts.parse::<u32>().ok().filter(|n| *n > 0)),
    );
    Some(Value::Object(policy))
}

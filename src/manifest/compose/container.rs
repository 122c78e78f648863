//! The fields of a service, one by one.

use serde_json::{Map, Value, json};

use super::super::node::Node;
use super::reader::Reader;
use super::{deploy, mounts, ports};

/// What the fields say besides the template.
#[derive(Default)]
pub(super) struct About {
    pub replicas: Option<u32>,
    pub is_global: bool,
    pub ports: Vec<u16>,
}

/// Reads one field of a service into the template, or tells of it.
pub(super) fn field(
    reader: &mut Reader<'_>,
    root: &Node<'_>,
    name: &str,
    node: &Node<'_>,
    template: &mut Map<String, Value>,
    about: &mut About,
) {
    let value = match name {
        "image" | "stop_signal" | "user" | "working_dir" | "hostname" => {
            reader.text(node).map(Value::from)
        }
        "entrypoint" | "command" if node.value.is_array() => Some(json!(reader.texts(node))),
        "entrypoint" | "command" => reader.text(node).map(Value::from),
        "stop_grace_period" => reader.duration(node).map(Value::from),
        "labels" | "sysctls" => some(reader.pairs(node)),
        "dns" | "cap_add" | "cap_drop" => some(reader.texts(node)),
        "extra_hosts" => some(hosts(reader, node)),
        "read_only" | "init" => reader.truth(node).map(Value::from),
        "logging" => logging(reader, node),
        "healthcheck" => healthcheck(reader, node),
        "secrets" | "configs" => Some(mounts::files(reader, root, name, node)),
        "volumes" => Some(mounts::volumes(reader, root, node)),
        "deploy" => {
            let read = Value::Object(deploy::read(reader, node, about));
            (read != json!({})).then_some(read)
        }
        "ports" => {
            about.ports = ports::read(reader, node);
            None
        }
        // Read when all fields have been seen.
        "environment" | "env_file" | "networks" | "restart" => None,
        _ => {
            reader.foreign("template", node);
            None
        }
    };
    if let Some(value) = value {
        template.insert(name.to_owned(), value);
    }
}

/// `deploy.restart_policy` counts, if it is there at all, and `restart` where it is not: as docker/cli converts them.
pub(super) fn restart(
    reader: &mut Reader<'_>,
    service: &Node<'_>,
    template: &mut Map<String, Value>,
) {
    let restart = service.get("restart");
    if !restart.is_given() {
        return;
    }
    if service.at(&["deploy", "restart_policy"]).is_given() {
        reader.replaced(
            &restart.path,
            "`docker stack deploy` heeds `deploy.restart_policy` where there is one, and not this",
            "see that `deploy.restart_policy` says what is meant; the manifest keeps that",
        );
    } else if let Some(policy) = deploy::restart(reader, &restart) {
        let deploy = template.entry("deploy").or_insert_with(|| json!({}));
        deploy["restart_policy"] = policy;
    }
}

fn some<T: serde::Serialize + IntoIterator>(values: T) -> Option<Value>
where
    for<'a> &'a T: IntoIterator,
{
    let is_empty = (&values).into_iter().next().is_none();
    (!is_empty).then(|| json!(values))
}

/// `name:address`, or a mapping of names.
fn hosts(reader: &mut Reader<'_>, node: &Node<'_>) -> Vec<String> {
    if node.value.is_object() {
        let pairs = reader.pairs(node).into_iter();
        return pairs
            .map(|(name, address)| format!("{name}:{address}"))
            .collect();
    }
    reader.texts(node)
}

fn logging(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Value> {
    let mut logging = Map::new();
    if let Some(driver) = reader.text(&node.get("driver")) {
        logging.insert("driver".to_owned(), driver.into());
    }
    if let Some(options) = some(reader.pairs(&node.get("options"))) {
        logging.insert("options".to_owned(), options);
    }
    reader.others("logging", node, &["driver", "options"]);
    (!logging.is_empty()).then_some(Value::Object(logging))
}

fn healthcheck(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Value> {
    let disable = node.get("disable");
    if disable.is_given() && reader.truth(&disable) == Some(true) {
        return Some(json!({"test": ["NONE"]}));
    }
    let mut check = Map::new();
    let test = node.get("test");
    if test.value.is_array() {
        check.insert("test".to_owned(), json!(reader.texts(&test)));
    } else if let Some(line) = reader.text(&test) {
        check.insert("test".to_owned(), line.into());
    }
    for name in ["interval", "timeout", "start_period"] {
        if let Some(time) = reader.duration(&node.get(name)) {
            check.insert(name.to_owned(), time.into());
        }
    }
    if let Some(retries) = reader.number(&node.get("retries")) {
        check.insert("retries".to_owned(), retries.into());
    }
    let known = [
        "test",
        "interval",
        "timeout",
        "start_period",
        "retries",
        "disable",
    ];
    reader.others("healthcheck", node, &known);
    (!check.is_empty()).then_some(Value::Object(check))
}

//! What comes into the container from elsewhere: volumes, secrets, configs; and the networks it is on.

use serde_json::{Map, Value, json};

use super::super::adoption;
use super::super::node::Node;
use super::names::in_swarm;
use super::reader::Reader;

/// `secrets` or `configs`: the Swarm's name, and the file's name where it differs.
pub(super) fn files(
    reader: &mut Reader<'_>,
    root: &Node<'_>,
    section: &str,
    node: &Node<'_>,
) -> Value {
    let mut files = Vec::new();
    for item in node.items() {
        let named = if item.value.is_object() {
            item.get("source")
        } else {
            item.clone()
        };
        let Some(key) = reader.text(&named) else {
            continue;
        };
        let source = in_swarm(reader, root, section, &key, &named);
        let target = reader
            .text(&item.get("target"))
            .unwrap_or_else(|| key.clone());
        let mut file = Map::new();
        if target != source {
            file.insert("target".to_owned(), target.into());
        }
        file.insert("source".to_owned(), source.into());
        for owner in ["uid", "gid"] {
            if let Some(id) = reader.text(&item.get(owner)).filter(|id| id != "0") {
                file.insert(owner.to_owned(), id.into());
            }
        }
        if let Some(mode) = mode(reader, &item.get("mode")) {
            file.insert("mode".to_owned(), mode.into());
        }
        if item.value.is_object() {
            reader.others(section, &item, &["source", "target", "uid", "gid", "mode"]);
        }
        files.push(Value::Object(file));
    }
    json!(files)
}

/// A file's mode: YAML 1.1, which Compose speaks, reads a leading 0 as octal.
fn mode(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<u32> {
    let text = reader.text(node)?;
    let octal = text.strip_prefix("0o").or_else(|| text.strip_prefix('0'));
    let mode = match octal {
        Some(digits) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        Some(_) | None => text.parse().ok(),
    };
    if mode.is_none() {
        let remedy = "write an octal number, as in `0440`";
        reader
            .findings
            .error(&node.path, format!("`{text}` is no file mode"), remedy);
    }
    mode.filter(|mode| *mode != 0o444)
}

pub(super) fn volumes(reader: &mut Reader<'_>, root: &Node<'_>, node: &Node<'_>) -> Value {
    let mut volumes = Vec::new();
    for item in node.items() {
        let read = if item.value.is_object() {
            long(reader, root, &item)
        } else {
            short(reader, root, &item)
        };
        volumes.extend(read);
    }
    json!(volumes)
}

/// `[SOURCE:]TARGET[:MODE]`.
fn short(reader: &mut Reader<'_>, root: &Node<'_>, item: &Node<'_>) -> Option<Value> {
    let text = reader.text(item)?;
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, modes) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, modes] => (Some(*source), *target, *modes),
        _ => {
            let remedy = "write SOURCE:/TARGET or SOURCE:/TARGET:ro";
            reader
                .findings
                .error(&item.path, format!("`{text}` is no volume"), remedy);
            return None;
        }
    };
    let read_only = modes.split(',').any(|mode| mode == "ro");
    for mode in modes
        .split(',')
        .filter(|mode| !["", "ro", "rw"].contains(mode))
    {
        reader.lost(
            &item.path,
            format!("a template's mounts have no option `{mode}`"),
            "look whether the tasks need it",
        );
    }
    let is_path = source.is_some_and(|source| source.starts_with(['/', '.', '~']));
    let kind = if is_path { "bind" } else { "volume" };
    mount(reader, root, item, (kind, source, target, read_only))
}

fn long(reader: &mut Reader<'_>, root: &Node<'_>, item: &Node<'_>) -> Option<Value> {
    let kind = reader
        .text(&item.get("type"))
        .unwrap_or_else(|| "volume".to_owned());
    let source = reader.text(&item.get("source"));
    let target = reader.text(&item.get("target")).unwrap_or_default();
    let read_only = item.get("read_only");
    let read_only = read_only.is_given() && reader.truth(&read_only) == Some(true);
    reader.others("volumes", item, &["type", "source", "target", "read_only"]);
    if kind == "tmpfs" {
        return Some(json!({"type": kind, "target": target, "read_only": read_only}));
    }
    if kind != "bind" && kind != "volume" {
        reader.lost(
            &item.path,
            format!("a template mounts no `{kind}`"),
            "choose bind, volume or tmpfs",
        );
        return None;
    }
    mount(
        reader,
        root,
        item,
        (&kind, source.as_deref(), &target, read_only),
    )
}

fn mount(
    reader: &mut Reader<'_>,
    root: &Node<'_>,
    item: &Node<'_>,
    (kind, source, target, read_only): (&str, Option<&str>, &str, bool),
) -> Option<Value> {
    let Some(source) = source.filter(|source| !source.is_empty()) else {
        reader.lost(
            &item.path,
            format!("each task gets a volume without a name at {target}"),
            "name a volume, or mount memory by `type: tmpfs`",
        );
        return None;
    };
    let source = if kind == "bind" {
        bound(reader, source)
    } else {
        driver(reader, root, source);
        in_swarm(reader, root, "volumes", source, item)
    };
    let mut mount = json!({"type": kind, "source": source, "target": target});
    if read_only {
        mount["read_only"] = true.into();
    }
    Some(mount)
}

/// A path of the node; a relative one begins in the file's directory, as for `docker stack deploy`.
fn bound(reader: &Reader<'_>, source: &str) -> String {
    let around = reader.around;
    let home = source.strip_prefix('~').zip((around.variable)("HOME"));
    let path = match home {
        Some((rest, home)) => format!("{home}{rest}").into(),
        None => around.directory.join(source),
    };
    // Without `.` in it: the engine wants none.
    path.components()
        .collect::<std::path::PathBuf>()
        .display()
        .to_string()
}

/// What a volume is made with when the first task wants it.
fn driver(reader: &mut Reader<'_>, root: &Node<'_>, key: &str) {
    let defined = root.at(&["volumes", key]);
    for name in ["driver", "driver_opts"] {
        let field = defined.get(name);
        if field.is_given() {
            reader.lost(
                &field.path,
                "a template's mounts do not say how a volume is made",
                "where it is not there yet, make it on every node by `docker volume create`",
            );
        }
    }
}

/// The names of the networks, in the order in which `docker stack deploy` attaches them. Gives the names by which others there
/// can call the service besides its own; none if it is on none of them.
pub(super) fn networks(
    reader: &mut Reader<'_>,
    root: &Node<'_>,
    service: &Node<'_>,
    template: &mut Map<String, Value>,
) -> Option<Vec<String>> {
    if service.get("network_mode").is_given() {
        return None;
    }
    let node = service.get("networks");
    let (mut attached, mut all_aliases) = (Vec::new(), Vec::new());
    for item in node.items() {
        if let Some(key) = reader.text(&item) {
            attached.push((in_swarm(reader, root, "networks", &key, &item), item));
        }
    }
    for (key, network) in node.fields() {
        all_aliases.extend(reader.texts(&network.get("aliases")));
        reader.others("networks", &network, &["aliases", "priority"]);
        let name = in_swarm(reader, root, "networks", key, &network);
        attached.push((name, network));
    }
    if attached.is_empty() {
        let name = in_swarm(reader, root, "networks", "default", service);
        attached.push((name, service.clone()));
    }
    let mut names = Vec::new();
    for (name, node) in attached {
        match adoption::of_the_node(&name) {
            Some((problem, remedy)) => reader.lost(&node.path, problem, remedy),
            None => names.push(name),
        }
    }
    names.sort();
    let is_on_one = !names.is_empty();
    if is_on_one {
        template.insert("networks".to_owned(), json!(names));
    }
    is_on_one.then_some(all_aliases)
}

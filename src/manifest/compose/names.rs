//! What the Swarm calls what the file defines: networks, secrets, configs, volumes.

use super::super::node::Node;
use super::super::suggest::either;
use super::reader::Reader;

/// The name in the Swarm of `key`, to which the field at `node` refers in `section`.
pub(super) fn in_swarm(
    reader: &mut Reader<'_>,
    root: &Node<'_>,
    section: &str,
    key: &str,
    node: &Node<'_>,
) -> String {
    let sections = root.get(section);
    let defined = sections.get(key);
    let is_defined = sections.fields().iter().any(|(name, _)| *name == key);
    if !is_defined && key != "default" {
        let names: Vec<_> = sections.fields().iter().map(|(name, _)| *name).collect();
        reader.findings.error(
            &node.path,
            format!("`{key}` is not defined in `{section}`"),
            format!("define it there; there is {}", either(names)),
        );
        return key.to_owned();
    }
    let external = defined.get("external");
    let named = [defined.get("name"), external.get("name")];
    if let Some(name) = named.iter().find_map(|name| reader.text(name)) {
        return name;
    }
    if external.value.is_boolean() && reader.truth(&external) == Some(true) {
        return key.to_owned();
    }
    if let Some(stack) = reader.around.stack {
        return format!("{stack}_{key}");
    }
    reader.lost(
        &node.path,
        format!("`docker stack deploy` calls `{key}` STACK_{key}, and which stack is not said"),
        "give the stack's name by --stack",
    );
    key.to_owned()
}

//! `env_file` and `environment`: the files first, then what stands in the service.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::node::Node;
use super::reader::Reader;

pub(super) fn read(reader: &mut Reader<'_>, service: &Node<'_>, template: &mut Map<String, Value>) {
    let mut variables = BTreeMap::new();
    let files = service.get("env_file");
    let listed = if files.value.is_array() {
        files.items()
    } else {
        vec![files]
    };
    for file in listed {
        from_file(reader, &file, &mut variables);
    }
    let own = service.get("environment");
    for (name, node) in own.fields() {
        if node.is_given() {
            let value = reader.text(&node).unwrap_or_default();
            variables.insert(name.to_owned(), value);
        } else {
            from_shell(reader, name, &node, &mut variables);
        }
    }
    for item in own.items() {
        let Some(line) = reader.text(&item) else {
            continue;
        };
        match line.split_once('=') {
            Some((name, value)) => {
                variables.insert(name.to_owned(), value.to_owned());
            }
            None => from_shell(reader, &line, &item, &mut variables),
        }
    }
    if !variables.is_empty() {
        template.insert("environment".to_owned(), json!(variables));
    }
}

/// A name without a value has that of the environment in which the file is deployed.
fn from_shell(
    reader: &mut Reader<'_>,
    name: &str,
    node: &Node<'_>,
    variables: &mut BTreeMap<String, String>,
) {
    if let Some(value) = (reader.around.variable)(name) {
        reader.replaced(
            &node.path,
            format!("{name} has the value that it has in the environment here"),
            "see whether that is right; the manifest keeps it",
        );
        variables.insert(name.to_owned(), value);
    } else {
        reader.lost(
            &node.path,
            format!("{name} takes its value from the environment, and is not set here"),
            format!("set {name} and run this again, or write its value into `environment`"),
        );
    }
}

fn from_file(reader: &mut Reader<'_>, node: &Node<'_>, variables: &mut BTreeMap<String, String>) {
    let named = if node.value.is_object() {
        node.get("path")
    } else {
        node.clone()
    };
    let Some(name) = reader.text(&named) else {
        return;
    };
    let path = reader.around.directory.join(&name);
    let text = match (reader.around.file)(&path) {
        Ok(text) => text,
        Err(problem) => {
            let remedy = "paths begin in the directory of the Compose file";
            reader.findings.error(
                &named.path,
                format!("{} cannot be read: {problem}", path.display()),
                remedy,
            );
            return;
        }
    };
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (line, None),
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            reader.findings.error(
                &named.path,
                format!("{}:{}: {name:?} is no name of a variable", path.display(), number + 1),
                "write NAME=value, without `export` and without white space before the `=`, as docker wants it",
            );
            continue;
        }
        match value {
            Some(value) => {
                variables.insert(name.to_owned(), value.to_owned());
            }
            None => from_shell(reader, name, &named, variables),
        }
    }
    reader.replaced(
        &named.path,
        format!("the variables of {name} are written into the manifest, as `docker stack deploy` writes them into the service"),
        "change them in the manifest from now on; secrets among them belong into Docker secrets",
    );
}

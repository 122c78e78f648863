//! What `get -o yaml` and `get -o json` print and no person writes: a `List` of resources, and what the store and the
//! controller say of each. So that a backup can be applied, and a resource be printed, edited and applied.

use std::mem;

use serde_json::Value;

use super::super::diagnostic::Findings;
use super::super::edits::Edits;
use super::super::node::Node;
use super::super::path::FieldPath;
use super::super::suggest::{either, nearest};
use super::super::words::describe;
use super::{Document, version};

/// The kind of several resources in one document.
const LIST: &str = "List";

/// What the store knows of a resource, in its `metadata`.
const METADATA: [&str; 6] = [
    "generation",
    "creationTimestamp",
    "updateTimestamp",
    "deletionTimestamp",
    "deletionDependents",
    "origin",
];

pub(super) fn is_list(value: &Value) -> bool {
    value.get("kind").and_then(Value::as_str) == Some(LIST)
}

/// A document for each item of `list`, after one for the list itself if there is something to say of it.
pub(super) fn items(mut list: Document, edits: &Edits) -> Vec<Document> {
    let value = mem::take(&mut list.value);
    let (of_list, mut of_items) = mem::take(&mut list.findings).by_item("items");
    list.findings = of_list;
    check_list(&Node::root(&value), &mut list.findings);
    let items = match value {
        Value::Object(mut fields) => fields.remove("items"),
        _ => None,
    };
    let mut documents = Vec::new();
    if let Some(Value::Array(items)) = items {
        for (index, value) in items.into_iter().enumerate() {
            let places = list.places.as_mut();
            let findings = of_items.remove(&index).unwrap_or_default();
            let mut document = Document::without_values(list.source, findings);
            document.lines_before = list.lines_before;
            document.places = places.map(|places| places.take_item("items", index));
            document.value = value;
            document.validate(edits);
            documents.push(document);
        }
    }
    if list.findings.iter().next().is_some() {
        documents.insert(0, list);
    }
    documents
}

fn check_list(root: &Node<'_>, findings: &mut Findings) {
    const FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "items"];
    version(&root.get("apiVersion"), findings);
    let mut is_misspelt = false;
    for (name, node) in root.fields() {
        if !FIELDS.contains(&name) {
            is_misspelt |= nearest(name, FIELDS) == Some("items");
            let remedy = nearest(name, FIELDS).map_or_else(
                || format!("known here: {}", either(FIELDS)),
                |meant| format!("did you mean `{meant}`?"),
            );
            findings.key_error(&node.path, "unknown field", remedy);
        }
    }
    let items = root.get("items");
    match items.value {
        Value::Array(list) if list.is_empty() => findings.warning(
            &items.path,
            "there is no resource in this list",
            "write one, or remove the list",
        ),
        Value::Array(_) => {}
        Value::Null if is_misspelt => {}
        Value::Null => findings.error(&items.path, "is missing", "add `items:` with resources"),
        other => findings.error(
            &items.path,
            format!("{} stands where a list belongs", describe(other)),
            "write a list of resources",
        ),
    }
}

/// Takes out of `resource` what others than its owner write. It is a resource that was printed if the store says
/// something of it.
pub(super) fn strip(resource: &mut Value, findings: &mut Findings) {
    let root = FieldPath::root();
    let mut is_printed = false;
    let mut is_leaving = false;
    if let Some(metadata) = resource.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in METADATA {
            let is_there = metadata.remove(name).is_some();
            is_printed |= is_there;
            is_leaving |= is_there && name == "deletionTimestamp";
        }
    }
    if is_leaving {
        findings.key_warning(
            &root.key("metadata").key("deletionTimestamp"),
            "it was being deleted when this was printed, which is not read",
            "remove the resource from here if it is not to come back",
        );
    }
    let Some(fields) = resource.as_object_mut() else {
        return;
    };
    if is_printed {
        fields.remove("command");
    }
    if fields.remove("status").is_some() && !is_printed {
        findings.key_warning(
            &root.key("status"),
            "the status is the controller's; what stands here is not read",
            "remove it",
        );
    }
}

//! How a stored resource looks to programs: `{apiVersion, kind, metadata, spec, status}`.

use serde_json::{Value, json};

use crate::api::{API_VERSION, Dependents};
use crate::world::Stored;

/// The resource as JSON, with what the store knows of it in `metadata` and, for a rollout, its
/// `status`.
pub fn to_json(stored: &Stored) -> Value {
    let draft = &stored.draft;
    let resource = &draft.resource;
    let mut metadata = resource
        .to_json()
        .get("metadata")
        .cloned()
        .unwrap_or_else(|| json!({}));
    metadata["generation"] = json!(draft.generation);
    metadata["creationTimestamp"] = json!(stored.created_at);
    metadata["updateTimestamp"] = json!(stored.updated_at);
    if let Some(origin) = &draft.origin {
        metadata["origin"] = json!(origin);
    }
    if let Some(deletion) = draft.deletion {
        metadata["deletionTimestamp"] = json!(deletion.at);
        metadata["deletionDependents"] = json!(match deletion.dependents {
            Dependents::Remove => "remove",
            Dependents::Orphan => "orphan",
        });
    }
    let mut object = json!({
        "apiVersion": API_VERSION,
        "kind": resource.kind(),
        "metadata": metadata,
        "spec": resource.spec_json(),
    });
    if let Some(status) = &draft.status {
        object["status"] = json!(status);
    }
    if let Some(command) = super::standing::pending_command(stored) {
        object["command"] = json!(command);
    }
    object
}

/// Several resources as one JSON object.
pub fn list(stored: &[&Stored]) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "List",
        "items": stored.iter().map(|stored| to_json(stored)).collect::<Vec<_>>(),
    })
}

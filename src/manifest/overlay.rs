//! Overlays: a JSON merge patch (RFC 7386) of the manifest that holds it, laid over it. What comes out is checked as any
//! manifest is, elsewhere.

use serde_json::{Map, Value};

use super::branch;
use super::diagnostic::Findings;
use super::edits::Overlay;
use super::node::Node;
use super::pairs;
use super::path::FieldPath;
use super::suggest::nearest;
use super::words::quoted;
use crate::api::Kind;

/// The field that holds the overlays of a manifest.
pub(super) const FIELD: &str = "overlays";

/// What an overlay may change.
const CHANGED: [&str; 2] = ["metadata", "spec"];

/// An overlay that was laid over its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Laid {
    /// Its name.
    pub name: String,
    /// What is the overlay's: each field that is new, another one or removed.
    pub fields: Vec<FieldPath>,
    /// The lists of pairs that became mappings, with the names of their items.
    pub spelled: Vec<(FieldPath, Vec<String>)>,
}

impl Laid {
    /// Where what stands at `path` comes from, if it comes from the overlay.
    pub fn origin(&self, path: &FieldPath) -> Option<FieldPath> {
        let is_mine = self.fields.iter().any(|field| path.is_in(field));
        is_mine.then(|| root(&self.name).then(path))
    }
}

fn root(name: &str) -> FieldPath {
    FieldPath::root().key(FIELD).key(name)
}

/// The names of the overlays in `document`.
pub(super) fn names(document: &Value) -> Vec<String> {
    let overlays = Node::root(document).get(FIELD);
    let fields = overlays.fields();
    fields.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// Lays the overlay over `document`, if it has it.
pub(super) fn lay(
    document: &mut Value,
    overlay: &Overlay,
    findings: &mut Findings,
) -> Option<Laid> {
    let overlays = document.get(FIELD)?.as_object()?;
    let name = overlay
        .names
        .iter()
        .find(|name| overlays.contains_key(*name))?;
    // What is no mapping is reported by the schema.
    let patch = overlays.get(name)?.as_object()?.clone();
    let mut laying = Laying {
        laid: Laid {
            name: name.clone(),
            fields: Vec::new(),
            spelled: Vec::new(),
        },
        findings,
    };
    let target = document.as_object_mut()?;
    for field in CHANGED {
        if let Some(Value::Object(patch)) = patch.get(field) {
            let here = FieldPath::root().key(field);
            match target.get_mut(field) {
                Some(Value::Object(inner)) => laying.merge(inner, patch, &here),
                _ => laying.put(target, field, &Value::Object(patch.clone()), here),
            }
        }
    }
    let laid = laying.laid;
    name_branch(document, overlay, &laid, findings);
    Some(laid)
}

struct Laying<'f> {
    laid: Laid,
    findings: &'f mut Findings,
}

impl Laying<'_> {
    fn merge(
        &mut self,
        target: &mut Map<String, Value>,
        patch: &Map<String, Value>,
        parent: &FieldPath,
    ) {
        if parent.ends_with(&["spec", "strategy"]) && patch.values().any(|value| !value.is_null()) {
            // A strategy is one of several: who names another one does not want both.
            target.retain(|name, _| patch.contains_key(name));
        }
        for (name, value) in patch {
            let here = parent.key(name);
            let spelled = self.spell(target.get_mut(name), value, &here);
            let value = spelled.as_ref().unwrap_or(value);
            match (value, target.get_mut(name)) {
                (Value::Null, Some(_)) => {
                    target.remove(name);
                    self.laid.fields.push(here);
                }
                (Value::Null, None) => self.nothing_to_remove(target, name, &here),
                (Value::Object(patch), Some(Value::Object(inner))) => {
                    self.merge(inner, patch, &here);
                }
                // It is reported where it stands, and hides nothing.
                (Value::Object(_), Some(Value::Array(_))) if pairs::is_either(&here) => {}
                (Value::Object(_), Some(Value::Array(_))) => {
                    self.list_replaced(&here);
                    self.put(target, name, value, here);
                }
                (value, _) => self.put(target, name, value, here),
            }
        }
    }

    /// Makes a mapping of a list of pairs that something is laid over, and of one that is laid over something, which it gives.
    fn spell(
        &mut self,
        target: Option<&mut Value>,
        patch: &Value,
        place: &FieldPath,
    ) -> Option<Value> {
        let target = target.filter(|_| pairs::is_either(place) && !patch.is_null())?;
        let laid = pairs::mapping(patch).map(Value::Object);
        if !patch.is_object() && laid.is_none() {
            return None;
        }
        let from = root(&self.laid.name).then(place);
        for (value, at) in [(&*target, place), (patch, &from)] {
            let names = pairs::names(value).map(|names| (at.clone(), names));
            self.laid.spelled.extend(names);
        }
        if let Some(mapping) = pairs::mapping(target) {
            *target = Value::Object(mapping);
        }
        laid
    }

    fn list_replaced(&mut self, path: &FieldPath) {
        let path = root(&self.laid.name).then(path);
        self.findings.key_warning(
            &path,
            "a mapping replaces the whole list that stands here without the overlay",
            "write the list whole, as it is to be",
        );
    }

    fn put(&mut self, target: &mut Map<String, Value>, name: &str, value: &Value, path: FieldPath) {
        target.insert(name.to_owned(), without_nulls(value));
        self.laid.fields.push(path);
    }

    fn nothing_to_remove(&mut self, target: &Map<String, Value>, name: &str, path: &FieldPath) {
        // Another strategy has replaced it.
        if path.ends_with(&["spec", "strategy", name]) {
            return;
        }
        let remedy = nearest(name, target.keys().map(String::as_str)).map_or_else(
            || "remove the line".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let path = root(&self.laid.name).then(path);
        let problem = format!("there is no {} to be removed", quoted(name));
        self.findings.key_warning(&path, problem, remedy);
    }
}

/// A patch for something that is not there is what it says without what it removes.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                kept.map(|(name, value)| (name.clone(), without_nulls(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

/// `{{ branch }}` in the name that the overlay gives.
fn name_branch(document: &mut Value, overlay: &Overlay, laid: &Laid, findings: &mut Findings) {
    let path = FieldPath::root().key("metadata").key("name");
    if laid.origin(&path).is_none() {
        return;
    }
    let Some(Value::String(name)) = document.pointer_mut("/metadata/name") else {
        return;
    };
    match branch::fill_in(
        name,
        overlay.branch.as_deref(),
        Kind::Rollout.max_name_len(),
    ) {
        Ok(filled) => *name = filled,
        Err(fault) => {
            findings.error(&path, fault.problem, fault.remedy);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::edits::Need;
    use super::*;

    fn laid(mut document: Value, name: &str) -> Value {
        let overlay = Overlay {
            names: vec![name.to_owned()],
            need: Need::Required,
            branch: Some("Test/Login_Form".to_owned()),
        };
        let mut findings = Findings::default();
        lay(&mut document, &overlay, &mut findings).expect("it is there");
        assert!(!findings.has_errors());
        let fields = document.as_object_mut().expect("a mapping");
        fields.remove(FIELD);
        document
    }

    /// The examples of RFC 7386, appendix A, that are mappings.
    #[test]
    fn an_overlay_is_a_merge_patch() {
        for (before, patch, after) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let document = json!({"spec": before, FIELD: {"x": {"spec": patch}}});
            assert_eq!(laid(document, "x"), json!({"spec": after}), "{patch}");
        }
    }

    #[test]
    fn both_spellings_of_an_environment_are_merged() {
        let pairs = |names: &[(&str, Value)]| {
            let fields = names
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()));
            Value::Object(fields.collect())
        };
        for (base, patch, after) in [
            (
                json!(["A=1", "B=2=3", "D="]),
                json!({"C": 3, "A": null}),
                pairs(&[("B", json!("2=3")), ("C", json!(3)), ("D", json!(""))]),
            ),
            (
                json!({"A": 1, "B": 2}),
                json!(["B=3"]),
                json!({"A": 1, "B": "3"}),
            ),
            (json!(["A=1"]), json!(["B=3"]), json!({"A": "1", "B": "3"})),
            // What is no list of pairs is left for the schema to refuse.
            (json!(["A=1", "B"]), json!({"C": 3}), json!(["A=1", "B"])),
            (
                json!(["A=1", "A=1"]),
                json!({"C": 3}),
                json!(["A=1", "A=1"]),
            ),
            (json!(["A=1"]), json!(["B"]), json!(["B"])),
        ] {
            let spec = |environment: &Value| json!({"template": {"environment": environment}});
            let document = json!({"spec": spec(&base), FIELD: {"x": {"spec": spec(&patch)}}});
            assert_eq!(
                laid(document, "x"),
                json!({"spec": spec(&after)}),
                "{patch}"
            );
        }
    }

    #[test]
    fn another_strategy_replaces_the_one_that_is_there_and_the_same_one_is_merged() {
        let base = json!({"canary": {"stages": [{"weight": 5}], "scaleDownDelay": "1m"}});
        for (patch, after) in [
            (json!({"blueGreen": {}}), json!({"blueGreen": {}})),
            (
                json!({"canary": null, "blueGreen": {}}),
                json!({"blueGreen": {}}),
            ),
            (
                json!({"canary": {"scaleDownDelay": null}}),
                json!({"canary": {"stages": [{"weight": 5}]}}),
            ),
            (json!({"canary": null}), json!({})),
        ] {
            let document =
                json!({"spec": {"strategy": base}, FIELD: {"x": {"spec": {"strategy": patch}}}});
            assert_eq!(
                laid(document, "x"),
                json!({"spec": {"strategy": after}}),
                "{patch}"
            );
        }
    }

    #[test]
    fn the_branch_is_named_as_a_label() {
        let document = json!({
            "metadata": {"name": "web"},
            FIELD: {"x": {"metadata": {"name": "web-{{ branch }}"}}},
        });
        assert_eq!(
            laid(document, "x")["metadata"]["name"],
            "web-test-login-form"
        );
    }
}

//! Values that are set from outside, in a rollout's document. Whether a value is text or a number is told by the schema of
//! its field; whether it is a right one is checked with all else, elsewhere.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::diagnostic::Findings;
use super::edits::Setting;
use super::pairs;
use super::path::{FieldPath, Segment};
use super::words::describe;

/// Sets the value in `document`. The topmost field that it has made or changed; nothing, with a finding, if there is no such place.
pub(super) fn set(
    document: &mut Value,
    setting: &Setting,
    schema: &Value,
    findings: &mut Findings,
) -> Option<FieldPath> {
    let value = typed(setting, schema);
    let mut here = document;
    let mut path = FieldPath::root();
    let mut changed = None;
    for segment in &setting.path.0 {
        let inner = match segment {
            Segment::Key(name) => path.key(name),
            Segment::Index(index) => path.index(*index),
        };
        if let (Segment::Key(_), true) = (segment, pairs::is_either(&path))
            && let Some(mapping) = pairs::mapping(here)
        {
            *here = Value::Object(mapping);
        }
        let shown = describe(here);
        let next = match (segment, &mut *here) {
            (Segment::Key(name), Value::Object(fields)) => {
                if !fields.contains_key(name) {
                    changed.get_or_insert_with(|| inner.clone());
                }
                fields.entry(name.clone()).or_insert(Value::Null)
            }
            // Nothing stood here before: it was made by the step before.
            (Segment::Key(name), empty @ Value::Null) => {
                *empty = Value::Object(Map::new());
                &mut empty[name.as_str()]
            }
            (Segment::Index(index), Value::Array(items)) => {
                let count = items.len();
                let Some(item) = items.get_mut(*index) else {
                    let problem = format!(
                        "there is no item {index} in this list of {count} (by `--set {setting}`)"
                    );
                    findings.error(&path, problem, "items are counted from 0");
                    return None;
                };
                item
            }
            _ => {
                let problem =
                    format!("{shown} stands here, and has no `{inner}` (by `--set {setting}`)");
                findings.error(
                    &path,
                    problem,
                    "set the whole, or name a field that can hold it",
                );
                return None;
            }
        };
        here = next;
        path = inner;
    }
    *here = value;
    Some(changed.unwrap_or(path))
}

/// The value as its field's schema wants it: text wherever text may stand.
fn typed(setting: &Setting, schema: &Value) -> Value {
    let text = Value::String(setting.value.clone());
    let types = types(schema, &setting.path);
    if types.is_empty() || types.contains("string") {
        return text;
    }
    // What is no such value stays text, and the schema says what would be right.
    serde_json::from_str(&setting.value).unwrap_or(text)
}

/// The JSON types that may stand at `path`; none if it is not known.
fn types<'s>(schema: &'s Value, path: &FieldPath) -> BTreeSet<&'s str> {
    let mut places = expand(schema, schema);
    for segment in &path.0 {
        let inner: Vec<&Value> = places
            .iter()
            .filter_map(|place| match segment {
                Segment::Key(name) => place
                    .get("properties")
                    .and_then(|properties| properties.get(name))
                    .or_else(|| place.get("additionalProperties")),
                Segment::Index(_) => place.get("items"),
            })
            .collect();
        places = inner
            .into_iter()
            .flat_map(|place| expand(schema, place))
            .collect();
    }
    let mut types = BTreeSet::new();
    for place in places {
        match place.get("type") {
            Some(Value::String(name)) => {
                types.insert(name.as_str());
            }
            Some(Value::Array(names)) => types.extend(names.iter().filter_map(Value::as_str)),
            _ if place.get("const").is_some_and(Value::is_string)
                || place.get("enum").is_some() =>
            {
                types.insert("string");
            }
            _ => {}
        }
    }
    types
}

/// A schema with all that it refers to and all its forms.
fn expand<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let mut open = vec![schema];
    let mut all = Vec::new();
    while let Some(place) = open.pop() {
        all.push(place);
        let target = place.get("$ref").and_then(Value::as_str);
        open.extend(target.and_then(|target| root.pointer(target.strip_prefix('#')?)));
        for forms in ["anyOf", "oneOf", "allOf"] {
            open.extend(
                place
                    .get(forms)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten(),
            );
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::schema::schema;
    use super::*;
    use crate::api::Kind;

    #[test]
    fn the_fields_schema_tells_text_from_numbers() {
        let schema = schema(Kind::Rollout);
        for (setting, expected) in [
            ("spec.replicas=3", Value::from(3)),
            ("spec.replicas=many", Value::from("many")),
            ("spec.template.image=7", Value::from("7")),
            ("spec.template.environment.PORT=080", Value::from("080")),
            ("spec.strategy.canary.stages[0].weight=50", Value::from(50)),
            (
                "spec.strategy.canary.stages[0].approval=true",
                Value::from(true),
            ),
            ("spec.strategy.canary.stages[0].bake=5m", Value::from("5m")),
            ("spec.onFailure=pause", Value::from("pause")),
            ("spec.analysis.metrics[0].max=0.02", Value::from(0.02)),
            ("spec.nothing.of=5", Value::from("5")),
            ("metadata.labels.team=1", Value::from("1")),
        ] {
            let setting: Setting = setting.parse().expect(setting);
            assert_eq!(typed(&setting, &schema), expected, "{setting}");
        }
    }
}

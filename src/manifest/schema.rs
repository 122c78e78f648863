//! The JSON Schemas of the kinds (draft 2020-12), from the types of `api`: what editors get and
//! what [`super::parse`] validates by.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::overlay;
use crate::api::{
    API_VERSION, AnalysisTemplateSpec, Kind, LoadBalancerSpec, Metadata, MetricSourceSpec,
    RolloutSpec, Spec,
};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const BASE: &str = "https://rolloutctl.dev/schema/v1alpha1";

/// The schema of one kind's resources.
pub fn schema(kind: Kind) -> Value {
    let (body, definitions) = parts(kind);
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!(DIALECT));
    schema.insert(
        "$id".to_owned(),
        json!(format!("{BASE}/{}.json", kind.singular())),
    );
    schema.extend(body);
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}

static ROLLOUT: LazyLock<Value> = LazyLock::new(|| schema(Kind::Rollout));

/// The schema of rollouts, made once.
pub(super) fn rollout() -> &'static Value {
    &ROLLOUT
}

/// The schema of a resource of any kind.
pub fn schema_all() -> Value {
    let mut definitions = Map::new();
    let mut kinds = Vec::new();
    for kind in Kind::ALL {
        let (body, used) = parts(kind);
        definitions.extend(used);
        definitions.insert(kind.as_str().to_owned(), Value::Object(body));
        kinds.push(json!({"$ref": format!("#/$defs/{kind}")}));
    }
    json!({
        "$schema": DIALECT,
        "$id": format!("{BASE}/all.json"),
        "title": "rolloutctl resource",
        "description": "A resource of any kind that rolloutctl knows.",
        "oneOf": kinds,
        "$defs": definitions,
    })
}

/// A kind's schema and the definitions that it refers to.
fn parts(kind: Kind) -> (Map<String, Value>, Map<String, Value>) {
    match kind {
        Kind::Rollout => parts_of::<RolloutSpec>(),
        Kind::LoadBalancer => parts_of::<LoadBalancerSpec>(),
        Kind::MetricSource => parts_of::<MetricSourceSpec>(),
        Kind::AnalysisTemplate => parts_of::<AnalysisTemplateSpec>(),
    }
}

fn parts_of<S: Spec>() -> (Map<String, Value>, Map<String, Value>) {
    let kind = S::KIND;
    let mut generator = SchemaSettings::draft2020_12()
        .with_transform(Strict)
        .into_generator();
    let metadata = reference::<Metadata>(&mut generator);
    let spec = reference::<S>(&mut generator);
    let definitions = generator.take_definitions(true);
    let description = definitions
        .get(S::schema_name().as_ref())
        .and_then(|definition| definition.get("description"))
        .cloned()
        .unwrap_or_default();
    let named = json!({"name": {"maxLength": kind.max_name_len()}});
    let body = json!({
        "title": kind.as_str(),
        "description": description,
        "type": "object",
        "properties": {
            "apiVersion": {
                "description": "The version of rolloutctl's resources.",
                "const": API_VERSION,
            },
            "kind": {"description": "The kind of resource.", "const": kind.as_str()},
            "metadata": {"$ref": metadata, "properties": named},
            "spec": {"$ref": spec},
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
    });
    match body {
        Value::Object(mut body) => {
            if kind == Kind::Rollout
                && let Some(Value::Object(properties)) = body.get_mut("properties")
            {
                properties.insert(overlay::FIELD.to_owned(), overlays());
            }
            (body, definitions)
        }
        _ => unreachable!("the literal above is an object"),
    }
}

/// Overlays are not a part of the resource: only manifests have them. What one makes of its manifest is validated, and
/// not the patch by itself.
fn overlays() -> Value {
    json!({
        "description": "Variants of this manifest, each with a name: `--overlay NAME` chooses one, and a branch of a \
                        repository the one with its name. Each is a JSON merge patch (RFC 7386): a value replaces, \
                        null removes, mappings are merged. Another strategy replaces the one that is there.",
        "type": "object",
        "additionalProperties": {
            "description": "A JSON merge patch of this manifest.",
            "type": "object",
            "properties": {
                "metadata": {
                    "description": "What is changed in `metadata`. In a name, `{{ branch }}` stands for the branch \
                                    as a DNS label.",
                    "type": "object",
                },
                "spec": {"description": "What is changed in `spec`.", "type": "object"},
            },
            "additionalProperties": false,
        },
    })
}

fn reference<T: JsonSchema>(generator: &mut schemars::SchemaGenerator) -> Value {
    generator
        .subschema_for::<T>()
        .get("$ref")
        .cloned()
        .unwrap_or_default()
}

/// Makes the derived schemas as strict as the manifest is: an optional field is given or left
/// out, never null; a 32-bit number has an end.
#[derive(Clone)]
struct Strict;

impl Transform for Strict {
    fn transform(&mut self, schema: &mut Schema) {
        refuse_null(schema);
        if schema.get("format").and_then(Value::as_str) == Some("uint32") {
            let object = schema.ensure_object();
            object.entry("maximum").or_insert_with(|| json!(u32::MAX));
        }
        transform_subschemas(self, schema);
    }
}

fn refuse_null(schema: &mut Schema) {
    let null = json!({"type": "null"});
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(branches)) = object.get_mut("anyOf") else {
        return;
    };
    branches.retain(|branch| *branch != null);
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (keyword, value) in only {
            object.entry(keyword).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `check` for every schema object in `value`.
    fn each(value: &Value, path: &str, check: &mut impl FnMut(&str, &Map<String, Value>)) {
        match value {
            Value::Object(object) => {
                check(path, object);
                for (key, inner) in object {
                    each(inner, &format!("{path}/{key}"), check);
                }
            }
            Value::Array(list) => {
                for (index, inner) in list.iter().enumerate() {
                    each(inner, &format!("{path}/{index}"), check);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_object_refuses_unknown_fields_and_nothing_takes_null() {
        each(&schema_all(), "", &mut |path, object| {
            // A condition says only when another part applies.
            let is_condition = path.ends_with("/if");
            let extends =
                is_condition || path.ends_with("/metadata") || path.ends_with("/properties");
            if object.get("properties").is_some_and(Value::is_object) && !extends {
                assert_eq!(
                    object.get("additionalProperties"),
                    Some(&json!(false)),
                    "{path} takes unknown fields"
                );
            }
            assert_ne!(
                object.get("type"),
                Some(&json!("null")),
                "{path} takes null"
            );
        });
    }

    #[test]
    fn the_schemas_are_schemas() {
        for kind in Kind::ALL {
            assert!(jsonschema::meta::is_valid(&schema(kind)), "{kind}");
        }
        assert!(jsonschema::meta::is_valid(&schema_all()));
    }
}

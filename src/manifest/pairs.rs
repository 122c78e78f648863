//! Lists of `NAME=value` that mean the same as a mapping: where one is laid over the other, or a value set in it, both are
//! mappings.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::path::FieldPath;

/// Whether the field at `path` may be written in both forms. In a manifest only an environment may.
pub(super) fn is_either(path: &FieldPath) -> bool {
    path.ends_with(&["template", "environment"])
}

/// The names in a list of `NAME=value`, in its order; none if it is no sound one, which is for the rules to say.
pub(super) fn names(value: &Value) -> Option<Vec<String>> {
    let pairs = pairs(value)?;
    Some(pairs.into_iter().map(|(name, _)| name.to_owned()).collect())
}

/// The same as a mapping. Of two values for one name the last one counts, as in the list.
pub(super) fn mapping(value: &Value) -> Option<Map<String, Value>> {
    let fields = pairs(value)?.into_iter();
    let fields = fields.map(|(name, value)| (name.to_owned(), Value::from(value)));
    Some(fields.collect())
}

fn pairs(value: &Value) -> Option<Vec<(&str, &str)>> {
    let items = value.as_array()?.iter();
    let pairs = items.map(|item| item.as_str()?.split_once('='));
    let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return None;
    }
    let different: BTreeSet<_> = pairs.iter().collect();
    (different.len() == pairs.len()).then_some(pairs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema;
    use super::*;

    #[test]
    fn a_list_is_a_mapping_only_if_each_item_says_something_else() {
        let sound = json!(["A=0", "A=1", "B=2=3", "C="]);
        let expected = json!({"A": "1", "B": "2=3", "C": ""});
        assert_eq!(mapping(&sound).map(Value::Object), Some(expected));
        assert_eq!(mapping(&json!([])), Some(Map::new()));
        for unsound in [
            json!(["A"]),
            json!(["=1"]),
            json!([1]),
            json!(["A=1", "A=1"]),
            json!({"A": 1}),
        ] {
            assert_eq!(mapping(&unsound), None, "{unsound}");
        }
    }

    /// Whoever gives another field both forms must say here which it is.
    #[test]
    fn no_other_field_has_both_forms() {
        fn gather(schema: &Value, path: &str, both: &mut Vec<String>) {
            let types = schema["type"].as_array().into_iter().flatten();
            let types: Vec<_> = types.filter_map(Value::as_str).collect();
            if types.contains(&"object") && types.contains(&"array") {
                both.push(path.to_owned());
            }
            if let Value::Object(fields) = schema {
                for (name, inner) in fields {
                    gather(inner, &format!("{path}/{name}"), both);
                }
            }
        }
        let mut both = Vec::new();
        gather(schema::rollout(), "", &mut both);
        assert_eq!(both, ["/$defs/Environment"]);
    }
}

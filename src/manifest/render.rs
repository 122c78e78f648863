//! JSON values as YAML, for people to read. Reading YAML is elsewhere.

use serde_json::Value;

/// `value` as one YAML document, ending with a line break.
///
/// # Panics
/// Never: JSON is YAML.
pub fn to_yaml(value: &Value) -> String {
    serde_yaml::to_string(value).expect("JSON is YAML")
}

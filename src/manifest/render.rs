//! JSON values as YAML, for people to read, and back. Reading manifests is elsewhere: what is read here
//! has no places, and is checked by who reads it.

use serde_json::Value;

/// `value` as one YAML document, ending with a line break.
///
/// # Panics
/// Never: JSON is YAML.
pub fn to_yaml(value: &Value) -> String {
    serde_yaml::to_string(value).expect("JSON is YAML")
}

/// One YAML document that is no manifest.
///
/// # Errors
/// When it is no YAML, or not one that JSON could say; with the line.
pub fn from_yaml(text: &str) -> Result<Value, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

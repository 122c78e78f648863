//! A value of the wrong type: what was found, and what to write instead.

use serde_json::Value;

use super::super::diagnostic::Findings;
use super::super::overlay;
use super::super::path::FieldPath;
use super::super::words::{describe, type_words};
use super::Explainer;

impl Explainer<'_, '_> {
    pub(super) fn wrong_type(
        &self,
        path: &FieldPath,
        value: &Value,
        pointer: &str,
        types: &[&str],
        findings: &mut Findings,
    ) {
        let duration = pointer.starts_with("/$defs/Duration/");
        let wanted = if duration {
            "a duration such as `30s`".to_owned()
        } else {
            type_choice(types)
        };
        let written = (self.plain)(path);
        let problem = match value {
            Value::Null => "nothing is given".to_owned(),
            // An environment's values are not for logs.
            Value::String(_) if path.field() == "environment" => {
                format!("a text stands where {wanted} belongs")
            }
            _ => format!("{} stands where {wanted} belongs", describe(value)),
        };
        let remedy = match value {
            Value::Number(number) if duration => format!("give it a unit, as in `{number}s`"),
            _ => type_remedy(path, value, types, written)
                .unwrap_or_else(|| format!("write {wanted}")),
        };
        let remedy = match value {
            Value::Null if pointer.starts_with("/$defs/Environment/") => {
                "write a value, or `\"\"`; there is no shell here to take it from".to_owned()
            }
            Value::Null => match overlay_name(path) {
                // Without the line nobody could choose it.
                Some(name) => format!("write `{name}: {{}}` for an overlay that changes nothing"),
                None => format!("{remedy}, or remove the line"),
            },
            _ => remedy,
        };
        findings.error(path, problem, remedy);
    }
}

/// The overlay's name, if the whole of one stands at `path`.
fn overlay_name(path: &FieldPath) -> Option<&str> {
    let is_whole = path.begins_with(overlay::FIELD) && path.0.len() == 2;
    path.last_key().filter(|_| is_whole)
}

/// `text, a number or a list`.
fn type_choice(types: &[&str]) -> String {
    let mut words: Vec<_> = types.iter().map(|name| type_words(name)).collect();
    words.dedup();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// The remedy for a value that has the right look and the wrong type.
fn type_remedy(
    path: &FieldPath,
    value: &Value,
    types: &[&str],
    written: Option<&str>,
) -> Option<String> {
    match value {
        Value::String(text) if path.field() == "mode" && is_octal(text) => Some(format!(
            "write `0o{}`, as YAML 1.2 writes octal numbers",
            text.trim_start_matches('0')
        )),
        Value::String(text) if types == ["boolean"] => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" => Some("write `true`".to_owned()),
            "no" | "off" | "n" => Some("write `false`".to_owned()),
            _ => None,
        },
        Value::String(text) if types.iter().any(|t| matches!(*t, "integer" | "number")) => {
            let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
            is_number.then(|| format!("write {text} without quotes"))
        }
        Value::Number(_) | Value::Bool(_) if types.contains(&"string") => {
            let shown = written.map_or_else(|| value.to_string(), str::to_owned);
            Some(format!("write it in quotes: `\"{shown}\"`"))
        }
        _ => None,
    }
}

fn is_octal(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && text.bytes().all(|b| matches!(b, b'0'..=b'7'))
}

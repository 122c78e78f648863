//! The words in which values and types are shown to people.

use serde_json::Value;

/// What a value is, for `X was found`.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {}", quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// A text in backticks, cut if it is long, on one line.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A JSON Schema type's name in a user's words.
pub(super) fn type_words(name: &str) -> &'static str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a mapping",
        _ => "another value",
    }
}

/// The first sentence of a description, as it can go on after a comma.
pub(super) fn first_sentence(description: &str) -> String {
    let line = description.split("\n\n").next().unwrap_or_default();
    let line = line.replace('\n', " ");
    let sentence = line
        .split_once(". ")
        .map_or(line.as_str(), |(first, _)| first);
    let sentence = sentence.trim_end_matches('.');
    let mut letters = sentence.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_goes_on_after_a_comma() {
        assert_eq!(first_sentence("The port. It listens."), "the port");
        assert_eq!(first_sentence("A DNS label"), "a DNS label");
        assert_eq!(first_sentence("DNS label."), "DNS label");
    }

    #[test]
    fn long_texts_are_cut_and_stay_on_one_line() {
        let shown = quoted(&"ä\n".repeat(100));
        assert_eq!(shown.chars().count(), 63);
        assert!(!shown.contains('\n'));
    }
}

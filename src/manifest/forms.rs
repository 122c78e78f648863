//! What a text of some form should look like, for texts that a schema's pattern refuses.

use super::path::FieldPath;
use super::words::quoted;
use crate::api::{Duration, Name};

/// The problem with `text` and its remedy, by the field and by the definition in the schema.
pub(super) fn remedy(path: &FieldPath, pointer: &str, text: &str) -> Option<(String, String)> {
    if pointer.starts_with("/$defs/Duration/") {
        return duration(text);
    }
    if pointer.starts_with("/$defs/Name/") {
        let error = text.parse::<Name>().err()?;
        return Some(split(&error.to_string()));
    }
    if pointer.starts_with("/$defs/Environment/") {
        return Some((
            "an item names no value".to_owned(),
            "write `NAME=value`; there is no shell here to take the value from".to_owned(),
        ));
    }
    let does_not_fit = |what: &str| format!("{} is not {what}", quoted(text));
    Some(match path.field() {
        "url" => url(text),
        "address" => (
            does_not_fit("an address of HAProxy's runtime API"),
            "write `unix:///path/to/admin.sock` or `tcp://host:port`".to_owned(),
        ),
        "cpus" => (
            does_not_fit("a number of processors"),
            "write a decimal number in quotes, as in `\"0.5\"`".to_owned(),
        ),
        "memory" => (
            does_not_fit("an amount of memory"),
            "write a whole number with a unit, as in `128M` or `1G`".to_owned(),
        ),
        "backend" => (
            does_not_fit("a name that HAProxy takes for a backend"),
            "use letters, digits, `-`, `_`, `.` and `:`, at most 128".to_owned(),
        ),
        "name" => (
            does_not_fit("an argument's name"),
            "use letters, digits, `-` and `_`".to_owned(),
        ),
        _ => return None,
    })
}

/// The problem with `text` as a duration, if there is one.
pub(super) fn duration(text: &str) -> Option<(String, String)> {
    let error = text.parse::<Duration>().err()?;
    let (problem, remedy) = split(&error.to_string());
    let well_formed = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
        && text.starts_with(|c: char| c.is_ascii_digit());
    if well_formed && text.len() > 5 && text.bytes().filter(u8::is_ascii_digit).count() > 4 {
        return Some((problem, format!("{remedy}, and no longer than ten years")));
    }
    Some((problem, remedy))
}

fn url(text: &str) -> (String, String) {
    if text.contains('@') {
        // The text is not repeated: what it holds is a secret.
        return (
            "the URL holds a user or password".to_owned(),
            "remove them and name a file that holds the token in `tokenFile`".to_owned(),
        );
    }
    (
        format!("{} is not an HTTP URL", quoted(text)),
        "write `http://host:port` or `https://host:port`".to_owned(),
    )
}

fn split(message: &str) -> (String, String) {
    match message.split_once("; ") {
        Some((problem, remedy)) => (problem.to_owned(), remedy.to_owned()),
        None => (message.to_owned(), "write another value".to_owned()),
    }
}

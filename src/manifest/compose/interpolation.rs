//! Variables in values: `$X`, `${X}`, `${X:-default}`, `${X-default}`, `${X:?message}`, `${X?message}`, and `$$` for a
//! dollar, as `docker stack deploy` replaces them (docker/cli, `cli/compose/template`). It reads no `.env` file.

use serde_json::Value;

use super::super::document::Document;
use super::super::path::FieldPath;

/// A variable that is not set and has no default: nothing took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unset {
    pub path: FieldPath,
    pub variable: String,
}

/// The sections in whose values variables are replaced.
const SECTIONS: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];

type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces all variables in the document. What cannot be replaced is a finding.
pub(super) fn replace(document: &mut Document, variable: Variable<'_>) -> Vec<Unset> {
    let mut unset = Vec::new();
    let mut wrong = Vec::new();
    for section in SECTIONS {
        if let Some(value) = document.value.get_mut(section) {
            let path = FieldPath::root().key(section);
            walk(value, &path, variable, &mut unset, &mut wrong);
        }
    }
    for (path, problem) in wrong {
        document.findings.error(
            &path,
            problem,
            "write `${NAME}`, with `:-default` or `:?message` if need be, and `$$` for a dollar",
        );
    }
    unset
}

fn walk(
    value: &mut Value,
    path: &FieldPath,
    variable: Variable<'_>,
    unset: &mut Vec<Unset>,
    wrong: &mut Vec<(FieldPath, String)>,
) {
    match value {
        Value::String(text) => match substitute(text, variable) {
            Ok(replaced) => {
                *text = replaced.text;
                unset.extend(replaced.unset.into_iter().map(|variable| Unset {
                    path: path.clone(),
                    variable,
                }));
            }
            Err(problem) => wrong.push((path.clone(), problem)),
        },
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, &path.index(index), variable, unset, wrong);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                walk(field, &path.key(name), variable, unset, wrong);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Replaced {
    text: String,
    unset: Vec<String>,
}

fn substitute(text: &str, variable: Variable<'_>) -> Result<Replaced, String> {
    let mut replaced = Replaced::default();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        replaced.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            replaced.text.push('$');
            rest = after;
        } else if let Some(braced) = rest.strip_prefix('{') {
            let (inside, after) = braced
                .split_once('}')
                .ok_or_else(|| format!("`${{{braced}` does not end"))?;
            expand(inside, variable, &mut replaced)?;
            rest = after;
        } else {
            let end = name_end(rest);
            if end == 0 {
                return Err(format!(
                    "no variable's name stands after the `$` in `{text}`"
                ));
            }
            expand(&rest[..end], variable, &mut replaced)?;
            rest = &rest[end..];
        }
    }
    replaced.text.push_str(rest);
    Ok(replaced)
}

/// How many letters of a variable's name `text` begins with.
fn name_end(text: &str) -> usize {
    let inside = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if text.starts_with(|letter: char| letter.is_ascii_digit()) {
        return 0;
    }
    text.find(|letter| !inside(letter)).unwrap_or(text.len())
}

/// `NAME`, and what is to be done if it is not set.
fn expand(inside: &str, variable: Variable<'_>, replaced: &mut Replaced) -> Result<(), String> {
    let (name, rule) = inside.split_at(name_end(inside));
    if name.is_empty() {
        return Err(format!("`${{{inside}}}` names no variable"));
    }
    let value = variable(name);
    let (rule, value) = match rule.strip_prefix(':') {
        // With a colon an empty value counts as none.
        Some(rule) if !rule.is_empty() => (rule, value.filter(|value| !value.is_empty())),
        Some(_) | None => (rule, value),
    };
    if let Some(default) = rule.strip_prefix('-') {
        replaced.text += value.as_deref().unwrap_or(default);
    } else if let Some(message) = rule.strip_prefix('?') {
        let missing = || format!("the variable {name} is not set: {message}");
        replaced.text += &value.ok_or_else(missing)?;
    } else if rule.is_empty() {
        match value {
            Some(value) => replaced.text += &value,
            None => replaced.unset.push(name.to_owned()),
        }
    } else {
        return Err(format!(
            "`${{{inside}}}` is no form that `docker stack deploy` knows"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Result<String, String> {
        let variable = |name: &str| match name {
            "TAG" => Some("1.4".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        substitute(text, &variable).map(|replaced| replaced.text)
    }

    #[test]
    fn variables_are_replaced_as_docker_stack_deploy_does() {
        for (text, expected) in [
            ("web:$TAG-x", "web:1.4-x"),
            ("web:${TAG}", "web:1.4"),
            ("${NONE:-a}${NONE-b}", "ab"),
            ("${EMPTY:-a}${EMPTY-b}", "a"),
            ("${TAG:?say it}${EMPTY?say it}", "1.4"),
            ("$$TAG costs 5$$", "$TAG costs 5$"),
            ("[$NONE]", "[]"),
            ("${NONE:-a:b-c?d}", "a:b-c?d"),
        ] {
            assert_eq!(replaced(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_variable_or_must_be_set_is_an_error() {
        for text in [
            "5$",
            "${",
            "${}",
            "$1",
            "${TAG:+x}",
            "${NONE?say it}",
            "${EMPTY:?say it}",
        ] {
            assert!(replaced(text).is_err(), "{text}");
        }
        let missing = replaced("${NONE:?which?}").expect_err("not set");
        assert!(
            missing.contains("NONE") && missing.contains("which?"),
            "{missing}"
        );
    }
}

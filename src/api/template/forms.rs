//! Compose's short forms: text or list, map or list, and the one form that is kept of each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A program and its arguments: a list of words, or text that is split as a POSIX shell would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CommandLine(pub Vec<String>);

/// Environment variables: a map, or a list of `NAME=value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Environment(pub BTreeMap<String, String>);

impl Environment {
    /// Whether there are no variables.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrList {
    Text(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match TextOrList::deserialize(deserializer)? {
            TextOrList::List(words) => Ok(Self(words)),
            TextOrList::Text(text) => shlex::split(&text).map(Self).ok_or_else(|| {
                de::Error::custom(format!(
                    "`{text}` has an unclosed quote; close it, or write a list"
                ))
            }),
        }
    }
}

impl JsonSchema for CommandLine {
    fn schema_name() -> Cow<'static, str> {
        "CommandLine".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        text_or_list(generator)
    }
}

/// The schema of a text or a list of texts.
pub(super) fn text_or_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "array"], "items": {"type": "string"}})
}

/// Reads a health check's test; text becomes `[CMD-SHELL, text]`, as in Compose.
pub(super) fn healthcheck_test<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    Ok(match TextOrList::deserialize(deserializer)? {
        TextOrList::List(words) => words,
        TextOrList::Text(line) => vec!["CMD-SHELL".to_owned(), line],
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Bool(bool),
    Integer(i64),
    Float(f64),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MapOrList {
    Map(BTreeMap<String, Scalar>),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let variables = match MapOrList::deserialize(deserializer)? {
            MapOrList::Map(map) => map.into_iter().map(|(name, value)| (name, value.into_text())).collect(),
            MapOrList::List(lines) => lines
                .into_iter()
                .map(|line| match line.split_once('=') {
                    Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
                    None => Err(de::Error::custom(format!(
                        "`{line}` gives no value; write NAME=value, for the controller has no shell to take it from"
                    ))),
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Self(variables))
    }
}

impl JsonSchema for Environment {
    fn schema_name() -> Cow<'static, str> {
        "Environment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Environment variables: a map, or a list of NAME=value.",
            "type": ["object", "array"],
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "items": {"type": "string", "pattern": "^[^=]+="}
        })
    }
}

//! A document's values, as JSON, by `serde_yaml`, which only this module and
//! `render` import.
//!
//! Loading goes on where `serde_yaml`'s own values would stop: of a duplicate key the first value
//! is kept (`places` reports it), a number that JSON cannot say is a finding, merge keys are
//! resolved.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde_json::{Map, Number, Value};

use super::diagnostic::Findings;
use super::path::FieldPath;
use super::places::{MAX_VALUES, Place, Unreadable};

/// Reads the one document in `text`.
///
/// # Errors
/// When the text is no YAML, or says by aliases more than anybody means.
pub(super) fn load(text: &str, findings: &mut Findings) -> Result<Value, Unreadable> {
    let state = State {
        values: Cell::new(0),
        letters: Cell::new(0),
        findings: RefCell::new(findings),
    };
    let seed = Seed {
        state: &state,
        path: FieldPath::root(),
    };
    let loaded = seed.deserialize(serde_yaml::Deserializer::from_str(text));
    loaded.map_err(|error| unreadable(&error, text, state.size()))
}

/// How much a document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Fits,
    TooLarge,
}

fn unreadable(error: &serde_yaml::Error, text: &str, size: Size) -> Unreadable {
    let message = error.to_string();
    let (problem, remedy) = if size == Size::TooLarge || message.contains("repetition limit") {
        (
            format!("its aliases stand for more than {MAX_VALUES} values or {MAX_TEXT} bytes"),
            "no resource needs that much; write out what is meant",
        )
    } else if message.contains("recursion limit") {
        (
            "nested too deep, or an alias that stands for what it is a part of".to_owned(),
            "write out what is meant",
        )
    } else {
        let (what, _) = message.split_once(" at line ").unwrap_or((&message, ""));
        (
            format!("YAML cannot be read: {what}"),
            "check the indentation, the quotes and the brackets here and just before",
        )
    };
    Unreadable {
        place: error.location().map_or(Place { line: 1, column: 1 }, |at| {
            place_of(text, at.index())
        }),
        problem,
        remedy: remedy.to_owned(),
    }
}

/// The place of the character `index`. `serde_yaml` counts lines as YAML 1.1 does, which knows
/// more line breaks than other programs do.
fn place_of(text: &str, index: usize) -> Place {
    let mut place = Place { line: 1, column: 1 };
    for letter in text.chars().take(index) {
        if letter == '\n' {
            place.line += 1;
            place.column = 1;
        } else {
            place.column += 1;
        }
    }
    place
}

/// The most text in one document, in bytes; an alias counts each time it is used.
const MAX_TEXT: usize = 8 << 20;

struct State<'findings> {
    values: Cell<usize>,
    letters: Cell<usize>,
    findings: RefCell<&'findings mut Findings>,
}

impl State<'_> {
    /// How much was read so far.
    fn size(&self) -> Size {
        if self.values.get() > MAX_VALUES || self.letters.get() > MAX_TEXT {
            Size::TooLarge
        } else {
            Size::Fits
        }
    }
}

struct Seed<'state, 'findings> {
    state: &'state State<'findings>,
    path: FieldPath,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let count = self.state.values.get() + 1;
        self.state.values.set(count);
        if count > MAX_VALUES {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number beyond 64 bits is out of every field's range, exact or not"
    )]
    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number beyond 64 bits is out of every field's range, exact or not"
    )]
    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number within the bound is exact in both types"
    )]
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() < EXACT {
            // `5.0` is a whole number to JSON Schema; so it must be one to the types.
            return Ok((value as i64).into());
        }
        Ok(Number::from_f64(value).map_or_else(
            || {
                self.state.findings.borrow_mut().error(
                    &self.path,
                    format!("`{value}` is not a finite number"),
                    "write a number such as `0.01`",
                );
                Value::Null
            },
            Value::Number,
        ))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        let letters = self.state.letters.get() + value.len();
        self.state.letters.set(letters);
        if letters > MAX_TEXT {
            return Err(E::custom("too much text"));
        }
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Seed {
            state: self.state,
            path: self.path.index(items.len()),
        })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        let mut merged = None;
        while let Some(Key(name)) = map.next_key()? {
            let path = self.path.key(&name);
            let value = map.next_value_seed(Seed {
                state: self.state,
                path,
            })?;
            if name == "<<" {
                merged.get_or_insert(value);
            } else {
                fields.entry(name).or_insert(value);
            }
        }
        if let Some(merged) = merged {
            self.merge(&mut fields, merged);
        }
        Ok(Value::Object(fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        // A tag, which `places` reports; what it stands before is read all the same.
        let (_, content) = tagged.variant::<String>()?;
        content.newtype_variant_seed(self)
    }
}

impl Seed<'_, '_> {
    /// Fills in what a merge key offers and the mapping does not say itself.
    fn merge(&self, fields: &mut Map<String, Value>, merged: Value) {
        match merged {
            Value::Object(offered) => {
                for (name, value) in offered {
                    fields.entry(name).or_insert(value);
                }
            }
            Value::Array(list) if list.iter().all(Value::is_object) => {
                for offered in list {
                    self.merge(fields, offered);
                }
            }
            _ => self.state.findings.borrow_mut().error(
                &self.path.key("<<"),
                "`<<` merges mappings, and this is none",
                "write `<<: *anchor`, where the anchor is on a mapping",
            ),
        }
    }
}

/// A key: the text as it stands, whatever type it would have as a value.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

//! A part of a spec, field by field: what is not taken out is told, so that nothing is lost without a word.

use serde_json::{Map, Value};

use crate::manifest::adoption::{Effect, Remark};

/// The fields of an object that nobody has looked at yet.
pub(super) struct Fields {
    left: Map<String, Value>,
    path: String,
}

/// What was found that no template says.
pub(super) struct Remarks {
    place: String,
    list: Vec<Remark>,
}

impl Remarks {
    pub fn new(service: &str) -> Self {
        Self {
            place: format!("service/{service}"),
            list: Vec::new(),
        }
    }

    /// Something that tasks will run without.
    pub fn lost(&mut self, field: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.add(Effect::Lost, field, problem.into(), remedy.into());
    }

    /// Something that the rollout does in its own way.
    pub fn replaced(&mut self, field: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.add(Effect::Replaced, field, problem.into(), remedy.into());
    }

    fn add(&mut self, effect: Effect, field: &str, problem: String, remedy: String) {
        self.list.push(Remark {
            place: self.place.clone(),
            field: field.to_owned(),
            effect,
            problem,
            remedy,
        });
    }

    pub fn into_list(self) -> Vec<Remark> {
        self.list
    }
}

impl Fields {
    /// The fields of `value`, which stands at `path`.
    pub fn new(value: Value, path: impl Into<String>) -> Self {
        Self {
            left: match value {
                Value::Object(fields) => fields,
                _ => Map::new(),
            },
            path: path.into(),
        }
    }

    /// The way to the field `name`.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Takes a field out; null if it is not there.
    pub fn take(&mut self, name: &str) -> Value {
        self.left.remove(name).unwrap_or(Value::Null)
    }

    /// Takes out an object's fields.
    pub fn part(&mut self, name: &str) -> Self {
        let path = self.path(name);
        Self::new(self.take(name), path)
    }

    /// Takes out the objects of a list.
    pub fn parts(&mut self, name: &str) -> Vec<Self> {
        let path = self.path(name);
        let items = list(self.take(name)).into_iter().enumerate();
        items
            .map(|(index, item)| Self::new(item, format!("{path}[{index}]")))
            .collect()
    }

    /// Takes out a text; an empty one says nothing to the engine.
    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Takes out a list of texts.
    pub fn texts(&mut self, name: &str) -> Vec<String> {
        let items = list(self.take(name)).into_iter();
        items
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    }

    /// Takes out a number that means something only above 0.
    pub fn number(&mut self, name: &str) -> Option<u64> {
        self.take(name).as_u64().filter(|number| *number > 0)
    }

    /// Takes out a map of texts.
    pub fn map(&mut self, name: &str) -> std::collections::BTreeMap<String, String> {
        let Value::Object(map) = self.take(name) else {
            return std::collections::BTreeMap::new();
        };
        let entries = map.into_iter();
        entries
            .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// Tells of all that is left and says something.
    pub fn finish(self, remarks: &mut Remarks) {
        for (name, value) in &self.left {
            if says_something(value) {
                remarks.lost(
                    &self.path(name),
                    format!("a template has no field for it (it is {value})"),
                    "look whether the tasks need it",
                );
            }
        }
    }
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// The engine writes out much that nobody said.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(fields) => fields.values().any(says_something),
    }
}

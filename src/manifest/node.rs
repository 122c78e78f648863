//! A value and where it stands: what the rules walk on.
//!
//! The rules read values and not the types of `api`, so that they find what is wrong in one
//! corner of a manifest while another corner does not fit its type.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::path::FieldPath;

static NOTHING: Value = Value::Null;

/// A value of a document and its path; null where there is none.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub value: &'a Value,
    pub path: FieldPath,
}

impl<'a> Node<'a> {
    /// The document's root.
    pub fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: FieldPath::root(),
        }
    }

    /// The field `name`.
    pub fn get(&self, name: &str) -> Self {
        Self {
            value: self.value.get(name).unwrap_or(&NOTHING),
            path: self.path.key(name),
        }
    }

    /// What is reached by one field after the other.
    pub fn at(&self, names: &[&str]) -> Self {
        names.iter().fold(self.clone(), |node, name| node.get(name))
    }

    /// Whether something stands here.
    pub fn is_given(&self) -> bool {
        !self.value.is_null()
    }

    /// The items of a list; none if it is no list.
    pub fn items(&self) -> Vec<Self> {
        let items = self.value.as_array().map_or(&[][..], Vec::as_slice);
        items
            .iter()
            .enumerate()
            .map(|(index, value)| Self {
                value,
                path: self.path.index(index),
            })
            .collect()
    }

    /// The fields of a mapping with their names; none if it is no mapping.
    pub fn fields(&self) -> Vec<(&'a str, Self)> {
        let fields = self.value.as_object().into_iter().flatten();
        fields
            .map(|(name, value)| {
                let node = Self {
                    value,
                    path: self.path.key(name),
                };
                (name.as_str(), node)
            })
            .collect()
    }

    /// The text that stands here, if it is a text.
    pub fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// What stands here as a `T`; none if it is none.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        if self.value.is_null() {
            return None;
        }
        T::deserialize(self.value).ok()
    }
}

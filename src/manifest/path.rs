//! Field paths: where in a document a value stands, as people write it (`stages[1].weight`).

use std::fmt;

use serde_json::Value;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Segment {
    /// Into a mapping.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// The way from a document's root to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FieldPath(pub Vec<Segment>);

impl FieldPath {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The field `name` of what stands here.
    pub fn key(&self, name: &str) -> Self {
        self.join(Segment::Key(name.to_owned()))
    }

    /// The item `index` of what stands here.
    pub fn index(&self, index: usize) -> Self {
        self.join(Segment::Index(index))
    }

    fn join(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }

    /// Reads a path as it is shown: `stages[1].weight`, `labels["a.b/c"]`. None if the text is no path.
    pub fn read(text: &str) -> Option<Self> {
        let mut path = Self::root();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                // A key in quotes may hold a bracket.
                let (segment, after) = if let Some(quoted) = inside.strip_prefix('"') {
                    let (key, after) = quoted.split_once("\"]")?;
                    (Segment::Key(key.to_owned()), after)
                } else {
                    let (index, after) = inside.split_once(']')?;
                    (Segment::Index(index.parse().ok()?), after)
                };
                path = path.join(segment);
                rest = after;
                continue;
            }
            let name = if path.0.is_empty() {
                rest
            } else {
                rest.strip_prefix('.')?
            };
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return None;
            }
            path = path.key(&name[..end]);
            rest = &name[end..];
        }
        (!path.0.is_empty()).then_some(path)
    }

    /// Whether the first step is into the field `name`.
    pub fn begins_with(&self, name: &str) -> bool {
        matches!(self.0.first(), Some(Segment::Key(key)) if key == name)
    }

    /// Whether this is `other` or in it.
    pub fn is_in(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// What stands at `inner`, seen from what encloses this.
    pub fn then(&self, inner: &Self) -> Self {
        let mut path = self.clone();
        path.0.extend(inner.0.iter().cloned());
        path
    }

    /// The last step's field name; none for the root and for items of a list.
    pub fn last_key(&self) -> Option<&str> {
        match self.0.last() {
            Some(Segment::Key(key)) => Some(key),
            Some(Segment::Index(_)) | None => None,
        }
    }

    /// The name of the innermost field on the way, skipping steps into lists.
    pub fn field(&self) -> &str {
        self.0
            .iter()
            .rev()
            .find_map(|segment| match segment {
                Segment::Key(key) => Some(key.as_str()),
                Segment::Index(_) => None,
            })
            .unwrap_or("document")
    }

    /// Whether the path ends with these field names.
    pub fn ends_with(&self, names: &[&str]) -> bool {
        self.0.len() >= names.len()
            && self.0[self.0.len() - names.len()..]
                .iter()
                .zip(names)
                .all(|(segment, name)| matches!(segment, Segment::Key(key) if key == name))
    }

    /// What stands here in `document`.
    pub fn value_in<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0
            .iter()
            .try_fold(document, |here, segment| match segment {
                Segment::Key(key) => here.get(key),
                Segment::Index(index) => here.get(index),
            })
    }

    /// Reads a JSON pointer (RFC 6901) into `document`, which tells keys made of digits from indices.
    pub fn from_pointer(pointer: &str, document: &Value) -> Self {
        let mut path = Self::root();
        let mut here = Some(document);
        for part in pointer.split('/').skip(1) {
            let name = part.replace("~1", "/").replace("~0", "~");
            let index = match here {
                Some(Value::Array(_)) => name.parse::<usize>().ok(),
                _ => None,
            };
            if let Some(index) = index {
                here = here.and_then(|value| value.get(index));
                path.0.push(Segment::Index(index));
            } else {
                here = here.and_then(|value| value.get(&name));
                path.0.push(Segment::Key(name));
            }
        }
        path
    }
}

/// Whether a key can stand in a path without quotes.
fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("document");
        }
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if is_plain(key) => {
                    let dot = if position == 0 { "" } else { "." };
                    write!(f, "{dot}{key}")?;
                }
                Segment::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        let path = FieldPath::root().key("stages").index(1).key("weight");
        assert_eq!(path.to_string(), "stages[1].weight");
        let path = FieldPath::root().key("labels").key("a.b/c");
        assert_eq!(path.to_string(), "labels[\"a.b/c\"]");
        assert_eq!(FieldPath::root().to_string(), "document");
    }

    #[test]
    fn digits_are_an_index_in_a_list_and_a_key_in_a_mapping() {
        let document = serde_json::json!({"list": [{"a/b": 1}], "map": {"0": 1}});
        let path = FieldPath::from_pointer("/list/0/a~1b", &document);
        assert_eq!(path.to_string(), "list[0][\"a/b\"]");
        let path = FieldPath::from_pointer("/map/0", &document);
        assert_eq!(path.to_string(), "map.0");
    }
}

//! Where every field of a document stands in the text, and what only the text shows: duplicate
//! keys, tags, nesting. Values are not read here.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::diagnostic::{Anchor, Findings};
use super::path::{FieldPath, Segment};

/// A place in the text: line and column from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

impl From<&Marker> for Place {
    fn from(mark: &Marker) -> Self {
        Self {
            line: mark.line().max(1),
            column: mark.col() + 1,
        }
    }
}

/// The deepest nesting that is read; manifests have about ten levels.
const MAX_DEPTH: usize = 64;

/// The most values in one document: a list of all resources of a large Swarm, with their statuses, has some 100,000.
pub(super) const MAX_VALUES: usize = 150_000;

/// The places of a value and of all values in it.
#[derive(Clone, Debug)]
pub(super) struct Places {
    key: Option<Place>,
    value: Place,
    /// A plain scalar as it is written, if it is short: `1.10` is the number 1.1.
    text: Option<Box<str>>,
    children: Children,
}

/// The longest plain scalar whose text is kept; numbers are shorter.
const MAX_PLAIN: usize = 40;

#[derive(Clone, Debug)]
enum Children {
    None,
    List(Vec<Places>),
    Map(BTreeMap<String, Places>),
}

/// Why a document's structure cannot be read at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub place: Place,
    pub problem: String,
    pub remedy: String,
}

impl From<&ScanError> for Unreadable {
    fn from(error: &ScanError) -> Self {
        let info = error.info();
        let remedy = if info.contains("unprintable") {
            "see that it is a manifest, and save it as UTF-8"
        } else if info.contains("tab") {
            "indent with spaces"
        } else if info.contains("anchor") {
            "define the anchor with `&` before it is used"
        } else {
            "check the indentation, the quotes and the brackets here and just before"
        };
        Self {
            place: error.marker().into(),
            problem: format!("YAML cannot be read: {info}"),
            remedy: remedy.to_owned(),
        }
    }
}

impl Places {
    /// Reads the places of the one document in `text`; none if it has no value at all.
    ///
    /// # Errors
    /// When the text is no YAML, or nested or long beyond all reason.
    pub fn read(
        text: &str,
        lines_before: usize,
        findings: &mut Findings,
    ) -> Result<Option<Self>, Unreadable> {
        let mut reader = Reader {
            parser: Parser::new_from_str(text),
            lines_before,
            findings,
            values: 0,
        };
        loop {
            let (event, span) = reader.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(None),
                event => {
                    let places = reader.value(&event, span, None, &FieldPath::root())?;
                    reader.finish()?;
                    return Ok(Some(places));
                }
            }
        }
    }

    /// The place of the field at `path`; of what encloses it if it stands nowhere by itself.
    pub fn of(&self, path: &FieldPath, anchor: Anchor) -> Place {
        let mut here = self;
        for segment in &path.0 {
            match here.child(segment) {
                Some(child) => here = child,
                None => return here.value,
            }
        }
        match anchor {
            Anchor::Key => here.key.unwrap_or(here.value),
            Anchor::Value => here.value,
        }
    }

    /// The plain scalar at `path` as it is written in the text.
    pub fn plain(&self, path: &FieldPath) -> Option<&str> {
        let mut here = self;
        for segment in &path.0 {
            here = here.child(segment)?;
        }
        here.text.as_deref()
    }

    /// Takes out the places of item `index` of the list `field`. What stands nowhere by itself (an alias) is where
    /// all of this is.
    pub fn take_item(&mut self, field: &str, index: usize) -> Self {
        let bare = |value| Self {
            key: None,
            value,
            text: None,
            children: Children::None,
        };
        let list = match &mut self.children {
            Children::Map(fields) => fields.get_mut(field).map(|list| &mut list.children),
            Children::None | Children::List(_) => None,
        };
        match list {
            Some(Children::List(items)) if index < items.len() => {
                let place = items[index].value;
                std::mem::replace(&mut items[index], bare(place))
            }
            Some(Children::None | Children::List(_) | Children::Map(_)) | None => bare(self.value),
        }
    }

    /// What now stands at `to` is what stands at `from`: so is its place. What encloses it must stand somewhere by
    /// itself, or the place is that of what encloses it.
    pub fn carry(&mut self, from: &FieldPath, to: &FieldPath) {
        let found = from
            .0
            .iter()
            .try_fold(&*self, |here, segment| here.child(segment));
        let (Some(found), Some((Segment::Key(name), before))) = (found.cloned(), to.0.split_last())
        else {
            return;
        };
        if let Some(Children::Map(fields)) = self.inner(before).map(|parent| &mut parent.children) {
            fields.insert(name.clone(), found);
        }
    }

    /// The list at `path` is a mapping now, with these names in the order of its items.
    pub fn name_items(&mut self, path: &FieldPath, names: &[String]) {
        let Some(list) = self.inner(&path.0) else {
            return;
        };
        if let Children::List(items) = std::mem::replace(&mut list.children, Children::None) {
            let unwritten = |item: Self| Self { text: None, ..item };
            let items = items.into_iter().map(unwritten);
            list.children = Children::Map(names.iter().cloned().zip(items).collect());
        }
    }

    /// What now stands at `path` does not come from the text: how the text wrote it counts no more.
    pub fn forget(&mut self, path: &FieldPath) {
        if let Some(here) = self.inner(&path.0) {
            here.text = None;
            here.children = Children::None;
        }
    }

    fn inner(&mut self, path: &[Segment]) -> Option<&mut Self> {
        path.iter()
            .try_fold(self, |here, segment| match (&mut here.children, segment) {
                (Children::Map(map), Segment::Key(key)) => map.get_mut(key),
                (Children::List(list), Segment::Index(index)) => list.get_mut(*index),
                (Children::None | Children::Map(_) | Children::List(_), _) => None,
            })
    }

    fn child(&self, segment: &Segment) -> Option<&Self> {
        match (&self.children, segment) {
            (Children::Map(map), Segment::Key(key)) => map.get(key).or_else(|| map.get("<<")),
            (Children::List(list), Segment::Index(index)) => list.get(*index),
            (Children::None | Children::Map(_) | Children::List(_), _) => None,
        }
    }
}

struct Reader<'text, 'findings> {
    parser: Parser<'text, StrInput<'text>>,
    /// How many lines of its file stand before the text.
    lines_before: usize,
    findings: &'findings mut Findings,
    values: usize,
}

impl<'text> Reader<'text, '_> {
    fn next(&mut self) -> Result<(Event<'text>, Span), Unreadable> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err((&error).into()),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// Reads on to the end, for errors that come after the value.
    fn finish(&mut self) -> Result<(), Unreadable> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(_) => {
                    return Err(Unreadable {
                        place: (&span.start).into(),
                        problem: "the document has ended, and more follows".to_owned(),
                        remedy: "begin another document with a line `---`".to_owned(),
                    });
                }
                _ => {}
            }
        }
    }

    fn value(
        &mut self,
        event: &Event<'text>,
        span: Span,
        key: Option<Place>,
        path: &FieldPath,
    ) -> Result<Places, Unreadable> {
        let value = Place::from(&span.start);
        self.check_size(value, path)?;
        let text = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if text.len() <= MAX_PLAIN => {
                Some(text.as_ref().into())
            }
            _ => None,
        };
        let children = match event {
            Event::SequenceStart(_, tag) => {
                self.check_tag(tag.as_deref(), path);
                Children::List(self.list(path)?)
            }
            Event::MappingStart(_, tag) => {
                self.check_tag(tag.as_deref(), path);
                Children::Map(self.map(path)?)
            }
            Event::Scalar(_, _, _, tag) => {
                self.check_tag(tag.as_deref(), path);
                Children::None
            }
            _ => Children::None,
        };
        Ok(Places {
            key,
            value,
            text,
            children,
        })
    }

    fn list(&mut self, path: &FieldPath) -> Result<Vec<Places>, Unreadable> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                return Ok(items);
            }
            let path = path.index(items.len());
            items.push(self.value(&event, span, None, &path)?);
        }
    }

    fn map(&mut self, path: &FieldPath) -> Result<BTreeMap<String, Places>, Unreadable> {
        let mut fields: BTreeMap<String, Places> = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            let key_place = Place::from(&span.start);
            let name = match event {
                Event::MappingEnd | Event::StreamEnd => return Ok(fields),
                Event::Scalar(name, ..) => name.into_owned(),
                _ => {
                    return Err(Unreadable {
                        place: key_place,
                        problem: "a key is not plain text".to_owned(),
                        remedy: "write a name before the `:`; quote text that begins with `[`, `{`, `*` or `&`"
                            .to_owned(),
                    });
                }
            };
            let (event, span) = self.next()?;
            let path = path.key(&name);
            let places = self.value(&event, span, Some(key_place), &path)?;
            if let Some(first) = fields.get(&name) {
                let line = first.key.map_or(0, |place| place.line) + self.lines_before;
                self.findings.error_at(
                    key_place,
                    &path,
                    format!("`{name}` is given twice, first in line {line}"),
                    "keep one of them",
                );
            } else {
                fields.insert(name, places);
            }
        }
    }

    fn check_size(&mut self, place: Place, path: &FieldPath) -> Result<(), Unreadable> {
        self.values += 1;
        let problem = if path.0.len() > MAX_DEPTH {
            format!("nested more than {MAX_DEPTH} levels deep")
        } else if self.values > MAX_VALUES {
            format!("more than {MAX_VALUES} values in one document")
        } else {
            return Ok(());
        };
        Err(Unreadable {
            place,
            problem,
            remedy: "no resource needs that much; check what wrote this file".to_owned(),
        })
    }

    fn check_tag(&mut self, tag: Option<&saphyr_parser::Tag>, path: &FieldPath) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.findings.error(
                path,
                format!("the tag `{}{}` is not known here", tag.handle, tag.suffix),
                "remove the tag",
            );
        }
    }
}

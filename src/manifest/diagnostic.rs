//! What is wrong with a manifest, where, and what would be right. How it is found is elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::path::{FieldPath, Segment};
use super::places::Place;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The manifest cannot be used.
    Error,
    /// The manifest can be used; somebody should look at it.
    Warning,
}

/// One finding. Its `Display` is one line: `file:line:column: field.path: problem; remedy`, with
/// `warning:` before the problem of a warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file's name, as in [`super::Source::name`].
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The field, as in `spec.strategy.canary.stages[1].weight`; `document` for the whole.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            file,
            line,
            column,
            field,
            problem,
            remedy,
        } = self;
        let mark = match severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(
            f,
            "{file}:{line}:{column}: {field}: {mark}{problem}; {remedy}"
        )
    }
}

/// Which part of a field a finding points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The field's name.
    Key,
    /// What stands after it.
    Value,
}

/// A finding whose place in the text is not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub severity: Severity,
    pub path: FieldPath,
    pub anchor: Anchor,
    /// Where it is, if its path does not tell.
    pub place: Option<Place>,
    pub problem: String,
    pub remedy: String,
}

/// The findings of one document, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    wrong: BTreeSet<FieldPath>,
}

impl Findings {
    /// An error in what stands at `path`.
    pub fn error(
        &mut self,
        path: &FieldPath,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Error, Anchor::Value, path, problem, remedy);
    }

    /// An error in the name of the field at `path`.
    pub fn key_error(
        &mut self,
        path: &FieldPath,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Error, Anchor::Key, path, problem, remedy);
    }

    /// A warning about what stands at `path`.
    pub fn warning(
        &mut self,
        path: &FieldPath,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Warning, Anchor::Value, path, problem, remedy);
    }

    /// A warning about the field at `path` as such.
    pub fn key_warning(
        &mut self,
        path: &FieldPath,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Warning, Anchor::Key, path, problem, remedy);
    }

    /// An error at a place that its path does not tell.
    pub fn error_at(
        &mut self,
        place: Place,
        path: &FieldPath,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.error(path, problem, remedy);
        if let Some(finding) = self.list.last_mut() {
            finding.place = Some(place);
        }
    }

    /// Everything that was found.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.list.iter()
    }

    /// Takes over what was found elsewhere.
    pub fn append(&mut self, mut other: Self) {
        self.list.append(&mut other.list);
        self.wrong.append(&mut other.wrong);
    }

    /// Parts what was found in each item of the list `field`, with paths from there, from the rest.
    pub fn by_item(self, field: &str) -> (Self, BTreeMap<usize, Self>) {
        let mut rest = Self::default();
        let mut items: BTreeMap<usize, Self> = BTreeMap::new();
        for mut finding in self.list {
            let whose = match finding.path.0.as_slice() {
                [Segment::Key(key), Segment::Index(index), ..] if key == field => {
                    let index = *index;
                    finding.path.0.drain(..2);
                    items.entry(index).or_default()
                }
                _ => &mut rest,
            };
            whose.add(finding);
        }
        (rest, items)
    }

    /// Whether an error was found at `path` itself.
    pub fn has_error_at(&self, path: &FieldPath) -> bool {
        self.wrong.contains(path)
    }

    /// Whether any error was found.
    pub fn has_errors(&self) -> bool {
        !self.wrong.is_empty()
    }

    fn push(
        &mut self,
        severity: Severity,
        anchor: Anchor,
        path: &FieldPath,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Finding {
            severity,
            path: path.clone(),
            anchor,
            place: None,
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    fn add(&mut self, finding: Finding) {
        if finding.severity == Severity::Error {
            self.wrong.insert(finding.path.clone());
        }
        self.list.push(finding);
    }
}

//! One document: from its text to its values, its kind, its findings and, if it is sound, its
//! resource.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::diagnostic::{Anchor, Diagnostic, Finding, Findings};
use super::edits::Edits;
use super::node::Node;
use super::overlay::Laid;
use super::path::FieldPath;
use super::places::{Place, Places};
use super::source::Chunk;
use super::suggest::{either, nearest};
use super::words::{describe, quoted};
use super::{Located, explain, load, rules};
use crate::api::{API_VERSION, Kind, Manifest, Resource};

mod edited;
mod printed;

use edited::Set;

/// A document as far as it could be read.
#[derive(Debug)]
pub(super) struct Document {
    /// The index of its source.
    pub source: usize,
    lines_before: usize,
    places: Option<Places>,
    /// Its values, null if it could not be read.
    pub value: Value,
    /// Its kind, if it is one of ours.
    pub kind: Option<Kind>,
    /// What was found so far.
    pub findings: Findings,
    /// The names of the overlays that it has.
    overlays: Vec<String>,
    laid: Option<Laid>,
    /// Its name before an overlay gave it another one.
    base_name: Option<String>,
    set: Vec<Set>,
}

impl Document {
    /// Reads and validates a document by itself: none if it is empty, one for each item if it is a list.
    pub fn read(source: usize, chunk: Chunk<'_>, edits: &Edits) -> Vec<Self> {
        let mut document = Self::without_values(source, Findings::default());
        document.lines_before = chunk.lines_before;
        let text = chunk.text;
        let unreadable = match Places::read(text, chunk.lines_before, &mut document.findings) {
            Ok(None) => return Vec::new(),
            Ok(Some(places)) => {
                document.places = Some(places);
                match load::load(text, &mut document.findings) {
                    Ok(Value::Null) => return Vec::new(),
                    Ok(value) => {
                        document.value = value;
                        if printed::is_list(&document.value) {
                            return printed::items(document, edits);
                        }
                        document.validate(edits);
                        return vec![document];
                    }
                    Err(unreadable) => unreadable,
                }
            }
            Err(unreadable) => unreadable,
        };
        document.fail(unreadable.place, unreadable.problem, &unreadable.remedy);
        vec![document]
    }

    /// Reads the values of a text that is no manifest. Nothing is validated; what cannot be read is a finding.
    pub fn plain(text: &str) -> Self {
        let mut document = Self::without_values(0, Findings::default());
        let read = Places::read(text, 0, &mut document.findings).and_then(|places| {
            document.places = places;
            load::load(text, &mut document.findings)
        });
        match read {
            Ok(value) => document.value = value,
            Err(unreadable) => {
                document.fail(unreadable.place, unreadable.problem, &unreadable.remedy);
            }
        }
        document
    }

    /// The plain scalar at `path` as it is written.
    pub fn written(&self, path: &FieldPath) -> Option<&str> {
        self.places.as_ref()?.plain(path)
    }

    /// A document that stands for a source that cannot be read; the place is line and column.
    pub fn unreadable(source: usize, place: (usize, usize), problem: String, remedy: &str) -> Self {
        let mut document = Self::without_values(source, Findings::default());
        let place = Place {
            line: place.0,
            column: place.1,
        };
        document.fail(place, problem, remedy);
        document
    }

    /// A document of which nothing is known but what was found.
    pub fn without_values(source: usize, findings: Findings) -> Self {
        Self {
            source,
            lines_before: 0,
            places: None,
            value: Value::Null,
            kind: None,
            findings,
            overlays: Vec::new(),
            laid: None,
            base_name: None,
            set: Vec::new(),
        }
    }

    fn fail(&mut self, place: Place, problem: String, remedy: &str) {
        self.findings
            .error_at(place, &FieldPath::root(), problem, remedy);
    }

    fn validate(&mut self, edits: &Edits) {
        let findings = &mut self.findings;
        if !self.value.is_object() {
            findings.error(
                &FieldPath::root(),
                format!("{} stands where a resource belongs", describe(&self.value)),
                "write `apiVersion`, `kind`, `metadata` and `spec`",
            );
            return;
        }
        printed::strip(&mut self.value, findings);
        self.kind = identify(&Node::root(&self.value), findings);
        if let Some(kind) = self.kind {
            self.edit(kind, edits);
            let findings = &mut self.findings;
            let plain = |path: &FieldPath| self.places.as_ref()?.plain(path);
            explain::check(kind, &self.value, &plain, findings);
            edited::without_overlays(kind, &mut self.value);
            rules::check(kind, &Node::root(&self.value), findings);
            rules::numbers_as_written(&Node::root(&self.value), &plain, findings);
        }
    }

    /// The name in `metadata`, if there is one.
    pub fn name(&self) -> Option<&str> {
        self.value.get("metadata")?.get("name")?.as_str()
    }

    /// The line in its file of the field at `path`.
    pub fn line_of(&self, path: &FieldPath) -> usize {
        let place = self.places.as_ref().map(|p| p.of(path, Anchor::Value));
        place.map_or(1, |place| place.line) + self.lines_before
    }

    /// The line and column in its file of the value at `path`.
    pub fn place_of(&self, path: &FieldPath) -> (usize, usize) {
        let place = self.places.as_ref().map(|p| p.of(path, Anchor::Value));
        let place = place.unwrap_or(Place { line: 1, column: 1 });
        (place.line + self.lines_before, place.column)
    }

    /// The resource, if no error was found.
    pub fn resource(&self, file: &str) -> Option<Located> {
        let kind = self.kind.filter(|_| !self.findings.has_errors())?;
        let resource = typed(kind, &self.value).ok()?;
        let place = self.places.as_ref()?.of(&FieldPath::root(), Anchor::Value);
        Some(Located {
            resource,
            written: self.value.clone(),
            file: file.to_owned(),
            line: place.line + self.lines_before,
            column: place.column,
        })
    }

    /// What was found, each at its place in the file.
    pub fn diagnostics(&self, file: &str) -> Vec<Diagnostic> {
        let mut diagnostics: Vec<_> = self
            .findings
            .iter()
            .map(|f| self.diagnostic(file, f))
            .collect();
        if let Some(kind) = self.kind.filter(|_| !self.findings.has_errors())
            && let Err(error) = typed(kind, &self.value)
        {
            let mut last = Findings::default();
            last.error(
                &FieldPath::root(),
                format!("the {kind} cannot be read: {error}"),
                format!("see `rolloutctl schema {}`", kind.singular()),
            );
            diagnostics.extend(last.iter().map(|f| self.diagnostic(file, f)));
        }
        diagnostics
    }

    fn diagnostic(&self, file: &str, finding: &Finding) -> Diagnostic {
        let place = finding.place.unwrap_or_else(|| {
            self.places
                .as_ref()
                .map_or(Place { line: 1, column: 1 }, |places| {
                    places.of(&finding.path, finding.anchor)
                })
        });
        let (field, problem) = self.as_edited(finding);
        Diagnostic {
            severity: finding.severity,
            file: file.to_owned(),
            line: place.line + self.lines_before,
            column: place.column,
            field,
            problem,
            remedy: finding.remedy.clone(),
        }
    }
}

/// The document's kind, or what is wrong with what should say it. With one that it was most likely meant to be, the
/// document is checked as that, so that all errors are told at once.
fn identify(root: &Node<'_>, findings: &mut Findings) -> Option<Kind> {
    let kind = root.get("kind");
    let names = Kind::ALL.map(Kind::as_str);
    let given = kind.text().unwrap_or_default();
    if let Some(known) = Kind::ALL.into_iter().find(|known| known.as_str() == given) {
        return Some(known);
    }
    let mut meant = None;
    if kind.is_given() {
        meant = likely(given);
        let remedy = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known: {}", either(names)),
        };
        let shown = kind.text().map_or_else(|| describe(kind.value), quoted);
        findings.error(&kind.path, format!("{shown} is not a kind"), remedy);
    } else {
        let fields = root.fields();
        let misspelt = fields
            .iter()
            .find(|(name, _)| nearest(name, ["kind"]).is_some());
        match misspelt {
            Some((_, node)) => {
                meant = likely(node.text().unwrap_or_default());
                findings.key_error(&node.path, "unknown field", "did you mean `kind`?");
            }
            None => findings.error(
                &kind.path,
                "is missing",
                format!("add `kind:` with {}", either(names)),
            ),
        }
    }
    if meant.is_none() {
        version(&root.get("apiVersion"), findings);
    }
    meant
}

/// The kind that `given` is, by any of its words, or was most likely meant to be.
fn likely(given: &str) -> Option<Kind> {
    let names = Kind::ALL.map(Kind::as_str);
    let by_name = |name: &str| Kind::ALL.into_iter().find(|kind| kind.as_str() == name);
    by_name(given)
        .or_else(|| given.parse().ok())
        .or_else(|| by_name(nearest(given, names)?))
}

/// Checks the version of a document whose kind, and so whose schema, is not known.
fn version(version: &Node<'_>, findings: &mut Findings) {
    if !version.is_given() {
        let remedy = format!("add `apiVersion: {API_VERSION}`");
        findings.error(&version.path, "is missing", remedy);
    } else if version.text() != Some(API_VERSION) {
        findings.error(
            &version.path,
            format!(
                "{} is not a version that this release reads",
                describe(version.value)
            ),
            format!("write `{API_VERSION}`"),
        );
    }
}

fn typed(kind: Kind, value: &Value) -> Result<Resource, serde_json::Error> {
    fn read<S: DeserializeOwned>(value: &Value) -> Result<Manifest<S>, serde_json::Error> {
        serde_json::from_value(value.clone())
    }
    Ok(match kind {
        Kind::Rollout => Resource::Rollout(read(value)?),
        Kind::LoadBalancer => Resource::LoadBalancer(read(value)?),
        Kind::MetricSource => Resource::MetricSource(read(value)?),
        Kind::AnalysisTemplate => Resource::AnalysisTemplate(read(value)?),
    })
}

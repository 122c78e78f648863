//! Manifests: YAML text in, validated [`Resource`]s and everything that is wrong with the rest out.
//!
//! A text becomes documents (`source`), a document its places in the text (`places`) and its values
//! (`load`). The values are validated against the kind's JSON Schema (`schema`, `explain`), by the
//! rules that a schema cannot say (`rules`), and against each other (`references`). Every step
//! goes on as far as it can, so that all errors are reported at once. Nothing here reads a file.
//!
//! Before they are validated, an [`Overlay`] of theirs may be laid over them and values may be set ([`Edits`]).

pub mod adoption;
mod branch;
pub mod compose;
mod diagnostic;
mod document;
mod edits;
mod explain;
mod forms;
mod load;
mod locate;
mod node;
mod overlay;
mod owned;
mod pairs;
mod path;
mod places;
mod references;
mod render;
mod rules;
mod schema;
mod setting;
mod source;
mod suggest;
mod words;

pub(crate) use branch::label as branch_label;
pub use diagnostic::{Diagnostic, Severity};
pub use edits::{Edits, Need, Overlay, Setting, SettingError};
pub use locate::point_at;
pub use render::{from_yaml, to_yaml};
pub use schema::{schema, schema_all};
pub use source::Source;
pub(crate) use suggest::nearest;

use crate::api::{Resource, ResourceRef, Route};
use diagnostic::Findings;
use document::Document;
use path::FieldPath;

/// What references may lead to besides the resources of the sources themselves.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// Nothing else is known: a reference that leads out of the sources is a warning, for what it
    /// names may be applied already. One that looks like a typo of a name in the sources is an error.
    SourcesOnly,
    /// These are applied already, and nothing else is: a reference to anything else is an error.
    Applied(&'a [Applied]),
}

/// A resource that is applied already.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The resource.
    pub resource: Resource,
    /// Where its servers are, if it is a rollout that has any: they stay there while it lives (SAFETY-4).
    pub route: Option<Route>,
}

impl From<Resource> for Applied {
    /// One that has no servers.
    fn from(resource: Resource) -> Self {
        Self {
            resource,
            route: None,
        }
    }
}

/// A valid resource and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The resource.
    pub resource: Resource,
    /// What is written of it, after overlays and settings and before defaults.
    pub written: serde_json::Value,
    /// The source's name.
    pub file: String,
    /// The line of its first field, from 1.
    pub line: usize,
    /// The column of its first field, from 1.
    pub column: usize,
}

/// A document that holds no valid resource, and which one it is about as far as that can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The source's name.
    pub file: String,
    /// The resource that it would be, if it says so.
    pub target: Option<ResourceRef>,
    /// The back end that it asks for, if it is a rollout and says so.
    pub route: Option<Route>,
    /// Its errors.
    pub errors: Vec<Diagnostic>,
}

/// What is in a set of sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The resources in which no error was found, in the order of the sources.
    pub resources: Vec<Located>,
    /// The documents with errors, in the order of the sources.
    pub broken: Vec<Broken>,
    /// Everything that was found, by source, line and column.
    pub diagnostics: Vec<Diagnostic>,
    /// The names of all overlays that the documents have, each once.
    pub overlays: Vec<String>,
}

impl Parsed {
    /// Whether anything is wrong beyond warnings.
    pub fn has_errors(&self) -> bool {
        let mut severities = self.diagnostics.iter().map(|found| found.severity);
        severities.any(|severity| severity == Severity::Error)
    }
}

/// Reads and validates all documents of `sources` as they stand, without their overlays.
pub fn parse(sources: &[Source], known: Known<'_>) -> Parsed {
    parse_edited(sources, &Edits::default(), known)
}

/// Reads and validates all documents of `sources` as `edits` make them.
///
/// Empty documents are passed over. A broken document does not keep the others from being read.
/// Text of any kind is safe to read: nesting, aliases and size are bounded.
pub fn parse_edited(sources: &[Source], edits: &Edits, known: Known<'_>) -> Parsed {
    let mut documents = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        documents.extend(read(index, source, edits));
    }
    references::check(sources, &mut documents, known);
    let mut parsed = Parsed::default();
    let mut found = Vec::new();
    for document in &documents {
        let file = &sources[document.source].name;
        let diagnostics = document.diagnostics(file);
        match document.resource(file) {
            Some(located) => parsed.resources.push(located),
            None => parsed.broken.extend(broken(document, file, &diagnostics)),
        }
        found.extend(diagnostics.into_iter().map(|d| (document.source, d)));
    }
    let unmet = edits::unmet(edits, sources, &documents);
    if !unmet.is_empty() {
        // What was asked for is not what would come of it.
        parsed.resources.clear();
    }
    for error in unmet {
        found.push((0, error.clone()));
        parsed.broken.push(Broken {
            file: error.file.clone(),
            target: None,
            route: None,
            errors: vec![error],
        });
    }
    let overlays = edits::names(&documents).into_iter();
    parsed.overlays = overlays.map(str::to_owned).collect();
    found.sort_by(|(left_source, left), (right_source, right)| {
        (left_source, left.line, left.column).cmp(&(right_source, right.line, right.column))
    });
    parsed.diagnostics = found
        .into_iter()
        .map(|(_, diagnostic)| diagnostic)
        .collect();
    parsed.diagnostics.dedup();
    parsed
}

/// What there is to tell of a document that holds no resource; nothing if no error was found in it either.
fn broken(document: &Document, file: &str, diagnostics: &[Diagnostic]) -> Option<Broken> {
    let errors: Vec<_> = diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .cloned()
        .collect();
    let name = document.name().and_then(|name| name.parse().ok());
    let target = document.kind.zip(name);
    (!errors.is_empty()).then(|| Broken {
        file: file.to_owned(),
        target: target.map(|(kind, name)| ResourceRef { kind, name }),
        route: references::asked_for(document),
        errors,
    })
}

/// The largest source, in bytes. A resource of 64 KiB fills its store object.
pub(crate) const MAX_SOURCE: usize = 4 << 20;

fn read(index: usize, source: &Source, edits: &Edits) -> Vec<Document> {
    let text = match source.text() {
        Ok(text) if text.len() > MAX_SOURCE => {
            return vec![Document::unreadable(
                index,
                (1, 1),
                format!("the file has more than {MAX_SOURCE} bytes"),
                "split it; check that it is a manifest",
            )];
        }
        Ok(text) => text,
        Err(at) => {
            return vec![Document::unreadable(
                index,
                (at.line, at.column),
                "the file is not UTF-8 text from here on".to_owned(),
                "save it as UTF-8; check that it is a manifest",
            )];
        }
    };
    let documents: Vec<_> = source::documents(text)
        .into_iter()
        .flat_map(|chunk| Document::read(index, chunk, edits))
        .collect();
    if documents.is_empty() {
        return vec![nothing(index)];
    }
    documents
}

/// An empty file does no harm, but its owner should know.
fn nothing(source: usize) -> Document {
    let mut findings = Findings::default();
    findings.warning(
        &FieldPath::root(),
        "there is no resource in this file",
        "write one, or remove the file",
    );
    Document::without_values(source, findings)
}

//! Where a field of a resource stands in the manifests, for findings that are made later.

use super::diagnostic::{Diagnostic, Severity};
use super::path::FieldPath;
use super::{Edits, Source, document, read};
use crate::api::{Kind, Name};

/// A finding about the field at `pointer` (RFC 6901) of a resource that is in `sources`: with its place if the
/// resource is found there.
pub fn point_at(
    sources: &[Source],
    edits: &Edits,
    (kind, name, pointer): (Kind, &Name, &str),
    (severity, problem, remedy): (Severity, &str, &str),
) -> Diagnostic {
    let documents = sources.iter().enumerate();
    let mut documents = documents.flat_map(|(index, source)| read(index, source, edits));
    let is_it = |document: &document::Document| {
        document.kind == Some(kind) && document.name() == Some(name.as_str())
    };
    let found = documents.find(is_it).map(|document| {
        let path = FieldPath::from_pointer(pointer, &document.value);
        let place = document.place_of(&path);
        (sources[document.source].name.clone(), place, path)
    });
    let (file, place, field) = found.map_or_else(
        || {
            (
                format!("{}/{name}", kind.singular()),
                (1, 1),
                pointer.to_owned(),
            )
        },
        |(file, place, path)| (file, place, path.to_string()),
    );
    Diagnostic {
        severity,
        file,
        line: place.0,
        column: place.1,
        field,
        problem: problem.to_owned(),
        remedy: remedy.to_owned(),
    }
}

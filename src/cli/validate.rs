//! `rolloutctl validate`: every finding about manifests at once, without Docker.

use serde_json::json;

use super::args::{EditArgs, Validation};
use super::console::{Console, Tone};
use super::exit::{Exit, Failure};
use super::read::is_error;
use super::target::ResourceRef;
use super::words::counted;
use crate::manifest::{self, Diagnostic, Edits, Known, Need, Overlay, Parsed, Source};

/// The branch that `{{ branch }}` stands for where none is named: what is checked is whether a branch may stand there.
const ANY_BRANCH: &str = "branch";

/// Prints what is wrong with `sources`. [`Exit::No`] when an error is among it.
///
/// What a manifest refers to may be in the store, so that a reference out of the manifests is only
/// a warning here; `apply` knows better.
///
/// # Errors
/// When the output cannot be written.
pub fn run(
    sources: &[Source],
    args: &EditArgs,
    output: Option<Validation>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut edits = args.edits();
    // Whose name is asked for is not called after any branch.
    if let (Some(overlay), None | Some(Validation::Json)) = (&mut edits.overlay, output) {
        overlay.branch.get_or_insert_with(|| ANY_BRANCH.to_owned());
    }
    let mut parsed = manifest::parse_edited(sources, &edits, Known::SourcesOnly);
    let mut overlays = Vec::new();
    if edits.overlay.is_none() {
        overlays.clone_from(&parsed.overlays);
        for name in &overlays {
            parsed
                .diagnostics
                .extend(new_with(name, sources, &edits, &parsed.diagnostics));
        }
        let file = |found: &Diagnostic| sources.iter().position(|source| source.name == found.file);
        parsed
            .diagnostics
            .sort_by_key(|found| (file(found), found.line, found.column));
    }
    tell(&parsed, &overlays, output, console)
}

/// What is wrong with the manifests only with the overlay `name`.
fn new_with(
    name: &str,
    sources: &[Source],
    edits: &Edits,
    known: &[Diagnostic],
) -> Vec<Diagnostic> {
    let edits = Edits {
        overlay: Some(Overlay {
            names: vec![name.to_owned()],
            need: Need::Required,
            branch: Some(ANY_BRANCH.to_owned()),
        }),
        ..edits.clone()
    };
    let parsed = manifest::parse_edited(sources, &edits, Known::SourcesOnly);
    let found = parsed.diagnostics.into_iter();
    found
        .filter(|found| !known.contains(found))
        .map(|found| {
            if found.field.starts_with("overlays") {
                return found;
            }
            let problem = format!("{} (with the overlay `{name}`)", found.problem);
            Diagnostic { problem, ..found }
        })
        .collect()
}

fn tell(
    parsed: &Parsed,
    overlays: &[String],
    output: Option<Validation>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let errors = parsed.diagnostics.iter().filter(|d| is_error(d)).count();
    let warnings = parsed.diagnostics.len() - errors;
    let valid = parsed.resources.len();
    match output {
        Some(Validation::Json) => {
            let report = json!({
                "valid": errors == 0,
                "resources": valid,
                "overlays": overlays,
                "diagnostics": parsed.diagnostics,
            });
            console.answer(format_args!("{report:#}"))?;
        }
        Some(Validation::Name) => {
            for diagnostic in &parsed.diagnostics {
                console.remark(diagnostic);
            }
            let sound = parsed.resources.iter().filter(|_| errors == 0);
            for located in sound {
                console.answer(ResourceRef::of(&located.resource))?;
            }
        }
        None => {
            for diagnostic in &parsed.diagnostics {
                let tone = if is_error(diagnostic) {
                    Tone::Bad
                } else {
                    Tone::Warning
                };
                let line = console.paint.tint(tone, diagnostic);
                console.answer(line)?;
            }
            if errors == 0 {
                let mut told = format!("{} valid", counted(valid, "resource"));
                if !overlays.is_empty() {
                    told = format!("{told}, also with {}", overlays.join(", "));
                }
                console.answer(with_warnings(told, warnings))?;
            } else {
                console.remark(with_warnings(counted(errors, "error"), warnings));
            }
        }
    }
    Ok(if errors == 0 { Exit::Done } else { Exit::No })
}

/// The closing line, which counts warnings if there are any.
fn with_warnings(told: String, warnings: usize) -> String {
    if warnings == 0 {
        told
    } else {
        format!("{told}, {}", counted(warnings, "warning"))
    }
}

//! `rolloutctl validate`: every finding about manifests at once, without Docker.

use serde_json::json;

use super::args::Report;
use super::console::{Console, Tone};
use super::exit::{Exit, Failure};
use super::read::is_error;
use super::words::counted;
use crate::manifest::{self, Known, Source};

/// Prints what is wrong with `sources`. [`Exit::No`] when an error is among it.
///
/// What a manifest refers to may be in the store, so that a reference out of the manifests is only
/// a warning here; `apply` knows better.
///
/// # Errors
/// When the output cannot be written.
pub fn run(
    sources: &[Source],
    report: Option<Report>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let parsed = manifest::parse(sources, Known::SourcesOnly);
    let errors = parsed.diagnostics.iter().filter(|d| is_error(d)).count();
    let warnings = parsed.diagnostics.len() - errors;
    let valid = parsed.resources.len();
    match report {
        Some(Report::Json) => {
            let report = json!({
                "valid": errors == 0,
                "resources": valid,
                "diagnostics": parsed.diagnostics,
            });
            console.answer(format_args!("{report:#}"))?;
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
                let valid = format!("{} valid", counted(valid, "resource"));
                console.answer(with_warnings(valid, warnings))?;
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

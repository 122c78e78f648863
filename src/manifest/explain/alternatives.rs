//! Where a schema allows one of several forms: which of them was meant, and what is wrong with it.

use jsonschema::error::{ValidationError, ValidationErrorKind as Fault};
use serde_json::Value;

use super::super::diagnostic::Findings;
use super::super::path::FieldPath;
use super::super::suggest::{either, nearest};
use super::super::words::describe;
use super::{Explainer, unknown_field};

impl Explainer<'_, '_> {
    pub(super) fn alternatives(
        &self,
        error: &ValidationError<'_>,
        path: &FieldPath,
        branches: &[Vec<ValidationError<'static>>],
        findings: &mut Findings,
    ) {
        let value = error.instance();
        let pointer = error.schema_path().as_str();
        if let Some(names) = constants(branches) {
            if !findings.has_error_at(path) {
                unknown_word(path, value, &names, findings);
            }
            return;
        }
        if let (Some(tags), Value::Object(_)) = (self.tags(pointer), value.as_ref()) {
            self.tagged((path, pointer), value, &tags, branches, findings);
            return;
        }
        let own = error.instance_path().as_str();
        let unfit = |branch: &[ValidationError<'static>]| {
            branch.iter().any(|e| {
                matches!(e.kind(), Fault::Type { .. }) && e.instance_path().as_str() == own
            })
        };
        let fitting = branches
            .iter()
            .filter(|branch| !unfit(branch))
            .min_by_key(|branch| branch.len());
        if let Some(branch) = fitting {
            for error in branch {
                self.explain(error, findings);
            }
        } else if !findings.has_error_at(path) {
            let types: Vec<_> = branches
                .iter()
                .flatten()
                .flat_map(|e| self.types(e.schema_path().as_str()))
                .collect();
            self.wrong_type(path, value, pointer, &types, findings);
        }
    }

    /// The one required field of each branch, if the branches are told apart by it.
    fn tags(&self, pointer: &str) -> Option<Vec<&str>> {
        self.schema
            .pointer(pointer)?
            .as_array()?
            .iter()
            .map(
                |branch| match branch.get("required")?.as_array()?.as_slice() {
                    [Value::String(only)] => Some(only.as_str()),
                    _ => None,
                },
            )
            .collect()
    }

    /// Whether the branches say nothing else: the fields are those of the object that they are part of.
    fn are_bare(&self, pointer: &str) -> bool {
        let branches = self.schema.pointer(pointer).and_then(Value::as_array);
        let is_bare = |branch: &Value| branch.get("properties").is_none();
        branches.is_some_and(|branches| branches.iter().all(is_bare))
    }

    fn tagged(
        &self,
        (path, pointer): (&FieldPath, &str),
        value: &Value,
        tags: &[&str],
        branches: &[Vec<ValidationError<'static>>],
        findings: &mut Findings,
    ) {
        let given: Vec<_> = tags
            .iter()
            .enumerate()
            .filter(|(_, tag)| value.get(tag).is_some())
            .collect();
        match given.as_slice() {
            [(index, _)] => {
                for error in branches.get(*index).into_iter().flatten() {
                    self.explain(error, findings);
                }
            }
            [] if self.are_bare(pointer) => {
                let names = tags.join("` nor `");
                let remedy = format!("add {}", either(tags.iter().copied()));
                findings.error(path, format!("neither `{names}` is given"), remedy);
            }
            [] => {
                let names = value
                    .as_object()
                    .into_iter()
                    .flat_map(serde_json::Map::keys);
                let mut any = false;
                for name in names {
                    any = true;
                    unknown_field(self.kind, &path.key(name), name, tags, findings);
                }
                if !any {
                    let remedy = format!("add {}", either(tags.iter().copied()));
                    findings.error(path, "is empty", remedy);
                }
            }
            [_, (_, second), ..] => findings.key_error(
                &path.key(second),
                format!("only one of {} can be chosen", either(tags.iter().copied())),
                "keep one of them",
            ),
        }
    }
}

/// The constants that the branches want, if that is all they want.
fn constants<'a>(branches: &'a [Vec<ValidationError<'static>>]) -> Option<Vec<&'a str>> {
    let mut names = Vec::new();
    for branch in branches {
        match branch.as_slice() {
            [only] => match only.kind() {
                Fault::Constant { expected_value } => names.push(expected_value.as_str()?),
                Fault::Enum { options } => {
                    names.extend(options.as_array()?.iter().filter_map(Value::as_str));
                }
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(names)
}

fn unknown_word(path: &FieldPath, value: &Value, names: &[&str], findings: &mut Findings) {
    let known = either(names.iter().copied());
    let meant = value
        .as_str()
        .and_then(|given| nearest(given, names.iter().copied()));
    let remedy = match meant {
        Some(meant) => format!("did you mean `{meant}`? Known: {known}"),
        None => format!("write {known}"),
    };
    findings.error(
        path,
        format!("{} is not known here", describe(value)),
        remedy,
    );
}

pub(super) fn constant(path: &FieldPath, value: &Value, expected: &Value, findings: &mut Findings) {
    let expected = expected.as_str().unwrap_or_default();
    if path.ends_with(&["apiVersion"]) {
        findings.error(
            path,
            format!(
                "{} is not a version that this release reads",
                describe(value)
            ),
            format!("write `{expected}`"),
        );
    } else {
        unknown_word(path, value, &[expected], findings);
    }
}

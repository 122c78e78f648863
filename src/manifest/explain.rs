//! Validation against the kind's JSON Schema, its errors put into a user's words.
//!
//! What a schema cannot say (that weights rise, that limits are possible) is checked in `rules`.

use std::sync::LazyLock;

use jsonschema::error::{ValidationError, ValidationErrorKind as Fault};
use serde_json::Value;

use super::diagnostic::Findings;
use super::path::FieldPath;
use super::suggest::{either, nearest};
use super::words::{first_sentence, quoted};
use super::{forms, owned};
use crate::api::{API_VERSION, Kind};

mod alternatives;
mod argo;
mod types;

/// What Argo Rollouts calls stages.
const STEPS: &str = "steps";

/// A kind's schema and what is compiled from it.
struct Checker {
    schema: Value,
    validator: jsonschema::Validator,
}

impl Checker {
    fn new(kind: Kind) -> Self {
        let schema = super::schema(kind);
        let validator = jsonschema::validator_for(&schema)
            .expect("the schemas are constants of the program and tested");
        Self { schema, validator }
    }
}

static ROLLOUT: LazyLock<Checker> = LazyLock::new(|| Checker::new(Kind::Rollout));
static LOAD_BALANCER: LazyLock<Checker> = LazyLock::new(|| Checker::new(Kind::LoadBalancer));
static METRIC_SOURCE: LazyLock<Checker> = LazyLock::new(|| Checker::new(Kind::MetricSource));
static ANALYSIS_TEMPLATE: LazyLock<Checker> =
    LazyLock::new(|| Checker::new(Kind::AnalysisTemplate));

/// Finds everything in `document` that does not fit the schema of `kind`.
///
/// `plain` gives a plain scalar as it is written in the text.
pub(super) fn check<'t>(
    kind: Kind,
    document: &Value,
    plain: &dyn Fn(&FieldPath) -> Option<&'t str>,
    findings: &mut Findings,
) {
    let checker = match kind {
        Kind::Rollout => &*ROLLOUT,
        Kind::LoadBalancer => &*LOAD_BALANCER,
        Kind::MetricSource => &*METRIC_SOURCE,
        Kind::AnalysisTemplate => &*ANALYSIS_TEMPLATE,
    };
    let explainer = Explainer {
        kind,
        schema: &checker.schema,
        document,
        plain,
    };
    for error in checker.validator.iter_errors(document) {
        explainer.explain(&error, findings);
    }
}

struct Explainer<'a, 't> {
    kind: Kind,
    schema: &'a Value,
    document: &'a Value,
    plain: &'a dyn Fn(&FieldPath) -> Option<&'t str>,
}

impl Explainer<'_, '_> {
    fn explain(&self, error: &ValidationError<'_>, findings: &mut Findings) {
        let path = FieldPath::from_pointer(error.instance_path().as_str(), self.document);
        let pointer = error.schema_path().as_str();
        match error.kind() {
            Fault::AdditionalProperties { unexpected } => {
                self.unknown_fields(&path, pointer, unexpected, findings);
            }
            Fault::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                self.missing(&path, pointer, name, error.instance(), findings);
            }
            Fault::OneOfNotValid { context }
            | Fault::OneOfMultipleValid { context }
            | Fault::AnyOf { context } => {
                self.alternatives(error, &path, context, findings);
            }
            // Loading or another rule of the schema has already said what is wrong with the value.
            _ if findings.has_error_at(&path) => {}
            Fault::Type { .. } => {
                let types = self.types(pointer);
                self.wrong_type(&path, error.instance(), pointer, &types, findings);
            }
            Fault::Pattern { .. } | Fault::MinLength { .. } | Fault::MaxLength { .. } => {
                self.malformed(&path, pointer, error.instance(), findings);
            }
            Fault::Constant { expected_value } => {
                alternatives::constant(&path, error.instance(), expected_value, findings);
            }
            Fault::Minimum { .. } | Fault::Maximum { .. } => {
                self.out_of_range(&path, pointer, error.instance(), findings);
            }
            Fault::MinItems { limit } => findings.error(
                &path,
                "the list is empty",
                format!("give at least {limit} item"),
            ),
            Fault::MaxItems { limit } => findings.error(
                &path,
                "the list is too long",
                format!("give at most {limit} items"),
            ),
            _ => findings.error(
                &path,
                error.masked().to_string(),
                format!("see `rolloutctl schema {}`", self.kind.singular()),
            ),
        }
    }

    /// The schema object that holds the keyword at `pointer`; what holds only under a condition belongs to the object
    /// that has the condition.
    fn holder(&self, pointer: &str) -> Option<&Value> {
        let (holder, _) = pointer.rsplit_once('/')?;
        let holder = holder.strip_suffix("/else").unwrap_or(holder);
        self.schema.pointer(holder)
    }

    /// What the schema says of itself at `place`, or where it refers to.
    fn description<'s>(&'s self, place: &'s Value) -> Option<&'s str> {
        place
            .get("description")
            .or_else(|| {
                let target = place.get("$ref")?.as_str()?.strip_prefix('#')?;
                self.schema.pointer(target)?.get("description")
            })
            .and_then(Value::as_str)
    }

    fn types(&self, pointer: &str) -> Vec<&str> {
        match self.schema.pointer(pointer) {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    fn properties(&self, pointer: &str) -> Vec<&str> {
        self.holder(pointer)
            .and_then(|holder| holder.get("properties"))
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    fn unknown_fields(
        &self,
        path: &FieldPath,
        pointer: &str,
        unexpected: &[String],
        findings: &mut Findings,
    ) {
        let known = self.properties(pointer);
        for name in unexpected {
            if name == STEPS && path.ends_with(&["strategy", "canary"]) {
                self.steps(&path.key(name), findings);
                continue;
            }
            unknown_field(self.kind, &path.key(name), name, &known, findings);
        }
    }

    /// Argo's word for stages, with the same as stages if they can say it.
    fn steps(&self, path: &FieldPath, findings: &mut Findings) {
        let steps = path.value_in(self.document);
        let remedy = steps.and_then(argo::stages).map_or_else(
            || {
                "write `stages`, as in `stages: [{weight: 20, bake: 10m}, {weight: 50, approval: true}]`"
                    .to_owned()
            },
            |stages| format!("write the same as `{stages}`"),
        );
        findings.key_error(
            path,
            "the steps of a rollout are called stages here",
            remedy,
        );
    }

    fn missing(
        &self,
        path: &FieldPath,
        pointer: &str,
        name: &str,
        parent: &Value,
        findings: &mut Findings,
    ) {
        let known = self.properties(pointer);
        let misspelt = parent.as_object().is_some_and(|fields| {
            fields.keys().any(|key| {
                !known.contains(&key.as_str()) && nearest(key, known.iter().copied()) == Some(name)
            })
        });
        let has_steps = name == "stages" && parent.get(STEPS).is_some();
        if misspelt || has_steps {
            // The unknown field is reported, with this one as what it was meant to be.
            return;
        }
        let description = self
            .holder(pointer)
            .and_then(|holder| holder.get("properties")?.get(name))
            .and_then(|property| self.description(property))
            .map(|text| format!(", {}", first_sentence(text)))
            .unwrap_or_default();
        let remedy = match name {
            "apiVersion" => format!("add `apiVersion: {API_VERSION}`"),
            "spec" => format!(
                "add `spec:`; see `rolloutctl schema {}`",
                self.kind.singular()
            ),
            _ => format!("add `{name}:`{description}"),
        };
        findings.error(&path.key(name), "is missing", remedy);
    }

    fn malformed(&self, path: &FieldPath, pointer: &str, value: &Value, findings: &mut Findings) {
        let text = value.as_str().unwrap_or_default();
        let length = text.chars().count();
        let longest = self.kind.max_name_len();
        if path.ends_with(&["metadata", "name"]) && length > longest {
            findings.error(
                path,
                format!("the name has {length} characters"),
                format!("a {}'s name has at most {longest}", self.kind),
            );
        } else if let Some((problem, remedy)) = forms::remedy(path, pointer, text) {
            findings.error(path, problem, remedy);
        } else if text.is_empty() {
            findings.error(
                path,
                "the text is empty",
                "write something or remove the line",
            );
        } else {
            let description = self
                .holder(pointer)
                .and_then(|holder| self.description(holder))
                .map_or_else(
                    || format!("see `rolloutctl schema {}`", self.kind.singular()),
                    |text| format!("write {}", first_sentence(text)),
                );
            findings.error(path, format!("{} does not fit", quoted(text)), description);
        }
    }

    fn out_of_range(
        &self,
        path: &FieldPath,
        pointer: &str,
        value: &Value,
        findings: &mut Findings,
    ) {
        let bound = |name| {
            self.holder(pointer)
                .and_then(|holder| holder.get(name))
                .map(ToString::to_string)
        };
        let remedy = match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!("write a number from {least} to {most}"),
            (Some(least), None) => format!("write {least} or more"),
            (None, Some(most)) => format!("write {most} or less"),
            (None, None) => "write another number".to_owned(),
        };
        findings.error(path, format!("{value} is out of range"), remedy);
    }
}

fn unknown_field(
    kind: Kind,
    path: &FieldPath,
    name: &str,
    known: &[&str],
    findings: &mut Findings,
) {
    const MOST_NAMES: usize = 12;
    if let Some((problem, remedy)) = owned::field(path) {
        findings.key_error(path, problem, remedy);
        return;
    }
    let remedy = if let Some(meant) = nearest(name, known.iter().copied()) {
        format!("did you mean `{meant}`?")
    } else if known.len() <= MOST_NAMES {
        format!("known here: {}", either(known.iter().copied()))
    } else {
        format!(
            "see `rolloutctl schema {}` for what is known here",
            kind.singular()
        )
    };
    findings.key_error(path, "unknown field", remedy);
}

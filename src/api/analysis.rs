//! Analysis as users write it: which queries are asked, how often, and what an answer must be.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Kind, Name, Spec};

/// The measurements that a stage must pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Analysis {
    /// The `MetricSource` of every metric that names none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// The time between two measurements of a metric that names none of its own; 10s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// The metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// `AnalysisTemplate`s whose metrics are measured as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateRef>,
}

/// One query and the bounds that its value must keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Metric {
    /// The metric's name, unique in its stage.
    pub name: Name,
    /// The `MetricSource`; the analysis's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// The query. Placeholders: `{{ backend }}`, `{{ rollout }}`, `{{ canary }}`, `{{ stable }}`,
    /// `{{ window }}` and the template's arguments. Values are escaped; they never become syntax.
    #[schemars(length(min = 1))]
    pub query: String,
    /// The largest value that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The smallest value that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The time between two measurements; the analysis's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// The time that a measurement looks back, at most to the stage's beginning; the whole stage
    /// so far if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// How many failed measurements a stage tolerates; the next one fails it.
    #[serde(default)]
    pub failure_limit: u32,
    /// How many measurements in a row may end in an error of the source; the next one pauses the
    /// rollout as inconclusive.
    #[serde(default = "default_consecutive_error_limit")]
    pub consecutive_error_limit: u32,
    /// What an answer without data means.
    #[serde(default)]
    pub no_data: NoData,
}

fn default_consecutive_error_limit() -> u32 {
    4
}

/// What an answer without data means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NoData {
    /// The stage waits until there is some.
    #[default]
    Wait,
    /// The measurement has failed.
    Fail,
    /// The metric need not be measured: an explicit waiver.
    Skip,
}

/// A use of an `AnalysisTemplate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TemplateRef {
    /// The template's name.
    pub name: Name,
    /// Values for its arguments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// Metrics that several rollouts share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AnalysisTemplateSpec {
    /// The arguments that a query may use as `{{ args.NAME }}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// The `MetricSource` of every metric that names none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// The time between two measurements of a metric that names none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// The metrics.
    #[schemars(length(min = 1))]
    pub metrics: Vec<Metric>,
}

/// An argument of an `AnalysisTemplate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Argument {
    /// Its name: letters, digits, `-` and `_`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub name: String,
    /// Its value where a use gives none; without it the argument must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Spec for AnalysisTemplateSpec {
    const KIND: Kind = Kind::AnalysisTemplate;
}

/// The time that a measurement looks at: `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

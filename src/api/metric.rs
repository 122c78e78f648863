//! Metrics as users write them: what is measured by a query, and what by a job.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Duration, Name, NoData, Template};

/// What a stage is measured by, and how much may go wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Metric {
    /// The metric's name, unique in its stage.
    pub name: Name,
    /// What is asked or run.
    pub by: MetricBy,
    /// The time between two measurements, if it has one of its own.
    pub interval: Option<Duration>,
    /// How many failed measurements a stage tolerates; the next one fails it.
    pub failure_limit: u32,
    /// How many measurements in a row may end in an error of the source; the next one pauses the
    /// rollout as inconclusive.
    pub consecutive_error_limit: u32,
}

/// What a metric is measured by.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricBy {
    /// A query, and the bounds that its value must keep.
    Query(MetricQuery),
    /// A container that runs to its end: 0 passes, any other exit code fails (ANALYSIS-6).
    Job(Box<Job>),
}

/// One query and the bounds that its value must keep.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricQuery {
    /// The `MetricSource`; the analysis's if absent.
    pub source: Option<Name>,
    /// The query with its placeholders.
    pub query: String,
    /// The largest value that passes.
    pub max: Option<f64>,
    /// The smallest value that passes.
    pub min: Option<f64>,
    /// The time that a measurement looks back, at most to the stage's beginning; the whole stage
    /// so far if absent.
    pub window: Option<Duration>,
    /// What an answer without data means.
    pub no_data: NoData,
}

/// A container that runs once to its end, as a one-off Swarm service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Job {
    /// What it runs. It is told by environment variables what it is to check: `ROLLOUTCTL_CANARY_SERVICE` is the
    /// name of the canary's own service on its networks.
    pub template: Template,
    /// How long it may take, from the request for it to its end; after that it has failed.
    #[serde(default = "default_time_limit")]
    pub time_limit: Duration,
}

fn default_time_limit() -> Duration {
    Duration::from_secs(600)
}

impl Metric {
    /// The query, unless it is measured by a job.
    pub const fn query(&self) -> Option<&MetricQuery> {
        match &self.by {
            MetricBy::Query(query) => Some(query),
            MetricBy::Job(_) => None,
        }
    }

    /// The job, unless it is measured by a query.
    pub fn job(&self) -> Option<&Job> {
        match &self.by {
            MetricBy::Query(_) => None,
            MetricBy::Job(job) => Some(job),
        }
    }

    /// The `MetricSource` of its own, if it names one.
    pub fn source(&self) -> Option<&Name> {
        self.query()?.source.as_ref()
    }
}

impl MetricQuery {
    /// Whether a value keeps the bounds; a number that is none does not.
    pub fn admits(&self, value: f64) -> bool {
        let above = self.min.is_none_or(|min| value >= min);
        let below = self.max.is_none_or(|max| value <= max);
        value.is_finite() && above && below
    }
}

/// A metric as it is written: all fields side by side.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    /// The metric's name, unique in its stage.
    name: Name,
    /// The `MetricSource` of the query; the analysis's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Name>,
    /// The query. Placeholders: `{{ backend }}`, `{{ rollout }}`, `{{ canary }}`, `{{ stable }}`,
    /// `{{ window }}` and the template's arguments. Values are escaped; they never become syntax.
    #[schemars(length(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// In place of a query: a container that runs to its end. Exit code 0 passes; another one, or no end within its
    /// time limit, is a failed measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<Job>,
    /// The largest value of the query that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    /// The smallest value of the query that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    /// The time between two measurements; a query's is the analysis's if absent, and a job without one is run
    /// until it has passed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interval: Option<Duration>,
    /// The time that a query looks back, at most to the stage's beginning; the whole stage so far if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<Duration>,
    /// How many failed measurements a stage tolerates; the next one fails it.
    #[serde(default)]
    failure_limit: u32,
    /// How many measurements in a row may end in an error of the source, or without the job having run; the next
    /// one pauses the rollout as inconclusive.
    #[serde(default = "default_consecutive_error_limit")]
    consecutive_error_limit: u32,
    /// What an answer of the query without data means; `wait` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    no_data: Option<NoData>,
}

fn default_consecutive_error_limit() -> u32 {
    4
}

impl TryFrom<Written> for Metric {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let name = &written.name;
        let by = match (written.query, written.job) {
            (Some(query), None) => MetricBy::Query(MetricQuery {
                source: written.source,
                query,
                max: written.max,
                min: written.min,
                window: written.window,
                no_data: written.no_data.unwrap_or_default(),
            }),
            (None, Some(job)) => MetricBy::Job(Box::new(job)),
            (Some(_), Some(_)) => {
                return Err(format!(
                    "metric `{name}` has a query and a job; keep one of them"
                ));
            }
            (None, None) => {
                return Err(format!(
                    "metric `{name}` has neither `query` nor `job`; add one"
                ));
            }
        };
        Ok(Self {
            name: written.name,
            by,
            interval: written.interval,
            failure_limit: written.failure_limit,
            consecutive_error_limit: written.consecutive_error_limit,
        })
    }
}

impl From<Metric> for Written {
    fn from(metric: Metric) -> Self {
        let (query, job) = match metric.by {
            MetricBy::Query(query) => (Some(query), None),
            MetricBy::Job(job) => (None, Some(*job)),
        };
        let no_data = query.as_ref().map(|query| query.no_data);
        let window = query.as_ref().and_then(|query| query.window);
        let max = query.as_ref().and_then(|query| query.max);
        let min = query.as_ref().and_then(|query| query.min);
        let source = query.as_ref().and_then(|query| query.source.clone());
        Self {
            name: metric.name,
            source,
            query: query.map(|query| query.query),
            job,
            max,
            min,
            interval: metric.interval,
            window,
            failure_limit: metric.failure_limit,
            consecutive_error_limit: metric.consecutive_error_limit,
            no_data,
        }
    }
}

impl JsonSchema for Metric {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Written::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            "What a stage is measured by: a query and its bounds, or a job.".into(),
        );
        schema.insert(
            "oneOf".to_owned(),
            serde_json::json!([{"required": ["query"]}, {"required": ["job"]}]),
        );
        schema
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Metric, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_metric_is_flat_as_it_is_written_and_one_of_two_inside() {
        let query = json!({"name": "errors", "query": "SELECT 1", "max": 0.01, "noData": "skip",
            "failureLimit": 2, "consecutiveErrorLimit": 4});
        let job = json!({"name": "tests", "job": {"template": {"image": "tests:1"}, "timeLimit": "5m"},
            "failureLimit": 0, "consecutiveErrorLimit": 4});
        for written in [query, job] {
            let metric = read(written.clone()).expect("sound");
            assert_eq!(serde_json::to_value(&metric).expect("JSON"), written);
        }
    }

    #[test]
    fn a_metric_has_a_query_or_a_job_and_never_both() {
        let both = json!({"name": "x", "query": "q", "job": {"template": {"image": "a:1"}}});
        assert!(read(both).is_err_and(|error| error.contains("keep one")));
        assert!(read(json!({"name": "x"})).is_err_and(|error| error.contains("neither")));
    }

    #[test]
    fn a_job_has_ten_minutes_unless_it_says_otherwise() {
        let metric = read(json!({"name": "x", "job": {"template": {"image": "a:1"}}}));
        let limit = metric.expect("sound").job().map(|job| job.time_limit);
        assert_eq!(limit, Some(Duration::from_secs(600)));
    }
}

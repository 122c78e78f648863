//! Questions: the queries of a rollout, read before anything is played, and what cannot be simulated of them.
//!
//! How a query is evaluated is in `sim::query`; who asks it, in `oracle`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::cast::Cast;
use crate::api::{Analysis, Kind, Metric, MetricBy, MetricQuery, Name, NoData, Resource, Revision};
use crate::influxql;
use crate::manifest::Severity;
use crate::plan::ResolvedMetric;
use crate::sim::query::{Absent, Query};
use crate::snapshot::Window;

/// What is the matter with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Whether nothing can be played because of it.
    pub severity: Severity,
    /// Where the metric stands.
    pub place: Place,
    /// What is the matter.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

/// Where a query stands in the manifests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The kind of its resource.
    pub kind: Kind,
    /// The name of its resource.
    pub name: Name,
    /// The field, as a JSON pointer (RFC 6901).
    pub pointer: String,
}

/// The values of a query's placeholders, as the controller gives them.
pub(super) fn values(
    cast: &Cast,
    metric: &ResolvedMetric,
    stable: &Revision,
) -> BTreeMap<String, String> {
    let mut values = metric.args.clone();
    let rollout = &cast.rollout;
    values.insert("rollout".to_owned(), rollout.metadata.name.to_string());
    values.insert("backend".to_owned(), cast.route().backend);
    values.insert("canary".to_owned(), Revision::of(&rollout.spec).to_string());
    values.insert("stable".to_owned(), stable.to_string());
    values
}

/// What cannot be simulated of the queries of `cast`, by their places, each once. Those that `is_told` are not read:
/// somebody says what they measure.
pub fn doubts(cast: &Cast, stable: &Revision, is_told: impl Fn(&Name) -> bool) -> Vec<Doubt> {
    let mut found = BTreeMap::new();
    for stage in cast.resolved.metrics.iter().flatten() {
        for metric in stage {
            if is_told(&metric.metric.name) {
                continue;
            }
            let values = values(cast, metric, stable);
            for (severity, problem, remedy) in read(&metric.metric, &values) {
                for place in places(cast, &metric.metric) {
                    found
                        .entry((place, problem.clone()))
                        .or_insert((severity, remedy.clone()));
                }
            }
        }
    }
    let found = found.into_iter();
    found
        .map(|((place, problem), (severity, remedy))| Doubt {
            severity,
            place,
            problem,
            remedy,
        })
        .collect()
}

fn read(metric: &Metric, values: &BTreeMap<String, String>) -> Vec<(Severity, String, String)> {
    let name = &metric.name;
    let Some(asked) = metric.query() else {
        let problem = "what the job would find is not known here: it is taken to pass".to_owned();
        return vec![(Severity::Warning, problem, "run it by hand".to_owned())];
    };
    let instead = format!("or choose what it measures with `--metric {name}=VALUE`");
    let text = match influxql::fill(&asked.query, values, some_window()) {
        Ok(text) => text,
        Err(problem) => return vec![(Severity::Error, problem.to_string(), instead)],
    };
    match Query::parse(&text) {
        Ok(query) => {
            let absent = query.absent().iter();
            absent.map(|absent| lack(asked, absent, &instead)).collect()
        }
        Err(refusal) => {
            let column = original_column(&asked.query, &text, refusal.column);
            let problem = format!(
                "column {column} of the query: {} cannot be simulated",
                refusal.part
            );
            vec![(
                Severity::Error,
                problem,
                format!("{}, {instead}", refusal.advice),
            )]
        }
    }
}

/// What nobody writes here may well be there in truth: to say that there is none would be a guess, unless
/// the manifest does without.
fn lack(metric: &MetricQuery, absent: &Absent, instead: &str) -> (Severity, String, String) {
    let what = match absent {
        Absent::Measurement(name) => format!("the measurement `{name}` is not simulated"),
        Absent::Field(name) => format!("the field `{name}` is not simulated"),
        Absent::Tag(name) => format!("the tag `{name}` is not simulated"),
    };
    match metric.no_data {
        NoData::Skip => (
            Severity::Warning,
            format!("{what}: here it has no data, which `noData: skip` allows"),
            format!("check its name, {instead}"),
        ),
        NoData::Wait | NoData::Fail => {
            (Severity::Error, what, format!("check its name, {instead}"))
        }
    }
}

/// Any window: what a query means does not depend on it.
fn some_window() -> Window {
    let second = |second| Timestamp::from_second(second).unwrap_or_default();
    Window {
        start: second(1_700_000_000),
        end: second(1_700_000_060),
    }
}

/// Which column of the query as it was written led to a column of its filled text, both from 1.
fn original_column(query: &str, filled: &str, column: usize) -> usize {
    let width = |text: &str| text.chars().count();
    let target = column.saturating_sub(1);
    // How many characters of each text lie behind.
    let (mut written, mut reached) = (0, 0);
    let (mut query, mut filled) = (query, filled);
    loop {
        let (literal, placeholder, after) = cut(query);
        if target < reached + width(literal) || placeholder.is_empty() {
            return written + target.saturating_sub(reached) + 1;
        }
        written += width(literal);
        reached += width(literal);
        filled = filled.get(literal.len()..).unwrap_or_default();
        let next = cut(after).0;
        let value = match filled.find(next) {
            Some(at) if !next.is_empty() => at,
            Some(_) | None => filled.len(),
        };
        if target < reached + width(&filled[..value]) {
            return written + 1;
        }
        written += width(placeholder);
        reached += width(&filled[..value]);
        filled = &filled[value..];
        query = after;
    }
}

/// The text up to the first placeholder, the placeholder, and the rest.
fn cut(text: &str) -> (&str, &str, &str) {
    let found = text
        .find("{{")
        .and_then(|begin| Some((begin, begin + text[begin..].find("}}")? + 2)));
    match found {
        Some((begin, end)) => (&text[..begin], &text[begin..end], &text[end..]),
        None => (text, "", ""),
    }
}

const fn field(metric: &Metric) -> &'static str {
    match &metric.by {
        MetricBy::Query(_) => "query",
        MetricBy::Job(_) => "job",
    }
}

/// Where a metric stands: in the rollout itself, or in a template.
fn places(cast: &Cast, metric: &Metric) -> Vec<Place> {
    let rollout = &cast.rollout;
    let mut places = Vec::new();
    let mut look = |kind: Kind, name: &Name, metrics: &[Metric], pointer: &str| {
        for (index, found) in metrics.iter().enumerate() {
            if found == metric {
                places.push(Place {
                    kind,
                    name: name.clone(),
                    pointer: format!("{pointer}/metrics/{index}/{}", field(metric)),
                });
            }
        }
    };
    let mut of_rollout = |analysis: Option<&Analysis>, pointer: &str| {
        if let Some(analysis) = analysis {
            look(
                Kind::Rollout,
                &rollout.metadata.name,
                &analysis.metrics,
                pointer,
            );
        }
    };
    let strategy = &rollout.spec.strategy;
    of_rollout(rollout.spec.analysis.as_ref(), "/spec/analysis");
    for (index, stage) in strategy.stages().enumerate() {
        let pointer = format!("{}/analysis", strategy.stage_pointer(index));
        of_rollout(stage.analysis, &pointer);
    }
    for resource in &cast.neighbours {
        match resource {
            Resource::AnalysisTemplate(template) => look(
                Kind::AnalysisTemplate,
                &template.metadata.name,
                &template.spec.metrics,
                "/spec",
            ),
            Resource::Rollout(_) | Resource::LoadBalancer(_) | Resource::MetricSource(_) => {}
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_query_as_written() {
        let query = "SELECT a FROM b WHERE c = '{{ canary }}' AND {{ window }} GROUP BY d";
        let filled = "SELECT a FROM b WHERE c = '0123456789' AND time >= 1 AND time < 2 GROUP BY d";
        for part in ["SELECT", "FROM", "WHERE", "c =", "' AND ", "GROUP", "BY d"] {
            let column = |text: &str| text.find(part).expect("there") + 1;
            assert_eq!(
                original_column(query, filled, column(filled)),
                column(query),
                "{part}"
            );
        }
        let inside = filled.find("12345").expect("there") + 1;
        let placeholder = query.find("{{ canary").expect("there") + 1;
        assert_eq!(original_column(query, filled, inside), placeholder);
        let end = filled.len() + 1;
        assert_eq!(original_column(query, filled, end), query.len() + 1);
    }
}

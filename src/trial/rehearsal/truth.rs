//! The truth: what a metric would measure if there were no end of requests, so that a verdict can be called right or
//! wrong.
//!
//! It is known only of metrics that do not depend on how many requests there were, as a ratio or a latency.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::app::Version;
use super::cast::Cast;
use super::gauge::Gauge;
use super::question;
use crate::api::{Name, Revision};
use crate::influxql;
use crate::plan::ResolvedMetric;
use crate::sim::RequestClass;
use crate::sim::point::{Code, Latency, Point};
use crate::sim::query::Query;
use crate::snapshot::{SampleOutcome, Window};

/// Whether the new version keeps a metric's bounds in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    Keeps,
    /// It does not.
    Breaks,
    /// That depends on how many requests there are.
    Unknown,
}

/// The two versions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Versions<'a> {
    pub stable: (&'a Revision, &'a Version),
    pub canary: (&'a Revision, &'a Version),
}

/// How the new version stands to each metric, by name. One that stands in several stages must keep its bounds in all.
pub(super) fn of(
    cast: &Cast,
    versions: Versions<'_>,
    gauges: &BTreeMap<Name, Gauge>,
) -> BTreeMap<Name, Truth> {
    let mut truths: BTreeMap<Name, Truth> = BTreeMap::new();
    for metric in cast.resolved.metrics.iter().flatten().flatten() {
        let name = &metric.metric.name;
        let value = match gauges.get(name) {
            Some(Gauge::Value { mean, .. }) => Some(*mean),
            Some(Gauge::NoData) => None,
            // No requests come to a preview, and so no query finds any of them.
            None if cast.rollout.spec.strategy.preview().is_some() => None,
            None => limit(cast, versions, metric),
        };
        let truth = value.map_or(Truth::Unknown, |value| judge(metric, value));
        let known = truths.entry(name.clone()).or_insert(truth);
        *known = worse(*known, truth);
    }
    truths
}

fn judge(metric: &ResolvedMetric, value: f64) -> Truth {
    if metric
        .metric
        .query()
        .is_none_or(|query| query.admits(value))
    {
        Truth::Keeps
    } else {
        Truth::Breaks
    }
}

const fn worse(one: Truth, other: Truth) -> Truth {
    match (one, other) {
        (Truth::Breaks, _) | (_, Truth::Breaks) => Truth::Breaks,
        (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
        (Truth::Keeps, Truth::Keeps) => Truth::Keeps,
    }
}

/// What a metric comes to with more and more requests, if it comes to anything.
fn limit(cast: &Cast, versions: Versions<'_>, metric: &ResolvedMetric) -> Option<f64> {
    let many = measured(cast, versions, metric, 1e7)?;
    let more = measured(cast, versions, metric, 4e7)?;
    let far = (many - more).abs();
    (far <= 1e-4 * many.abs().max(more.abs())).then_some(more)
}

fn measured(
    cast: &Cast,
    versions: Versions<'_>,
    metric: &ResolvedMetric,
    requests: f64,
) -> Option<f64> {
    const START: i64 = 1_700_000_000;
    const SECONDS: i64 = 10;
    let second = |second| Timestamp::from_second(second).unwrap_or_default();
    let window = Window {
        start: second(START),
        end: second(START + SECONDS),
    };
    let values = question::values(cast, metric, versions.stable.0);
    let text = influxql::fill(&metric.metric.query()?.query, &values, window).ok()?;
    let query = Query::parse(&text).ok()?;
    let backend = &cast.route().backend;
    let points: Vec<Point> = (START..START + SECONDS)
        .flat_map(|second| {
            [versions.stable, versions.canary]
                .into_iter()
                .flat_map(move |version| points(second, backend, version, requests))
        })
        .collect();
    match query.evaluate(points.iter()) {
        SampleOutcome::Value(value) => Some(value),
        SampleOutcome::NoData | SampleOutcome::Error(_) | SampleOutcome::Ran { .. } => None,
    }
}

fn points(
    second: i64,
    backend: &str,
    (revision, version): (&Revision, &Version),
    requests: f64,
) -> Vec<Point> {
    let times = latency(&version.latency.classes());
    let codes = [
        (Code::Success, 1.0 - version.error_rate),
        (Code::Failure, version.error_rate),
    ];
    let there = codes.into_iter().filter(|(_, part)| *part > 0.0);
    there
        .map(|(code, part)| {
            let requests = whole(requests * part);
            Point {
                second,
                backend: backend.to_owned(),
                revision: revision.clone(),
                code,
                requests,
                errors: if code.is_error() { requests } else { 0 },
                p50: times.p50,
                p90: times.p90,
                p99: times.p99,
                max: times.max,
                bytes: requests.saturating_mul(1_200),
                active: requests,
                response: Some(times),
            }
        })
        .collect()
}

fn latency(classes: &[RequestClass]) -> Latency {
    let at = |part: f64| {
        let mut seen = 0.0;
        let reached = classes.iter().find(|class| {
            seen += class.part;
            seen >= part - 1e-9
        });
        let class = reached.or_else(|| classes.last());
        class.map_or(0.0, |class| millis(class.takes))
    };
    Latency {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        max: at(1.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a length of time")]
fn millis(duration: crate::api::Duration) -> f64 {
    duration.as_millis() as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, saturating"
)]
fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

//! Measuring: which samples are due, and what becomes of those that have come back.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Input, Resolved, ResolvedMetric, jobs};
use crate::action::{Action, Measure};
use crate::analysis;
use crate::api::{
    MeasurementPhase, MeasurementStatus, MetricBy, MetricQuery, PauseReason, RolloutStatus, Step,
};
use crate::snapshot::{Sample, SampleKey};

/// Takes in the samples that belong to the attempt and stage at hand; any other one is void.
pub(super) fn absorb(status: &mut RolloutStatus, input: &Input, resolved: &Resolved) {
    let Step::Running { since } = status.step else {
        return;
    };
    forget_removed(status, resolved);
    for metric in resolved.metrics_of(status.stage) {
        prepare(status, metric, since, input.now);
        let Some(record) = status
            .measurements
            .iter_mut()
            .find(|record| record.metric == metric.metric.name)
        else {
            continue;
        };
        let wanted = next_key(input, record, since);
        let mut samples = input.snapshot.samples.iter();
        if let Some(sample) = samples.find(|sample| sample.key == wanted) {
            take_in(record, metric, sample);
        } else if let Some(sample) = jobs::not_run(record, input, metric, &wanted) {
            take_in(record, metric, &sample);
        }
    }
    jobs::shorten_logs(&mut status.measurements);
}

fn take_in(record: &mut MeasurementStatus, metric: &ResolvedMetric, sample: &Sample) {
    if record.phase != MeasurementPhase::Failed {
        analysis::absorb(record, metric, sample);
    }
}

/// A metric that was taken out of the spec is not waited for; a verdict stays (ABORT-3).
fn forget_removed(status: &mut RolloutStatus, resolved: &Resolved) {
    let wanted = resolved.metrics_of(status.stage);
    let is_wanted = |record: &MeasurementStatus| {
        wanted
            .iter()
            .any(|metric| metric.metric.name == record.metric)
    };
    status
        .measurements
        .retain(|record| record.phase == MeasurementPhase::Failed || is_wanted(record));
}

/// Makes a record for a metric that has none, or only one of what was measured under its name before it was edited. A
/// verdict stays (ABORT-3).
fn prepare(status: &mut RolloutStatus, metric: &ResolvedMetric, since: Timestamp, now: Timestamp) {
    let digest = metric.digest();
    let is_other = |record: &MeasurementStatus| {
        record.phase != MeasurementPhase::Failed
            && record.digest.as_ref().is_some_and(|known| *known != digest)
    };
    let (attempt, stage) = (status.attempt, status.stage);
    let fresh = || analysis::fresh(metric, attempt, stage, since);
    let mut records = status.measurements.iter_mut();
    match records.find(|record| record.metric == metric.metric.name) {
        None => status.measurements.push(fresh()),
        Some(record) if is_other(record) => *record = fresh(),
        Some(record) => adjust(record, metric, now),
    }
}

/// How often is measured, and how much may go wrong, applies to what is under way (PROGRESS-4).
fn adjust(record: &mut MeasurementStatus, metric: &ResolvedMetric, now: Timestamp) {
    let latest = metric.ingest_lag().after(metric.interval.after(now));
    record.next_at = match (record.next_at, &metric.metric.by) {
        (Some(next), MetricBy::Job(_) | MetricBy::Query(_)) => Some(next.min(latest)),
        // A job without an interval of its own has passed for good.
        (None, MetricBy::Job(_)) => metric.metric.interval.map(|_| latest),
        (None, MetricBy::Query(_)) => Some(latest),
    };
    if record.failed > metric.metric.failure_limit {
        record.phase = MeasurementPhase::Failed;
    }
}

pub(super) fn next_key(input: &Input, record: &MeasurementStatus, since: Timestamp) -> SampleKey {
    SampleKey {
        rollout: input.name.clone(),
        attempt: record.attempt,
        stage: record.stage,
        since,
        metric: record.metric.clone(),
        digest: record.digest.clone(),
        number: record.taken + 1,
    }
}

/// The samples that are due now. Asking again for one that is on its way is asking once.
pub(super) fn due(status: &RolloutStatus, input: &Input, resolved: &Resolved) -> Vec<Action> {
    let Step::Running { since } = status.step else {
        return Vec::new();
    };
    if !goes_on(status) {
        return Vec::new();
    }
    let ask = |metric: &ResolvedMetric| {
        let record = status
            .measurements
            .iter()
            .find(|record| record.metric == metric.metric.name)?;
        if record.next_at.is_none_or(|next| next > input.now) {
            return None;
        }
        let key = next_key(input, record, since);
        let values = values(status, input, metric);
        match &metric.metric.by {
            MetricBy::Query(query) => ask(metric, query, key, values, input),
            MetricBy::Job(job) => jobs::due(job, key, &values, status, input),
        }
    };
    resolved
        .metrics_of(status.stage)
        .iter()
        .filter_map(ask)
        .collect()
}

fn ask(
    metric: &ResolvedMetric,
    query: &MetricQuery,
    key: SampleKey,
    values: BTreeMap<String, String>,
    input: &Input,
) -> Option<Action> {
    Some(Action::Measure(Measure {
        source: metric.source.as_ref()?.name.clone(),
        query: query.query.clone(),
        values,
        window: analysis::window(metric, key.since, input.now)?,
        key,
    }))
}

/// Whether anything is measured: a stage that has failed, or cannot be judged, waits for somebody.
pub(super) fn goes_on(status: &RolloutStatus) -> bool {
    match status.pause.as_ref().map(|pause| pause.reason) {
        Some(PauseReason::Failure | PauseReason::Inconclusive) => false,
        Some(PauseReason::User) | None => true,
    }
}

fn values(
    status: &RolloutStatus,
    input: &Input,
    metric: &ResolvedMetric,
) -> BTreeMap<String, String> {
    let revision = |revision: &Option<crate::api::Revision>| {
        revision
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    let mut values = metric.args.clone();
    values.insert("rollout".into(), input.name.to_string());
    let route = status.route.as_ref();
    let backend = route.map(|route| route.backend.clone());
    values.insert("backend".into(), backend.unwrap_or_default());
    values.insert("canary".into(), revision(&status.canary_revision));
    values.insert("stable".into(), revision(&status.stable_revision));
    values
}

/// Gives a source another chance after an inconclusive pause; a verdict stays what it is.
pub(super) fn try_again(record: &mut MeasurementStatus, now: Timestamp) {
    if record.phase == MeasurementPhase::Inconclusive {
        record.phase = if record.valid > 0 {
            MeasurementPhase::Passing
        } else {
            MeasurementPhase::Pending
        };
        record.errors_in_row = 0;
        record.next_at = Some(now);
    }
}

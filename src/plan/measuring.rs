//! Measuring: which samples are due, and what becomes of those that have come back.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Input, Resolved, ResolvedMetric};
use crate::action::{Action, Measure};
use crate::analysis;
use crate::api::{MeasurementPhase, MeasurementStatus, PauseReason, RolloutStatus, Step};
use crate::snapshot::{Sample, SampleKey};

/// Takes in the samples that belong to the attempt and stage at hand; any other one is void.
pub(super) fn absorb(status: &mut RolloutStatus, input: &Input, resolved: &Resolved) {
    let Step::Running { since } = status.step else {
        return;
    };
    forget_removed(status, resolved);
    for metric in resolved.metrics_of(status.stage) {
        prepare(status, metric, since);
        let Some(record) = status
            .measurements
            .iter_mut()
            .find(|record| record.metric == metric.metric.name)
        else {
            continue;
        };
        let wanted = next_key(input, record, since);
        if let Some(sample) = input
            .snapshot
            .samples
            .iter()
            .find(|sample| sample.key == wanted)
        {
            take_in(record, metric, sample);
        }
    }
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

/// Makes a record for a metric that has none.
fn prepare(status: &mut RolloutStatus, metric: &ResolvedMetric, since: Timestamp) {
    if !status
        .measurements
        .iter()
        .any(|record| record.metric == metric.metric.name)
    {
        let record = analysis::fresh(metric, status.attempt, status.stage, since);
        status.measurements.push(record);
    }
}

fn next_key(input: &Input, record: &MeasurementStatus, since: Timestamp) -> SampleKey {
    SampleKey {
        rollout: input.name.clone(),
        attempt: record.attempt,
        stage: record.stage,
        since,
        metric: record.metric.clone(),
        number: record.taken + 1,
    }
}

/// The samples that are due now. Asking again for one that is on its way is asking once.
pub(super) fn due(status: &RolloutStatus, input: &Input, resolved: &Resolved) -> Vec<Action> {
    let Step::Running { since } = status.step else {
        return Vec::new();
    };
    match status.pause.as_ref().map(|pause| pause.reason) {
        Some(PauseReason::Failure | PauseReason::Inconclusive) => return Vec::new(),
        Some(PauseReason::User) | None => {}
    }
    let ask = |metric: &ResolvedMetric| {
        let record = status
            .measurements
            .iter()
            .find(|record| record.metric == metric.metric.name)?;
        if record.next_at > input.now {
            return None;
        }
        Some(Action::Measure(Measure {
            key: next_key(input, record, since),
            source: metric.source.clone(),
            query: metric.metric.query.clone(),
            values: values(status, input, metric),
            window: analysis::window(metric, since, input.now)?,
        }))
    };
    resolved
        .metrics_of(status.stage)
        .iter()
        .filter_map(ask)
        .collect()
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
        record.next_at = now;
    }
}

//! From samples to a verdict, purely: what one more sample makes of a metric's record.

use jiff::Timestamp;

use crate::api::{MeasurementPhase, MeasurementStatus, NoData, SampleRecord, brief};
use crate::plan::ResolvedMetric;
use crate::snapshot::{Sample, SampleOutcome, Window};

/// How many samples of a metric are remembered.
const RECENT: usize = 5;

/// What the metrics of a stage say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict<'a> {
    /// Every metric has what it needs.
    Passed,
    /// Not all of them yet.
    Pending,
    /// This one has failed. Final for its attempt and stage (ABORT-3).
    Failed(&'a MeasurementStatus),
    /// The source of this one failed too often in a row; it says nothing.
    Inconclusive(&'a MeasurementStatus),
}

/// The record of a metric of which no sample was taken yet. The first one is due an interval and
/// the ingest lag after the stage began.
pub fn fresh(
    metric: &ResolvedMetric,
    attempt: u32,
    stage: u32,
    since: Timestamp,
) -> MeasurementStatus {
    MeasurementStatus {
        metric: metric.metric.name.clone(),
        attempt,
        stage,
        phase: MeasurementPhase::Pending,
        bounds: metric.bounds(),
        taken: 0,
        valid: 0,
        failed: 0,
        errors_in_row: 0,
        next_at: metric.ingest_lag.after(metric.interval.after(since)),
        recent: Vec::new(),
        failures: Vec::new(),
    }
}

/// The time that a sample taken at `now` looks at, in a stage that began at `since` (ANALYSIS-2);
/// none while the ingest lag has not passed.
pub fn window(metric: &ResolvedMetric, since: Timestamp, now: Timestamp) -> Option<Window> {
    let end = metric.ingest_lag.before(now);
    let start = metric
        .metric
        .window
        .map_or(since, |window| window.before(end).max(since));
    (start < end).then_some(Window { start, end })
}

/// Adds one sample to a metric's record.
pub fn absorb(record: &mut MeasurementStatus, metric: &ResolvedMetric, sample: &Sample) {
    record.taken += 1;
    record.next_at = metric.interval.after(sample.at);
    let remembered = remember(sample);
    match &sample.outcome {
        SampleOutcome::Value(value) if passes(metric, *value) => count_valid(record),
        SampleOutcome::Value(_) => {
            count_valid(record);
            count_failed(record, metric, remembered.clone());
        }
        SampleOutcome::NoData => {
            record.errors_in_row = 0;
            match metric.metric.no_data {
                NoData::Skip if record.valid == 0 => set(record, MeasurementPhase::Skipped),
                NoData::Skip => {}
                // What was measured before says nothing about now.
                NoData::Wait => set(record, MeasurementPhase::Pending),
                NoData::Fail => count_failed(record, metric, remembered.clone()),
            }
        }
        SampleOutcome::Error(_) => {
            record.errors_in_row += 1;
            if record.errors_in_row > metric.metric.consecutive_error_limit {
                set(record, MeasurementPhase::Inconclusive);
            }
        }
    }
    push_bounded(&mut record.recent, remembered);
}

/// Whether a value keeps the metric's bounds; a number that is none does not.
fn passes(metric: &ResolvedMetric, value: f64) -> bool {
    let above = metric.metric.min.is_none_or(|min| value >= min);
    let below = metric.metric.max.is_none_or(|max| value <= max);
    value.is_finite() && above && below
}

fn count_valid(record: &mut MeasurementStatus) {
    record.valid += 1;
    record.errors_in_row = 0;
    set(record, MeasurementPhase::Passing);
}

fn count_failed(record: &mut MeasurementStatus, metric: &ResolvedMetric, sample: SampleRecord) {
    record.failed += 1;
    push_bounded(&mut record.failures, sample);
    if record.failed > metric.metric.failure_limit {
        set(record, MeasurementPhase::Failed);
    }
}

/// Changes the phase, unless the metric has failed already (ABORT-3).
fn set(record: &mut MeasurementStatus, phase: MeasurementPhase) {
    if record.phase != MeasurementPhase::Failed {
        record.phase = phase;
    }
}

fn push_bounded(samples: &mut Vec<SampleRecord>, sample: SampleRecord) {
    samples.push(sample);
    let surplus = samples.len().saturating_sub(RECENT);
    samples.drain(..surplus);
}

fn remember(sample: &Sample) -> SampleRecord {
    let (value, problem) = match &sample.outcome {
        SampleOutcome::Value(value) => (Some(*value), None),
        SampleOutcome::NoData => (None, Some("no data".to_owned())),
        SampleOutcome::Error(error) => (None, Some(brief(error))),
    };
    SampleRecord {
        at: sample.at,
        start: sample.window.start,
        end: sample.window.end,
        value,
        problem,
    }
}

/// What the metrics of a stage say together. A sample that is due must be in before the stage
/// passes (ANALYSIS-5).
pub fn verdict<'a>(records: &'a [MeasurementStatus], now: Timestamp) -> Verdict<'a> {
    let with = |phase| records.iter().find(|record| record.phase == phase);
    if let Some(failed) = with(MeasurementPhase::Failed) {
        return Verdict::Failed(failed);
    }
    if let Some(unclear) = with(MeasurementPhase::Inconclusive) {
        return Verdict::Inconclusive(unclear);
    }
    let done = |record: &'a MeasurementStatus| {
        let answered = match record.phase {
            MeasurementPhase::Passing => record.valid > 0 && record.errors_in_row == 0,
            MeasurementPhase::Skipped => record.errors_in_row == 0,
            MeasurementPhase::Pending
            | MeasurementPhase::Failed
            | MeasurementPhase::Inconclusive => false,
        };
        answered && record.next_at > now
    };
    if records.iter().all(done) {
        Verdict::Passed
    } else {
        Verdict::Pending
    }
}

/// The failed measurements of a metric in a sentence: what was measured in `stage`, and what would have passed.
pub fn explain(record: &MeasurementStatus, stage: &str) -> String {
    let values: Vec<String> = record
        .failures
        .iter()
        .map(|sample| match (sample.value, &sample.problem) {
            (Some(value), _) => format!("{value:.4}"),
            (None, Some(problem)) => problem.clone(),
            (None, None) => "nothing".into(),
        })
        .collect();
    let times = if record.failed == 1 {
        "once".into()
    } else {
        format!("{} times", record.failed)
    };
    format!(
        "metric `{}` failed {times} in {stage}: measured {}, wanted {}",
        record.metric,
        values.join(", "),
        record.bounds
    )
}

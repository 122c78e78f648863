//! From samples to a verdict, purely: what one more sample makes of a metric's record.

use jiff::Timestamp;

use crate::api::{Job, MeasurementPhase, MeasurementStatus, MetricBy, NoData, SampleRecord, brief};
use crate::plan::ResolvedMetric;
use crate::snapshot::{JobEnd, Sample, SampleOutcome, Window};

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
/// the ingest lag after the stage began; a job is run at once.
pub fn fresh(
    metric: &ResolvedMetric,
    attempt: u32,
    stage: u32,
    since: Timestamp,
) -> MeasurementStatus {
    MeasurementStatus {
        metric: metric.metric.name.clone(),
        digest: Some(metric.digest()),
        attempt,
        stage,
        phase: MeasurementPhase::Pending,
        bounds: metric.bounds(),
        taken: 0,
        valid: 0,
        failed: 0,
        errors_in_row: 0,
        next_at: Some(match metric.metric.by {
            MetricBy::Query(_) => metric.ingest_lag().after(metric.interval.after(since)),
            MetricBy::Job(_) => since,
        }),
        recent: Vec::new(),
        failures: Vec::new(),
    }
}

/// The time that a sample taken at `now` looks at, in a stage that began at `since` (ANALYSIS-2);
/// none while the ingest lag has not passed.
pub fn window(metric: &ResolvedMetric, since: Timestamp, now: Timestamp) -> Option<Window> {
    let end = metric.ingest_lag().before(now);
    let start = metric
        .metric
        .query()
        .and_then(|query| query.window)
        .map_or(since, |window| window.before(end).max(since));
    (start < end).then_some(Window { start, end })
}

/// Adds one sample to a metric's record.
pub fn absorb(record: &mut MeasurementStatus, metric: &ResolvedMetric, sample: &Sample) {
    record.taken += 1;
    record.next_at = Some(metric.interval.after(sample.at));
    let remembered = remember(metric, sample);
    match (&metric.metric.by, &sample.outcome) {
        (MetricBy::Query(query), SampleOutcome::Value(value)) => {
            count_valid(record);
            if !query.admits(*value) {
                count_failed(record, metric, remembered.clone());
            }
        }
        (MetricBy::Query(query), SampleOutcome::NoData) => {
            record.errors_in_row = 0;
            match query.no_data {
                NoData::Skip if record.valid == 0 => set(record, MeasurementPhase::Skipped),
                NoData::Skip => {}
                // What was measured before says nothing about now.
                NoData::Wait => set(record, MeasurementPhase::Pending),
                NoData::Fail => count_failed(record, metric, remembered.clone()),
            }
        }
        (MetricBy::Job(_), SampleOutcome::Ran { end, .. }) => {
            ran(record, metric, *end, sample.at, &remembered);
        }
        // What was asked before the metric was changed answers nothing, and is no answer of what is asked now.
        (_, SampleOutcome::Error(_))
        | (MetricBy::Query(_), SampleOutcome::Ran { .. })
        | (MetricBy::Job(_), SampleOutcome::Value(_) | SampleOutcome::NoData) => {
            record.errors_in_row += 1;
            if record.errors_in_row > metric.metric.consecutive_error_limit {
                set(record, MeasurementPhase::Inconclusive);
            }
        }
    }
    push_bounded(&mut record.recent, remembered);
}

/// Takes in a job that was run (ANALYSIS-6). Unlike a value that is tolerated, a failure leaves the stage without
/// what it needs: it is run again.
fn ran(
    record: &mut MeasurementStatus,
    metric: &ResolvedMetric,
    end: JobEnd,
    at: Timestamp,
    remembered: &SampleRecord,
) {
    count_valid(record);
    match end {
        JobEnd::Exited(0) => {
            record.next_at = metric.metric.interval.map(|interval| interval.after(at));
        }
        JobEnd::Exited(_) | JobEnd::TimedOut => {
            set(record, MeasurementPhase::Pending);
            count_failed(record, metric, remembered.clone());
        }
    }
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

/// Of older samples no log is kept, so that a status stays small.
fn push_bounded(samples: &mut Vec<SampleRecord>, sample: SampleRecord) {
    if let Some(last) = samples.last_mut() {
        last.log.clear();
    }
    samples.push(sample);
    let surplus = samples.len().saturating_sub(RECENT);
    samples.drain(..surplus);
}

fn remember(metric: &ResolvedMetric, sample: &Sample) -> SampleRecord {
    let (value, problem) = match &sample.outcome {
        SampleOutcome::Value(value) => (Some(*value), None),
        SampleOutcome::NoData => (None, Some("no data".to_owned())),
        SampleOutcome::Error(error) => (None, Some(brief(error))),
        SampleOutcome::Ran { end, .. } => (None, failure(metric.metric.job(), *end)),
    };
    let (exit_code, log) = match &sample.outcome {
        SampleOutcome::Ran { end, log } => (exit_code(*end), log.clone()),
        SampleOutcome::Value(_) | SampleOutcome::NoData | SampleOutcome::Error(_) => {
            (None, Vec::new())
        }
    };
    SampleRecord {
        at: sample.at,
        start: sample.window.start,
        end: sample.window.end,
        value,
        problem,
        exit_code,
        log,
    }
}

const fn exit_code(end: JobEnd) -> Option<i64> {
    match end {
        JobEnd::Exited(code) => Some(code),
        JobEnd::TimedOut => None,
    }
}

/// What is wrong with how a job ended, if anything is.
fn failure(job: Option<&Job>, end: JobEnd) -> Option<String> {
    match (end, job) {
        (JobEnd::Exited(0), _) => None,
        (JobEnd::Exited(code), _) => Some(format!("exit code {code}")),
        (JobEnd::TimedOut, Some(job)) => Some(format!(
            "no end within its time limit of {}",
            job.time_limit
        )),
        (JobEnd::TimedOut, None) => Some("no end within its time limit".to_owned()),
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
        answered && record.next_at.is_none_or(|next| next > now)
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

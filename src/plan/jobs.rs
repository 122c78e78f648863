//! Jobs: metrics that are measured by a container that runs to its end (ANALYSIS-6).
//!
//! What the Swarm shows of a job is the truth of it: one that is not there is started, one that is over is read,
//! and one that nobody waits for is removed. What it comes to is a sample like any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::measuring::{goes_on, next_key};
use super::{Input, Resolved, ResolvedMetric};
use crate::action::{Action, NewJob, ReadLog};
use crate::api::{
    Duration, Job, MeasurementPhase, MeasurementStatus, MetricBy, Revision, RolloutStatus, Step,
    WaitingOn, Window,
};
use crate::snapshot::{JobEnd, JobFact, JobState, Sample, SampleKey, SampleOutcome};

/// How many bytes of logs a status holds together; the newest are kept.
const LOGS: usize = 16 * 1024;

/// By how much the clock of a node, which says when a job ended, may differ from the managers'.
const CLOCKS: Duration = Duration::from_secs(5);

/// How far the job of a measurement is.
enum Stand<'a> {
    /// There is none.
    Absent,
    /// It is on its way until then at the latest.
    UnderWay { until: Timestamp },
    /// It was run.
    Over {
        job: &'a JobFact,
        end: JobEnd,
        at: Timestamp,
    },
    /// It could not be run, or nobody can say how it ended.
    NotRun { problem: String },
}

fn stand<'a>(job: &Job, key: &SampleKey, input: &Input<'a>) -> Stand<'a> {
    let Some(fact) = input.snapshot.job(key) else {
        return Stand::Absent;
    };
    let until = job.time_limit.after(fact.created_at);
    let is_late = input.now >= until;
    match &fact.state {
        // Whether anybody looked when its time was over changes nothing.
        JobState::Ended { at, .. } if *at > CLOCKS.after(until) => Stand::Over {
            job: fact,
            end: JobEnd::TimedOut,
            at: *at,
        },
        JobState::Ended { exit_code, at } => Stand::Over {
            job: fact,
            end: JobEnd::Exited(*exit_code),
            at: *at,
        },
        JobState::Lost { problem } => Stand::NotRun {
            problem: problem.clone(),
        },
        JobState::Waiting { .. } | JobState::Running { .. } if !is_late => {
            Stand::UnderWay { until }
        }
        JobState::Waiting { problem } => Stand::NotRun {
            problem: format!(
                "it did not start within its time limit of {}{}",
                job.time_limit,
                told(problem.as_deref())
            ),
        },
        // Nobody hears whether it has ended in time.
        JobState::Running { node } if !is_heard(node.as_ref(), input) => Stand::NotRun {
            problem: "its node does not answer".to_owned(),
        },
        JobState::Running { .. } => Stand::Over {
            job: fact,
            end: JobEnd::TimedOut,
            at: input.now,
        },
    }
}

fn told(problem: Option<&str>) -> String {
    problem.map_or_else(String::new, |problem| format!(": {problem}"))
}

fn is_heard(node: Option<&crate::snapshot::NodeId>, input: &Input) -> bool {
    let known = node.and_then(|node| input.snapshot.nodes.get(node));
    known.is_some_and(|node| node.ready)
}

/// What is to be done now for a measurement by `job` that is due.
pub(super) fn due(
    job: &Job,
    key: SampleKey,
    values: &BTreeMap<String, String>,
    status: &RolloutStatus,
    input: &Input,
) -> Option<Action> {
    match stand(job, &key, input) {
        // Never two at once: one that nobody waits for any more is removed first.
        Stand::Absent if has_other(&key, input) => None,
        Stand::Absent => Some(Action::StartJob(NewJob {
            told: environment(values, &key, status),
            template: Arc::new(job.template.clone()),
            key,
        })),
        Stand::Over { job, end, at } => {
            let start = job.created_at.max(key.since);
            Some(Action::ReadLog(ReadLog {
                job: job.into(),
                end,
                window: Window {
                    start,
                    end: at.max(start),
                },
            }))
        }
        Stand::UnderWay { .. } | Stand::NotRun { .. } => None,
    }
}

fn has_other(key: &SampleKey, input: &Input) -> bool {
    let mut jobs = input.snapshot.jobs_of(input.name);
    jobs.any(|job| job.key.metric == key.metric && job.key != *key)
}

/// What a job is told, by environment variables. Nothing of it passes through a shell.
fn environment(
    values: &BTreeMap<String, String>,
    key: &SampleKey,
    status: &RolloutStatus,
) -> BTreeMap<String, String> {
    let service = |revision: Option<&Revision>| {
        revision.map_or_else(String::new, |it| it.service_name(&key.rollout))
    };
    let mut told: BTreeMap<String, String> = values
        .iter()
        .map(|(name, value)| (variable(name), value.clone()))
        .collect();
    let own = [
        ("attempt", key.attempt.to_string()),
        ("stage", key.stage.saturating_add(1).to_string()),
        ("metric", key.metric.to_string()),
        ("canary.service", service(status.canary_revision.as_ref())),
        ("stable.service", service(status.stable_revision.as_ref())),
    ];
    told.extend(own.map(|(name, value)| (variable(name), value)));
    told
}

/// `args.base-url` is `ROLLOUTCTL_ARGS_BASE_URL`.
fn variable(name: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).collect();
    format!("ROLLOUTCTL_{name}")
}

/// The sample of a job that could not be run: an error, as of a source that does not answer (ANALYSIS-3).
pub(super) fn not_run(
    record: &MeasurementStatus,
    input: &Input,
    metric: &ResolvedMetric,
    key: &SampleKey,
) -> Option<Sample> {
    let job = metric.metric.job()?;
    let problem = match stand(job, key, input) {
        Stand::NotRun { problem } => problem,
        Stand::Absent => refused(record, job, input)?.to_owned(),
        Stand::UnderWay { .. } | Stand::Over { .. } => return None,
    };
    let begun = input.snapshot.job(key).map(|job| job.created_at);
    let start = begun.or(record.next_at).unwrap_or(key.since).max(key.since);
    Some(Sample {
        key: key.clone(),
        window: Window {
            start,
            end: input.now.max(start),
        },
        at: input.now,
        outcome: SampleOutcome::Error(problem),
    })
}

/// Why the engine would not even take a job, for as long as that might have run.
fn refused<'a>(record: &MeasurementStatus, job: &Job, input: &Input<'a>) -> Option<&'a str> {
    let since = record.next_at?;
    input
        .obstacle
        .filter(|_| input.now >= job.time_limit.after(since))
}

/// The jobs that nobody waits for: their samples are remembered, or are of no use any more.
pub(super) fn void(status: &RolloutStatus, input: &Input, resolved: &Resolved) -> Vec<Action> {
    let jobs = input.snapshot.jobs_of(input.name);
    jobs.filter(|job| !is_awaited(&job.key, status, input, resolved))
        .map(|job| Action::RemoveJob(job.into()))
        .collect()
}

/// All jobs of a rollout of which nothing is to stay.
pub(super) fn all(input: &Input) -> Vec<Action> {
    let jobs = input.snapshot.jobs_of(input.name);
    jobs.map(|job| Action::RemoveJob(job.into())).collect()
}

fn is_awaited(key: &SampleKey, status: &RolloutStatus, input: &Input, resolved: &Resolved) -> bool {
    let Step::Running { since } = status.step else {
        return false;
    };
    let mut records = status.measurements.iter();
    let is_next = records.any(|record| {
        record.phase != MeasurementPhase::Failed
            && next_key(input, record, since) == *key
            && is_job(record, resolved)
    });
    is_next && goes_on(status)
}

/// Whether a record is of a job. What a metric is that cannot be found at the moment is not known.
fn is_job(record: &MeasurementStatus, resolved: &Resolved) -> bool {
    match resolved.metric(record).map(|metric| &metric.metric.by) {
        Some(MetricBy::Job(_)) => true,
        Some(MetricBy::Query(_)) => false,
        None => resolved.metrics.is_err(),
    }
}

/// What is waited for of a metric by `job`.
pub(super) fn waiting(
    record: &MeasurementStatus,
    job: &Job,
    input: &Input,
    since: Timestamp,
) -> WaitingOn {
    let key = next_key(input, record, since);
    let fact = input.snapshot.job(&key);
    let problem = match fact.map(|fact| &fact.state) {
        Some(JobState::Waiting { problem }) => problem.clone(),
        Some(JobState::Lost { problem }) => Some(problem.clone()),
        Some(JobState::Running { .. } | JobState::Ended { .. }) => None,
        None => last_problem(record),
    };
    WaitingOn::Job {
        metric: record.metric.clone(),
        until: fact.map(|fact| job.time_limit.after(fact.created_at)),
        problem: problem.as_deref().map(crate::api::brief),
    }
}

fn last_problem(record: &MeasurementStatus) -> Option<String> {
    record.recent.last().and_then(|last| last.problem.clone())
}

/// Why a stage cannot be judged by the metric of `record`.
pub(super) fn inconclusive(record: &MeasurementStatus, input: &Input, problem: &str) -> String {
    let (metric, times) = (&record.metric, record.errors_in_row);
    let known = input.references.ok().and_then(|known| known.metric(record));
    match known.map(|known| &known.metric.by) {
        Some(MetricBy::Job(_)) => {
            format!(
                "the job of metric `{metric}` could not be run {times} times in a row: {problem}"
            )
        }
        Some(MetricBy::Query(_)) | None => {
            format!("the source of metric `{metric}` failed {times} times in a row: {problem}")
        }
    }
}

/// When a record has news at the latest: when its next sample is due, or the time of its job is over.
pub(super) fn next_look(
    record: &MeasurementStatus,
    input: &Input,
    since: Timestamp,
) -> Option<Timestamp> {
    let due = record.next_at?;
    let metric = input.references.ok().and_then(|known| known.metric(record));
    let Some(job) = metric.and_then(|metric| metric.metric.job()) else {
        return Some(due);
    };
    match stand(job, &next_key(input, record, since), input) {
        Stand::UnderWay { until } => Some(until),
        // It is being started, or its log is on its way; the one or the other wakes who waits.
        Stand::Absent if due <= input.now => Some(Duration::from_secs(1).after(input.now)),
        Stand::Absent | Stand::Over { .. } | Stand::NotRun { .. } => Some(due),
    }
}

/// Keeps the newest logs as far as there is room for them.
pub(super) fn shorten_logs(records: &mut [MeasurementStatus]) {
    let mut samples: Vec<_> = records
        .iter_mut()
        .flat_map(|record| record.recent.iter_mut().chain(&mut record.failures))
        .filter(|sample| !sample.log.is_empty())
        .collect();
    samples.sort_by_key(|sample| std::cmp::Reverse(sample.at));
    let mut room = LOGS;
    for sample in samples {
        let size: usize = sample.log.iter().map(String::len).sum();
        match room.checked_sub(size) {
            Some(left) => room = left,
            None => sample.log.clear(),
        }
    }
}

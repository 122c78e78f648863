//! What the controller remembers of a rollout: everything that cannot be observed again.
//!
//! The status is written when it changes and never per tick, so nothing in it counts seconds.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Access, Actor, CommandRecord, Commit, Condition, Duration, Event, MetricDigest, Name, Revision,
    StrategyKind, Template, Traffic,
};

mod upkeep;
mod waiting;
pub use upkeep::Upkeep;
pub use waiting::WaitingOn;

/// The state of one rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutStatus {
    /// The state in one word.
    pub phase: Phase,
    /// The state in a sentence.
    pub message: String,
    /// The generation of the spec that this status speaks of. The status is to be trusted only
    /// when it equals the spec's own.
    pub observed_generation: u64,
    /// The number of the current or last attempt to release a revision, from 1; 0 before the first.
    pub attempt: u32,
    /// The current stage, from 0; `stages` when the last one is passed.
    pub stage: u32,
    /// The number of stages of the spec.
    pub stages: u32,
    /// The strategy whose stages they are; none in a status of an earlier release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyKind>,
    /// The share of the requests that the canary is meant to have now, in percent.
    pub weight: u8,
    /// How many canary tasks that share was sized for (TRAFFIC-1).
    pub sized_for: u32,
    /// The revision that serves when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_revision: Option<Revision>,
    /// The revision that is being tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_revision: Option<Revision>,
    /// Where in an attempt the rollout stands.
    pub step: Step,
    /// The back end that its servers are in. It does not change for as long as the rollout lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// How what runs is kept while the spec asks for what it cannot become; none in a status of an earlier release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upkeep: Option<Upkeep>,
    /// Why nothing goes on, if somebody must decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Why the current attempt was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
    /// When the stage at hand must be ready; none while the clock stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What `deadline` was reckoned from; none in a status of an earlier release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ProgressClock>,
    /// Revisions that have left the traffic and are being drained, with the instant since when.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub leaving: BTreeMap<Revision, Timestamp>,
    /// Former stable revisions that keep their tasks and servers, without traffic, each with the instant until when; a revision
    /// is struck out when it has left or comes back.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub warm: BTreeMap<Revision, Timestamp>,
    /// When a preview is removed at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The services of what serves and of what is tried, as they were last seen, so that another
    /// hand's changes are told from our own (SAFETY-3).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<Revision, ServiceRecord>,
    /// What the proxies were last seen to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficStatus>,
    /// What is true, since when and why.
    pub conditions: Vec<Condition>,
    /// The measurements of the stage at hand, by metric.
    pub measurements: Vec<MeasurementStatus>,
    /// What an idle turn waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<WaitingOn>,
    /// The attempts, the latest last; bounded.
    pub history: Vec<HistoryEntry>,
    /// What each kept revision runs, so that it can be brought back although the spec has gone on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<Revision, RevisionRecord>,
    /// What happened lately, the latest last; bounded.
    pub events: Vec<Event>,
    /// The last command and what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_command: Option<CommandRecord>,
}

impl RolloutStatus {
    /// Whether a former stable revision keeps its tasks and servers still, without traffic.
    pub fn is_warm(&self, revision: &Revision) -> bool {
        self.warm.contains_key(revision) && !self.leaving.contains_key(revision)
    }

    /// Whether something leaves that had a part in what goes on: what was kept warm has had none for a while.
    pub fn is_clearing(&self) -> bool {
        let mut leaving = self.leaving.keys();
        leaving.any(|revision| !self.warm.contains_key(revision))
    }
}

/// The state of a rollout in one word.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Phase {
    /// The spec's revision is stable and all its tasks serve.
    Healthy,
    /// On the way.
    #[default]
    Progressing,
    /// Somebody must decide.
    Paused,
    /// The last attempt was taken back, or the spec cannot be carried out.
    Degraded,
}

impl Phase {
    /// The phase as it stands in the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
            Self::Degraded => "Degraded",
        }
    }
}

/// A back end of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The load balancer.
    pub load_balancer: Name,
    /// The back end.
    pub backend: String,
}

impl Route {
    /// The route that `traffic` asks for.
    pub fn of(traffic: &Traffic) -> Self {
        Self {
            load_balancer: traffic.load_balancer.clone(),
            backend: traffic.backend.clone(),
        }
    }
}

/// Where in an attempt a rollout stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all_fields = "camelCase")]
pub enum Step {
    /// No attempt is under way.
    #[default]
    Idle,
    /// The first revision comes up, without stages.
    Initial,
    /// The stage's tasks are brought up; the canary keeps the share that it had.
    Scaling,
    /// The stage's share is set and not yet observed everywhere.
    Shifting,
    /// The stage's share is observed everywhere; it bakes and is measured.
    Running {
        /// When the stage began: when its share was observed on every instance.
        since: Timestamp,
    },
}

/// What the clock of a progress deadline was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressClock {
    /// How long it runs.
    pub span: Duration,
    /// The most tasks that were asked for.
    pub tasks: u32,
}

/// Why nothing goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Why.
    pub reason: PauseReason,
    /// Since when.
    pub since: Timestamp,
    /// More of why, for people.
    pub message: String,
    /// What was left of the progress deadline, in milliseconds, if its clock was running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_left_ms: Option<u64>,
}

/// Why nothing goes on, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseReason {
    /// Somebody said `pause`.
    User,
    /// A source of measurements failed too often in a row.
    Inconclusive,
    /// The stage failed, and the spec says to pause then. The verdict is final: only `promote`,
    /// `abort`, `retry` or a new spec lead on.
    Failure,
}

/// Why an attempt was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Abort {
    /// The attempt.
    pub attempt: u32,
    /// The stage that it was in.
    pub stage: u32,
    /// The revision that was tried.
    pub revision: Revision,
    /// When it was decided.
    pub at: Timestamp,
    /// Why.
    pub cause: AbortCause,
    /// Why, in a sentence with the measured values.
    pub message: String,
}

/// Why an attempt was taken back, for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum AbortCause {
    /// A metric failed more often than it may.
    Analysis {
        /// The metric.
        metric: Name,
        /// The measurements that failed, the latest last.
        failed: Vec<SampleRecord>,
    },
    /// A stage was not ready in time.
    Deadline,
    /// Somebody said `abort`.
    User {
        /// Who.
        by: Actor,
    },
}

/// What the proxies were last seen to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficStatus {
    /// The share that the canary is meant to have, in percent.
    pub desired_percent: f64,
    /// The share that the integer weights give it, in percent; they differ by less than any other
    /// weights would.
    pub achieved_percent: f64,
    /// Each instance's weights as last observed give the canary this share, in percent.
    pub observed_percent: BTreeMap<Name, f64>,
}

/// One metric in the stage at hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementStatus {
    /// The metric.
    pub metric: Name,
    /// What of that name is measured; none in a status of an earlier release, whose record counts to the end of its stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<MetricDigest>,
    /// The attempt that is measured.
    pub attempt: u32,
    /// The stage that is measured.
    pub stage: u32,
    /// What the measurements say so far.
    pub phase: MeasurementPhase,
    /// What values pass, as text: `<= 0.01`.
    pub bounds: String,
    /// The number of samples taken, of whatever outcome.
    pub taken: u32,
    /// The number of measurements with a value.
    pub valid: u32,
    /// The number of failed measurements.
    pub failed: u32,
    /// The number of errors of the source since the last answer.
    pub errors_in_row: u32,
    /// When the next sample is due; none when no other one is taken in this stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// The latest samples, the last one last; bounded.
    pub recent: Vec<SampleRecord>,
    /// The failed samples, the last one last; bounded.
    pub failures: Vec<SampleRecord>,
}

/// What the measurements of a metric say so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeasurementPhase {
    /// No valid measurement yet.
    Pending,
    /// At least one valid measurement, and no more failures than tolerated.
    Passing,
    /// More failures than tolerated. Final.
    Failed,
    /// The source failed too often in a row.
    Inconclusive,
    /// No data, and that is waived.
    Skipped,
}

/// One sample, as remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SampleRecord {
    /// When it was taken.
    pub at: Timestamp,
    /// The first instant of the time that it looked at.
    pub start: Timestamp,
    /// The first instant after the time that it looked at.
    pub end: Timestamp,
    /// The value, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Why there was no value, if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What a job ended with, if it was one and did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The end of a job's log, for the latest samples only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// One attempt to release a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Which attempt.
    pub attempt: u32,
    /// What was to be released.
    pub revision: Revision,
    /// The generation of the spec that asked for it.
    pub generation: u64,
    /// The commit that asked for it, if it came from a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptOutcome {
    /// It has not.
    Running,
    /// Its revision became stable.
    Completed,
    /// A preview, it passed its checks.
    Passed,
    /// It was taken back.
    Aborted,
    /// A newer revision was asked for.
    Superseded,
    /// The spec went back to the stable revision.
    Reverted,
}

/// A service as it was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceRecord {
    /// The number of tasks that it asked for, once that was what the rollout wants of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// How it was last put back; none when it has been as it was made for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
}

/// The decision to put a service back to what it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// In what it differed.
    pub drift: String,
    /// The service's version at that time. While it is still the same, the decision was not carried out.
    pub version: u64,
    /// How often in a row that difference was to be put right.
    pub tries: u32,
    /// When it was last decided.
    pub at: Timestamp,
}

/// What a kept revision runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionRecord {
    /// The resolved template.
    #[serde(with = "shared")]
    pub template: Arc<Template>,
    /// How its tasks are reached.
    #[serde(flatten)]
    pub access: Access,
    /// When it was first asked for.
    pub created_at: Timestamp,
}

/// What is shared is written as if it were not.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(serializer)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}

//! Rehearsals: a user's own rollout, played in the simulated world before it is played in the real one.
//!
//! What runs is the real controller; what decides is the user's own query, over requests that are drawn at random
//! from what the two versions are said to be like. A [`Rehearsal`] is the play, [`Rehearsal::run`] one
//! performance of it, [`Summary`] what many of them say. The same seed makes the same performance.
//!
//! What is asked of it on the command line, and how it is printed, is `cli::simulate`'s affair.

use std::collections::BTreeMap;

use crate::api::{Duration, Manifest, MetricBy, Name, Revision, RolloutSpec};
use crate::plan::ResolvedMetric;

mod app;
mod cast;
mod cause;
mod deeds;
mod fault;
mod gauge;
mod mishap;
mod oracle;
mod question;
mod record;
mod run;
mod spread;
mod summary;
mod truth;

pub use app::{Latency, LatencyError, Version};
pub use cast::{Cast, CastError, choose, made_up};
pub use cause::Stopper;
pub use fault::{Fault, FaultError, Trouble};
pub use gauge::{Gauge, GaugeError};
pub use question::{Doubt, Place};
pub use record::{Line, Timeline};
pub use run::{Ending, Report};
pub use spread::{Progress, run_all};
pub use summary::{FalseAlarms, Group, Proportion, Quantiles, Summary};
pub use truth::Truth;

/// What a rollout that waits for approval gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Nothing: the run ends there.
    Never,
    /// A promote, so long after it was asked for.
    After(Duration),
}

/// A rollout, two versions, the requests, and what goes wrong.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The rollout with what it refers to.
    pub cast: Cast,
    /// How the version is that serves before.
    pub stable: Version,
    /// How the version is that is rolled out.
    pub canary: Version,
    /// Requests per second, over all proxies.
    pub rps: f64,
    /// What metrics measure whose queries are not asked.
    pub gauges: BTreeMap<Name, Gauge>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Who approves.
    pub approval: Approval,
    /// How long a run may take in virtual time; [`Rehearsal::limit`] if absent.
    pub time: Option<Duration>,
}

/// What a stage takes besides its bake time, in seconds: tasks that start, checks, weights.
const STAGE_TAKES: u64 = 10;

/// What a run may take besides the time of its stages.
const MARGIN: Duration = Duration::from_secs(600);

impl Rehearsal {
    /// Whether the rollout is a preview: it replaces nothing, and gets no requests.
    pub fn is_preview(&self) -> bool {
        self.cast.rollout.spec.strategy.preview().is_some()
    }

    /// The rollout as it was before: the same but for its image.
    pub fn before(&self) -> Manifest<RolloutSpec> {
        let mut before = self.cast.rollout.clone();
        before.spec.template.image = app::previous(&before.spec.template.image);
        before
    }

    /// The revision that serves before.
    pub fn stable_revision(&self) -> Revision {
        Revision::of(&self.before().spec)
    }

    /// The revision that is rolled out.
    pub fn canary_revision(&self) -> Revision {
        Revision::of(&self.cast.rollout.spec)
    }

    /// What cannot be simulated of the queries.
    pub fn doubts(&self) -> Vec<Doubt> {
        let is_told = |name: &Name| self.gauges.contains_key(name);
        question::doubts(&self.cast, &self.stable_revision(), is_told)
    }

    /// How the new version stands to each metric in truth, by name.
    pub fn truths(&self) -> BTreeMap<Name, Truth> {
        let (stable, canary) = (self.stable_revision(), self.canary_revision());
        let versions = truth::Versions {
            stable: (&stable, &self.stable),
            canary: (&canary, &self.canary),
        };
        truth::of(&self.cast, versions, &self.gauges)
    }

    /// About how long a good version takes.
    pub fn expected(&self) -> Duration {
        let stages = self.stages().map(|millis| millis + STAGE_TAKES * 1_000);
        Duration::from_millis(stages.fold(0, u64::saturating_add))
    }

    /// How long a run may take.
    pub fn limit(&self) -> Duration {
        let spec = &self.cast.rollout.spec;
        let each = spec.progress_deadline.as_millis() + spec.drain_timeout().as_millis();
        let stages = self.stages().map(|millis| millis.saturating_add(each));
        let stages = stages.fold(MARGIN.as_millis(), u64::saturating_add);
        let faults = self.faults.iter();
        let last = faults.filter_map(|fault| fault.until.or(fault.from)).max();
        let last = last.map_or(0, Duration::as_millis);
        let preview = spec.strategy.preview();
        let ttl = preview.map_or(0, |preview| preview.ttl.as_millis());
        let all = stages.saturating_add(last).saturating_add(ttl);
        self.time.unwrap_or_else(|| Duration::from_millis(all))
    }

    /// How long each stage is held at least, in milliseconds: its bake time, a first measurement, the approval.
    fn stages(&self) -> impl Iterator<Item = u64> {
        let stages = self.cast.rollout.spec.strategy.stages();
        stages.zip(0_u32..).map(|(stage, number)| {
            let metrics = self.cast.resolved.metrics_of(number).iter();
            let first = metrics.map(first_measurement).max();
            let bake = stage.bake.map_or(0, Duration::as_millis);
            let approval = match self.approval {
                Approval::After(time) if stage.approval => time.as_millis(),
                Approval::After(_) | Approval::Never => 0,
            };
            bake.max(first.unwrap_or(0)).saturating_add(approval)
        })
    }
}

/// How long the first measurement of a metric takes at most, in milliseconds.
fn first_measurement(metric: &ResolvedMetric) -> u64 {
    match &metric.metric.by {
        MetricBy::Query(_) => metric.interval.as_millis() + metric.ingest_lag().as_millis(),
        MetricBy::Job(job) => job.time_limit.as_millis(),
    }
}

//! What a turn found, for the loop's timing, the metrics and the standby.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;

use super::Planned;
use super::errands::LATEST;
use crate::action::Action;
use crate::api::{Dependents, Name, Phase};
use crate::plan::Resources;
use crate::world::{Contents, WorldError};

/// What a turn found.
#[derive(Clone, Debug, Default)]
pub struct TurnReport {
    /// Each rollout.
    pub rollouts: BTreeMap<Name, RolloutReport>,
    /// The work, by its fingerprint, that the holder of the lease could not get done. Another
    /// controller could not either.
    pub in_vain: BTreeMap<Name, u64>,
    /// What the store said when the turn began.
    pub contents: Contents,
    /// When the next turn should be at the latest; none when a hint or the regular look will do.
    pub next: Option<Timestamp>,
}

/// What a turn found of one rollout.
#[derive(Clone, Debug)]
pub struct RolloutReport {
    /// Its phase, as planned.
    pub phase: Phase,
    /// The canary's share in percent, as planned.
    pub weight: u8,
    /// What it waits for, in one word.
    pub waiting_on: Option<&'static str>,
    /// What there was to do.
    pub work: Work,
    /// For how long whoever acts may have let that lie on purpose: it knows of something that may still come, and who
    /// watches does not.
    pub may_lie: Duration,
    /// What went wrong with it in this turn.
    pub problem: Option<String>,
}

/// What there was to do for one rollout. Two turns that found the same undone work have the same
/// value: nobody has acted between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    None,
    /// Something, by its fingerprint.
    Some(u64),
}

/// Why a turn was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The world could not be read.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The store shows an older state than it did before.
    #[error("the store shows an older state than before; looking again")]
    Old,
    /// Another controller acts now.
    #[error("controller `{holder}` has taken over")]
    Deposed {
        /// Who.
        holder: String,
    },
}

impl TurnReport {
    /// Asks for a turn at `at` or before.
    pub fn look_again(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Notes that a rollout's actions failed.
    pub fn failed(&mut self, rollout: &Name, reason: String) {
        if let Some(report) = self.rollouts.get_mut(rollout) {
            report.problem = Some(reason);
        }
    }

    /// Notes that the work of a rollout was tried and is still undone.
    pub fn tried_in_vain(&mut self, rollout: &Name) {
        let report = self.rollouts.get(rollout);
        if let Some(fingerprint) = report.and_then(RolloutReport::fingerprint) {
            self.in_vain.insert(rollout.clone(), fingerprint);
        }
    }

    /// The undone work of all rollouts, and for how long it may lie.
    pub fn work(&self) -> BTreeMap<Name, (u64, Duration)> {
        let rollouts = self.rollouts.iter();
        let work = rollouts.filter_map(|(name, report)| {
            Some((name.clone(), (report.fingerprint()?, report.may_lie)))
        });
        work.collect()
    }
}

impl RolloutReport {
    fn fingerprint(&self) -> Option<u64> {
        match self.work {
            Work::None => None,
            Work::Some(fingerprint) => Some(fingerprint),
        }
    }
}

/// The report of what was planned.
pub(super) fn of(planned: &[Planned], resources: &Resources) -> TurnReport {
    let mut report = TurnReport::default();
    for planned in planned {
        let status = &planned.plan.status;
        let rollout = RolloutReport {
            phase: status.phase,
            weight: status.weight,
            waiting_on: planned
                .plan
                .waiting_on
                .as_ref()
                .map(crate::api::WaitingOn::label),
            work: work(planned),
            may_lie: may_lie(planned, resources),
            problem: None,
        };
        report.rollouts.insert(planned.name.clone(), rollout);
    }
    report
}

/// For how long nobody need be thought dead who leaves this undone.
///
/// The end of a deletion waits for what may still come (SAFETY-7): who watches may see it otherwise, and say so, not that there is
/// anything left to do. And a source may have been asked just now.
fn may_lie(planned: &Planned, resources: &Resources) -> Duration {
    let deletion = planned.plan.deletion;
    let removes = deletion.is_some_and(|it| it.dependents == Dependents::Remove);
    let mut actions = planned.plan.actions.iter();
    if removes && actions.all(|action| *action == Action::Forget) {
        return LATEST;
    }
    slowest_source(planned, resources).saturating_sub(IN_PATIENCE)
}

/// How long a source may take for which the patience of who stands by is enough: what a `MetricSource` has if it does not say.
const IN_PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take until all is measured, if nothing else is to be done.
fn slowest_source(planned: &Planned, resources: &Resources) -> Duration {
    let actions = planned.plan.actions.iter();
    let timeouts = actions.map(|action| match action {
        Action::Measure(question) => resources
            .metric_sources
            .get(&question.source)
            .map(|source| source.influxdb.timeout.as_std()),
        _ => None,
    });
    let timeouts: Option<Vec<Duration>> = timeouts.collect();
    timeouts.into_iter().flatten().max().unwrap_or_default()
}

fn work(planned: &Planned) -> Work {
    let idle = planned.plan.actions.is_empty() && !planned.has_decided();
    if idle {
        return Work::None;
    }
    let mut hasher = DefaultHasher::new();
    planned.stored.version.hash(&mut hasher);
    for action in &planned.plan.actions {
        match action {
            // Its window moves with the clock; its key moves only when somebody measures.
            Action::Measure(question) => format!("{:?}", question.key).hash(&mut hasher),
            Action::ReadLog(over) => format!("{:?}", over.job).hash(&mut hasher),
            other => format!("{other:?}").hash(&mut hasher),
        }
    }
    Work::Some(hasher.finish())
}

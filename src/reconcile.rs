//! One turn: observe once, plan each rollout, remember, act.
//!
//! What the loop around it does (hints, timing, the lease) is in [`crate::controller`].

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tracing::{debug, info, warn};

use crate::action::{Action, Measure};
use crate::api::{LoadBalancerSpec, Name, Resource, RolloutSpec, RolloutStatus, Route};
use crate::plan::{Claim, Claims, Input, Plan, Resources, plan};
use crate::retry::{Backoff, Policy};
use crate::snapshot::Snapshot;
use crate::world::{Draft, Lease, Stored, World, WorldError};

mod inbox;
mod report;

pub use inbox::Inbox;
pub use report::{RolloutReport, TurnReport, Work};

/// How many rollouts act at the same time.
const ACTING_AT_ONCE: usize = 16;

/// The pauses of a rollout whose actions fail.
const AFTER_FAILURE: Policy = Policy {
    first: std::time::Duration::from_millis(250),
    longest: std::time::Duration::from_secs(15),
    give_up_after: None,
};

/// Reads the clock; a virtual one in a simulation.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Carries out turns, and keeps between two of them what need not survive a crash: samples on
/// their way, and the pauses of rollouts whose actions failed.
pub struct Reconciler {
    world: Arc<dyn World>,
    clock: Clock,
    inbox: Arc<Inbox>,
    pauses: BTreeMap<Name, Pause>,
}

/// A rollout whose actions failed is left alone for a while.
struct Pause {
    backoff: Backoff,
    until: Timestamp,
}

/// Whether a turn may change the world.
#[derive(Clone, Copy, Debug)]
pub enum Mandate<'a> {
    /// It may, as long as this lease is the newest one (SAFETY-6).
    Act(&'a Lease),
    /// It only looks: another controller acts.
    Watch,
}

/// One rollout as loaded, with what was planned for it.
struct Planned<'a> {
    stored: &'a Stored,
    name: Name,
    before: RolloutStatus,
    plan: Plan,
}

impl Reconciler {
    /// A reconciler of `world`. Samples arrive in `inbox`.
    pub fn new(world: Arc<dyn World>, clock: Clock, inbox: Arc<Inbox>) -> Self {
        Self {
            world,
            clock,
            inbox,
            pauses: BTreeMap::new(),
        }
    }

    /// One turn over all rollouts.
    ///
    /// # Errors
    /// When the store or the Swarm cannot be read, or when another controller has taken over: then
    /// nothing was changed.
    pub async fn turn(&mut self, mandate: Mandate<'_>) -> Result<TurnReport, TurnError> {
        let stored = self.world.load().await?;
        let resources = resources(&stored);
        let snapshot = self.observe(&stored, &resources).await?;
        let planned = self.plan_all(&stored, &resources, &snapshot);
        let mut report = report::of(&planned);
        let Mandate::Act(lease) = mandate else {
            return Ok(report);
        };
        let busy: Vec<&Planned> = planned.iter().filter(|p| self.is_due(p)).collect();
        if busy.is_empty() {
            self.set_pace(&planned, &mut report);
            return Ok(report);
        }
        self.check_epoch(lease).await?;
        // Made before they are streamed: the compiler cannot tell that a stream's closure is `Send`.
        let batches: Vec<_> = busy
            .into_iter()
            .map(|planned| self.carry_out(planned, lease, &resources))
            .collect();
        let outcomes: Vec<(Name, Outcome)> = stream::iter(batches)
            .buffer_unordered(ACTING_AT_ONCE)
            .collect()
            .await;
        for (name, outcome) in outcomes {
            self.settle(&name, outcome, &mut report);
        }
        self.set_pace(&planned, &mut report);
        Ok(report)
    }

    async fn observe(
        &self,
        stored: &[Stored],
        resources: &Resources,
    ) -> Result<Snapshot, WorldError> {
        let used = used_balancers(stored, resources);
        let mut snapshot = self.world.observe(&used).await?;
        snapshot.samples = self.inbox.samples();
        Ok(snapshot)
    }

    fn plan_all<'a>(
        &self,
        stored: &'a [Stored],
        resources: &Resources,
        snapshot: &Snapshot,
    ) -> Vec<Planned<'a>> {
        let now = (self.clock)();
        let one = |stored: &'a Stored| {
            let Resource::Rollout(manifest) = &stored.draft.resource else {
                return None;
            };
            let name = manifest.metadata.name.clone();
            let before = stored.draft.status.clone().unwrap_or_default();
            let references = resources.resolve(&name, &manifest.spec);
            let plan = plan(&Input {
                name: &name,
                generation: stored.draft.generation,
                spec: &manifest.spec,
                command: stored.draft.command.as_ref(),
                deletion: stored.draft.deletion,
                references: references.as_ref(),
                status: &before,
                snapshot,
                now,
            });
            Some(Planned {
                stored,
                name,
                before,
                plan,
            })
        };
        stored.iter().filter_map(one).collect()
    }

    /// When to look again. A rollout that rests asks for no turn before its pause is over, as it would
    /// find the same work undone.
    fn set_pace(&self, planned: &[Planned], report: &mut TurnReport) {
        let now = (self.clock)();
        for planned in planned {
            let pause = self.pauses.get(&planned.name);
            let rests_until = pause.map(|pause| pause.until).filter(|until| now < *until);
            if let Some(at) = rests_until.or(planned.plan.requeue_at) {
                report.look_again(at);
            }
        }
    }

    fn is_due(&self, planned: &Planned) -> bool {
        let has_work = planned.plan.status != planned.before || !planned.plan.actions.is_empty();
        // Traffic is taken back whatever else is wrong (ABORT-1): a new decision does not wait for
        // the end of a pause that older actions have earned.
        let decided = planned.plan.status != planned.before;
        let rests = self
            .pauses
            .get(&planned.name)
            .is_some_and(|pause| (self.clock)() < pause.until);
        has_work && (decided || !rests)
    }

    /// Somebody else may have taken over since the last turn (SAFETY-6).
    async fn check_epoch(&self, lease: &Lease) -> Result<(), TurnError> {
        match self.world.lease().await? {
            Some(current) if current.epoch == lease.epoch => Ok(()),
            Some(current) => Err(TurnError::Deposed {
                holder: current.holder,
            }),
            None => Err(TurnError::Deposed {
                holder: "nobody".into(),
            }),
        }
    }

    /// Decide, remember, act (SAFETY-1).
    async fn carry_out(
        &self,
        planned: &Planned<'_>,
        lease: &Lease,
        resources: &Resources,
    ) -> (Name, Outcome) {
        let name = planned.name.clone();
        if planned.plan.status != planned.before {
            if let Err(error) = self.remember(planned, lease).await {
                return (name, Outcome::of(&error));
            }
            tell(planned);
            self.inbox.forget_taken(&planned.name, &planned.plan.status);
        }
        let mut outcome = Outcome::Done;
        for action in &planned.plan.actions {
            if let Err(error) = self.act(planned, action, resources).await {
                // The others are independent of it: an instance that is down must not keep the
                // traffic on another one.
                outcome = outcome.and(Outcome::of(&error));
            }
        }
        (name, outcome)
    }

    async fn remember(&self, planned: &Planned<'_>, lease: &Lease) -> Result<(), WorldError> {
        let stored = planned.stored;
        let draft = Draft {
            status: Some(planned.plan.status.clone()),
            epoch: lease.epoch,
            ..stored.draft.clone()
        };
        self.world.replace(&stored.id, stored.version, &draft).await
    }

    async fn act(
        &self,
        planned: &Planned<'_>,
        action: &Action,
        resources: &Resources,
    ) -> Result<(), WorldError> {
        match action {
            Action::Measure(question) => {
                self.ask(question, resources);
                Ok(())
            }
            Action::Forget => {
                info!(rollout = %planned.name, "deleted");
                self.world.remove(&planned.stored.id).await
            }
            Action::CreateService(_)
            | Action::RestoreService { .. }
            | Action::ScaleService { .. }
            | Action::RemoveService { .. }
            | Action::ChangeServers(_) => {
                debug!(rollout = %planned.name, ?action, "act");
                self.world.act(action, &resources.load_balancers).await
            }
        }
    }

    /// Asks in the background: a slow source must not delay a drain or an abort.
    fn ask(&self, question: &Measure, resources: &Resources) {
        let Some(source) = resources.metric_sources.get(&question.source).cloned() else {
            return;
        };
        if !self.inbox.expect(&question.key) {
            return; // It is on its way already.
        }
        let (world, inbox, clock) = (self.world.clone(), self.inbox.clone(), self.clock.clone());
        let question = question.clone();
        tokio::spawn(async move {
            let outcome = world.measure(&question, &source).await;
            inbox.deliver(&question, outcome, clock());
        });
    }

    fn settle(&mut self, name: &Name, outcome: Outcome, report: &mut TurnReport) {
        match outcome {
            Outcome::Done => {
                self.pauses.remove(name);
            }
            Outcome::Overtaken(reason) => {
                debug!(rollout = %name, reason, "the world has moved on; looking again");
                report.look_again((self.clock)());
            }
            Outcome::Failed(reason) => {
                let now = (self.clock)();
                let pause = self.pauses.entry(name.clone()).or_insert_with(|| Pause {
                    backoff: Backoff::new(AFTER_FAILURE),
                    until: now,
                });
                let delay = pause.backoff.next_delay().unwrap_or(AFTER_FAILURE.longest);
                pause.until = now.checked_add(delay).unwrap_or(now);
                warn!(rollout = %name, reason, retry_in_ms = delay.as_millis(), "an action failed");
                report.failed(name, reason);
            }
        }
    }
}

/// Why a turn was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The world could not be read.
    #[error(transparent)]
    World(#[from] WorldError),
    /// Another controller acts now.
    #[error("controller `{holder}` has taken over")]
    Deposed {
        /// Who.
        holder: String,
    },
}

/// What became of a rollout's batch.
enum Outcome {
    Done,
    /// A version or a precondition no longer fits: look again, without a pause.
    Overtaken(String),
    Failed(String),
}

impl Outcome {
    fn of(error: &WorldError) -> Self {
        let reason = error.to_string();
        match error {
            WorldError::Conflict { .. } => Self::Overtaken(reason),
            WorldError::Refused { .. } | WorldError::Unreachable { .. } => Self::Failed(reason),
        }
    }

    /// The worse of the two.
    fn and(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Failed(_), _) | (Self::Overtaken(_), Self::Done | Self::Overtaken(_)) => self,
            (Self::Done, _) | (Self::Overtaken(_), Self::Failed(_)) => other,
        }
    }
}

/// The log tells what the status tells, when it changes.
fn tell(planned: &Planned) {
    let (before, after) = (&planned.before, &planned.plan.status);
    for event in after
        .events
        .iter()
        .filter(|event| !before.events.contains(event))
    {
        info!(rollout = %planned.name, phase = after.phase.as_str(), "{}", event.message);
    }
    if before.phase != after.phase {
        info!(rollout = %planned.name, from = before.phase.as_str(), to = after.phase.as_str(), "{}", after.message);
    }
}

fn rollouts(stored: &[Stored]) -> impl Iterator<Item = (&Stored, &Name, &RolloutSpec)> {
    stored
        .iter()
        .filter_map(|stored| match &stored.draft.resource {
            Resource::Rollout(manifest) => Some((stored, &manifest.metadata.name, &manifest.spec)),
            Resource::LoadBalancer(_)
            | Resource::MetricSource(_)
            | Resource::AnalysisTemplate(_) => None,
        })
}

fn resources(stored: &[Stored]) -> Resources {
    let mut resources = Resources::default();
    for stored in stored {
        let name = stored.draft.resource.name().clone();
        match &stored.draft.resource {
            Resource::Rollout(_) => {}
            Resource::LoadBalancer(manifest) => {
                resources.load_balancers.insert(name, manifest.spec.clone());
            }
            Resource::MetricSource(manifest) => {
                resources.metric_sources.insert(name, manifest.spec.clone());
            }
            Resource::AnalysisTemplate(manifest) => {
                resources.templates.insert(name, manifest.spec.clone());
            }
        }
    }
    let mut claims = Claims::default();
    for (stored, name, spec) in rollouts(stored) {
        let status = stored.draft.status.as_ref();
        let holds = status.is_some_and(|status| status.route.is_some());
        let claim = if holds { Claim::Holds } else { Claim::Wants };
        claims.add(name, stored.created_at, route(stored, spec), claim);
    }
    resources.claims = claims;
    resources
}

/// Where a rollout's servers are, or will be.
fn route(stored: &Stored, spec: &RolloutSpec) -> Route {
    let status = stored.draft.status.as_ref();
    let current = status.and_then(|status| status.route.clone());
    current.unwrap_or_else(|| Route::of(&spec.traffic))
}

/// The load balancers that some rollout uses: the others are not even asked.
fn used_balancers(stored: &[Stored], resources: &Resources) -> BTreeMap<Name, LoadBalancerSpec> {
    rollouts(stored)
        .filter_map(|(stored, _, spec)| {
            let name = route(stored, spec).load_balancer;
            let found = resources.load_balancers.get(&name)?.clone();
            Some((name, found))
        })
        .collect()
}

//! One turn: observe once, plan each rollout, remember, act.
//!
//! What the loop around it does (hints, timing, the lease) is in [`crate::controller`].

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use tracing::{debug, info, warn};

use crate::action::{Action, Measure};
use crate::api::{LoadBalancerSpec, Name, Resource, RolloutSpec, RolloutStatus, Route};
use crate::plan::{Claim, Claims, Input, Plan, Resources, plan};
use crate::runtime::Runtime;
use crate::snapshot::Snapshot;
use crate::world::{Draft, Lease, Stored, World, WorldError};

mod horizon;
mod inbox;
mod pauses;
mod report;

use horizon::Horizon;
pub use inbox::Inbox;
use pauses::Pauses;
pub use report::{RolloutReport, TurnReport, Work};

/// How many rollouts act at the same time.
const ACTING_AT_ONCE: usize = 16;

/// Carries out turns, and keeps between two of them what need not survive a crash: samples on
/// their way, the pauses of actions that failed, and how new the last look was.
pub struct Reconciler {
    world: Arc<dyn World>,
    runtime: Arc<dyn Runtime>,
    inbox: Arc<Inbox>,
    pauses: Pauses,
    horizon: Horizon,
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
    pub fn new(world: Arc<dyn World>, runtime: Arc<dyn Runtime>, inbox: Arc<Inbox>) -> Self {
        Self {
            world,
            runtime,
            inbox,
            pauses: Pauses::default(),
            horizon: Horizon::default(),
        }
    }

    /// One turn over all rollouts.
    ///
    /// # Errors
    /// When the store or the Swarm cannot be read, when the store shows an older state than before, or when
    /// another controller has taken over: then nothing was changed.
    pub async fn turn(&mut self, mandate: Mandate<'_>) -> Result<TurnReport, TurnError> {
        let stored = self.world.load().await?;
        let now = self.runtime.steady();
        let look = self.horizon.admit(&stored, now);
        look.map_err(|horizon::Old| TurnError::Old)?;
        let resources = resources(&stored);
        let snapshot = self.observe(&stored, &resources).await?;
        let planned = self.plan_all(&stored, &resources, &snapshot);
        let mut report = report::of(&planned);
        let Mandate::Act(lease) = mandate else {
            return Ok(report);
        };
        let busy: Vec<&Planned> = planned.iter().filter(|p| self.is_due(p)).collect();
        let mut outcomes = BTreeMap::new();
        if !busy.is_empty() {
            self.check_epoch(lease).await?;
            // Made before they are streamed: the compiler cannot tell that a stream's closure is `Send`.
            let batches: Vec<_> = busy
                .into_iter()
                .map(|planned| self.carry_out(planned, lease, &resources))
                .collect();
            outcomes = stream::iter(batches)
                .buffer_unordered(ACTING_AT_ONCE)
                .collect()
                .await;
        }
        for planned in &planned {
            let outcome = outcomes.remove(&planned.name).unwrap_or_default();
            self.settle(planned, outcome, &mut report);
        }
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
        let now = self.runtime.now();
        let one = |stored: &'a Stored| {
            let Resource::Rollout(manifest) = &stored.draft.resource else {
                return None;
            };
            let name = manifest.metadata.name.clone();
            let before = stored.draft.status.clone().unwrap_or_default();
            let references = resources.resolve(&name, &manifest.spec, before.route.as_ref());
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

    fn is_due(&self, planned: &Planned) -> bool {
        planned.has_decided() || self.due(planned).next().is_some()
    }

    /// The actions that are to be done now. Traffic is taken back whatever else is wrong (ABORT-1): a
    /// new decision does not wait for the end of a pause that older actions have earned.
    fn due<'a>(&'a self, planned: &'a Planned) -> impl Iterator<Item = &'a Action> {
        let now = self.runtime.steady();
        planned.plan.actions.iter().filter(move |action| {
            let rests = !planned.has_decided() && self.pauses.cover(&planned.name, action, now);
            let is_asked = match action {
                Action::Measure(question) => self.inbox.knows(&question.key),
                Action::CreateService(_)
                | Action::RestoreService { .. }
                | Action::ScaleService { .. }
                | Action::RemoveService { .. }
                | Action::ChangeServers(_)
                | Action::Forget => false,
            };
            !rests && !is_asked
        })
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
        let mut outcome = Outcome::default();
        let due: Vec<&Action> = self.due(planned).collect();
        if planned.has_decided() {
            if let Err(error) = self.remember(planned, lease).await {
                outcome.note(&error, None);
                return (planned.name.clone(), outcome);
            }
            outcome.progress = Progress::Made;
            outcome.stored = After::Replaced;
            tell(planned);
            self.inbox.forget_taken(&planned.name, &planned.plan.status);
        }
        for action in due {
            match self.act(planned, action, resources).await {
                Ok(_) if *action == Action::Forget => outcome.stored = After::Removed,
                Ok(progress) => outcome.progress = outcome.progress.max(progress),
                // The others are independent of it: an instance that is down must not keep the
                // traffic on another one.
                Err(error) => outcome.note(&error, Some(action)),
            }
        }
        (planned.name.clone(), outcome)
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
    ) -> Result<Progress, WorldError> {
        match action {
            Action::Measure(question) => {
                self.ask(question, resources);
                return Ok(Progress::None);
            }
            Action::Forget => {
                info!(rollout = %planned.name, "deleted");
                self.world.remove(&planned.stored.id).await?;
            }
            Action::CreateService(_)
            | Action::RestoreService { .. }
            | Action::ScaleService { .. }
            | Action::RemoveService { .. }
            | Action::ChangeServers(_) => {
                debug!(rollout = %planned.name, ?action, "act");
                self.world.act(action, &resources.load_balancers).await?;
            }
        }
        Ok(Progress::Made)
    }

    /// Asks in the background: a slow source must not delay a drain or an abort.
    fn ask(&self, question: &Measure, resources: &Resources) {
        let Some(source) = resources.metric_sources.get(&question.source).cloned() else {
            return;
        };
        if !self.inbox.expect(&question.key) {
            return; // It is on its way already.
        }
        let (world, inbox) = (self.world.clone(), self.inbox.clone());
        let (runtime, question) = (self.runtime.clone(), question.clone());
        self.runtime.spawn(Box::pin(async move {
            let outcome = world.measure(&question, &source).await;
            inbox.deliver(&question, outcome, runtime.now());
        }));
    }

    /// Draws the consequences: pauses, what is told, and when to look again. What was done shows
    /// itself to who looks at once; what rests asks for no turn before its pause is over.
    fn settle(&mut self, planned: &Planned, outcome: Outcome, report: &mut TurnReport) {
        let (name, now) = (&planned.name, self.runtime.steady());
        match outcome.stored {
            After::Kept => {}
            After::Replaced => self.horizon.replaced(planned.stored),
            After::Removed => self.horizon.removed(planned.stored),
        }
        if let Some(reason) = &outcome.overtaken {
            debug!(rollout = %name, reason, "the world has moved on; looking again");
        }
        let again = self.pauses.untimely(name, &outcome.untimely);
        let is_overtaken = outcome.overtaken.is_some() && again.is_empty();
        let looks_at_once = outcome.progress == Progress::Made || is_overtaken;
        if let Some(reason) = outcome.problem {
            let delay = self.pauses.failed(name, &outcome.failed, now);
            warn!(rollout = %name, reason, retry_in_ms = delay.as_millis(), "an action failed");
            report.failed(name, reason);
        } else if !again.is_empty() {
            self.pauses.failed(name, &again, now);
        } else if self.pauses.end(name).is_some_and(|end| end <= now) {
            self.pauses.forget(name);
        }
        let rest = self.pauses.end(name).map(|end| end.saturating_sub(now));
        if rest.is_some() {
            report.tried_in_vain(name);
        }
        let wall = self.runtime.now();
        let after_rest = rest.and_then(|rest| wall.checked_add(rest).ok());
        let at_once = looks_at_once.then_some(wall);
        let times = [at_once, after_rest, planned.plan.requeue_at];
        if let Some(first) = times.into_iter().flatten().min() {
            report.look_again(first);
        }
    }
}

impl Planned<'_> {
    fn has_decided(&self) -> bool {
        self.plan.status != self.before
    }
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

/// What became of a rollout's batch.
#[derive(Default)]
struct Outcome {
    progress: Progress,
    stored: After,
    /// A version or a precondition no longer fits: look again, without a pause.
    overtaken: Option<String>,
    /// The first thing that failed, in words.
    problem: Option<String>,
    failed: Vec<Action>,
    /// What did not fit the world as it is.
    untimely: Vec<Action>,
}

/// What became of the rollout in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum After {
    #[default]
    Kept,
    Replaced,
    Removed,
}

/// Whether the world, or what is remembered of it, is another one after a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    #[default]
    None,
    Made,
}

impl Outcome {
    /// Notes what went wrong, with `action` if it was one.
    fn note(&mut self, error: &WorldError, action: Option<&Action>) {
        let reason = error.to_string();
        match error {
            WorldError::Conflict { .. } => {
                self.overtaken.get_or_insert(reason);
                self.untimely.extend(action.cloned());
            }
            WorldError::Refused { .. } | WorldError::Unreachable { .. } => {
                self.problem.get_or_insert(reason);
                self.failed.extend(action.cloned());
            }
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

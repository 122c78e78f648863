//! One turn: observe once, plan each rollout, remember, act.
//!
//! What the loop around it does (hints, timing, the lease) is in [`crate::controller`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{self, join_all};
use futures_util::stream::{self, StreamExt};
use tracing::{debug, info, warn};

use crate::action::Action;
use crate::api::{Name, Resource, RolloutStatus, WaitingOn};
use crate::plan::{AskedBy, Input, Resources};
use crate::runtime::Runtime;
use crate::snapshot::Snapshot;
use crate::world::{Draft, Lease, Stored, World, WorldError};

mod errands;
mod horizon;
mod inbox;
mod lookup;
mod outcome;
mod pauses;
mod planned;
mod report;
mod samples;
mod strays;

use errands::{Doubts, Errand, Errands};
use horizon::Horizon;
pub use inbox::Inbox;
use lookup::{resources, used_balancers};
use outcome::{Acted, After, Outcome, Progress};
use pauses::Pauses;
use planned::{Planned, tell};
pub use report::{RolloutReport, TurnError, TurnReport, Work};

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
    /// The rollouts for which this controller has done something, or tried to.
    tried: BTreeSet<Name>,
    errands: Arc<Errands>,
    doubts: Doubts,
}

/// Whether a turn may change the world.
#[derive(Clone, Copy, Debug)]
pub enum Mandate<'a> {
    /// It may, as long as this lease is the newest one (SAFETY-6).
    Act(&'a Lease),
    /// It only looks: another controller acts.
    Watch,
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
            tried: BTreeSet::new(),
            errands: Arc::new(Errands::default()),
            doubts: Doubts::default(),
        }
    }

    /// One turn over all rollouts.
    ///
    /// # Errors
    /// When the store or the Swarm cannot be read, when the store shows an older state than before, or when
    /// another controller has taken over: then nothing was changed.
    pub async fn turn(&mut self, mandate: Mandate<'_>) -> Result<TurnReport, TurnError> {
        let contents = self.world.contents().await?;
        let stored = &contents.resources;
        let now = self.runtime.steady();
        let look = self.horizon.admit(stored, now);
        look.map_err(|horizon::Old| TurnError::Old)?;
        let failures = self.errands_back(now);
        let resources = resources(&contents);
        let snapshot = self.observe(stored, &resources).await?;
        let planned = self.plan_all(stored, &resources, &snapshot, mandate, now);
        let mut report = report::of(&planned, &resources);
        let Mandate::Act(lease) = mandate else {
            self.tried.clear(); // Another one tries now.
            drop(planned);
            report.contents = contents;
            return Ok(report);
        };
        let busy: Vec<&Planned> = planned.iter().filter(|p| self.is_due(p)).collect();
        let mut outcomes = BTreeMap::new();
        let strays = strays::jobs(&contents, &snapshot);
        if !busy.is_empty() || !strays.is_empty() {
            self.check_epoch(lease).await?;
            // Made before they are streamed: the compiler cannot tell that a stream's closure is `Send`.
            let batches: Vec<_> = busy
                .into_iter()
                .map(|planned| self.carry_out(planned, lease, &resources))
                .collect();
            let acts = stream::iter(batches).buffer_unordered(ACTING_AT_ONCE);
            // Beside the rollouts: an engine that is slow with a stray must not delay an abort.
            let strays = self.remove_strays(strays, &resources);
            (outcomes, ()) = future::join(acts.collect(), strays).await;
        }
        for (name, reason) in failures {
            report.failed(&name, reason);
        }
        for planned in &planned {
            let outcome = outcomes.remove(&planned.name).unwrap_or_default();
            self.settle(planned, outcome, &mut report);
        }
        drop(planned);
        report.contents = contents;
        Ok(report)
    }

    /// Another controller has acted, and did not end in good order: what it asked for may still come (SAFETY-7).
    pub fn succeed(&mut self) {
        self.doubts.begin(self.runtime.steady());
    }

    /// Whether anything may still come that this controller has asked for.
    pub fn is_awaited(&self) -> bool {
        self.errands.are_out() || self.doubts.are_open(self.runtime.steady())
    }

    /// Draws the consequences of errands that are over; says which of them failed, and why.
    fn errands_back(&mut self, now: std::time::Duration) -> Vec<(Name, String)> {
        let mut failures = Vec::new();
        for Errand {
            rollout,
            action,
            result,
        } in self.errands.back()
        {
            self.doubts.note(&rollout, &action, &result, now);
            match result {
                Ok(()) => {}
                Err(WorldError::Conflict { what, reason }) => {
                    debug!(%rollout, what, reason, "the world has moved on; looking again");
                    let again = self.pauses.untimely(&rollout, &[action]);
                    if !again.is_empty() {
                        self.pauses.failed(&rollout, &again, now);
                    }
                }
                Err(error) => {
                    let reason = error.to_string();
                    self.rest(&rollout, &[action], &reason, now);
                    failures.push((rollout, reason));
                }
            }
        }
        failures
    }

    /// Leaves actions that failed alone for a while.
    fn rest(&mut self, rollout: &Name, failed: &[Action], reason: &str, now: std::time::Duration) {
        let delay = self.pauses.failed(rollout, failed, now);
        self.pauses.said(rollout, reason);
        warn!(%rollout, reason, retry_in_ms = delay.as_millis(), "an action failed");
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
        mandate: Mandate<'_>,
        looked_at: std::time::Duration,
    ) -> Vec<Planned<'a>> {
        let now = self.runtime.now();
        let one = |stored: &'a Stored| {
            let Resource::Rollout(manifest) = &stored.draft.resource else {
                return None;
            };
            let name = manifest.metadata.name.clone();
            let before = stored.draft.status.clone().unwrap_or_default();
            let references = resources.resolve(&name, &manifest.spec, before.route.as_ref());
            let input = Input {
                name: &name,
                generation: stored.draft.generation,
                spec: &manifest.spec,
                command: stored.draft.command.as_ref(),
                deletion: stored.draft.deletion,
                references: references.as_ref(),
                status: &before,
                snapshot,
                obstacle: self.obstacle(&name, &before, mandate),
                outstanding: errands::outstanding(&self.errands, &self.doubts, &name, looked_at),
                asked_by: if stored.draft.origin.is_some() {
                    AskedBy::Source
                } else {
                    AskedBy::Hand
                },
                commit: stored.commit(),
                source_problem: stored.source_problem(),
                now,
            };
            let plan = planned::of(&input);
            Some(Planned {
                stored,
                name,
                before,
                plan,
            })
        };
        stored.iter().filter_map(one).collect()
    }

    /// What was said when actions failed. Who has not tried them believes what is remembered of it.
    fn obstacle<'a>(
        &'a self,
        rollout: &Name,
        status: &'a RolloutStatus,
        mandate: Mandate<'_>,
    ) -> Option<&'a str> {
        let has_tried = matches!(mandate, Mandate::Act(_)) && self.tried.contains(rollout);
        match &status.waiting_on {
            _ if has_tried => self.pauses.problem(rollout),
            Some(WaitingOn::Action { problem }) => Some(problem),
            Some(_) | None => None,
        }
    }

    fn is_due(&self, planned: &Planned) -> bool {
        planned.has_decided() || self.due(planned).next().is_some()
    }

    /// The actions that are to be done now. Traffic is taken back whatever else is wrong (ABORT-1): a
    /// new decision does not wait for the end of a pause that older actions have earned.
    fn due<'a>(&'a self, planned: &'a Planned) -> impl Iterator<Item = &'a Action> {
        let now = self.runtime.steady();
        planned.plan.actions.iter().filter(move |action| {
            let rests = !planned.turns() && self.pauses.cover(&planned.name, action, now);
            let is_under_way = match action {
                Action::Measure(question) => self.inbox.knows(&question.key),
                Action::ReadLog(over) => self.inbox.knows(&over.job.key),
                Action::CreateService(_)
                | Action::StartJob(_)
                | Action::RemoveJob(_)
                | Action::RestoreService { .. }
                | Action::ScaleService { .. }
                | Action::RemoveService { .. }
                | Action::ChangeServers(_) => self.errands.know(&planned.name, action),
                Action::Forget => false,
            };
            !rests && !is_under_way
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
        // They are independent of each other: an instance that is down or slow must not keep the traffic on
        // another one.
        if !due.is_empty() {
            outcome.acted = Acted::Yes;
        }
        let acts = due
            .iter()
            .map(|action| self.act(planned, action, resources));
        let results = join_all(acts).await;
        for (action, result) in due.into_iter().zip(results) {
            match result {
                Ok(_) if *action == Action::Forget => outcome.stored = After::Removed,
                Ok(progress) => outcome.progress = outcome.progress.max(progress),
                Err(error) => outcome.note(&error, Some(action)),
            }
        }
        (planned.name.clone(), outcome)
    }

    async fn remember(&self, planned: &Planned<'_>, lease: &Lease) -> Result<(), WorldError> {
        let stored = planned.stored;
        let draft = Draft {
            status: Some(planned.plan.status.clone()),
            deletion: planned.plan.deletion,
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
            Action::ReadLog(over) => {
                self.read_log(over);
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
            | Action::StartJob(_)
            | Action::RemoveJob(_)
            | Action::ChangeServers(_) => {
                debug!(rollout = %planned.name, ?action, "act");
                if Errands::is_one(action) {
                    return self.run_errand(planned, action, resources);
                }
                self.world.act(action, &resources.load_balancers).await?;
            }
        }
        Ok(Progress::Made)
    }

    /// Begins an action that may take long. What is not over at once goes on beside the turns.
    fn run_errand(
        &self,
        planned: &Planned<'_>,
        action: &Action,
        resources: &Resources,
    ) -> Result<Progress, WorldError> {
        let (world, errands, inbox) =
            (self.world.clone(), self.errands.clone(), self.inbox.clone());
        let (rollout, action) = (planned.name.clone(), action.clone());
        let load_balancers = resources.load_balancers.clone();
        let (whose, what) = (rollout.clone(), action.clone());
        let mut doing = Box::pin(async move { world.act(&what, &load_balancers).await });
        if let Some(result) = doing.as_mut().now_or_never() {
            return result.map(|()| Progress::Made);
        }
        errands.begin(&rollout, &action);
        self.runtime.spawn(Box::pin(async move {
            let result = doing.await;
            errands.end(Errand {
                rollout: whose,
                action,
                result,
            });
            inbox.nudge();
        }));
        Ok(Progress::None)
    }

    /// Draws the consequences: pauses, what is told, and when to look again. What was done shows
    /// itself to who looks at once; what rests asks for no turn before its pause is over.
    fn settle(&mut self, planned: &Planned, outcome: Outcome, report: &mut TurnReport) {
        let (name, now) = (&planned.name, self.runtime.steady());
        match outcome.stored {
            After::Kept => {}
            After::Replaced => self.horizon.replaced(planned.stored),
            After::Removed => {
                self.horizon.removed(planned.stored);
                self.inbox.forget(name);
                self.tried.remove(name);
            }
        }
        if let Some(reason) = &outcome.overtaken {
            debug!(rollout = %name, reason, "the world has moved on; looking again");
        }
        if outcome.acted == Acted::Yes {
            self.tried.insert(name.clone());
        }
        for action in &outcome.unheard {
            self.doubts.unheard(name, action, now);
        }
        let again = self.pauses.untimely(name, &outcome.untimely);
        let looks_at_once =
            outcome.progress == Progress::Made || outcome.overtaken.is_some() && again.is_empty();
        if let Some(reason) = outcome.problem {
            self.rest(name, &outcome.failed, &reason, now);
            report.failed(name, reason);
        } else if !again.is_empty() {
            self.pauses.failed(name, &again, now);
        } else if self.pauses.end(name).is_some_and(|end| end <= now)
            && !self.errands.are_out_for(name)
        {
            self.pauses.forget(name);
        }
        let end = self.pauses.end(name);
        end.inspect(|_| report.tried_in_vain(name));
        let rest = end.and_then(|end| end.checked_sub(now));
        let wall = self.runtime.now();
        let doubt = planned.plan.deletion.and(self.doubts.left(name, now));
        let waits = [rest, doubt].map(|wait| wall.checked_add(wait?).ok());
        let at_once = looks_at_once.then_some(wall);
        let times = waits.into_iter().chain([at_once, planned.plan.requeue_at]);
        if let Some(first) = times.flatten().min() {
            report.look_again(first);
        }
    }
}

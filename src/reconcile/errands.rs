//! Errands: actions that may take long, carried out beside the turns.
//!
//! A service is made, or put back as it was, only after its secrets, configs and registry credentials were asked for, a
//! credential helper among them, which may take half a minute. Nobody else's abort waits for that.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::action::{Action, ServerVerb};
use crate::api::Name;
use crate::plan::Outstanding;
use crate::world::WorldError;

/// The errands of all rollouts, from their beginning until the loop has heard how they ended: what a look shows that
/// was taken before that is not the whole of them.
#[derive(Debug, Default)]
pub(super) struct Errands(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    rollout: Name,
    /// The name of the service that it makes or puts back.
    service: String,
    over: Option<Errand>,
}

/// An errand that is over.
#[derive(Debug)]
pub(super) struct Errand {
    pub rollout: Name,
    pub action: Action,
    pub result: Result<(), WorldError>,
}

/// The service that an errand makes or puts back; none if the action is done within the turn.
fn errand(action: &Action) -> Option<String> {
    match action {
        Action::CreateService(new) => Some(new.name()),
        Action::StartJob(new) => Some(new.name()),
        Action::RestoreService { service, .. } => Some(service.name.clone()),
        Action::ScaleService { .. }
        | Action::RemoveService { .. }
        | Action::ChangeServers(_)
        | Action::Measure(_)
        | Action::ReadLog(_)
        | Action::RemoveJob(_)
        | Action::Forget => None,
    }
}

impl Errands {
    /// Whether `action` is one that is done beside the turns.
    pub fn is_one(action: &Action) -> bool {
        errand(action).is_some()
    }

    /// Whether `action` of `rollout` was begun, and its end is not known to the loop.
    pub fn know(&self, rollout: &Name, action: &Action) -> bool {
        errand(action).is_some_and(|service| {
            let entries = self.lock();
            let mut entries = entries.iter();
            entries.any(|entry| entry.rollout == *rollout && entry.service == service)
        })
    }

    /// Whether anything was begun that has not ended, as far as was heard.
    pub fn are_out(&self) -> bool {
        self.lock().iter().any(|entry| match &entry.over {
            None => true,
            Some(over) => matches!(over.result, Err(WorldError::Unreachable { .. })),
        })
    }

    /// Whether anything of `rollout` was begun whose end is not known to the loop.
    pub fn are_out_for(&self, rollout: &Name) -> bool {
        self.lock().iter().any(|entry| entry.rollout == *rollout)
    }

    pub fn begin(&self, rollout: &Name, action: &Action) {
        let entry = errand(action).map(|service| Entry {
            rollout: rollout.clone(),
            service,
            over: None,
        });
        self.lock().extend(entry);
    }

    pub fn end(&self, over: Errand) {
        let service = errand(&over.action);
        let mut entries = self.lock();
        let mut entries = entries.iter_mut();
        let entry = entries.find(|entry| {
            entry.rollout == over.rollout && Some(&entry.service) == service.as_ref()
        });
        if let Some(entry) = entry {
            entry.over = Some(over);
        }
    }

    /// Those that are over, each once. The loop hears it before it looks, so that the look shows what they made.
    pub fn back(&self) -> Vec<Errand> {
        let mut entries = self.lock();
        let over = entries.extract_if(.., |entry| entry.over.is_some());
        over.filter_map(|entry| entry.over).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        // The entries are whole between any two statements that hold the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long something may still come after the answer to the request for it was lost.
pub(super) const LATEST: Duration = Duration::from_secs(30);

/// The rollouts for which a service or a server may still come, each with the steady time until when: whether it was made
/// is not known.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    of: BTreeMap<Name, Duration>,
    /// Until when anything may come that another controller has asked for.
    of_all: Duration,
}

impl Doubts {
    /// Takes note that another controller has acted until now, and may not have heard what became of all that it asked for.
    pub fn begin(&mut self, now: Duration) {
        self.of_all = now + LATEST;
    }

    /// Whether anything may still come that this controller has asked for.
    pub fn are_open(&self, now: Duration) -> bool {
        self.of.values().any(|until| now < *until)
    }

    /// Takes note of how `action` ended.
    pub fn note(
        &mut self,
        rollout: &Name,
        action: &Action,
        result: &Result<(), WorldError>,
        now: Duration,
    ) {
        if let Err(WorldError::Unreachable { .. }) = result {
            self.unheard(rollout, action, now);
        }
    }

    /// Takes note that nothing was heard of what became of `action`.
    pub fn unheard(&mut self, rollout: &Name, action: &Action, now: Duration) {
        if may_make(action) {
            self.of.insert(rollout.clone(), now + LATEST);
        }
        self.of.retain(|_, until| now < *until);
    }

    /// Whether anything of `rollout` may still come.
    pub fn are_open_for(&self, rollout: &Name, now: Duration) -> bool {
        self.left(rollout, now).is_some()
    }

    /// For how long anything of `rollout` may still come.
    pub fn left(&self, rollout: &Name, now: Duration) -> Option<Duration> {
        let own = self.of.get(rollout).copied().unwrap_or_default();
        let left = own.max(self.of_all).saturating_sub(now);
        (!left.is_zero()).then_some(left)
    }
}

/// Whether anything of `rollout` may come after a look at `looked_at` that was asked for. What comes after its rollout has
/// been forgotten is nobody's.
pub(super) fn outstanding(
    errands: &Errands,
    doubts: &Doubts,
    rollout: &Name,
    looked_at: Duration,
) -> Outstanding {
    if doubts.are_open_for(rollout, looked_at) || errands.are_out_for(rollout) {
        Outstanding::Something
    } else {
        Outstanding::Nothing
    }
}

/// Whether `action` makes something that would be left if nobody knew of it.
fn may_make(action: &Action) -> bool {
    match action {
        Action::ChangeServers(changes) => {
            let mut changes = changes.changes.iter();
            changes.any(|change| matches!(change.verb, ServerVerb::Add(_)))
        }
        // It is there.
        Action::RestoreService { .. } => false,
        other => errand(other).is_some(),
    }
}

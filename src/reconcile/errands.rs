//! Errands: actions that may take long, carried out beside the turns.
//!
//! A service is made only after its secrets, configs and registry credentials were asked for, a credential
//! helper among them, which may take half a minute. Nobody else's abort waits for that.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::action::Action;
use crate::api::Name;
use crate::world::WorldError;

/// The errands of all rollouts.
#[derive(Debug, Default)]
pub(super) struct Errands(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    /// Whose they are, and which service they make.
    under_way: Vec<(Name, String)>,
    back: Vec<Errand>,
}

/// An errand that is over.
#[derive(Debug)]
pub(super) struct Errand {
    pub rollout: Name,
    pub action: Action,
    pub result: Result<(), WorldError>,
}

/// The service that an errand makes; none if the action is done within the turn.
fn errand(action: &Action) -> Option<String> {
    match action {
        Action::CreateService(new) => Some(new.name()),
        Action::RestoreService { .. }
        | Action::ScaleService { .. }
        | Action::RemoveService { .. }
        | Action::ChangeServers(_)
        | Action::Measure(_)
        | Action::Forget => None,
    }
}

impl Errands {
    /// Whether `action` is one that is done beside the turns.
    pub fn is_one(action: &Action) -> bool {
        errand(action).is_some()
    }

    /// Whether `action` of `rollout` is under way.
    pub fn know(&self, rollout: &Name, action: &Action) -> bool {
        errand(action).is_some_and(|service| {
            let contents = self.lock();
            let mut under_way = contents.under_way.iter();
            under_way.any(|(known, made)| known == rollout && *made == service)
        })
    }

    /// Whether anything of `rollout` is under way.
    pub fn are_out_for(&self, rollout: &Name) -> bool {
        self.lock()
            .under_way
            .iter()
            .any(|(known, _)| known == rollout)
    }

    pub fn begin(&self, rollout: &Name, action: &Action) {
        let service = errand(action);
        let errand = service.map(|service| (rollout.clone(), service));
        self.lock().under_way.extend(errand);
    }

    pub fn end(&self, over: Errand) {
        let service = errand(&over.action);
        let mut contents = self.lock();
        contents
            .under_way
            .retain(|(rollout, known)| *rollout != over.rollout || Some(known) != service.as_ref());
        contents.back.push(over);
    }

    /// Those that are over, each once.
    pub fn back(&self) -> Vec<Errand> {
        std::mem::take(&mut self.lock().back)
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // The contents are whole between any two statements that hold the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Pauses: actions that failed are left alone for a while, and only those.
//!
//! An action whose precondition does not hold yet is tried again at once, since the world has moved on; where
//! that does not help (HAProxy removes no server before its idle connections are closed), it rests as well.
//!
//! What is new to a rollout meanwhile, a drain above all, does not wait for what cannot be done.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::Action;
use crate::api::{Name, brief};
use crate::retry::{Backoff, Policy, Spread};

const AFTER_FAILURE: Policy = Policy {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(15),
    give_up_after: None,
    spread: Spread::Nothing,
};

/// The pauses of all rollouts. Instants are those of [`crate::runtime::Runtime::steady`].
#[derive(Debug, Default)]
pub(super) struct Pauses {
    resting: BTreeMap<Name, Pause>,
    /// What came too early or too late in each rollout's last batch.
    untimely: BTreeMap<Name, Vec<Action>>,
}

#[derive(Debug)]
struct Pause {
    backoff: Backoff,
    end: Duration,
    failed: Vec<Action>,
    /// What was said when they failed.
    problem: Option<String>,
}

impl Pauses {
    /// Whether `action` of `rollout` is to be left alone at `now`.
    pub fn cover(&self, rollout: &Name, action: &Action, now: Duration) -> bool {
        self.resting
            .get(rollout)
            .is_some_and(|pause| now < pause.end && pause.failed.contains(&versionless(action)))
    }

    /// What was said when actions of `rollout` failed that were not done since.
    pub fn problem(&self, rollout: &Name) -> Option<&str> {
        self.resting.get(rollout)?.problem.as_deref()
    }

    /// Notes what was said when actions of `rollout` failed.
    pub fn said(&mut self, rollout: &Name, problem: &str) {
        if let Some(pause) = self.resting.get_mut(rollout) {
            pause.problem = Some(brief(problem));
        }
    }

    /// When the pause of `rollout` ends or has ended, if it has one.
    pub fn end(&self, rollout: &Name) -> Option<Duration> {
        self.resting.get(rollout).map(|pause| pause.end)
    }

    /// Notes that `actions` failed at `now`; says how long they rest.
    pub fn failed(&mut self, rollout: &Name, actions: &[Action], now: Duration) -> Duration {
        let pause = self
            .resting
            .entry(rollout.clone())
            .or_insert_with(|| Pause {
                backoff: Backoff::new(AFTER_FAILURE),
                end: now,
                failed: Vec::new(),
                problem: None,
            });
        if pause.end <= now {
            pause.failed.clear(); // They were tried again, or are no longer wanted.
        }
        pause.failed.extend(actions.iter().map(versionless));
        let delay = pause.backoff.next_delay().unwrap_or(AFTER_FAILURE.longest);
        pause.end = now + delay;
        delay
    }

    /// Notes which actions of `rollout` did not fit the world in its last batch; says which of them did
    /// not the time before either.
    pub fn untimely(&mut self, rollout: &Name, actions: &[Action]) -> Vec<Action> {
        let now: Vec<Action> = actions.iter().map(versionless).collect();
        if now.is_empty() {
            return now;
        }
        let before = self.untimely.insert(rollout.clone(), now.clone());
        let before = before.unwrap_or_default();
        now.into_iter()
            .filter(|action| before.contains(action))
            .collect()
    }

    /// Everything of `rollout` was done: the next failure begins with the shortest pause.
    pub fn forget(&mut self, rollout: &Name) {
        self.resting.remove(rollout);
        self.untimely.remove(rollout);
    }
}

/// The action without its service's version, which moves by itself: the same change of a service
/// need not look the same.
fn versionless(action: &Action) -> Action {
    let mut action = action.clone();
    match &mut action {
        Action::ScaleService { service, .. }
        | Action::RestoreService { service, .. }
        | Action::RemoveService { service } => service.version = 0,
        Action::CreateService(_)
        | Action::ChangeServers(_)
        | Action::Measure(_)
        | Action::StartJob(_)
        | Action::ReadLog(_)
        | Action::RemoveJob(_)
        | Action::Forget => {}
    }
    action
}

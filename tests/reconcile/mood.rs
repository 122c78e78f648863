//! What a neighbour may be like.

use rolloutctl::action::{Action, ServerVerb};

/// What actions and writes meet with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Everything is done.
    Willing,
    /// Actions are refused.
    Refusing,
    /// What is asked of the first proxy is refused, as if its `backend` section were broken.
    RefusingOneProxy,
    /// A service that is asked for is made, or put back as it was, once the mood has changed.
    MakingSlowly,
    /// The answer to who makes a service is lost, and the service comes once the mood is another one.
    MakingUnheard,
    /// The answer to who adds servers is lost, and they come once the mood is another one.
    EnteringUnheard,
    /// Nothing is answered: neither looks and actions nor who takes the lease.
    Silent,
    /// Looks do not reach the first proxy.
    HidingOneProxy,
    /// Every write of a status comes too late.
    Overtaking,
    /// Nothing is in the state that an action presumes, as a server with idle connections is not
    /// when it is to be removed.
    NotYet,
}

impl Mood {
    /// Whether `action` takes until the mood changes.
    pub fn tarries(self, action: &Action) -> bool {
        let is_long = matches!(
            action,
            Action::CreateService(_) | Action::RestoreService { .. }
        );
        self == Self::MakingSlowly && is_long
    }

    /// Whether `action` is done later, and its answer is lost.
    pub fn loses(self, action: &Action) -> bool {
        match (self, action) {
            (Self::MakingUnheard, Action::CreateService(_)) => true,
            (Self::EnteringUnheard, Action::ChangeServers(changes)) => {
                let mut changes = changes.changes.iter();
                changes.any(|change| matches!(change.verb, ServerVerb::Add(_)))
            }
            _ => false,
        }
    }
}

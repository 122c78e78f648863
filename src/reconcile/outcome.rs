//! What became of a rollout's batch.

use crate::action::Action;
use crate::world::WorldError;

/// What became of a rollout's batch.
#[derive(Default)]
pub(super) struct Outcome {
    pub progress: Progress,
    pub acted: Acted,
    pub stored: After,
    /// A version or a precondition no longer fits: look again, without a pause.
    pub overtaken: Option<String>,
    /// The first thing that failed, in words.
    pub problem: Option<String>,
    pub failed: Vec<Action>,
    /// What did not fit the world as it is.
    pub untimely: Vec<Action>,
    /// What may still be done: whether it was is not known.
    pub unheard: Vec<Action>,
}

/// Whether any action was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Acted {
    #[default]
    No,
    Yes,
}

/// What became of the rollout in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum After {
    #[default]
    Kept,
    Replaced,
    Removed,
}

/// Whether the world, or what is remembered of it, is another one after a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    #[default]
    None,
    Made,
}

impl Outcome {
    /// Notes what went wrong, with `action` if it was one.
    pub fn note(&mut self, error: &WorldError, action: Option<&Action>) {
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
        if let WorldError::Unreachable { .. } = error {
            self.unheard.extend(action.cloned());
        }
    }
}

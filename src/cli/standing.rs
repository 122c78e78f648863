//! How a rollout stands, in few words: the phase as far as it can be trusted, and the stage.
//!
//! Everything here is a pure function of what the store holds and of the time.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::console::Tone;
use crate::api::{Phase, RolloutStatus, Step, Verb};
use crate::world::Stored;

/// How far the stored status of a rollout speaks of its spec.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing<'a> {
    /// It is being deleted.
    Deleting,
    /// The controller has not seen the spec yet, so that the status, if there is one, speaks of
    /// another.
    Unseen {
        /// The spec's generation.
        generation: u64,
    },
    /// The status speaks of the spec.
    Seen(&'a RolloutStatus),
}

impl<'a> Standing<'a> {
    /// How the rollout `stored` stands.
    pub fn of(stored: &'a Stored) -> Self {
        let draft = &stored.draft;
        match &draft.status {
            _ if draft.deletion.is_some() => Self::Deleting,
            Some(status) if status.observed_generation == draft.generation => Self::Seen(status),
            Some(_) | None => Self::Unseen {
                generation: draft.generation,
            },
        }
    }

    /// The standing in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Deleting => "Deleting",
            Self::Unseen { .. } => Phase::Progressing.as_str(),
            Self::Seen(status) => status.phase.as_str(),
        }
    }

    /// What colour the word has.
    pub fn tone(&self) -> Tone {
        match self {
            Self::Deleting => Tone::Warning,
            Self::Unseen { .. } => Tone::Busy,
            Self::Seen(status) => match status.phase {
                Phase::Healthy => Tone::Good,
                Phase::Progressing => Tone::Busy,
                Phase::Paused => Tone::Warning,
                Phase::Degraded => Tone::Bad,
            },
        }
    }

    /// The standing in a sentence.
    pub fn message(&self) -> String {
        match self {
            Self::Deleting => "it is drained, then its services are removed".to_owned(),
            Self::Unseen { generation } => {
                format!("the controller has not seen generation {generation} of the spec yet")
            }
            Self::Seen(status) => status.message.clone(),
        }
    }

    /// The word, the stage, the weight and what is waited for at `now`, on one line.
    pub fn line(&self, now: Timestamp) -> String {
        let mut line = self.word().to_owned();
        match self {
            Self::Deleting | Self::Unseen { .. } => {
                let _ = write!(line, ": {}", self.message());
            }
            Self::Seen(status) => {
                if is_under_way(status) && status.canary_revision.is_some() {
                    let _ = write!(
                        line,
                        ", stage {}, weight {}%",
                        stage_of(status),
                        status.weight
                    );
                }
                if !status.message.is_empty() {
                    let _ = write!(line, ": {}", status.message);
                }
                if let Some(waiting) = &status.waiting_on {
                    let _ = write!(line, "; waiting for {}", waiting.as_of(now));
                }
            }
        }
        line
    }
}

/// Whether an attempt is under way.
pub fn is_under_way(status: &RolloutStatus) -> bool {
    match status.step {
        Step::Idle => false,
        Step::Initial | Step::Scaling | Step::Shifting | Step::Running { .. } => true,
    }
}

/// The stage at hand, counted from 1, of all: `2/3`; `-` when none is at hand.
pub fn stage_of(status: &RolloutStatus) -> String {
    match status.step {
        Step::Idle | Step::Initial => "-".to_owned(),
        Step::Scaling | Step::Shifting | Step::Running { .. } => {
            let shown = status.stage.saturating_add(1).min(status.stages);
            format!("{shown}/{}", status.stages)
        }
    }
}

/// The command that waits for the controller, if one does.
pub fn pending_command(stored: &Stored) -> Option<&crate::api::Command> {
    let command = stored.draft.command.as_ref()?;
    let dealt_with = stored
        .draft
        .status
        .as_ref()
        .and_then(|status| status.last_command.as_ref())
        .is_some_and(|record| record.command.id == command.id);
    (!dealt_with).then_some(command)
}

/// Whether the controller has yet to take up a `retry`.
pub fn is_retry_pending(stored: &Stored) -> bool {
    pending_command(stored).is_some_and(|command| command.verb == Verb::Retry)
}

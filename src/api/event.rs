//! Commands that people give, and the events that a rollout remembers.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a person may ask of a running rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// Let it pass on: end the pause, the bake or the wait for approval of the stage at hand.
    Promote,
    /// Skip every stage that is left; readiness and observed traffic are still required.
    PromoteFull,
    /// Hold where it is.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Give stable all the traffic back and stop.
    Abort,
    /// Begin again after an abort.
    Retry,
}

impl Verb {
    /// Whether it lets a rollout go on: by stages that its author must have seen.
    pub const fn leads_on(self) -> bool {
        match self {
            Self::Promote | Self::PromoteFull | Self::Resume => true,
            Self::Pause | Self::Abort | Self::Retry => false,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Promote => "promote",
            Self::PromoteFull => "promote --full",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Retry => "retry",
        })
    }
}

/// Who asked: the user and host of the command line, for the record; access control is Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub String);

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A command as it waits in the store, with the attempt and stage that its author saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Distinguishes this command from every other one.
    pub id: String,
    /// What is asked.
    pub verb: Verb,
    /// The attempt for which it is meant.
    pub attempt: u32,
    /// The stage for which it is meant.
    pub stage: u32,
    /// The generation of the spec that its author saw; none in a command of an earlier release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Who asks.
    pub by: Actor,
    /// When it was asked.
    pub at: Timestamp,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "result", content = "reason")]
pub enum CommandOutcome {
    /// It was carried out.
    Applied,
    /// It was not, and why.
    Refused(String),
}

/// The last command that was dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandRecord {
    /// The command.
    pub command: Command,
    /// What became of it.
    pub outcome: CommandOutcome,
}

/// Something that happened to a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What, in a sentence.
    pub message: String,
    /// Who asked for it, if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
}

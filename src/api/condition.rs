//! Conditions: what is true of a rollout, since when and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One statement about a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is stated.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word for programs.
    pub reason: Reason,
    /// Why, in a sentence for people.
    pub message: String,
    /// Since when `status` has been what it is.
    pub last_transition_time: Timestamp,
}

/// What a condition states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConditionType {
    /// The wanted number of tasks is ready and serving.
    Available,
    /// A new revision is on its way.
    Progressing,
    /// Somebody or something must decide before it goes on.
    Paused,
    /// The spec's revision is the stable one and nothing else is left to do.
    Completed,
    /// The spec cannot be carried out as it is; nothing of it begins.
    InvalidSpec,
    /// The manifest that it comes from is not what is in force; only there while that is so.
    InvalidSource,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// It cannot be told.
    Unknown,
}

/// Why a condition is what it is; Argo Rollouts' words where they fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The wanted number of tasks is ready and serving.
    AvailableReason,
    /// A HAProxy does not answer.
    InstanceSilent,
    /// Fewer tasks than wanted are ready.
    ReplicasNotReady,
    /// A preview has had its end.
    PreviewOver,
    /// A revision is being brought up or its share raised.
    NewRevisionProgressing,
    /// What a former revision leaves behind is being drained and stopped.
    OldRevisionLeaving,
    /// A stage is held for its bake time and its measurements.
    StageBaking,
    /// The spec's revision is stable.
    RolloutCompleted,
    /// The rollout was taken back.
    RolloutAborted,
    /// A stage did not become ready in time.
    ProgressDeadlineExceeded,
    /// Somebody said `pause`.
    PausedByUser,
    /// A stage asks for `promote`.
    PausedForApproval,
    /// A source of measurements failed too often.
    PausedInconclusive,
    /// A stage failed and the spec says to pause then.
    PausedOnFailure,
    /// It is not paused.
    NotPaused,
    /// The spec names a resource that does not exist.
    ReferenceMissing,
    /// Another rollout has claimed the same back end or service before.
    ClaimConflict,
    /// The spec changes what cannot be changed.
    ImmutableField,
    /// The spec can be carried out.
    SpecValid,
    /// The manifest in its GitOps source cannot be applied.
    SourceInvalid,
    /// It was changed by hand, and its GitOps source leaves that so.
    SourceDrifted,
    /// The rollout is being deleted.
    Deleting,
}

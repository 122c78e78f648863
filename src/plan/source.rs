//! What is said of a rollout whose manifest is not what is in force: in a GitOps source it is invalid, or somebody has
//! changed the rollout by hand. Nothing is decided by that.

use super::{Input, attempt, conditions};
use crate::api::{ConditionStatus, ConditionType, OriginProblemKind, Reason, RolloutStatus};

/// Says what is wrong between the rollout and its source, once when it becomes so.
pub(super) fn say(status: &mut RolloutStatus, input: &Input) {
    let mut conditions = status.conditions.iter();
    let before = conditions.find(|condition| condition.kind == ConditionType::InvalidSource);
    let Some(problem) = input.source_problem else {
        if before.is_some() {
            attempt::note(status, input.now, None, "its manifest is in force again");
            let is_other = |kind| kind != ConditionType::InvalidSource;
            status
                .conditions
                .retain(|condition| is_other(condition.kind));
        }
        return;
    };
    if before.is_none_or(|before| before.message != problem.message) {
        attempt::note(status, input.now, None, problem.message.clone());
    }
    let reason = match problem.kind {
        OriginProblemKind::Invalid => Reason::SourceInvalid,
        OriginProblemKind::Drifted => Reason::SourceDrifted,
    };
    conditions::set(
        status,
        input.now,
        ConditionType::InvalidSource,
        ConditionStatus::True,
        reason,
        problem.message.clone(),
    );
}

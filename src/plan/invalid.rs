//! A spec that cannot be carried out: it is said, and nothing of it begins (SAFETY-4).

use super::{Input, Plan, SpecProblem, command, conditions, preview, progress, settle, source};
use crate::api::{ConditionStatus, ConditionType, Phase, Reason, RolloutStatus, WaitingOn};

/// The plan for a rollout that has no back end to work on: nothing is touched.
pub(super) fn plan(input: &Input, problem: &SpecProblem) -> Plan {
    let mut status = input.status.clone();
    status.observed_generation = input.generation;
    command::refuse(&mut status, input, problem);
    say(&mut status, input, problem);
    source::say(&mut status, input);
    Plan {
        status,
        deletion: None,
        actions: Vec::new(),
        waiting_on: Some(WaitingOn::Spec),
        requeue_at: None,
    }
}

/// The step of a rollout whose spec cannot be carried out for what runs (a metric cannot be found, the back end is
/// another one): what serves is kept, what is tried gets no
/// further, and the traffic can always be taken back.
pub(super) fn stand_still(status: &mut RolloutStatus, input: &Input, problem: &SpecProblem) {
    status.observed_generation = input.generation;
    settle::take_back(status, input);
    command::take_back(status, input, problem);
    progress::give_up(status, input);
    preview::expire(status, input);
}

/// Says what is wrong with the spec.
pub(super) fn say(status: &mut RolloutStatus, input: &Input, problem: &SpecProblem) {
    let message = problem.to_string();
    status.phase = Phase::Degraded;
    status.message.clone_from(&message);
    status.waiting_on = Some(WaitingOn::Spec);
    let reason = match problem {
        SpecProblem::Claimed { .. } => Reason::ClaimConflict,
        SpecProblem::Moved { .. } | SpecProblem::Serves { .. } => Reason::ImmutableField,
        SpecProblem::NoTraffic
        | SpecProblem::Missing { .. }
        | SpecProblem::NoSource { .. }
        | SpecProblem::NoArgument { .. }
        | SpecProblem::Twice { .. } => Reason::ReferenceMissing,
    };
    conditions::set(
        status,
        input.now,
        ConditionType::InvalidSpec,
        ConditionStatus::True,
        reason,
        message,
    );
}

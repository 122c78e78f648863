//! A spec that cannot be carried out: it is said, and nothing is touched (SAFETY-4).

use super::{Input, Plan, SpecProblem, conditions};
use crate::api::{ConditionStatus, ConditionType, Phase, Reason, WaitingOn};

/// The plan for a spec that cannot be carried out.
pub(super) fn plan(input: &Input, problem: &SpecProblem) -> Plan {
    let mut status = input.status.clone();
    status.observed_generation = input.generation;
    status.phase = Phase::Degraded;
    status.message = problem.to_string();
    status.waiting_on = Some(WaitingOn::Spec);
    let reason = match problem {
        SpecProblem::Claimed { .. } => Reason::ClaimConflict,
        SpecProblem::Moved { .. } => Reason::ImmutableField,
        SpecProblem::Missing { .. }
        | SpecProblem::NoSource { .. }
        | SpecProblem::NoArgument { .. }
        | SpecProblem::Twice { .. } => Reason::ReferenceMissing,
    };
    let message = problem.to_string();
    conditions::set(
        &mut status,
        input.now,
        ConditionType::InvalidSpec,
        ConditionStatus::True,
        reason,
        message,
    );
    Plan {
        status,
        actions: Vec::new(),
        waiting_on: Some(WaitingOn::Spec),
        requeue_at: None,
    }
}

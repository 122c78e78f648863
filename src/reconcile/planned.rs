//! One rollout in one turn: what was remembered, and what is planned.

use tracing::info;

use crate::api::{Name, RolloutStatus};
use crate::plan::{Input, Plan, plan};
use crate::world::Stored;

/// One rollout as loaded, with what was planned for it.
pub(super) struct Planned<'a> {
    pub stored: &'a Stored,
    pub name: Name,
    pub before: RolloutStatus,
    pub plan: Plan,
}

impl Planned<'_> {
    pub fn has_decided(&self) -> bool {
        self.plan.status != self.before || self.plan.deletion != self.stored.draft.deletion
    }

    /// Whether the rollout goes another way from here. What is only told of it, a failure among it, does not count.
    pub fn turns(&self) -> bool {
        fn way(status: &RolloutStatus) -> impl PartialEq {
            (
                (status.attempt, status.stage, status.weight, status.step),
                (
                    status.stable_revision.clone(),
                    status.canary_revision.clone(),
                ),
                (status.abort.is_some(), status.pause.is_some()),
                (status.observed_generation, status.leaving.clone()),
            )
        }
        way(&self.plan.status) != way(&self.before)
    }
}

/// What is planned. What was said when actions failed counts for as long as something is left to be done that could have
/// failed, and as long as it is the reason why nothing is: a job that was refused until its time was over is a sample
/// (ANALYSIS-3), which must be remembered before it is asked for again.
pub(super) fn of(input: &Input) -> Plan {
    let hindered = plan(input);
    if input.obstacle.is_none() || !hindered.actions.is_empty() {
        return hindered;
    }
    let free = plan(&Input {
        obstacle: None,
        ..*input
    });
    if free.actions.is_empty() {
        free
    } else {
        hindered
    }
}

/// The log tells what the status tells, when it changes.
pub(super) fn tell(planned: &Planned) {
    let (before, after) = (&planned.before, &planned.plan.status);
    for event in after
        .events
        .iter()
        .filter(|event| !before.events.contains(event))
    {
        info!(rollout = %planned.name, phase = after.phase.as_str(), "{}", event.message);
    }
    if before.phase != after.phase {
        info!(rollout = %planned.name, from = before.phase.as_str(), to = after.phase.as_str(), "{}", after.message);
    }
}

//! The stages as the planner sees them: those of the spec's strategy, and the last one that each has: everything to the
//! new revision, with all its tasks, without bake or measurement.

use super::Input;
use crate::api::{Duration, RolloutSpec, RolloutStatus, Share, Step};

/// One stage, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StageView {
    /// The canary's share in percent.
    pub weight: u8,
    /// The canary's tasks for that share.
    pub sized: u32,
    /// The time for which it is held at least.
    pub bake: Duration,
    /// What lets the rollout pass on.
    pub gate: Gate,
}

/// What lets a rollout pass on from a stage whose bake and measurements are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Nothing more.
    Open,
    /// `rolloutctl promote`.
    Approval,
}

/// A share and the number of tasks that it was sized for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizing {
    pub share: Share,
    pub sized: u32,
}

/// The stage number `stage` of `spec`; the final one for any number past the last.
pub(super) fn stage(spec: &RolloutSpec, stage: u32) -> StageView {
    let index = usize::try_from(stage).unwrap_or(usize::MAX);
    let Some(found) = spec.strategy.stage(index) else {
        return StageView {
            weight: 100,
            sized: spec.replicas,
            bake: Duration::ZERO,
            gate: Gate::Open,
        };
    };
    // Earlier stages may have asked for more tasks; a canary does not shrink on its way up.
    let passed = spec.strategy.stages().take(index.saturating_add(1));
    let sized = passed
        .map(|stage| stage.sized(spec.replicas))
        .max()
        .unwrap_or(1);
    StageView {
        weight: found.weight,
        sized,
        bake: found.bake.unwrap_or(Duration::ZERO),
        gate: if found.approval {
            Gate::Approval
        } else {
            Gate::Open
        },
    }
}

/// The number of stages of `spec`, without the final one.
pub(super) fn count(spec: &RolloutSpec) -> u32 {
    u32::try_from(spec.strategy.stage_count()).unwrap_or(u32::MAX)
}

/// What the stage number `stage` of `spec` is called.
pub(super) fn name(spec: &RolloutSpec, stage: u32) -> String {
    let index = usize::try_from(stage).unwrap_or(usize::MAX);
    spec.strategy.stage_name(index)
}

/// The share that the canary is meant to have now, and what it was sized for.
///
/// The stage at hand says itself how many tasks its share takes, also when `replicas` is lowered. Any other one says
/// nothing of the share that is still in force: that takes as many tasks as when it was given, and never more than
/// carry the whole traffic, unless a stage up to this one asks for more (TRAFFIC-1).
pub(super) fn in_force(input: &Input, status: &RolloutStatus) -> Sizing {
    let at_stage = stage(input.spec, status.stage).sized;
    let is_given = matches!(status.step, Step::Shifting | Step::Running { .. });
    let needed = if is_given && is_of_stage(input, status) {
        at_stage
    } else {
        at_stage.max(input.replicas())
    };
    Sizing {
        share: Share::percent(status.weight),
        sized: status.sized_for.min(needed),
    }
}

/// How many canary tasks are wanted now. Until the share of a smaller stage is observed everywhere, the tasks of the
/// larger one may have its requests.
pub(super) fn canary_size(input: &Input, status: &RolloutStatus) -> u32 {
    let wanted = stage(input.spec, status.stage).sized;
    let is_observed = matches!(status.step, Step::Running { .. });
    if is_observed && is_of_stage(input, status) {
        wanted
    } else {
        wanted.max(status.sized_for.min(input.replicas()))
    }
}

/// Whether the share that is in force is that of the spec's stage.
fn is_of_stage(input: &Input, status: &RolloutStatus) -> bool {
    !input.is_of_another_kind() && status.weight == stage(input.spec, status.stage).weight
}

//! The order of stages: what leads from one to the next, and where an attempt begins (PROGRESS-2, PROGRESS-6).

use jiff::Timestamp;

use super::Event;
use super::decisions::{is_known, taken_verb, was_promoted};
use crate::api::{AttemptOutcome, PauseReason, Revision, RolloutSpec, RolloutStatus, Step, Verb};

/// Compares the status that was stored with the one before. Stages that were edited are another matter (PROGRESS-4).
pub(super) fn check(event: &Event) {
    let (Some(before), Some(spec)) = (event.before, event.spec()) else {
        return;
    };
    let after = event.status;
    if !is_known(event) {
        return;
    }
    if after.attempt != before.attempt {
        begins_at_first(event, before, spec);
    } else if before.observed_generation == after.observed_generation && after.stage > before.stage
    {
        is_led_on(event, before);
        if !was_promoted(before, after) {
            has_baked(event, before, spec);
        }
    }
}

/// PROGRESS-2: an attempt begins at its first stage, unless its revision has been stable before (PROGRESS-8).
fn begins_at_first(event: &Event, before: &RolloutStatus, spec: &RolloutSpec) {
    let after = event.status;
    let Some(canary) = &after.canary_revision else {
        return;
    };
    let has_all = u32::try_from(spec.strategy.stage_count()).unwrap_or(u32::MAX);
    let comes_back = after.stage == has_all && was_stable(before, canary);
    if after.step == Step::Scaling && after.stage != 0 && !comes_back {
        event.broken(
            "PROGRESS-2",
            format!("attempt {} began at stage {}", after.attempt, after.stage),
        );
    }
}

fn was_stable(status: &RolloutStatus, revision: &Revision) -> bool {
    let mut history = status.history.iter();
    status.is_warm(revision)
        || history
            .any(|past| past.revision == *revision && past.outcome == AttemptOutcome::Completed)
}

/// PROGRESS-6: one stage after the other, unless somebody said `promote --full`; and none while somebody holds them.
fn is_led_on(event: &Event, before: &RolloutStatus) {
    let after = event.status;
    let verb = taken_verb(before, after);
    let (from, to) = (before.stage, after.stage);
    if to > from + 1 && verb != Some(Verb::PromoteFull) {
        let what = format!("stage {to} follows on stage {from}, and nobody said `promote --full`");
        event.broken("PROGRESS-6", what);
    }
    let is_held = |status: &RolloutStatus| {
        let pause = status.pause.as_ref();
        pause.is_some_and(|pause| pause.reason == PauseReason::User)
    };
    let is_released = matches!(verb, Some(Verb::Promote | Verb::PromoteFull | Verb::Resume));
    if is_held(before) && !is_released {
        let what = format!("stage {to} follows on stage {from} although it was paused");
        event.broken("PROGRESS-6", what);
    }
}

/// PROGRESS-6: nothing but `promote` ends the bake of a stage, or its wait for approval.
fn has_baked(event: &Event, before: &RolloutStatus, spec: &RolloutSpec) {
    let Some(stage) = spec.strategy.stage(before.stage as usize) else {
        return;
    };
    if stage.approval {
        let what = format!("stage {} was left without its approval", before.stage);
        event.broken("PROGRESS-6", what);
    }
    let Step::Running { since } = before.step else {
        let what = format!("stage {} was left before it began", before.stage);
        event.broken("PROGRESS-6", what);
        return;
    };
    let end = stage.bake.map(|bake| bake.after(since));
    let is_early = |now: Timestamp| end.is_some_and(|end| now < end);
    if decided_at(event.status, spec).is_some_and(is_early) {
        let what = format!("stage {} was left before it had baked", before.stage);
        event.broken("PROGRESS-6", what);
    }
}

/// When the stage at hand was entered, by the clock of who decided that: its deadline tells.
fn decided_at(status: &RolloutStatus, spec: &RolloutSpec) -> Option<Timestamp> {
    let deadline = status.deadline?;
    Some(spec.progress_deadline.before(deadline))
}

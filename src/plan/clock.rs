//! The clock of the progress deadline (PROGRESS-5): what it was started for, and what an edit makes of it.

use super::{Input, stages};
use crate::api::{ProgressClock, RolloutStatus};

/// Starts it anew; that of a paused rollout stands.
pub(super) fn start(status: &mut RolloutStatus, input: &Input) {
    let clock = ProgressClock {
        span: input.spec.progress_deadline,
        tasks: asked_for(status, input),
    };
    status.clock = Some(clock);
    match &mut status.pause {
        Some(pause) => {
            pause.deadline_left_ms = Some(clock.span.as_millis());
            status.deadline = None;
        }
        None => status.deadline = Some(clock.span.after(input.now)),
    }
}

/// Brings a clock that runs, or stands in a pause, to what the spec says now. More tasks than were asked for since it was
/// started have the whole time; another span counts from where it was started. Any other edit is nothing new to wait for.
pub(super) fn adjust(status: &mut RolloutStatus, input: &Input) {
    let asked = asked_for(status, input);
    let span = input.spec.progress_deadline;
    let clock = *status
        .clock
        .get_or_insert(ProgressClock { span, tasks: asked });
    if asked > clock.tasks && is_needed(status) {
        start(status, input);
    } else if span != clock.span {
        status.clock = Some(ProgressClock { span, ..clock });
        if let Some(deadline) = &mut status.deadline {
            *deadline = span.after(clock.span.before(*deadline));
        }
        if let Some(left) = status
            .pause
            .as_mut()
            .and_then(|pause| pause.deadline_left_ms.as_mut())
        {
            *left = left
                .saturating_add(span.as_millis())
                .saturating_sub(clock.span.as_millis());
        }
    }
}

fn is_needed(status: &RolloutStatus) -> bool {
    let stands = status
        .pause
        .as_ref()
        .is_some_and(|pause| pause.deadline_left_ms.is_some());
    status.deadline.is_some() || stands
}

/// How many tasks the spec asks for at the stage at hand.
fn asked_for(status: &RolloutStatus, input: &Input) -> u32 {
    let is_staged = status.canary_revision.is_some() && input.spec.strategy.preview().is_none();
    if is_staged {
        stages::stage(input.spec, status.stage).sized
    } else {
        input.spec.replicas
    }
}

//! Previews: a revision that comes up without production traffic, is checked, and goes (PROGRESS-9, PROGRESS-10).
//!
//! What a preview has in common with a release (its tasks, its measurements, commands, deadlines) is done where that is
//! done for all. Here is in what it differs: nothing is shared with anybody, one follows the other, and each has an end.

use jiff::Timestamp;

use super::scene::Scene;
use super::stages::{self, Gate};
use super::{AskedBy, Input, attempt, progress, settle};
use crate::api::{
    AbortCause, AttemptOutcome, Deletion, Dependents, HistoryEntry, KeepUntil, PauseReason, Phase,
    Preview, Revision, RolloutStatus, Step,
};

/// The terms of the preview, if the rollout is one. One that serves is none, whatever its spec asks for: that is
/// refused ([`super::SpecProblem::Serves`]), and nothing of what serves may end by it.
pub(super) fn terms<'a>(status: &RolloutStatus, input: &Input<'a>) -> Option<&'a Preview> {
    input
        .spec
        .strategy
        .preview()
        .filter(|_| status.route.is_none())
}

/// The revision that is up: being checked, or checked already.
fn up(status: &RolloutStatus) -> Option<&Revision> {
    let canary = status.canary_revision.as_ref();
    canary.or(status.stable_revision.as_ref())
}

/// Whether the rollout has been a preview until now: it has begun something, and has no back end.
pub(super) fn was(status: &RolloutStatus) -> bool {
    status.attempt > 0 && status.route.is_none()
}

/// What the spec asks for, against what is up: one preview replaces the other. What has had its end does not come
/// again by itself, nor what has failed (ABORT-2).
pub(super) fn settle(status: &mut RolloutStatus, input: &Input, wanted: Revision) {
    match up(status) {
        Some(current) if *current == wanted => return,
        Some(_) => give_way(status, input, &wanted.to_string()),
        None if last_attempt(status).is_some_and(|last| last.revision == wanted) => return,
        None => {}
    }
    attempt::begin(status, input, wanted, None);
}

/// What is up goes, for `wanted` is asked for instead.
pub(super) fn give_way(status: &mut RolloutStatus, input: &Input, wanted: &str) {
    if let Some(canary) = status.canary_revision.clone() {
        settle::supersede(status, input, &canary, wanted);
    }
    if let Some(checked) = status.stable_revision.take() {
        let message = format!("{checked} goes: {wanted} was asked for instead");
        attempt::note(status, input.now, None, message);
        status.leaving.insert(checked, input.now);
    }
}

fn last_attempt(status: &RolloutStatus) -> Option<&HistoryEntry> {
    status.history.last()
}

/// The one step that a preview may take in this turn.
pub(super) fn advance(status: &mut RolloutStatus, input: &Input, scene: &Scene, canary: &Revision) {
    if scene.ready_of(canary) < input.spec.replicas {
        return;
    }
    match status.step {
        Step::Scaling if status.stage == 0 => begin_checks(status, input, canary),
        Step::Running { since } if !is_checked(status, input, since) => {}
        // `promote` leads past the checks.
        Step::Scaling | Step::Running { .. } => pass(status, input),
        Step::Idle | Step::Initial | Step::Shifting => {}
    }
}

fn begin_checks(status: &mut RolloutStatus, input: &Input, canary: &Revision) {
    status.step = Step::Running { since: input.now };
    status.deadline = None;
    status.measurements.clear();
    let message = format!("{canary} is up, without production traffic; its checks begin");
    attempt::note(status, input.now, None, message);
}

fn is_checked(status: &RolloutStatus, input: &Input, since: Timestamp) -> bool {
    let checks = stages::stage(input.spec, 0);
    let is_baked = input.now >= checks.bake.after(since);
    is_baked && checks.gate == Gate::Open && progress::is_measured(status, input)
}

fn pass(status: &mut RolloutStatus, input: &Input) {
    let Some(canary) = &status.canary_revision else {
        return;
    };
    let message = format!("{canary} has passed its checks");
    attempt::complete(status, input, AttemptOutcome::Passed, message);
}

/// PROGRESS-10: takes down what has had its time, or is to go once it has passed. Somebody who said `pause` looks at
/// it still.
pub(super) fn expire(status: &mut RolloutStatus, input: &Input) {
    let Some(preview) = terms(status, input) else {
        expire_former(status, input);
        return;
    };
    if !is_held(status) {
        let is_over = ends_at(status, preview).is_some_and(|end| input.now >= end);
        let is_checked = status.canary_revision.is_none();
        match preview.keep_until {
            _ if is_over => take_down(status, input, &format!("ttl of {}", preview.ttl)),
            KeepUntil::Checked if is_checked => leave(status, input, "it has passed its checks"),
            KeepUntil::Checked | KeepUntil::Ttl => {}
        }
    }
    let end = up(status).and_then(|_| ends_at(status, preview));
    status.expires_at = end;
}

/// A preview whose release cannot be carried out yet has the end that it had: nothing else of that spec begins either.
fn expire_former(status: &mut RolloutStatus, input: &Input) {
    let end = status.expires_at.filter(|_| was(status));
    if end.is_some_and(|end| input.now >= end) && !is_held(status) {
        take_down(status, input, "time");
    }
    status.expires_at = end.filter(|_| up(status).is_some());
}

/// What is up has had its `time`; what is not checked by then has failed.
fn take_down(status: &mut RolloutStatus, input: &Input, time: &str) {
    if status.canary_revision.is_none() {
        leave(status, input, &format!("its {time} is over"));
        return;
    }
    let waited = input.status.waiting_on.as_ref();
    let waited = waited.map(|waited| format!("; it was waiting for {waited}"));
    let message = format!(
        "its checks were not done within its {time}{}",
        waited.unwrap_or_default()
    );
    attempt::abort(status, input, AbortCause::Deadline, message);
}

fn leave(status: &mut RolloutStatus, input: &Input, why: &str) {
    if let Some(checked) = status.stable_revision.take() {
        let message = format!("{checked} goes: {why}");
        attempt::note(status, input.now, None, message);
        status.leaving.insert(checked, input.now);
    }
}

fn is_held(status: &RolloutStatus) -> bool {
    let pause = status.pause.as_ref();
    pause.is_some_and(|pause| pause.reason == PauseReason::User)
}

/// When the last preview is removed at the latest.
fn ends_at(status: &RolloutStatus, preview: &Preview) -> Option<Timestamp> {
    last_attempt(status).map(|last| preview.ttl.after(last.started_at))
}

/// When something ends by itself.
pub(super) fn next_end(status: &RolloutStatus, input: &Input) -> Option<Timestamp> {
    let (end, is_left) = match terms(status, input) {
        Some(preview) => (ends_at(status, preview), input.asked_by == AskedBy::Hand),
        None => (status.expires_at, false),
    };
    let is_awaited = (is_left || up(status).is_some()) && !is_held(status);
    end.filter(|end| is_awaited && *end > input.now)
}

/// Whether a preview has passed and is gone.
pub(super) fn is_over(status: &RolloutStatus, input: &Input) -> bool {
    terms(status, input).is_some()
        && status.abort.is_none()
        && status.leaving.is_empty()
        && up(status).is_none()
}

/// PROGRESS-10: once its time is over and nothing of it is left, the rollout itself goes too, unless it stands in a
/// source, which would only ask for it again.
pub(super) fn deletion(status: &RolloutStatus, input: &Input) -> Option<Deletion> {
    let preview = terms(status, input)?;
    let is_over = ends_at(status, preview).is_some_and(|end| input.now >= end);
    let has_services = input.snapshot.services_of(input.name).next().is_some();
    let is_left = up(status).is_some() || !status.leaving.is_empty() || has_services;
    let goes = is_over && !is_left && !is_held(status) && input.asked_by == AskedBy::Hand;
    goes.then_some(Deletion {
        at: input.now,
        dependents: Dependents::Remove,
    })
}

/// Whether `revision`'s service must wait for those of earlier previews to be gone: they answer to the same name, and
/// may have the same port of a node.
pub(super) fn must_wait(status: &RolloutStatus, input: &Input, revision: &Revision) -> bool {
    let mut others = input
        .snapshot
        .services_of(input.name)
        .filter(|service| service.revision != *revision);
    terms(status, input).is_some()
        && others.any(|service| {
            let mut living = input.snapshot.living_tasks_of(&service.id);
            service.replicas > 0 || living.next().is_some()
        })
}

/// The state of a preview that neither failed nor is paused.
pub(super) fn phase(status: &RolloutStatus, is_whole: bool) -> (Phase, &'static str) {
    match (status.step, &status.stable_revision) {
        (Step::Scaling | Step::Shifting | Step::Initial, _) => {
            (Phase::Progressing, "the preview comes up")
        }
        (Step::Running { .. }, _) => (Phase::Progressing, "the preview's checks run"),
        (Step::Idle, _) if !status.leaving.is_empty() => {
            (Phase::Progressing, "the preview is being removed")
        }
        (Step::Idle, None) => (
            Phase::Healthy,
            "the preview has passed its checks and is over",
        ),
        (Step::Idle, Some(_)) if is_whole => (
            Phase::Healthy,
            "the preview is up and has passed its checks",
        ),
        (Step::Idle, Some(_)) => (Phase::Progressing, "fewer tasks run than are wanted"),
    }
}

/// Whether `retry` may begin the preview once more: it has had its end.
pub(super) fn may_come_again(status: &RolloutStatus, input: &Input) -> bool {
    let had_its_end =
        last_attempt(status).is_some_and(|last| last.outcome == AttemptOutcome::Passed);
    terms(status, input).is_some() && had_its_end && up(status).is_none()
}

//! An attempt: how it begins and how it ends. The only place that starts or closes one.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Input, clock, preview, stages};
use crate::api::{
    Abort, AbortCause, Actor, AttemptOutcome, Event, HistoryEntry, Pause, PauseReason, Revision,
    RevisionRecord, RolloutStatus, Step,
};

/// How many attempts the status remembers, besides those that lead back.
const HISTORY: usize = 10;
/// How many events the status remembers.
const EVENTS: usize = 20;

/// Notes what happened.
pub(super) fn note(
    status: &mut RolloutStatus,
    at: Timestamp,
    by: Option<&Actor>,
    message: impl Into<String>,
) {
    status.events.push(Event {
        at,
        message: message.into(),
        by: by.cloned(),
    });
    let surplus = status.events.len().saturating_sub(EVENTS);
    status.events.drain(..surplus);
}

/// Begins to release the spec's revision: the first one ever directly (PROGRESS-1), any other one
/// at stage 0.
pub(super) fn begin(
    status: &mut RolloutStatus,
    input: &Input,
    revision: Revision,
    by: Option<&Actor>,
) {
    status.attempt += 1;
    status.stage = first_stage(status, input, &revision);
    status.weight = 0;
    status.sized_for = tasks_at_work(status, input, &revision);
    status.abort = None;
    status.pause = status
        .pause
        .take()
        .filter(|pause| pause.reason == PauseReason::User);
    status.measurements.clear();
    status.leaving.remove(&revision);
    status.warm.remove(&revision);
    remember(status, input, &revision);
    status.history.push(HistoryEntry {
        attempt: status.attempt,
        revision: revision.clone(),
        generation: input.generation,
        commit: input.commit.cloned(),
        started_at: input.now,
        ended_at: None,
        outcome: AttemptOutcome::Running,
        message: String::new(),
    });
    forget_attempts(status);
    let asked_by = match input.commit {
        Some(commit) => format!(" (commit {})", commit.short()),
        None => String::new(),
    };
    note(
        status,
        input.now,
        by,
        format!("attempt {}: {revision} begins{asked_by}", status.attempt),
    );
    // A preview is tried even if nothing was before it.
    if status.stable_revision.is_none() && preview::terms(status, input).is_none() {
        status.stable_revision = Some(revision);
        status.step = Step::Initial;
    } else {
        status.canary_revision = Some(revision);
        status.step = Step::Scaling;
    }
    clock::start(status, input);
}

/// The tasks that a revision has from a former attempt, as long as they may have requests still. They stay until the first
/// stage is observed everywhere, which says that they have none beyond its share (TRAFFIC-4).
fn tasks_at_work(status: &RolloutStatus, input: &Input, revision: &Revision) -> u32 {
    let is_tried = status.canary_revision.as_ref() == Some(revision);
    if !is_tried && !status.leaving.contains_key(revision) {
        return 0;
    }
    let service = input.snapshot.service(input.name, revision);
    service.map_or(0, |service| service.replicas)
}

/// Old attempts are forgotten, but not the one that made a kept revision stable last: by it the way back is found, and
/// what nobody goes back to any more (PROGRESS-8).
fn forget_attempts(status: &mut RolloutStatus) {
    let surplus = status.history.len().saturating_sub(HISTORY);
    let recent = status.history.split_off(surplus);
    let mut kept: Vec<HistoryEntry> = Vec::new();
    let mut known: BTreeSet<&Revision> = recent
        .iter()
        .filter(|entry| entry.outcome == AttemptOutcome::Completed)
        .map(|entry| &entry.revision)
        .collect();
    for entry in status.history.iter().rev() {
        let leads_back = entry.outcome == AttemptOutcome::Completed
            && status.revisions.contains_key(&entry.revision);
        if leads_back && known.insert(&entry.revision) {
            kept.push(entry.clone());
        }
    }
    kept.reverse();
    kept.extend(recent);
    status.history = kept;
}

/// Where an attempt begins: what is still warm, or has served within the rollback window, was measured then, and comes
/// back without stages.
fn first_stage(status: &RolloutStatus, input: &Input, revision: &Revision) -> u32 {
    if status.is_warm(revision) || is_in_window(status, input, revision) {
        stages::count(input.spec)
    } else {
        0
    }
}

/// Whether `revision` is one of the last that were stable before the one that is, as many as the rollback window has.
fn is_in_window(status: &RolloutStatus, input: &Input, revision: &Revision) -> bool {
    let size = input
        .spec
        .rollback_window
        .map_or(0, |window| window.revisions);
    let mut window: Vec<&Revision> = Vec::new();
    let latest_first = status.history.iter().rev();
    for entry in latest_first.filter(|entry| entry.outcome == AttemptOutcome::Completed) {
        let is_stable = status.stable_revision.as_ref() == Some(&entry.revision);
        if !is_stable && !window.contains(&&entry.revision) {
            window.push(&entry.revision);
        }
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    window.into_iter().take(size).any(|known| known == revision)
}

/// Keeps what a revision runs, so that it can be brought back when the spec has gone on.
fn remember(status: &mut RolloutStatus, input: &Input, revision: &Revision) {
    status
        .revisions
        .entry(revision.clone())
        .or_insert_with(|| RevisionRecord {
            template: input.spec.template.clone().into(),
            access: input.spec.access(),
            created_at: input.now,
        });
}

/// Closes the running attempt in the history.
pub(super) fn close(
    status: &mut RolloutStatus,
    now: Timestamp,
    outcome: AttemptOutcome,
    message: &str,
) {
    if let Some(entry) = status
        .history
        .iter_mut()
        .rev()
        .find(|entry| entry.outcome == AttemptOutcome::Running)
    {
        entry.outcome = outcome;
        entry.ended_at = Some(now);
        message.clone_into(&mut entry.message);
    }
}

/// Closes the attempt by which the first revision has come up. It was closed already if another one was tried on the way.
pub(super) fn close_first(status: &mut RolloutStatus, now: Timestamp, stable: &Revision) {
    let mut latest_first = status.history.iter_mut().rev();
    if let Some(entry) = latest_first.find(|entry| entry.revision == *stable) {
        entry.outcome = AttemptOutcome::Completed;
        entry.ended_at = Some(now);
        entry.message.clear();
    }
}

/// The canary leaves the traffic, in the very turn in which that is decided (ABORT-1).
pub(super) fn withdraw_canary(status: &mut RolloutStatus, now: Timestamp) {
    if let Some(canary) = status.canary_revision.take() {
        status.leaving.insert(canary, now);
    }
    status.step = Step::Idle;
    status.weight = 0;
    status.sized_for = 0;
    status.deadline = None;
    status.pause = None;
}

/// Takes the running attempt back.
pub(super) fn abort(status: &mut RolloutStatus, input: &Input, cause: AbortCause, message: String) {
    let Some(revision) = status.canary_revision.clone() else {
        return;
    };
    let by = match &cause {
        AbortCause::User { by } => Some(by.clone()),
        AbortCause::Analysis { .. } | AbortCause::Deadline => None,
    };
    close(status, input.now, AttemptOutcome::Aborted, &message);
    note(
        status,
        input.now,
        by.as_ref(),
        format!("attempt {} aborted: {message}", status.attempt),
    );
    status.abort = Some(Abort {
        attempt: status.attempt,
        stage: status.stage,
        revision,
        at: input.now,
        cause,
        message,
    });
    withdraw_canary(status, input.now);
}

/// Stops before the next step until somebody decides; the deadline's clock stands.
pub(super) fn pause(
    status: &mut RolloutStatus,
    input: &Input,
    reason: PauseReason,
    message: String,
) {
    let left = status
        .deadline
        .take()
        .map(|deadline| crate::api::Duration::between(input.now, deadline).as_millis());
    status.pause = Some(Pause {
        reason,
        since: input.now,
        message,
        deadline_left_ms: left,
    });
}

/// Goes on after a pause; the deadline's clock goes on with what was left.
pub(super) fn unpause(status: &mut RolloutStatus, input: &Input) {
    if let Some(left) = status.pause.take().and_then(|pause| pause.deadline_left_ms) {
        status.deadline = Some(crate::api::Duration::from_millis(left).after(input.now));
    }
}

/// Goes to stage `stage`, whose tasks come first. A share that is larger than the stage's own is lowered at once: to take
/// traffic away is always safe. The tasks that it was sized for stay until that is observed (TRAFFIC-1).
pub(super) fn enter_stage(status: &mut RolloutStatus, input: &Input, stage: u32) {
    status.sized_for = stages::in_force(input, status).sized;
    status.stage = stage.min(stages::count(input.spec));
    let weight = stages::stage(input.spec, status.stage).weight;
    status.weight = status.weight.min(weight);
    status.step = Step::Scaling;
    status.measurements.clear();
    clock::start(status, input);
}

/// The canary has all the traffic and all its tasks: it is the stable revision now, and the old
/// one leaves.
pub(super) fn promote(status: &mut RolloutStatus, input: &Input) {
    let Some(canary) = &status.canary_revision else {
        return;
    };
    let message = format!("{canary} is stable");
    if let Some(old) = complete(status, input, AttemptOutcome::Completed, message) {
        retire(status, input, old);
    }
    status.measurements.clear();
}

/// What was tried is what is wanted from now on; gives what was before.
pub(super) fn complete(
    status: &mut RolloutStatus,
    input: &Input,
    outcome: AttemptOutcome,
    message: String,
) -> Option<Revision> {
    let canary = status.canary_revision.take()?;
    close(status, input.now, outcome, "");
    note(status, input.now, None, message);
    status.step = Step::Idle;
    status.weight = 0;
    status.sized_for = 0;
    status.deadline = None;
    status.stable_revision.replace(canary)
}

/// What was stable until now keeps its tasks for a while, if the spec says so; whatever was kept so before leaves.
fn retire(status: &mut RolloutStatus, input: &Input, old: Revision) {
    let older: Vec<Revision> = status.warm.keys().cloned().collect();
    for revision in older {
        status.leaving.entry(revision).or_insert(input.now);
    }
    let delay = input.spec.strategy.scale_down_delay();
    if delay.is_zero() {
        status.leaving.insert(old, input.now);
    } else {
        status.warm.insert(old, delay.after(input.now));
    }
}

/// What was kept warm for its time leaves.
pub(super) fn let_cool(status: &mut RolloutStatus, now: Timestamp) {
    let over = status.warm.iter().filter(|(_, until)| now >= **until);
    let over: Vec<Revision> = over.map(|(revision, _)| revision.clone()).collect();
    for revision in over {
        status.leaving.entry(revision).or_insert(now);
    }
}

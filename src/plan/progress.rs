//! Progress: the one step that an attempt may take in this turn.

use jiff::Timestamp;

use super::scene::Scene;
use super::stages::{self, Gate};
use super::traffic::{Picture, Role};
use super::{Input, Resolved, attempt, clock, jobs, preview};
use crate::analysis::{self, Verdict};
use crate::api::{
    AbortCause, MeasurementStatus, OnFailure, PauseReason, Revision, RolloutStatus, Step, brief,
};

/// Takes at most one step: each must be remembered, done and observed before the next one.
pub(super) fn advance(status: &mut RolloutStatus, input: &Input, resolved: &Resolved) {
    if judge(status, input) || status.pause.is_some() {
        return;
    }
    if status.step == Step::Idle {
        return; // The scene is dear, and nothing here asks for it.
    }
    let scene = Scene::of(status, input, resolved);
    let from = (status.step, status.stage);
    step(status, input, &scene);
    // What is ready when somebody looks was not given up in time: whether anybody looked before is no matter of its.
    if (status.step, status.stage) == from {
        give_up(status, input);
    } else if is_expired(status, input) {
        clock::start(status, input);
    }
}

/// Takes the step that is due, if it can be taken.
fn step(status: &mut RolloutStatus, input: &Input, scene: &Scene) {
    let (stable, canary) = (
        status.stable_revision.clone(),
        status.canary_revision.clone(),
    );
    if preview::terms(status, input).is_some() {
        if let Some(canary) = canary {
            preview::advance(status, input, scene, &canary);
        }
        return;
    }
    match (status.step, stable, canary) {
        (Step::Initial, Some(stable), _) => settle_first(status, input, scene, &stable),
        (Step::Scaling, _, Some(canary)) => begin_shift(status, input, scene, &canary),
        (Step::Shifting, _, Some(_)) => begin_stage(status, input, scene),
        (Step::Running { since }, ..) => pass_on(status, input, scene, since),
        (Step::Idle, ..) | (Step::Initial, None, _) | (Step::Scaling | Step::Shifting, _, None) => {
        }
    }
}

/// Acts on a verdict; it is final for its attempt and stage (ABORT-3).
fn judge(status: &mut RolloutStatus, input: &Input) -> bool {
    let Step::Running { .. } = status.step else {
        return false;
    };
    let decided = status
        .pause
        .as_ref()
        .is_some_and(|pause| pause.reason != PauseReason::User);
    if decided {
        return false;
    }
    match analysis::verdict(&status.measurements, input.now) {
        Verdict::Passed | Verdict::Pending => false,
        Verdict::Failed(record) => {
            let record = record.clone();
            fail(status, input, &record);
            true
        }
        Verdict::Inconclusive(record) => {
            let problem = record
                .recent
                .last()
                .and_then(|sample| sample.problem.clone())
                .unwrap_or_default();
            let message = jobs::inconclusive(record, input, &problem);
            attempt::note(
                status,
                input.now,
                None,
                format!("paused as inconclusive: {message}"),
            );
            attempt::pause(status, input, PauseReason::Inconclusive, message);
            true
        }
    }
}

fn fail(status: &mut RolloutStatus, input: &Input, record: &MeasurementStatus) {
    let message = analysis::explain(record, &stages::name(input.spec, record.stage));
    match input.spec.on_failure {
        OnFailure::Rollback => {
            let cause = AbortCause::Analysis {
                metric: record.metric.clone(),
                failed: record.failures.clone(),
            };
            attempt::abort(status, input, cause, message);
        }
        OnFailure::Pause => {
            attempt::note(status, input.now, None, format!("paused: {message}"));
            attempt::pause(status, input, PauseReason::Failure, message);
        }
    }
}

fn is_expired(status: &RolloutStatus, input: &Input) -> bool {
    let deadline = status.deadline;
    deadline.is_some_and(|deadline| input.now >= deadline)
}

/// The progress deadline (PROGRESS-5). The first revision has nothing to go back to: it is said,
/// and tried on.
pub(super) fn give_up(status: &mut RolloutStatus, input: &Input) -> bool {
    if !is_expired(status, input) || status.canary_revision.is_none() {
        return false;
    }
    // What a task said tells most; a task that is only slow says nothing.
    let reason = last_problem(status.canary_revision.as_ref(), input)
        .map(|problem| format!(": {problem}"))
        .or_else(|| {
            let waited = input.status.waiting_on.as_ref()?;
            Some(format!("; it was waiting for {waited}"))
        });
    let message = format!(
        "{} was not ready within the progress deadline of {}{}",
        stages::name(input.spec, status.stage),
        input.spec.progress_deadline,
        reason.unwrap_or_default()
    );
    match input.spec.on_failure {
        OnFailure::Rollback => attempt::abort(status, input, AbortCause::Deadline, message),
        OnFailure::Pause => {
            attempt::note(status, input.now, None, format!("paused: {message}"));
            status.deadline = None;
            attempt::pause(status, input, PauseReason::Failure, message);
        }
    }
    true
}

/// What the latest task of `revision` that went wrong said.
pub(super) fn last_problem(revision: Option<&Revision>, input: &Input) -> Option<String> {
    let service = input.snapshot.service(input.name, revision?)?;
    let failed = input
        .snapshot
        .tasks_of(&service.id)
        .filter(|task| task.problem.is_some());
    failed
        .max_by_key(|task| task.since)
        .and_then(|task| task.problem.as_deref().map(brief))
}

/// The first revision serves with all its tasks: it is Healthy (PROGRESS-1).
fn settle_first(status: &mut RolloutStatus, input: &Input, scene: &Scene, stable: &Revision) {
    let whole = |picture: &Picture| {
        picture.is_settled() && picture.checked_up(Role::Stable) >= input.spec.replicas
    };
    if scene.ready_of(stable) >= input.spec.replicas && scene.everywhere(whole) {
        status.step = Step::Idle;
        status.deadline = None;
        attempt::close_first(status, input.now, stable);
        attempt::note(status, input.now, None, format!("{stable} is stable"));
    }
}

/// The stage's tasks are up everywhere, and nothing that leaves takes requests any more
/// (PROGRESS-2): the share may be raised.
fn begin_shift(status: &mut RolloutStatus, input: &Input, scene: &Scene, canary: &Revision) {
    let stage = stages::stage(input.spec, status.stage);
    // What cannot be relieved by stable keeps serving until this canary relieves it.
    let is_free = |picture: &Picture| picture.leaving_is_out() || !picture.is_relieved();
    let up =
        |picture: &Picture| picture.checked_up(Role::Canary) >= stage.sized && is_free(picture);
    if scene.ready_of(canary) >= stage.sized && scene.everywhere(up) {
        status.sized_for = stages::canary_size(input, status);
        status.step = Step::Shifting;
        status.weight = stage.weight;
        let name = stages::name(input.spec, status.stage);
        let message = if stage.weight == 0 {
            format!("{name}: {canary} is up, {}", share_of_none(scene))
        } else {
            format!("{name}: shifting {} % to {canary}", stage.weight)
        };
        attempt::note(status, input.now, None, message);
    }
}

/// Whether the canary serves on some instance although it should not, as nobody else does (TRAFFIC-5).
fn stands_in(scene: &Scene) -> bool {
    scene.pictures().any(|(_, picture)| picture.stands_in)
}

/// What a stage without a share gives the canary.
fn share_of_none(scene: &Scene) -> &'static str {
    if stands_in(scene) {
        "and keeps the traffic that it has, as nothing of stable is up"
    } else {
        "without traffic"
    }
}

/// The share is observed on every instance: the stage begins (TRAFFIC-3).
fn begin_stage(status: &mut RolloutStatus, input: &Input, scene: &Scene) {
    let stage = stages::stage(input.spec, status.stage);
    let reached =
        |picture: &Picture| picture.checked_up(Role::Canary) >= stage.sized && picture.is_settled();
    if scene.everywhere(reached) {
        status.step = Step::Running { since: input.now };
        status.sized_for = status.sized_for.min(stage.sized);
        status.deadline = None;
        status.measurements.clear();
        let name = stages::name(input.spec, status.stage);
        let observed = if stage.weight == 0 && stands_in(scene) {
            share_of_none(scene).to_owned()
        } else {
            format!("{} % observed", stage.weight)
        };
        attempt::note(status, input.now, None, format!("{name} began: {observed}"));
    }
}

/// The stage has baked, is measured and approved: on to the next one, or the canary is stable.
fn pass_on(status: &mut RolloutStatus, input: &Input, scene: &Scene, since: Timestamp) {
    let stage = stages::stage(input.spec, status.stage);
    let baked = input.now >= stage.bake.after(since);
    if !baked || stage.gate == Gate::Approval || !is_measured(status, input) {
        return;
    }
    let is_last = status.stage >= stages::count(input.spec);
    // The last stage may have been observed long ago, before a pause: promotion needs it now.
    let is_whole = |picture: &Picture| picture.canaries_up >= stage.sized && picture.is_settled();
    if !is_last {
        attempt::enter_stage(status, input, status.stage + 1);
    } else if scene.everywhere(is_whole) {
        attempt::promote(status, input);
    } else {
        attempt::enter_stage(status, input, status.stage);
    }
}

/// Whether every metric of the stage has passed (ANALYSIS-5). A turn before the records exist
/// cannot be one in which they have passed: they are made before the stage is looked at.
pub(super) fn is_measured(status: &RolloutStatus, input: &Input) -> bool {
    match analysis::verdict(&status.measurements, input.now) {
        Verdict::Passed => true,
        Verdict::Pending | Verdict::Failed(_) | Verdict::Inconclusive(_) => false,
    }
}

//! What the spec asks for, against what is under way: whether an attempt begins, goes on, is
//! replaced by another one, or is no longer wanted.

use super::{Input, attempt, clock, preview, stages};
use crate::api::{AttemptOutcome, Revision, RolloutStatus, Step, StrategyKind};

/// The stages that the attempt at hand has gone by until now.
#[derive(Clone, Copy)]
struct Known {
    count: u32,
    strategy: Option<StrategyKind>,
}

impl Known {
    /// What is known until now, with those of the spec in its place.
    fn replace(status: &mut RolloutStatus, input: &Input) -> Self {
        let count = stages::count(input.spec);
        Self {
            count: std::mem::replace(&mut status.stages, count),
            strategy: status.strategy.replace(input.spec.strategy.kind()),
        }
    }
}

/// Brings the status to the spec's generation.
pub(super) fn spec(status: &mut RolloutStatus, input: &Input) {
    let wanted = Revision::of(input.spec);
    status.observed_generation = input.generation;
    clock::adjust(status, input);
    let route = input.spec.route();
    let known = Known::replace(status, input);
    if input.spec.strategy.preview().is_some() {
        preview::settle(status, input, wanted);
        return;
    }
    if preview::was(status) {
        preview::give_way(status, input, "a release");
    }
    status.route = route;
    match (
        status.stable_revision.clone(),
        status.canary_revision.clone(),
    ) {
        (None, _) => attempt::begin(status, input, wanted, None),
        (Some(stable), None) if stable == wanted => return_to_rest(status, input),
        (Some(stable), None) => replace_stable(status, input, &stable, wanted),
        (Some(stable), Some(_)) if stable == wanted => revert(status, input),
        (Some(_), Some(canary)) if canary == wanted => adjust_stage(status, input, known),
        (Some(_), Some(canary)) => {
            supersede(status, input, &canary, wanted.as_str());
            attempt::begin(status, input, wanted, None);
        }
    }
}

/// What of the spec is brought about although its metrics cannot be found: back to stable's own
/// template takes traffic from nobody who was measured.
pub(super) fn take_back(status: &mut RolloutStatus, input: &Input) {
    let is_stable = status.stable_revision.as_ref() == Some(&Revision::of(input.spec));
    if is_stable && status.canary_revision.is_some() {
        revert(status, input);
    }
}

/// The spec asks for what is stable already; an abort of something else is history.
fn return_to_rest(status: &mut RolloutStatus, input: &Input) {
    if status.abort.take().is_some() {
        attempt::note(
            status,
            input.now,
            None,
            "the spec is back at the stable revision",
        );
    }
}

/// Nothing is being tried and the spec asks for something else than stable.
fn replace_stable(status: &mut RolloutStatus, input: &Input, stable: &Revision, wanted: Revision) {
    if status
        .abort
        .as_ref()
        .is_some_and(|abort| abort.revision == wanted)
    {
        return; // ABORT-2: the same bad template is not tried again by itself.
    }
    if status.step == Step::Initial {
        attempt::close(
            status,
            input.now,
            AttemptOutcome::Superseded,
            "a newer revision was asked for",
        );
        if !has_ready_task(input, stable) {
            // Nothing has ever served: there is nothing to protect by stages.
            status.leaving.insert(stable.clone(), input.now);
            status.stable_revision = None;
        }
    }
    attempt::begin(status, input, wanted, None);
}

fn has_ready_task(input: &Input, revision: &Revision) -> bool {
    let Some(service) = input.snapshot.service(input.name, revision) else {
        return false;
    };
    input.snapshot.tasks_of(&service.id).any(|task| {
        use crate::snapshot::TaskState::Running;
        task.state == Running && task.desired == Running
    })
}

/// PROGRESS-3: back to stable's own template in mid-rollout: finish at once, without stages.
fn revert(status: &mut RolloutStatus, input: &Input) {
    attempt::close(
        status,
        input.now,
        AttemptOutcome::Reverted,
        "the spec went back to the stable revision",
    );
    attempt::note(
        status,
        input.now,
        None,
        format!("attempt {} reverted to stable", status.attempt),
    );
    attempt::withdraw_canary(status, input.now);
    if !was_ever_up(status) {
        status.step = Step::Initial; // It is what it was before: a first revision that comes up.
        clock::start(status, input);
    }
}

/// Whether stable has served with all its tasks once.
fn was_ever_up(status: &RolloutStatus) -> bool {
    let mut history = status.history.iter();
    history.any(|entry| {
        let is_stable = status.stable_revision.as_ref() == Some(&entry.revision);
        is_stable && entry.outcome == AttemptOutcome::Completed
    })
}

/// PROGRESS-2: the running canary leaves; stable stays stable.
pub(super) fn supersede(
    status: &mut RolloutStatus,
    input: &Input,
    canary: &Revision,
    wanted: &str,
) {
    let message = format!("{wanted} was asked for instead");
    attempt::close(status, input.now, AttemptOutcome::Superseded, &message);
    attempt::note(
        status,
        input.now,
        None,
        format!(
            "attempt {}: {canary} is superseded by {wanted}",
            status.attempt
        ),
    );
    let pause = status.pause.take();
    attempt::withdraw_canary(status, input.now);
    status.pause = pause;
}

/// The stages were edited under a running attempt: the stage at hand is prepared again if its
/// share is another one now, whenever that is found. Anything else, `replicas` among it, applies as it is (PROGRESS-4).
fn adjust_stage(status: &mut RolloutStatus, input: &Input, known: Known) {
    if let Some(stage) = carried_to(status, input, known) {
        let name = stages::name(input.spec, stage);
        let message = format!("its stages are others now: it goes on at {name}");
        attempt::note(status, input.now, None, message);
        attempt::enter_stage(status, input, stage);
        return;
    }
    let weight = stages::stage(input.spec, status.stage).weight;
    let is_on_its_way_up = status.step == Step::Scaling && status.weight < weight;
    if status.weight != weight && !is_on_its_way_up {
        attempt::enter_stage(status, input, status.stage);
    }
}

/// Where an attempt goes on whose stage means something else by an edit: the number of a stage says nothing in another
/// strategy, and what had gates before it has not passed them because there are fewer (PROGRESS-7).
fn carried_to(status: &RolloutStatus, input: &Input, known: Known) -> Option<u32> {
    let count = stages::count(input.spec);
    let was = known.strategy.unwrap_or(input.spec.strategy.kind());
    if was != input.spec.strategy.kind() {
        return Some(0);
    }
    let has_passed_all = status.stage >= known.count;
    if has_passed_all {
        (status.stage > count).then_some(count)
    } else {
        (status.stage >= count).then(|| count.saturating_sub(1))
    }
}

//! What is stored, one status after the other (PROGRESS-1, PROGRESS-2, PROGRESS-4, PROGRESS-6, ABORT-2, ABORT-3,
//! ANALYSIS-5, TRAFFIC-3).

use super::measuring::{Measuring, running};
use super::shares::{Shares, is_deleted, stable_is_whole};
use super::{Calls, Event};
use crate::api::{
    AttemptOutcome, CommandOutcome, ConditionStatus, ConditionType, MeasurementPhase,
    MeasurementStatus, Name, Revision, RolloutStatus, Step, Verb,
};
use crate::snapshot::CheckState;

/// Compares the status that was stored with the one before.
pub(super) fn check(event: &Event, shares: &Shares, measuring: &Measuring) {
    let Some(before) = event.before else { return };
    let after = event.status;
    first_goes_straight(event, after);
    aborted_stays(event, before, after);
    verdict_is_final(event, before, after);
    if began(before, after) {
        is_seen_everywhere(event, shares);
    }
    if passed(before, after) && !was_promoted(before, after) {
        was_measured(event, before, measuring);
    }
    if shifts(before, after) {
        is_alone(event, shares);
    }
    attempts_count_up(event, before, after);
    canary_is_wanted(event, before, after);
    is_not_restarted(event, before, after);
    command_is_meant(event, before, after);
}

/// PROGRESS-1.
fn first_goes_straight(event: &Event, after: &RolloutStatus) {
    let is_preview = after.attempt > 0 && after.route.is_none();
    if !is_preview && after.stable_revision.is_none() && matches!(after.step, Step::Running { .. })
    {
        event.broken(
            "PROGRESS-1",
            "a stage runs although nothing is stable yet".to_owned(),
        );
    }
}

/// ABORT-2: only a retry or another spec leads on, with another attempt.
fn aborted_stays(event: &Event, before: &RolloutStatus, after: &RolloutStatus) {
    let (Some(abort), None) = (&before.abort, &after.abort) else {
        return;
    };
    let asked = before.observed_generation != after.observed_generation
        || taken_verb(before, after) == Some(Verb::Retry);
    if !asked {
        event.broken(
            "ABORT-2",
            format!(
                "attempt {} was aborted, and nobody asked for more",
                abort.attempt
            ),
        );
    }
}

/// The verb of the command that was dealt with just now.
pub(super) fn taken_verb(before: &RolloutStatus, after: &RolloutStatus) -> Option<Verb> {
    let record = after.last_command.as_ref()?;
    (before.last_command.as_ref() != Some(record)).then_some(record.command.verb)
}

/// ABORT-3: what failed stays failed, in its attempt and stage.
fn verdict_is_final(event: &Event, before: &RolloutStatus, after: &RolloutStatus) {
    let same = |a: &MeasurementStatus, b: &MeasurementStatus| {
        (&a.metric, a.attempt, a.stage) == (&b.metric, b.attempt, b.stage)
    };
    let generation = (before.observed_generation, after.observed_generation);
    for old in &before.measurements {
        let new = after.measurements.iter().find(|new| same(old, new));
        if old.phase == MeasurementPhase::Failed
            && generation.0 == generation.1
            && new.is_some_and(|new| new.phase != MeasurementPhase::Failed)
        {
            event.broken(
                "ABORT-3",
                format!("the verdict over {} was another one before", old.metric),
            );
        }
    }
    if let Some(abort) = &before.abort
        && after.attempt == abort.attempt
        && after.step != before.step
        && after.abort.is_some()
        && matches!(after.step, Step::Running { .. } | Step::Shifting)
    {
        event.broken(
            "ABORT-3",
            format!("attempt {} goes on after its abort", abort.attempt),
        );
    }
}

/// Whether a stage's clock has just begun.
fn began(before: &RolloutStatus, after: &RolloutStatus) -> bool {
    matches!(after.step, Step::Running { .. }) && after.step != before.step
}

/// TRAFFIC-3: a stage begins when its share was seen on every instance.
fn is_seen_everywhere(event: &Event, shares: &Shares) {
    for instance in event.instances() {
        if event.status.weight == 0 {
            is_there(event, shares, instance.name);
        }
        // What another hand has just done could not be seen yet.
        if !shares.was_right(event, instance.name) && !shares.was_hurt(event, instance.name) {
            event.broken(
                "TRAFFIC-3",
                format!(
                    "stage {} began at {} % without {} having shown that",
                    event.status.stage, event.status.weight, instance.name
                ),
            );
        }
    }
}

/// TRAFFIC-3: nothing is a share that is easily seen, so a gate without traffic wants the servers themselves.
fn is_there(event: &Event, shares: &Shares, instance: &Name) {
    let canary = event.status.canary_revision.as_ref();
    let mut servers = event.view.servers(instance, &event.route.backend);
    let is_up =
        servers.any(|server| server.revision == canary && server.check == CheckState::Passed);
    if event.status.route.is_some() && !is_up && !shares.was_hurt(event, instance) {
        event.broken(
            "TRAFFIC-3",
            format!(
                "stage {} began without a server on {instance}",
                event.status.stage
            ),
        );
    }
}

/// Whether a stage was passed: the next one, or the end, follows in the same attempt.
fn passed(before: &RolloutStatus, after: &RolloutStatus) -> bool {
    let is_same = before.attempt == after.attempt
        && before.observed_generation == after.observed_generation
        && before.canary_revision.is_some();
    let went_on = after.stage > before.stage
        || (before.canary_revision == after.stable_revision
            && before.stable_revision != after.stable_revision);
    // A preview may be taken down in the turn in which it passes.
    let outcome = |status: &RolloutStatus| status.history.last().map(|last| last.outcome);
    let has_passed = outcome(after) == Some(AttemptOutcome::Passed)
        && outcome(before) != Some(AttemptOutcome::Passed);
    is_same && (went_on || has_passed) && matches!(before.step, Step::Running { .. })
}

/// Whether somebody has waived the measurements of the stage at hand.
pub(super) fn was_promoted(before: &RolloutStatus, after: &RolloutStatus) -> bool {
    let Some(record) = &after.last_command else {
        return false;
    };
    let command = &record.command;
    let is_here = (command.attempt, command.stage) == (before.attempt, before.stage);
    match command.verb {
        Verb::Promote => is_here,
        Verb::PromoteFull => command.attempt == before.attempt,
        Verb::Pause | Verb::Resume | Verb::Abort | Verb::Retry => false,
    }
}

/// ANALYSIS-5: no stage is passed without a value for each of its metrics, taken since it began, nor with more failures than
/// are tolerated.
fn was_measured(event: &Event, before: &RolloutStatus, measuring: &Measuring) {
    let (Some(spec), Some(at_hand)) = (event.spec(), running(before)) else {
        return;
    };
    // After the last stage there is one more, with everything at the new revision and no questions.
    let Some(stage) = spec.strategy.stage(before.stage as usize) else {
        return;
    };
    let common = spec.analysis.as_ref().filter(|_| stage.has_traffic());
    let metrics = common
        .into_iter()
        .chain(stage.analysis)
        .flat_map(|analysis| &analysis.metrics);
    for metric in metrics {
        let is_waived = metric
            .query()
            .is_some_and(|query| query.no_data == crate::api::NoData::Skip);
        if !is_waived && !measuring.has_value(at_hand, &metric.name) {
            event.broken(
                "ANALYSIS-5",
                format!(
                    "stage {} was passed and {} never had a value",
                    before.stage, metric.name
                ),
            );
        }
        let failures = metric
            .query()
            .map(|query| measuring.failures(at_hand, &metric.name, query));
        let tolerated = usize::try_from(metric.failure_limit).unwrap_or(usize::MAX);
        if let Some(failures) = failures.filter(|failures| *failures > tolerated)
            && is_known(event)
            && measuring.is_as_it_began(before)
        {
            event.broken(
                "ANALYSIS-5",
                format!(
                    "stage {} was passed although {} failed {failures} times",
                    before.stage, metric.name
                ),
            );
        }
    }
}

/// Whether the newest spec is the one that the stored status goes by.
pub(super) fn is_known(event: &Event) -> bool {
    let stored = event.view.rollout(event.rollout);
    stored.is_some_and(|stored| stored.draft.generation == event.status.observed_generation)
}

/// PROGRESS-2: attempts are counted, and none comes back.
fn attempts_count_up(event: &Event, before: &RolloutStatus, after: &RolloutStatus) {
    if after.attempt < before.attempt {
        event.broken(
            "PROGRESS-2",
            format!("attempt {} follows on {}", after.attempt, before.attempt),
        );
    }
}

/// PROGRESS-2: once a newer template is known, the canary of the one before is no canary any more.
fn canary_is_wanted(event: &Event, before: &RolloutStatus, after: &RolloutStatus) {
    let (Some(canary), Some(stored)) = (&after.canary_revision, event.view.rollout(event.rollout))
    else {
        return;
    };
    let is_new = after.observed_generation == stored.draft.generation
        && before.observed_generation != after.observed_generation;
    if !is_new || is_invalid(after) || is_deleted(event) {
        return;
    }
    let wanted = event.spec().map(Revision::of);
    if wanted.as_ref() != Some(canary) {
        event.broken(
            "PROGRESS-2",
            format!("{canary} is still tried although the spec asks for another revision"),
        );
    }
}

fn is_invalid(status: &RolloutStatus) -> bool {
    status.conditions.iter().any(|condition| {
        condition.kind == ConditionType::InvalidSpec && condition.status == ConditionStatus::True
    })
}

/// PROGRESS-4: nothing but another template, or a retry, begins another attempt.
fn is_not_restarted(event: &Event, before: &RolloutStatus, after: &RolloutStatus) {
    let is_same = before.canary_revision.is_some()
        && before.canary_revision == after.canary_revision
        && taken_verb(before, after) != Some(Verb::Retry);
    if is_same && after.attempt != before.attempt {
        event.broken(
            "PROGRESS-4",
            format!(
                "attempt {} began although nobody asked for another revision",
                after.attempt
            ),
        );
    }
}

/// PROGRESS-6: a command is applied to the attempt and stage that its author saw, or not at all.
fn command_is_meant(event: &Event, before: &RolloutStatus, after: &RolloutStatus) {
    let Some(record) = &after.last_command else {
        return;
    };
    let is_new = before.last_command.as_ref() != Some(record);
    let command = &record.command;
    // A new spec may have begun another attempt in the same turn, before the command.
    let is_same_spec = before.observed_generation == after.observed_generation;
    let is_here = (command.attempt, command.stage) == (before.attempt, before.stage);
    if is_new && is_same_spec && !is_here && record.outcome == CommandOutcome::Applied {
        event.broken(
            "PROGRESS-6",
            format!(
                "`{}` was meant for attempt {} stage {}, and applied to attempt {} stage {}",
                command.verb, command.attempt, command.stage, before.attempt, before.stage
            ),
        );
    }
}

/// Whether the canary's share is raised from here on.
fn shifts(before: &RolloutStatus, after: &RolloutStatus) -> bool {
    after.step == Step::Shifting && before.step != Step::Shifting
}

/// PROGRESS-2: a canary gets no traffic while one that it has superseded takes some that stable could take.
fn is_alone(event: &Event, shares: &Shares) {
    if event.terms.calls == Calls::Faulty {
        return;
    }
    for instance in event.instances() {
        let mut servers = event.view.servers(instance.name, &event.route.backend);
        let takes = servers.find(|server| {
            let leaves = |revision| event.status.leaving.contains_key(revision);
            server.revision.is_some_and(leaves) && server.takes_requests && server.task.is_some()
        });
        let Some(revision) = takes.and_then(|server| server.revision) else {
            continue;
        };
        if stable_is_whole(event, instance.name) && !shares.was_hurt(event, instance.name) {
            event.broken(
                "PROGRESS-2",
                format!(
                    "a share was raised while {} gave requests to {revision}, which leaves",
                    instance.name
                ),
            );
        }
    }
}

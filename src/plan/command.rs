//! Commands: each is applied or refused once, and says so (PROGRESS-6).
//!
//! A command carries the attempt and stage that its author saw. One meant for another stage is
//! refused, never applied to the wrong one.

use super::{Input, SpecProblem, attempt, clock, preview, stages};
use crate::api::{
    AbortCause, AttemptOutcome, Command, CommandOutcome, CommandRecord, PauseReason, Revision,
    RolloutStatus, Step, Verb,
};

/// Deals with the waiting command, if there is one that was not dealt with.
pub(super) fn take(status: &mut RolloutStatus, input: &Input) {
    answer(status, input, |status, command| {
        apply(status, input, command)
    });
}

/// The same while `problem` keeps the spec from being carried out: what takes traffic back or stops
/// is done, anything else is refused.
pub(super) fn take_back(status: &mut RolloutStatus, input: &Input, problem: &SpecProblem) {
    answer(status, input, |status, command| match command.verb {
        Verb::Abort | Verb::Pause => apply(status, input, command),
        Verb::Promote | Verb::PromoteFull | Verb::Resume | Verb::Retry => Err(problem.to_string()),
    });
}

/// Refuses the waiting command: there is nothing that it could be applied to.
pub(super) fn refuse(status: &mut RolloutStatus, input: &Input, problem: &SpecProblem) {
    answer(status, input, |_, _| Err(problem.to_string()));
}

fn answer(
    status: &mut RolloutStatus,
    input: &Input,
    apply: impl Fn(&mut RolloutStatus, &Command) -> Result<(), String>,
) {
    let Some(command) = input.command else { return };
    if status
        .last_command
        .as_ref()
        .is_some_and(|last| last.command.id == command.id)
    {
        return;
    }
    let outcome = match apply(status, command) {
        Ok(()) => {
            let message = format!("`{}` by {}", command.verb, command.by);
            attempt::note(status, input.now, Some(&command.by), message);
            CommandOutcome::Applied
        }
        Err(reason) => CommandOutcome::Refused(reason),
    };
    status.last_command = Some(CommandRecord {
        command: command.clone(),
        outcome,
    });
}

fn apply(status: &mut RolloutStatus, input: &Input, command: &Command) -> Result<(), String> {
    let meant = (command.attempt, command.stage);
    // An edit that is taken in just now may give the number of the stage that its author saw to another one.
    let seen = [input.status, status].map(|known| (known.attempt, known.stage));
    if let Some((attempt, stage)) = seen.into_iter().find(|at_hand| *at_hand != meant) {
        return Err(format!(
            "it was meant for attempt {} stage {}, and the rollout was at attempt {attempt} stage {}; look again and repeat it",
            command.attempt,
            command.stage + 1,
            stage + 1
        ));
    }
    let is_outdated = command
        .generation
        .is_some_and(|seen| seen != input.generation);
    if command.verb.leads_on() && is_outdated {
        return Err("the spec was edited since; look again and repeat it".into());
    }
    match command.verb {
        Verb::Promote => promote(status, input),
        Verb::PromoteFull => promote_full(status, input),
        Verb::Pause => pause(status, input, command),
        Verb::Resume => resume(status, input),
        Verb::Abort => abort(status, input, command),
        Verb::Retry => retry(status, input, command),
    }
}

fn no_attempt(status: &RolloutStatus) -> Result<(), String> {
    match (&status.canary_revision, &status.abort) {
        (Some(_), _) => Ok(()),
        (None, Some(_)) => {
            Err("the attempt was aborted; `rolloutctl retry` begins a new one".into())
        }
        (None, None) => Err("no new revision is on its way".into()),
    }
}

fn promote(status: &mut RolloutStatus, input: &Input) -> Result<(), String> {
    no_attempt(status)?;
    match status.step {
        Step::Running { .. } => {
            attempt::unpause(status, input);
            attempt::enter_stage(status, input, status.stage + 1);
            Ok(())
        }
        Step::Scaling | Step::Shifting if status.pause.is_some() => {
            attempt::unpause(status, input);
            if status.deadline.is_none() {
                clock::start(status, input); // It had run out.
            }
            Ok(())
        }
        Step::Scaling | Step::Shifting | Step::Idle | Step::Initial => {
            Err("the stage has not begun yet; wait for it, or use `promote --full`".into())
        }
    }
}

fn promote_full(status: &mut RolloutStatus, input: &Input) -> Result<(), String> {
    no_attempt(status)?;
    attempt::unpause(status, input);
    let last = stages::count(input.spec);
    if status.stage < last {
        attempt::enter_stage(status, input, last);
    } else {
        let is_on_its_way = matches!(status.step, Step::Scaling | Step::Shifting);
        if is_on_its_way && status.deadline.is_none() {
            clock::start(status, input); // It had run out.
        }
    }
    Ok(())
}

fn pause(status: &mut RolloutStatus, input: &Input, command: &Command) -> Result<(), String> {
    // A preview that has passed may be held too: it would end by itself, also if its release cannot come yet.
    let is_preview = preview::was(status);
    if !is_preview || status.stable_revision.is_none() {
        no_attempt(status)?;
    }
    if let Some(pause) = &status.pause {
        return Err(format!("it is paused already: {}", pause.message));
    }
    attempt::pause(
        status,
        input,
        PauseReason::User,
        format!("by {}", command.by),
    );
    Ok(())
}

fn resume(status: &mut RolloutStatus, input: &Input) -> Result<(), String> {
    match status.pause.as_ref().map(|pause| pause.reason) {
        None => Err("it is not paused; a stage that waits for approval goes on by `rolloutctl promote`".into()),
        Some(PauseReason::Failure) => Err(
            "the stage has failed, and that verdict is final; use `promote` to pass over it, `abort` or `retry`".into(),
        ),
        Some(PauseReason::User) => {
            attempt::unpause(status, input);
            Ok(())
        }
        Some(PauseReason::Inconclusive) => {
            attempt::unpause(status, input);
            for measurement in &mut status.measurements {
                super::measuring::try_again(measurement, input.now);
            }
            Ok(())
        }
    }
}

fn abort(status: &mut RolloutStatus, input: &Input, command: &Command) -> Result<(), String> {
    no_attempt(status)?;
    let by = command.by.clone();
    attempt::abort(
        status,
        input,
        AbortCause::User { by: by.clone() },
        format!("`rolloutctl abort` by {by}"),
    );
    Ok(())
}

fn retry(status: &mut RolloutStatus, input: &Input, command: &Command) -> Result<(), String> {
    let wanted = Revision::of(input.spec);
    let failed = status
        .pause
        .as_ref()
        .is_some_and(|pause| pause.reason == PauseReason::Failure);
    if failed {
        attempt::close(status, input.now, AttemptOutcome::Aborted, "retried");
        status.pause = None;
    } else if preview::may_come_again(status, input) {
        // It begins anew below.
    } else if status.abort.is_none() || status.stable_revision.as_ref() == Some(&wanted) {
        return Err("there is no failed attempt to try again".into());
    }
    attempt::begin(status, input, wanted, Some(&command.by));
    Ok(())
}

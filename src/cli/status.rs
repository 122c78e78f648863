//! `rolloutctl status`: how a rollout is, in a line; or waiting until it is done, with its progress.

use tokio::time::Instant;

use super::clock::{self, Patience};
use super::console::Console;
use super::exit::{Exit, Failure};
use super::standing::{Standing, is_retry_pending, pending_command};
use super::target::{ResourceRef, RolloutRef};
use super::words::sample;
use crate::api::{
    AbortCause, ConditionStatus, ConditionType, Pause, PauseReason, Phase, RolloutStatus,
};
use crate::world::{Stored, World, WorldError};

mod view;
use view::View;
#[cfg(test)]
pub use view::drawing;

/// Prints one line. Exit code 0, or 1 when the rollout is Degraded.
///
/// # Errors
/// When there is no such rollout, or the store cannot be reached.
pub async fn run(
    rollout: &RolloutRef,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let store = world.load().await?;
    let stored = rollout.resource().find(&store)?;
    let standing = Standing::of(stored);
    let line = standing.line(clock::now());
    let phase = standing.word();
    let painted = console.paint.tint(standing.tone(), phase);
    console.tell(line.replacen(phase, &painted, 1))?;
    Ok(match judge(stored) {
        Verdict::Degraded(_) => Exit::No,
        Verdict::Healthy | Verdict::Stopped(..) | Verdict::OnTheWay => Exit::Done,
    })
}

/// Whether a rollout has come to its end.
enum Verdict<'a> {
    Healthy,
    Degraded(&'a RolloutStatus),
    /// It stopped by itself, and goes on only when somebody decides.
    Stopped(&'a Pause, Decision),
    OnTheWay,
}

/// What leads on from a stop.
type Decision = &'static str;

/// Only a status that speaks of the spec, and that no command is about to change, is an end.
fn judge(stored: &Stored) -> Verdict<'_> {
    match Standing::of(stored) {
        Standing::Deleting | Standing::Unseen { .. } => Verdict::OnTheWay,
        Standing::Seen(status) => match status.phase {
            Phase::Healthy => Verdict::Healthy,
            Phase::Degraded if !is_retry_pending(stored) => Verdict::Degraded(status),
            Phase::Paused if pending_command(stored).is_none() => stopped_by_itself(status),
            Phase::Degraded | Phase::Progressing | Phase::Paused => Verdict::OnTheWay,
        },
    }
}

/// Whoever paused a rollout, or asked for an approval, means to go on; nobody has said so of one that failed.
fn stopped_by_itself(status: &RolloutStatus) -> Verdict<'_> {
    let Some(pause) = &status.pause else {
        return Verdict::OnTheWay;
    };
    match pause.reason {
        PauseReason::User => Verdict::OnTheWay,
        PauseReason::Inconclusive => Verdict::Stopped(pause, "resume, promote or abort"),
        PauseReason::Failure => Verdict::Stopped(pause, "promote, abort or retry"),
    }
}

/// Waits until the rollout is Healthy ([`Exit::Done`]), or Degraded or stopped by itself
/// ([`Exit::No`]), and shows what happens.
///
/// That the store cannot be reached does not end the wait, but is its answer when time is up.
///
/// # Errors
/// When there is no such rollout (any more), when another spec takes the place of the one that was
/// there first, or time is up.
pub async fn wait(
    rollout: &RolloutRef,
    patience: Patience,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let target = rollout.resource();
    let deadline = patience.deadline();
    let mut view = View::new(console);
    let mut awaited = None;
    loop {
        let look = look(&target, world).await;
        let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match look {
            Look::There(stored) => {
                // Whose rollout it is now has a wait of its own.
                let awaited = *awaited.get_or_insert(stored.draft.generation);
                if awaited != stored.draft.generation {
                    view.end();
                    return Err(Failure::No(superseded(&target, &stored, awaited)));
                }
                match judge(&stored) {
                    Verdict::Healthy => return healthy(&target, &stored, view, console),
                    Verdict::Degraded(status) => return degraded(&target, status, view, console),
                    Verdict::Stopped(pause, decision) => {
                        view.end();
                        return stopped(&target, pause, decision, console);
                    }
                    Verdict::OnTheWay => view.show(&stored, clock::now(), console)?,
                }
                if is_late {
                    return Err(Failure::TimedOut(late(&target, &stored)));
                }
            }
            Look::Missing(_) if awaited.is_some() => {
                return Err(Failure::No(format!("{target} was deleted")));
            }
            Look::Missing(failure) | Look::Refused(failure) => return Err(failure),
            Look::Unreachable(error) if is_late => return Err(error.into()),
            Look::Unreachable(error) => view.trouble(&error, console),
        }
        clock::next_look().await;
    }
}

/// What a look at the store shows.
enum Look {
    There(Box<Stored>),
    Missing(Failure),
    Unreachable(WorldError),
    Refused(Failure),
}

async fn look(target: &ResourceRef, world: &dyn World) -> Look {
    match world.load().await {
        Ok(store) => match target.find(&store) {
            Ok(stored) => Look::There(Box::new(stored.clone())),
            Err(failure) => Look::Missing(failure),
        },
        Err(error @ WorldError::Unreachable { .. }) => Look::Unreachable(error),
        Err(error) => Look::Refused(error.into()),
    }
}

fn healthy(
    target: &ResourceRef,
    stored: &Stored,
    view: View,
    console: &mut Console,
) -> Result<Exit, Failure> {
    view.end();
    let standing = Standing::of(stored);
    let word = console.paint.tint(standing.tone(), standing.word());
    console.tell(format_args!("{target} {word}: {}", standing.message()))?;
    Ok(Exit::Done)
}

fn degraded(
    target: &ResourceRef,
    status: &RolloutStatus,
    view: View,
    console: &mut Console,
) -> Result<Exit, Failure> {
    view.end();
    let word = console
        .paint
        .tint(super::console::Tone::Bad, status.phase.as_str());
    console.tell(format_args!("{target} {word}: {}", status.message))?;
    for line in reasons(target, status) {
        console.tell(format_args!("  {line}"))?;
    }
    Ok(Exit::No)
}

fn stopped(
    target: &ResourceRef,
    pause: &Pause,
    decision: Decision,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let word = console
        .paint
        .tint(super::console::Tone::Bad, Phase::Paused.as_str());
    console.tell(format_args!("{target} {word}: {}", pause.message))?;
    console.tell(format_args!(
        "  Somebody must decide: {decision} {}; or apply a new spec",
        target.name
    ))?;
    Ok(Exit::No)
}

/// Why a rollout is Degraded, with the measured values, and what leads on.
fn reasons(target: &ResourceRef, status: &RolloutStatus) -> Vec<String> {
    let mut lines = Vec::new();
    let invalid = status.conditions.iter().find(|condition| {
        condition.kind == ConditionType::InvalidSpec && condition.status == ConditionStatus::True
    });
    if let Some(condition) = invalid {
        lines.push(condition.message.clone());
    }
    if let Some(abort) = &status.abort {
        lines.push(format!(
            "revision {} was taken back in stage {} of attempt {} at {:.0}",
            abort.revision,
            abort.stage.saturating_add(1),
            abort.attempt,
            abort.at
        ));
        if abort.message != status.message {
            lines.push(abort.message.clone());
        }
        if let AbortCause::Analysis { metric, failed } = &abort.cause {
            let bounds = status.measurements.iter().find(|m| m.metric == *metric);
            for failure in failed {
                lines.push(format!(
                    "{metric} = {}{} at {:.0}",
                    sample(failure),
                    bounds.map_or_else(String::new, |m| format!(", must be {}", m.bounds)),
                    failure.at
                ));
                let log = failure.log.iter();
                lines.extend(log.map(|line| format!("  | {line}")));
            }
        }
        lines.push(format!(
            "try again with `rolloutctl retry {}`, or apply a new spec",
            target.name
        ));
    }
    lines
}

fn late(target: &ResourceRef, stored: &Stored) -> String {
    let hint = match Standing::of(stored) {
        Standing::Unseen { .. } => " Is a controller running?".to_owned(),
        Standing::Deleting => String::new(),
        Standing::Seen(_) => format!(" `rolloutctl describe {target}` tells more."),
    };
    format!(
        "timed out; {target} is {}.{hint}",
        Standing::of(stored).line(clock::now())
    )
}

fn superseded(target: &ResourceRef, stored: &Stored, awaited: u64) -> String {
    format!(
        "{target}: another spec was applied (generation {}) before that of generation {awaited}, which was waited for, was \
         done; `rolloutctl status {} --wait` waits for the new one",
        stored.draft.generation, target.name
    )
}

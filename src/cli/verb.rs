//! `promote`, `pause`, `resume`, `abort`, `retry`: leaves a command in the store and waits for what
//! the controller makes of it.
//!
//! What is asked in vain as far as the store tells is refused here, with the reason. The
//! controller judges again: only it knows the present.

use std::hash::{BuildHasher, Hasher};

use jiff::Timestamp;
use tokio::time::Instant;

use super::clock;
use super::console::Console;
use super::describe::clue;
use super::exit::{Exit, Failure};
use super::standing::{is_under_way, pending_command};
use super::target::{ResourceRef, RolloutRef, rollout_spec};
use crate::api::{
    Actor, AttemptOutcome, Command, CommandOutcome, Duration, PauseReason, Phase, RolloutStatus,
    Verb,
};
use crate::world::{Stored, World, WorldError};

/// What is asked, by whom.
pub struct Request {
    /// The rollout.
    pub rollout: RolloutRef,
    /// What it is asked.
    pub verb: Verb,
    /// Who asks.
    pub by: Actor,
    /// The present instant.
    pub now: Timestamp,
    /// How long to wait for the controller's answer; not at all if absent.
    pub wait: Option<Duration>,
}

/// How often a write is tried when others write the same rollout at the same time.
const ATTEMPTS: u32 = 10;

/// Gives the command.
///
/// # Errors
/// When it makes no sense, is refused, or is not taken up in time.
pub async fn run(
    request: &Request,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let command = give(request, world).await?;
    let target = request.rollout.resource();
    let Some(timeout) = request.wait else {
        console.answer(format_args!("{target} {} asked", command.verb))?;
        return Ok(Exit::Done);
    };
    match outcome(&command, &target, timeout, world).await? {
        CommandOutcome::Applied => {
            console.answer(format_args!("{target} {}", past(command.verb)))?;
            Ok(Exit::Done)
        }
        CommandOutcome::Refused(reason) => Err(Failure::No(format!(
            "{target}: {} refused: {reason}",
            command.verb
        ))),
    }
}

/// Writes the command for the attempt and stage that the store shows.
async fn give(request: &Request, world: &dyn World) -> Result<Command, Failure> {
    let target = request.rollout.resource();
    let mut attempt = 1;
    let mut seen = None;
    loop {
        let store = world.load().await?;
        let stored = target.find(&store)?;
        let generation = stored.draft.generation;
        if request.verb.leads_on() && *seen.get_or_insert(generation) != generation {
            return Err(Failure::No(format!(
                "{target}: cannot {}: its spec was edited meanwhile; look again and repeat it",
                request.verb
            )));
        }
        let status = sensible(request.verb, stored)
            .map_err(|why| Failure::No(format!("{target}: cannot {}: {why}", request.verb)))?;
        let command = Command {
            id: new_id(request.now),
            verb: request.verb,
            attempt: status.attempt,
            stage: status.stage,
            generation: Some(generation),
            by: request.by.clone(),
            at: request.now,
        };
        let mut draft = stored.draft.clone();
        draft.command = Some(command.clone());
        match world.replace(&stored.id, stored.version, &draft).await {
            Err(WorldError::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
            result => return Ok(result.map(|()| command)?),
        }
    }
}

/// An id that no other command has: the instant and 64 random bits.
fn new_id(now: Timestamp) -> String {
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{:x}-{random:016x}", now.as_millisecond())
}

/// Waits for what the controller makes of the command.
async fn outcome(
    command: &Command,
    target: &ResourceRef,
    timeout: Duration,
    world: &dyn World,
) -> Result<CommandOutcome, Failure> {
    let deadline = Instant::now() + timeout.as_std();
    loop {
        let store = world.load().await?;
        let stored = target.find(&store)?;
        let status = stored.draft.status.as_ref();
        let record = status.and_then(|status| status.last_command.as_ref());
        if let Some(record) = record.filter(|record| record.command.id == command.id) {
            return Ok(record.outcome.clone());
        }
        if let Some(other) = stored.draft.command.as_ref().filter(|c| c.id != command.id) {
            return Err(Failure::No(format!(
                "{target}: {} by {} came in between; look at `rolloutctl describe {target}`, then ask again",
                other.verb, other.by
            )));
        }
        if Instant::now() >= deadline {
            return Err(not_taken_up(command, target, timeout, world).await);
        }
        clock::next_look().await;
    }
}

async fn not_taken_up(
    command: &Command,
    target: &ResourceRef,
    timeout: Duration,
    world: &dyn World,
) -> Failure {
    let clue = match world.lease().await {
        Ok(lease) => clue(lease.as_ref()),
        Err(error) => format!("The lease cannot be read: {error}"),
    };
    Failure::TimedOut(format!(
        "{target}: no controller has taken up {} within {timeout}. Is a controller running? {clue}. \
         The command stays and is carried out by the next controller",
        command.verb
    ))
}

/// The verbs that make sense for a rollout as it stands.
pub fn sensible_verbs(stored: &Stored) -> Vec<Verb> {
    [
        Verb::Promote,
        Verb::PromoteFull,
        Verb::Pause,
        Verb::Resume,
        Verb::Abort,
        Verb::Retry,
    ]
    .into_iter()
    .filter(|verb| sensible(*verb, stored).is_ok())
    .collect()
}

/// The status to which `verb` may be said, or why it makes no sense.
fn sensible(verb: Verb, stored: &Stored) -> Result<&RolloutStatus, String> {
    let target = ResourceRef::of(&stored.draft.resource);
    let status = stored
        .draft
        .status
        .as_ref()
        .ok_or("the controller has not seen it yet; is a controller running?")?;
    if stored.draft.deletion.is_some() {
        return Err("it is being deleted".to_owned());
    }
    if let Some(waiting) = pending_command(stored).filter(|_| !overrides(verb)) {
        return Err(format!(
            "{} by {}, given at {:.0}, has not been taken up yet; is a controller running?",
            waiting.verb, waiting.by, waiting.at
        ));
    }
    let at_stage = is_under_way(status) && status.canary_revision.is_some();
    let pause = status.pause.as_ref().map(|pause| pause.reason);
    let sense = match verb {
        Verb::Promote | Verb::PromoteFull | Verb::Abort if at_stage => Ok(()),
        Verb::Promote | Verb::PromoteFull if status.phase == Phase::Degraded => Err(format!(
            "it was taken back; try again with `rolloutctl retry {}` or a new spec",
            target.name
        )),
        Verb::Promote | Verb::PromoteFull => Err("no stage is under way".to_owned()),
        Verb::Pause if pause.is_some() => Err("it is paused already".to_owned()),
        Verb::Pause if shows(stored, status) == Shows::Passed => Ok(()),
        Verb::Pause if !is_under_way(status) => Err("nothing is under way".to_owned()),
        Verb::Pause => Ok(()),
        Verb::Resume => match pause {
            Some(PauseReason::User | PauseReason::Inconclusive) => Ok(()),
            Some(PauseReason::Failure) => Err(
                "its stage failed, and that verdict is final; promote, abort or retry it"
                    .to_owned(),
            ),
            None => Err("it is not paused".to_owned()),
        },
        Verb::Abort if status.abort.is_some() => Err("it was taken back already".to_owned()),
        Verb::Abort if is_under_way(status) => {
            Err("its first revision comes up and there is no stable one to go back to".to_owned())
        }
        Verb::Abort => Err("nothing to abort: no attempt is under way".to_owned()),
        Verb::Retry if status.abort.is_some() || pause == Some(PauseReason::Failure) => Ok(()),
        Verb::Retry if shows(stored, status) == Shows::Over => Ok(()),
        Verb::Retry => Err("nothing to retry: its last attempt did not fail".to_owned()),
    };
    sense.map(|()| status)
}

/// What a preview shows when nothing of it is under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// It has passed its checks, and would end by itself: it may be held.
    Passed,
    /// It has passed and had its end: it may come once more.
    Over,
    /// It is something else, or no preview.
    Other,
}

fn shows(stored: &Stored, status: &RolloutStatus) -> Shows {
    let is_preview = rollout_spec(stored).is_some_and(|spec| spec.strategy.preview().is_some());
    if !is_preview || status.route.is_some() || status.canary_revision.is_some() {
        return Shows::Other;
    }
    let last = status.history.last().map(|entry| entry.outcome);
    match (&status.stable_revision, last) {
        (Some(_), _) => Shows::Passed,
        (None, Some(AttemptOutcome::Passed)) => Shows::Over,
        (None, _) => Shows::Other,
    }
}

/// Whether a verb may take the place of another command that waits: what stops may.
const fn overrides(verb: Verb) -> bool {
    match verb {
        Verb::Abort | Verb::Pause => true,
        Verb::Promote | Verb::PromoteFull | Verb::Resume | Verb::Retry => false,
    }
}

const fn past(verb: Verb) -> &'static str {
    match verb {
        Verb::Promote => "promoted",
        Verb::PromoteFull => "promoted past all stages",
        Verb::Pause => "paused",
        Verb::Resume => "resumed",
        Verb::Abort => "aborted",
        Verb::Retry => "retried",
    }
}

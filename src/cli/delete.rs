//! `rolloutctl delete`: marks rollouts for deletion, which the controller carries out (SAFETY-7),
//! and removes what no rollout refers to.

use jiff::Timestamp;
use tokio::time::Instant;

use super::clock::{self, Patience};
use super::console::Console;
use super::exit::{Exit, Failure};
use super::owner::{self, Owner, SourceSay};
use super::target::ResourceRef;
use crate::api::{Deletion, Dependents, Kind, OnDrift};
use crate::world::referrers::{Use, referrers};
use crate::world::{Stored, World, WorldError};

/// What `delete` is asked.
pub struct Request {
    /// What to delete.
    pub targets: Vec<ResourceRef>,
    /// What becomes of what a rollout owns.
    pub dependents: Dependents,
    /// What it means when one of them is not there.
    pub absent: Absent,
    /// What a source of manifests counts for.
    pub source: SourceSay,
    /// How long to wait until it is gone; not at all if absent.
    pub wait: Option<Patience>,
    /// The present instant.
    pub now: Timestamp,
}

/// What it means when something that is to be deleted is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It may be misspelt: nothing is done.
    Refused,
    /// Somebody was quicker, or its time was over: the rest is done.
    Ignored,
}

/// How often a write is tried when others write the same resource at the same time.
const ATTEMPTS: u32 = 10;

/// Deletes rollouts first, then what they referred to.
///
/// # Errors
/// When something is not there, comes from a source that would create it again, or is still referred to, or the store refuses or cannot be reached.
pub async fn run(
    mut request: Request,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let store = world.load().await?;
    request
        .targets
        .sort_by_key(|target| Kind::ALL.iter().rev().position(|kind| *kind == target.kind));
    request.targets.dedup();
    match request.absent {
        Absent::Refused => {
            for target in &request.targets {
                target.find(&store)?;
            }
        }
        Absent::Ignored => pass_over_absent(&mut request.targets, &store, console)?,
    }
    if request.source == SourceSay::Heeded {
        refuse_if_owned(&request.targets, &store, world).await?;
    }
    let (rollouts, others): (Vec<_>, Vec<_>) = request
        .targets
        .iter()
        .partition(|target| target.kind == Kind::Rollout);
    for target in &rollouts {
        mark(target, &request, world).await?;
        let what = match request.dependents {
            Dependents::Remove => "it is drained, then its services are removed",
            Dependents::Orphan => "its services and servers stay as they are",
        };
        console.answer(format_args!("{target} marked for deletion: {what}"))?;
    }
    if let Some(patience) = request.wait {
        until_gone(&rollouts, patience, world, console).await?;
    }
    for target in others {
        remove(target, world).await?;
        console.answer(format_args!("{target} deleted"))?;
    }
    Ok(Exit::Done)
}

/// Tells which targets are not there, and leaves the others.
fn pass_over_absent(
    targets: &mut Vec<ResourceRef>,
    store: &[Stored],
    console: &mut Console,
) -> Result<(), Failure> {
    for target in targets.extract_if(.., |target| target.look_up(store).is_none()) {
        console.answer(format_args!("{target} is not there: nothing to delete"))?;
    }
    Ok(())
}

/// Refuses all, before anything is done, if a source would create one of them again: what is drained comes back with all its
/// traffic at once, as a first revision does. What is being deleted already may be deleted otherwise.
async fn refuse_if_owned(
    targets: &[ResourceRef],
    store: &[Stored],
    world: &dyn World,
) -> Result<(), Failure> {
    let found = targets.iter().filter_map(|target| target.look_up(store));
    let going: Vec<&Stored> = found.filter(|one| one.draft.deletion.is_none()).collect();
    let sources = owner::sources(going.iter().copied(), world).await?;
    for stored in going {
        let Some(owner) = Owner::of(stored, &sources) else {
            continue;
        };
        let target = ResourceRef::of(&stored.draft.resource);
        let when = match owner.on_drift() {
            OnDrift::Restore => "at once",
            OnDrift::Report => "when its manifest changes",
        };
        let how = match target.kind {
            Kind::Rollout => ", with all its traffic and without stages",
            Kind::LoadBalancer | Kind::MetricSource | Kind::AnalysisTemplate => "",
        };
        return Err(Failure::No(format!(
            "{target}: nothing was deleted: it comes from {owner}, which would create it again {when}{how}; remove its manifest \
             there, or delete it all the same by `--force`"
        )));
    }
    Ok(())
}

/// Marks one rollout for deletion.
async fn mark(target: &ResourceRef, request: &Request, world: &dyn World) -> Result<(), Failure> {
    let mut attempt = 1;
    loop {
        let store = world.load().await?;
        // Gone in the meantime is what was asked for.
        let Some(stored) = target.look_up(&store) else {
            return Ok(());
        };
        let marked = stored.draft.deletion;
        if marked.is_some_and(|deletion| deletion.dependents == request.dependents) {
            return Ok(());
        }
        let mut draft = stored.draft.clone();
        draft.deletion = Some(Deletion {
            at: marked.map_or(request.now, |deletion| deletion.at),
            dependents: request.dependents,
        });
        match world.replace(&stored.id, stored.version, &draft).await {
            Err(WorldError::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
            result => return Ok(result?),
        }
    }
}

/// Removes a resource that the controller does not have to clean up after.
async fn remove(target: &ResourceRef, world: &dyn World) -> Result<(), Failure> {
    let store = world.load().await?;
    let Some(stored) = target.look_up(&store) else {
        return Ok(());
    };
    refuse_if_referred_to(target, &store)?;
    Ok(world.remove(&stored.id).await?)
}

fn refuse_if_referred_to(target: &ResourceRef, store: &[Stored]) -> Result<(), Failure> {
    let users = referrers(target, store);
    if users.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = users
        .iter()
        .map(|(user, _)| ResourceRef::of(&user.draft.resource).to_string())
        .collect();
    let remedy = if users.iter().all(|(user, _)| user.draft.deletion.is_some()) {
        "that is being deleted and still drains: delete again when it is gone, or use --wait"
    } else if users.iter().all(|(_, by)| *by == Use::Route) {
        "its servers are there for as long as it lives, although its spec names another: delete that first"
    } else {
        "delete that first, or let it refer to something else"
    };
    Err(Failure::No(format!(
        "{target} is still used by {}; {remedy}",
        names.join(", ")
    )))
}

/// Waits until none of `targets` is in the store.
async fn until_gone(
    targets: &[&ResourceRef],
    patience: Patience,
    world: &dyn World,
    console: &mut Console,
) -> Result<(), Failure> {
    let deadline = patience.deadline();
    let mut left: Vec<&ResourceRef> = targets.to_vec();
    loop {
        let store = world.load().await?;
        for target in left.extract_if(.., |target| target.look_up(&store).is_none()) {
            console.answer(format_args!("{target} deleted"))?;
        }
        if left.is_empty() {
            return Ok(());
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Failure::TimedOut(still_there(&left, &store)));
        }
        clock::next_look().await;
    }
}

fn still_there(left: &[&ResourceRef], store: &[Stored]) -> String {
    let lines: Vec<_> = left
        .iter()
        .map(|target| {
            let waiting = target
                .look_up(store)
                .and_then(|stored| stored.draft.status.as_ref())
                .and_then(|status| status.waiting_on.as_ref());
            waiting.map_or_else(
                || format!("{target} is not gone yet; is a controller running?"),
                |waiting| format!("{target} is not gone yet; it waits for {waiting}"),
            )
        })
        .collect();
    lines.join("\n")
}

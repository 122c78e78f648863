//! `rolloutctl apply`: makes the store say what manifests say. The controller does the rest.
//!
//! All manifests are read and found sound before the first one is written.

use super::console::Console;
use super::exit::{Exit, Failure};
use super::owner::{self, Owner};
use super::target::ResourceRef;
use crate::api::{Kind, OnDrift, Resource};
use crate::world::applying::{Step, StepError, refuse_if_deleting, step};
use crate::world::{Stored, StoredSource, World, WorldError};

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Write,
    /// It is only said what would be.
    DryRun,
}

/// What became of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there and said something else.
    Configured,
    /// It was there and said the same; nothing was written.
    Unchanged,
}

/// How often a write is tried when others write the same resource at the same time.
const ATTEMPTS: u32 = 10;

impl Outcome {
    const fn of(step: &Step<'_>) -> Self {
        match step {
            Step::Create(_) => Self::Created,
            Step::Replace(..) => Self::Configured,
            Step::Nothing => Self::Unchanged,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Applies `resources`, what is referred to first, and says what became of each.
///
/// # Errors
/// When a resource is being deleted, or the store refuses or cannot be reached. What was written
/// before stays written; applying again is safe.
pub async fn run(
    mut resources: Vec<Resource>,
    mode: Mode,
    world: &dyn World,
    console: &mut Console,
) -> Result<Exit, Failure> {
    resources.sort_by_key(|resource| Kind::ALL.iter().position(|kind| *kind == resource.kind()));
    let store = world.load().await?;
    for resource in &resources {
        let target = ResourceRef::of(resource);
        refuse_if_deleting(resource, target.look_up(&store))?;
    }
    let sources = owner::sources(&store, world).await?;
    let suffix = match mode {
        Mode::Write => "",
        Mode::DryRun => " (dry run)",
    };
    let mut changed = Vec::new();
    for resource in &resources {
        let outcome = match mode {
            Mode::Write => write(resource, world).await?,
            Mode::DryRun => {
                Outcome::of(&step(resource, ResourceRef::of(resource).look_up(&store))?)
            }
        };
        let target = ResourceRef::of(resource);
        console.answer(format_args!("{target} {}{suffix}", outcome.as_str()))?;
        if outcome == Outcome::Configured {
            warn_if_owned(&target, &store, &sources, console);
        }
        if resource.kind() == Kind::Rollout && mode == Mode::Write && outcome != Outcome::Unchanged
        {
            changed.push(target);
        }
    }
    match changed.as_slice() {
        [] => {}
        [one] => console.remark(format_args!(
            "follow it with: rolloutctl status {} --wait",
            one.name
        )),
        _ => console.remark("follow them with: rolloutctl get rollouts --watch"),
    }
    Ok(Exit::Done)
}

/// Says what will become of a change by hand of what comes from a source.
fn warn_if_owned(
    target: &ResourceRef,
    store: &[Stored],
    sources: &[StoredSource],
    console: &mut Console,
) {
    let stored = target.look_up(store);
    let Some(owner) = stored.and_then(|stored| Owner::of(stored, sources)) else {
        return;
    };
    let what = match owner.on_drift() {
        OnDrift::Restore => "which puts its own spec back",
        OnDrift::Report => "which reports the change, and takes it back when the manifest changes",
    };
    console.remark(format_args!(
        "warning: {target} comes from {owner}, {what}; change it there"
    ));
}

/// Writes one resource: reads again and tries again for as long as others are quicker.
async fn write(resource: &Resource, world: &dyn World) -> Result<Outcome, Failure> {
    let target = ResourceRef::of(resource);
    let mut attempt = 1;
    loop {
        let store = world.load().await?;
        let step = step(resource, target.look_up(&store))?;
        match step.write(world).await {
            Err(WorldError::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
            Err(WorldError::Conflict { reason, .. }) => {
                return Err(Failure::No(format!(
                    "{target} was changed by others {ATTEMPTS} times in a row ({reason}); apply again"
                )));
            }
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(Outcome::of(&step)),
        }
    }
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        Self::No(error.to_string())
    }
}

//! `rolloutctl apply`: makes the store say what manifests say. The controller does the rest.
//!
//! All manifests are read and found sound before the first one is written.

use super::console::Console;
use super::exit::{Exit, Failure};
use super::target::ResourceRef;
use crate::api::{Kind, Resource};
use crate::world::{Draft, Stored, World, WorldError};

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
        refuse_if_deleting(&target, target.look_up(&store))?;
    }
    let suffix = match mode {
        Mode::Write => "",
        Mode::DryRun => " (dry run)",
    };
    let mut changed = Vec::new();
    for resource in &resources {
        let outcome = match mode {
            Mode::Write => write(resource, world).await?,
            Mode::DryRun => step(resource, ResourceRef::of(resource).look_up(&store))?.outcome(),
        };
        let target = ResourceRef::of(resource);
        console.answer(format_args!("{target} {}{suffix}", outcome.as_str()))?;
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

/// The one write that makes the store say what a manifest says.
enum Step<'a> {
    Create(Draft),
    Replace(&'a Stored, Draft),
    Nothing,
}

impl Step<'_> {
    const fn outcome(&self) -> Outcome {
        match self {
            Self::Create(_) => Outcome::Created,
            Self::Replace(..) => Outcome::Configured,
            Self::Nothing => Outcome::Unchanged,
        }
    }
}

/// Writes one resource: reads again and tries again for as long as others are quicker.
async fn write(resource: &Resource, world: &dyn World) -> Result<Outcome, Failure> {
    let target = ResourceRef::of(resource);
    let mut attempt = 1;
    loop {
        let store = world.load().await?;
        let step = step(resource, target.look_up(&store))?;
        let outcome = step.outcome();
        let result = match step {
            Step::Create(draft) => world.create(&draft).await,
            Step::Replace(stored, draft) => world.replace(&stored.id, stored.version, &draft).await,
            Step::Nothing => Ok(()),
        };
        match result {
            Err(WorldError::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
            Err(WorldError::Conflict { reason, .. }) => {
                return Err(Failure::No(format!(
                    "{target} was changed by others {ATTEMPTS} times in a row ({reason}); apply again"
                )));
            }
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(outcome),
        }
    }
}

/// What is to be written, given what is stored. Only a new spec is a new generation; status,
/// command and epoch are the controller's and stay.
fn step<'a>(resource: &Resource, stored: Option<&'a Stored>) -> Result<Step<'a>, Failure> {
    refuse_if_deleting(&ResourceRef::of(resource), stored)?;
    let Some(stored) = stored else {
        let draft = Draft {
            resource: resource.clone(),
            generation: 1,
            status: None,
            command: None,
            deletion: None,
            epoch: 0,
        };
        return Ok(Step::Create(fitting(draft)?));
    };
    if stored.draft.resource == *resource {
        return Ok(Step::Nothing);
    }
    let mut draft = stored.draft.clone();
    if stored.draft.resource.spec_json() != resource.spec_json() {
        draft.generation += 1;
    }
    draft.resource = resource.clone();
    Ok(Step::Replace(stored, fitting(draft)?))
}

/// The draft, if the store can hold it: if not, that is a matter of the manifest.
///
/// # Errors
/// When it is too large; with what to do about it.
pub fn fitting(draft: Draft) -> Result<Draft, Failure> {
    crate::world::store::check(&draft).map_err(|error| Failure::No(error.to_string()))?;
    Ok(draft)
}

fn refuse_if_deleting(target: &ResourceRef, stored: Option<&Stored>) -> Result<(), Failure> {
    if stored.is_some_and(|stored| stored.draft.deletion.is_some()) {
        return Err(Failure::No(format!(
            "{target} is being deleted; wait until it is gone (`rolloutctl delete {target} --wait`), then apply again"
        )));
    }
    Ok(())
}

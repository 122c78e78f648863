//! Applying: the one write that makes the store say what a manifest says, whoever asks for it. When it is done, and
//! how often it is tried, is decided by who asks.

use super::{Draft, Stored, World, WorldError, store};
use crate::api::{Resource, ResourceRef};

/// The one write that makes the store say what a manifest says.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<'a> {
    /// It is not there.
    Create(Draft),
    /// It is there and says something else.
    Replace(&'a Stored, Draft),
    /// It says the same.
    Nothing,
}

/// Why a manifest cannot be written to the store.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It must be gone first.
    #[error(
        "{0} is being deleted; wait until it is gone (`rolloutctl delete {0} --wait`), then apply again"
    )]
    Deleting(ResourceRef),
    /// The store cannot hold it.
    #[error(transparent)]
    Unfit(WorldError),
}

/// What is to be written, given what is stored. Only a new spec is a new generation; status,
/// command and epoch are the controller's and stay.
///
/// # Errors
/// When the stored one is being deleted, or the store cannot hold it.
pub fn step<'a>(resource: &Resource, stored: Option<&'a Stored>) -> Result<Step<'a>, StepError> {
    refuse_if_deleting(resource, stored)?;
    let Some(stored) = stored else {
        return Ok(Step::Create(fitting(Draft::new(resource.clone()))?));
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

/// Refuses a resource that is being deleted.
///
/// # Errors
/// When it is.
pub fn refuse_if_deleting(resource: &Resource, stored: Option<&Stored>) -> Result<(), StepError> {
    match stored.filter(|stored| stored.draft.deletion.is_some()) {
        Some(_) => Err(StepError::Deleting(ResourceRef::of(resource))),
        None => Ok(()),
    }
}

/// The draft, if the store can hold it: if not, that is a matter of the manifest.
///
/// # Errors
/// When it is too large; with what to do about it.
pub fn fitting(draft: Draft) -> Result<Draft, StepError> {
    store::check(&draft).map_err(StepError::Unfit)?;
    Ok(draft)
}

impl Step<'_> {
    /// Does it.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when somebody else was quicker.
    pub async fn write(&self, world: &dyn World) -> Result<(), WorldError> {
        match self {
            Self::Create(draft) => world.create(draft).await,
            Self::Replace(stored, draft) => world.replace(&stored.id, stored.version, draft).await,
            Self::Nothing => Ok(()),
        }
    }
}

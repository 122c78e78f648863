//! Whether this controller is the one that acts, still (SAFETY-6). Who takes over, and when, is not decided here.

use crate::world::{Lease, World, WorldError};

/// Somebody else may have taken over since the last turn (SAFETY-6).
pub(super) async fn check_epoch(world: &dyn World, lease: &Lease) -> Result<(), WorldError> {
    if holds(world, lease).await? {
        return Ok(());
    }
    Err(WorldError::Conflict {
        what: "apply what a source says".to_owned(),
        reason: "another controller has taken over".to_owned(),
    })
}

/// Whether `lease` is the newest one still.
pub(super) async fn holds(world: &dyn World, lease: &Lease) -> Result<bool, WorldError> {
    let current = world.lease().await?;
    Ok(current.is_some_and(|current| current.epoch == lease.epoch))
}

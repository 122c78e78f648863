//! The one place where the command line gets its world from, and starts what runs for ever.

use std::sync::Arc;

use super::args::{CollectorArgs, ControllerArgs, Target};
use super::exit::{Exit, Failure};
use crate::world::{World, WorldError};

/// Connects to the Swarm that `target` and the environment choose.
///
/// # Errors
/// When there is no such Docker context, or its engine cannot be reached.
pub async fn connect(target: &Target) -> Result<Arc<dyn World>, WorldError> {
    Err(not_wired(format!("connecting to {target:?}")))
}

/// Runs the controller until it is interrupted.
///
/// # Errors
/// When the Swarm cannot be reached or the address is taken.
pub async fn controller(target: &Target, args: &ControllerArgs) -> Result<Exit, Failure> {
    Err(not_wired(format!("starting the controller {target:?} {args:?}")).into())
}

/// Runs the collector until it is interrupted.
///
/// # Errors
/// When the arguments make no sense or the address is taken.
pub async fn collector(args: &CollectorArgs) -> Result<Exit, Failure> {
    Err(not_wired(format!("starting the collector {args:?}")).into())
}

fn not_wired(what: String) -> WorldError {
    WorldError::Unreachable {
        what,
        reason: "not wired yet".to_owned(),
    }
}

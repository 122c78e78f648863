//! Traffic: which servers a proxy should have, with which weights, and what to change for that.

mod apportion;
mod changes;
mod picture;

pub use apportion::{Weights, achieved, apportion};
pub(super) use changes::{Overdue, changes};
pub(super) use picture::{Intent, LastServer, Picture, ReadyTask, Role};

//! Deletion: that a resource is to go, and what becomes of what it owns.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a resource is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// When it was asked.
    pub at: Timestamp,
    /// What becomes of what it owns.
    pub dependents: Dependents,
}

/// What becomes of what a deleted rollout owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dependents {
    /// Drain it, then remove it.
    Remove,
    /// Leave it as it is, serving.
    Orphan,
}

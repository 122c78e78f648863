//! What of a spec counts for what runs, remembered for when a later one says nothing of it.

use serde::{Deserialize, Serialize};

use super::super::Duration;

/// How what runs is kept, as said by the last spec that spoke of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upkeep {
    /// How many tasks carry the whole traffic.
    pub replicas: u32,
    /// How long open requests may take when a task leaves.
    pub drain_timeout: Duration,
}

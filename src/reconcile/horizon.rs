//! The horizon: what the store was seen to say never becomes older again.
//!
//! Swarm's managers pass reads on to their leader, and a leader that is new, or no longer one, may still answer
//! with what was true a moment ago (swarmkit's `raftproxy` and store). A decision that was stored is protected by its
//! version; an action that follows from an old one is not. So a look that is older than what was seen before is none.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::world::{StoreId, Stored};

/// For how long old looks are refused. A Swarm that was restored from a backup stays old.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many removed resources are remembered.
const REMEMBERED: usize = 64;

/// What was seen of the store. Instants are those of [`crate::runtime::Runtime::steady`].
#[derive(Debug, Default)]
pub(super) struct Horizon {
    seen: BTreeMap<StoreId, u64>,
    removed: VecDeque<StoreId>,
    /// Since when every look was old.
    old_since: Option<Duration>,
}

/// A look is older than one before.
#[derive(Debug)]
pub(super) struct Old;

impl Horizon {
    /// Takes a look for what it is.
    ///
    /// # Errors
    /// When it is older than what was seen before, and that has not been so for long.
    pub fn admit(&mut self, look: &[Stored], now: Duration) -> Result<(), Old> {
        if look.iter().any(|stored| self.is_old(stored)) {
            let since = *self.old_since.get_or_insert(now);
            if now.saturating_sub(since) < PATIENCE {
                return Err(Old);
            }
            self.removed.clear();
        }
        self.old_since = None;
        self.seen = look
            .iter()
            .map(|stored| (stored.id.clone(), stored.version))
            .collect();
        Ok(())
    }

    fn is_old(&self, stored: &Stored) -> bool {
        let was_newer = self
            .seen
            .get(&stored.id)
            .is_some_and(|seen| *seen > stored.version);
        was_newer || self.removed.contains(&stored.id)
    }

    /// What was `stored` has been replaced: it has a newer version from here on.
    pub fn replaced(&mut self, stored: &Stored) {
        self.seen.insert(stored.id.clone(), stored.version + 1);
    }

    /// It has been removed.
    pub fn removed(&mut self, stored: &Stored) {
        self.removed.push_back(stored.id.clone());
        if self.removed.len() > REMEMBERED {
            self.removed.pop_front();
        }
    }
}

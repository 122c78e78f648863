//! How many tasks what runs has, and how long its requests may take: what the spec says, unless that is of another kind
//! than what runs.
//!
//! A rollout that serves does not become a preview, and a preview not a release whose references are missing. The spec is
//! refused then, and what it says is meant for something else: by its numbers what serves would be cut short.

use super::{Input, preview};
use crate::api::{Duration, RolloutStatus, Upkeep};

impl<'a> Input<'a> {
    /// Whether the spec asks for another kind of thing than what runs, which that cannot become now.
    pub(super) fn is_of_another_kind(&self) -> bool {
        if self.spec.strategy.preview().is_some() {
            return self.status.route.is_some();
        }
        let is_carried_out = (self.references).is_ok_and(|resolved| resolved.metrics.is_ok());
        preview::was(self.status) && !is_carried_out
    }

    /// What is remembered in place of such a spec.
    pub(super) fn upkeep(&self) -> Option<&'a Upkeep> {
        let known = self.status.upkeep.as_ref();
        known.filter(|_| self.is_of_another_kind())
    }

    /// How many tasks carry the whole traffic.
    pub(super) fn replicas(&self) -> u32 {
        self.upkeep()
            .map_or(self.spec.replicas, |known| known.replicas)
    }

    /// How long open requests may take when a task leaves.
    pub(super) fn drain_timeout(&self) -> Duration {
        self.upkeep()
            .map_or_else(|| self.spec.drain_timeout(), |known| known.drain_timeout)
    }
}

/// Remembers what the spec says of what runs.
pub(super) fn remember(status: &mut RolloutStatus, input: &Input) {
    if !input.is_of_another_kind() {
        status.upkeep = Some(Upkeep {
            replicas: input.spec.replicas,
            drain_timeout: input.spec.drain_timeout(),
        });
    }
}

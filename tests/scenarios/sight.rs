//! What can be seen of a rollout from outside, in the simulated world and in the lab alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use rolloutctl::api::{Name, Revision, RolloutStatus};
use rolloutctl::world::Draft;

/// A rollout, at one instant.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// Whether it was there and is not any more.
    pub is_gone: bool,
    /// What is remembered of it.
    pub status: Option<Arc<RolloutStatus>>,
    /// Whether that speaks of the newest spec, and the last command is dealt with.
    pub is_current: bool,
    /// How many tasks each of its services asks for.
    pub services: BTreeMap<Revision, u32>,
    /// The metrics of which a job is there.
    pub jobs: Vec<String>,
    /// How many tasks of each revision are ready.
    pub ready: BTreeMap<Revision, u32>,
    /// What each proxy gives each revision, from 0 to 1.
    pub shares: BTreeMap<Name, BTreeMap<Revision, f64>>,
    /// The images of the revisions.
    pub images: BTreeMap<Revision, String>,
}

impl Sight {
    /// Looks at what the store has of the rollout.
    pub fn look_at_status(&mut self, draft: Option<&Draft>) {
        let status = draft.and_then(|draft| draft.status.as_ref());
        self.is_current = draft.zip(status).is_some_and(|(draft, status)| {
            let dealt = status.last_command.as_ref().map(|last| &last.command.id);
            let asked = draft.command.as_ref().map(|command| &command.id);
            status.observed_generation == draft.generation && asked == dealt
        });
        self.is_gone = draft.is_none() && (self.is_gone || self.status.is_some());
        if self.status.as_deref() != status {
            self.status = status.cloned().map(Arc::new);
        }
    }

    /// What a revision has on every proxy, if that is the same everywhere.
    pub fn share(&self, revision: &Revision) -> Option<f64> {
        let mut shares = self.shares.values().map(|shares| {
            let share = shares.get(revision);
            share.copied().unwrap_or(0.0)
        });
        let first = shares.next()?;
        shares.all(|share| share_is(share, first)).then_some(first)
    }

    /// The image of a revision.
    pub fn image(&self, revision: &Revision) -> &str {
        self.images
            .get(revision)
            .map_or("an unknown image", String::as_str)
    }
}

/// Whether two shares are the same, as near as integer weights realise them.
pub fn share_is(left: f64, right: f64) -> bool {
    (left - right).abs() <= rolloutctl::trial::check::NEAR
}

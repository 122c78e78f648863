//! What is seen of the simulated world whenever anything has changed in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rolloutctl::api::{Name, Phase, Revision};
use rolloutctl::sim::{Losses, Observer, View, What, Who};
use rolloutctl::trial::check::{Watch, is_write};

use super::NAME;
use crate::sight::Sight;
use crate::telling::Teller;

/// What the observer and the player both know.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub teller: Teller,
    pub sight: Sight,
    /// What was lost when a first version served.
    pub lost_before: Option<Losses>,
}

/// Looks whenever anything has changed.
pub(super) struct Observing {
    pub watch: Watch,
    pub rollout: Name,
    pub notes: Arc<Mutex<Notes>>,
    pub writes: Arc<AtomicU64>,
}

impl Observer for Observing {
    fn changed(&mut self, view: &View<'_>, who: Who, what: &What) {
        if is_write(who, what) {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.look(*view, &self.rollout, what);
        drop(notes);
        self.watch.changed(view, who, what);
    }
}

impl Notes {
    /// Looks again at what may be otherwise now.
    fn look(&mut self, view: View<'_>, rollout: &Name, what: &What) {
        match what {
            What::Stored { title, .. } if title.strip_prefix("rollout/") == Some(NAME) => {
                self.look_at_status(view, rollout);
            }
            What::Service { .. } => self.look_at_services(view),
            What::Job(..) => self.look_at_jobs(view),
            What::Servers { .. }
            | What::Task { .. }
            | What::Listens(_)
            | What::Ended(_)
            | What::Node(..)
            | What::Checked { .. }
            | What::Proxy(..) => self.look_at_traffic(view),
            What::Stored { .. }
            | What::Leased { .. }
            | What::Told { .. }
            | What::Looked
            | What::Asked(..)
            | What::Answered(..)
            | What::Crashed
            | What::Signalled(_)
            | What::Lost { .. }
            | What::Losing { .. }
            | What::Lent(_) => return,
        }
        self.teller.see(&self.sight);
    }

    fn look_at_status(&mut self, view: View<'_>, rollout: &Name) {
        let stored = view.rollout(rollout);
        self.sight
            .look_at_status(stored.map(|stored| &stored.draft));
        let status = self.sight.status.as_ref();
        let serves = status.is_some_and(|status| status.phase == Phase::Healthy);
        if serves && self.lost_before.is_none() {
            self.lost_before = Some(view.losses());
        }
    }

    fn look_at_jobs(&mut self, view: View<'_>) {
        let jobs = view.jobs();
        self.sight.jobs = jobs.map(|job| job.key.metric.to_string()).collect();
    }

    fn look_at_services(&mut self, view: View<'_>) {
        let services = view.services();
        self.sight.services = services
            .map(|service| (service.revision.clone(), service.replicas))
            .collect();
    }

    fn look_at_traffic(&mut self, view: View<'_>) {
        let images = &self.sight.images;
        let of_one = |instance: &Name| {
            let share = |revision: &Revision| view.share(instance, NAME, revision);
            let shares = images.keys();
            shares
                .map(|revision| (revision.clone(), share(revision)))
                .collect()
        };
        self.sight.shares = view
            .instances()
            .map(|instance| (instance.name.clone(), of_one(instance.name)))
            .collect();
        self.sight.ready = images
            .keys()
            .map(|revision| (revision.clone(), view.ready_tasks(revision)))
            .collect();
    }
}

//! The desk: where the readers of sources lay what they read, and the loop finds it. None of it survives a crash, and
//! none of it has to: it is read again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Branches, Listing};
use crate::api::Place;
use crate::reconcile::Inbox;

/// What is known of one source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// What it said when it was last read.
    pub listing: Option<Arc<Listing>>,
    /// When that was first seen.
    pub seen_at: Option<Timestamp>,
    /// Why it cannot be read now, and what is waited for.
    pub problem: Option<String>,
    /// When it was last read.
    pub read_at: Option<Timestamp>,
    /// Its branches, if it is a repository of which several are followed.
    pub branches: Option<Arc<Branches>>,
}

/// Where the readers of sources lay what they read.
#[derive(Debug)]
pub struct Desk {
    looks: Mutex<BTreeMap<Place, Look>>,
    inbox: Arc<Inbox>,
}

impl Desk {
    /// An empty desk. Who waits at `inbox` is woken by what is new.
    pub fn new(inbox: Arc<Inbox>) -> Self {
        Self {
            looks: Mutex::default(),
            inbox,
        }
    }

    /// A source was read at `now`.
    pub fn deliver(&self, listing: Listing, now: Timestamp) {
        let mut looks = self.lock();
        let look = looks.entry(listing.place.clone()).or_default();
        look.read_at = Some(now);
        let was_silent = look.problem.take().is_some();
        let is_same = look.listing.as_deref() == Some(&listing);
        if !is_same {
            look.listing = Some(Arc::new(listing));
            look.seen_at = Some(now);
        }
        drop(looks);
        if was_silent || !is_same {
            self.inbox.nudge();
        }
    }

    /// The branches of a repository were listed at `now`.
    pub fn follow(&self, place: &Place, branches: Branches, now: Timestamp) {
        let mut looks = self.lock();
        let look = looks.entry(place.clone()).or_default();
        look.read_at = Some(now);
        let was_silent = look.problem.take().is_some();
        let is_same = look.branches.as_deref() == Some(&branches);
        if !is_same {
            look.branches = Some(Arc::new(branches));
        }
        drop(looks);
        if was_silent || !is_same {
            self.inbox.nudge();
        }
    }

    /// A source was read at `now`, and says what it said before.
    pub fn confirm(&self, place: &Place, now: Timestamp) {
        let mut looks = self.lock();
        let Some(look) = looks.get_mut(place) else {
            return;
        };
        look.read_at = Some(now);
        let was_silent = look.problem.take().is_some();
        drop(looks);
        if was_silent {
            self.inbox.nudge();
        }
    }

    /// A source cannot be read. What it said before stays in force.
    pub fn fail(&self, place: &Place, problem: &str) {
        let mut looks = self.lock();
        let look = looks.entry(place.clone()).or_default();
        let is_news = look.problem.as_deref() != Some(problem);
        look.problem = Some(problem.to_owned());
        drop(looks);
        if is_news {
            tracing::warn!(%place, problem, "the source cannot be read; what it said before stays in force");
            self.inbox.nudge();
        }
    }

    /// Nothing is known of a source any more.
    pub fn forget(&self, place: &Place) {
        self.lock().remove(place);
    }

    /// What is known of a source.
    pub fn look(&self, place: &Place) -> Look {
        self.lock().get(place).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Look>> {
        // The looks are whole between any two statements that hold the lock.
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

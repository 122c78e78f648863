//! A source that is played: what it says is laid into memory by a trial, on virtual time. How directories and repositories
//! are read is not here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Desk, Listing};
use crate::api::Place;
use crate::runtime::Runtime;

/// The time between two looks at it.
const INTERVAL: Duration = Duration::from_secs(1);

/// A source that is played. Clones are the same source.
#[derive(Clone, Debug, Default)]
pub struct PlayedSource(Arc<Mutex<Option<Saying>>>);

/// What a played source says from here on.
#[derive(Clone, Debug, PartialEq)]
pub enum Saying {
    /// Its manifests.
    Manifests(Arc<Listing>),
    /// Nothing: it cannot be read, for this reason.
    Unreadable(String),
}

impl PartialEq for PlayedSource {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for PlayedSource {}

impl PlayedSource {
    /// From here on it says this. Before the first time it was never read.
    pub fn say(&self, saying: Saying) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(saying);
    }

    /// Reads it for ever.
    pub(super) async fn read(self, place: Place, desk: Arc<Desk>, runtime: Arc<dyn Runtime>) {
        loop {
            let saying = self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            match saying {
                Some(Saying::Manifests(listing)) => {
                    desk.deliver(Listing::clone(&listing), runtime.now());
                }
                Some(Saying::Unreadable(problem)) => desk.fail(&place, &problem),
                None => {}
            }
            runtime.sleep(INTERVAL).await;
        }
    }
}

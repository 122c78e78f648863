//! Addresses that gave no answer in time. Each is remembered and asked again beside the turns, so
//! that a proxy that hangs costs one turn its time limit and no turn after that.
//!
//! What an address is asked for, and what is made of its answer, is not decided here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::Address;
use super::connection::{self, ConnectionError};

/// The silent addresses. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Silences(Arc<Mutex<BTreeMap<Address, Silence>>>);

#[derive(Debug)]
struct Silence {
    since: Timestamp,
    /// The question that was put last; over or not.
    probe: Option<JoinHandle<()>>,
}

impl Silences {
    /// Since when `address` has been silent; none when nothing speaks against asking it.
    pub fn since(&self, address: &Address) -> Option<Timestamp> {
        self.lock().get(address).map(|silence| silence.since)
    }

    /// Remembers that `address` gave no answer in time. A silence that is known goes on.
    pub fn begin(&self, address: &Address) {
        #[expect(
            clippy::disallowed_methods,
            reason = "people are told since when; no decision depends on it"
        )]
        let since = Timestamp::now();
        let silence = Silence { since, probe: None };
        self.lock().entry(address.clone()).or_insert(silence);
    }

    /// Asks a silent address once more, in the background, unless that is under way. Whatever comes
    /// within `limit`, were it a refused connection, ends the silence.
    pub fn probe(&self, address: &Address, line: String, limit: Duration) {
        let mut silences = self.lock();
        let Some(silence) = silences.get_mut(address) else {
            return;
        };
        let is_under_way = |probe: &JoinHandle<()>| !probe.is_finished();
        if silence.probe.as_ref().is_some_and(is_under_way) {
            return;
        }
        let (memory, address) = (self.clone(), address.clone());
        silence.probe = Some(tokio::spawn(async move {
            let answer = connection::exchange(&address, &line, limit).await;
            if !matches!(answer, Err(ConnectionError::Timeout { .. })) {
                memory.lock().remove(&address);
            }
        }));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Silence>> {
        // Nothing panics between two halves of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

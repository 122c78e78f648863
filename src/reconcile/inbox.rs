//! The inbox: samples on their way and samples that have come back.
//!
//! None of it survives a crash, and none of it has to: what is not in a status is measured again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::api::{Name, RolloutStatus, Step};
use crate::snapshot::{Sample, SampleKey};

/// Samples on their way and samples that have come back.
#[derive(Debug, Default)]
pub struct Inbox {
    contents: Mutex<Contents>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Contents {
    expected: BTreeSet<SampleKey>,
    arrived: BTreeMap<SampleKey, Sample>,
}

impl Inbox {
    /// Notes that a sample is being fetched; says whether it was not on its way before.
    pub fn expect(&self, key: &SampleKey) -> bool {
        let mut contents = self.lock();
        !contents.arrived.contains_key(key) && contents.expected.insert(key.clone())
    }

    /// Whether a sample is on its way or has come back.
    pub fn knows(&self, key: &SampleKey) -> bool {
        let contents = self.lock();
        contents.arrived.contains_key(key) || contents.expected.contains(key)
    }

    /// Puts a sample in and wakes who waits for one.
    pub fn deliver(&self, sample: Sample) {
        let key = sample.key.clone();
        let mut contents = self.lock();
        if !contents.expected.remove(&key) {
            return; // Its rollout is gone.
        }
        contents.arrived.insert(key, sample);
        drop(contents);
        self.news.notify_one();
    }

    /// Wakes who waits for a sample, for another reason.
    pub fn nudge(&self) {
        self.news.notify_one();
    }

    /// Forgets a rollout that is gone: what is on its way for it will not be taken in.
    pub fn forget(&self, rollout: &Name) {
        let mut contents = self.lock();
        contents.expected.retain(|key| key.rollout != *rollout);
        contents.arrived.retain(|key, _| key.rollout != *rollout);
    }

    /// The samples that have come back and were not forgotten.
    pub fn samples(&self) -> Vec<Sample> {
        self.lock().arrived.values().cloned().collect()
    }

    /// Forgets the samples of a rollout that its stored status has taken in, or has no use for.
    pub fn forget_taken(&self, rollout: &Name, status: &RolloutStatus) {
        let awaited = |key: &SampleKey| {
            status.step == Step::Running { since: key.since }
                && status.measurements.iter().any(|record| {
                    (&record.metric, &record.digest) == (&key.metric, &key.digest)
                        && (record.attempt, record.stage) == (key.attempt, key.stage)
                        && record.taken < key.number
                })
        };
        self.lock()
            .arrived
            .retain(|key, _| key.rollout != *rollout || awaited(key));
    }

    /// Waits until a sample comes in.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // The contents are whole between any two statements that hold the lock.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

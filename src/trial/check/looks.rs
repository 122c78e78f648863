//! When controllers looked: what one does was decided by what it saw.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::sim::{ControllerId, What, Who};

/// When each controller began its last look and the one before.
#[derive(Default)]
pub(super) struct Looks(BTreeMap<ControllerId, [Option<Timestamp>; 2]>);

impl Looks {
    pub fn note(&mut self, who: Who, what: &What, now: Timestamp) {
        if let (Who::Controller(id), What::Looked) = (who, what) {
            let [last, before] = self.0.entry(id).or_default();
            *before = last.replace(now);
        }
    }

    /// Since when a change may be unknown to who acts now: from the beginning of its look before the last, because the last one
    /// may have come after the decision.
    pub fn unseen_since(&self, who: Who) -> Option<Timestamp> {
        let Who::Controller(id) = who else {
            return None;
        };
        self.0.get(&id).and_then(|[_, before]| *before)
    }
}

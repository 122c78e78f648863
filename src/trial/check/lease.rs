//! Who acts (SAFETY-6): no two controllers write for long.

use jiff::Timestamp;

use super::Event;
use crate::sim::{Outcome, What};

/// The newest epoch, and since when it is.
#[derive(Default)]
pub(super) struct Leases {
    epoch: u64,
    since: Option<Timestamp>,
}

impl Leases {
    pub fn check(&mut self, event: &Event) {
        match event.what {
            What::Leased {
                epoch,
                outcome: Outcome::Done,
                ..
            } => {
                if *epoch <= self.epoch {
                    event.broken("SAFETY-6", format!("epoch {epoch} was given out twice"));
                }
                (self.epoch, self.since) = (*epoch, Some(event.now));
            }
            What::Stored {
                epoch,
                outcome: Outcome::Done,
                ..
            } if event.controller().is_some() && *epoch < self.epoch => {
                let is_long = self.since.is_some_and(|since| !event.is_recent(since));
                if is_long {
                    event.broken(
                        "SAFETY-6",
                        format!("epoch {epoch} wrote long after epoch {} began", self.epoch),
                    );
                }
            }
            _ => {}
        }
    }
}

//! Setbacks: writes that could not be done. Each rests for a while by itself and keeps no other one back. A write that is
//! another one by now, because its manifest or what is stored has changed, is tried at once.

use std::time::Duration;

use super::decide::{Decision, Deed, Write};
use crate::api::Place;
use crate::retry::{Backoff, Policy};
use crate::world::{Draft, WorldError};

/// The writes of all sources that could not be done when they were last tried.
#[derive(Default)]
pub(super) struct Setbacks(Vec<Setback>);

struct Setback {
    place: Place,
    write: Write,
    /// What is said of it; nothing of a first conflict, for the next look mostly shows what is.
    problem: Option<String>,
    backoff: Backoff,
    rests_until: Duration,
}

/// When a write that could not be done is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// After a look: the world has moved on.
    AtOnce,
    /// When it has rested.
    Later,
}

impl Setbacks {
    /// Forgets what is not asked for any more.
    pub fn keep_only(&mut self, place: &Place, writes: &[Write]) {
        self.0.retain(|setback| {
            setback.place != *place || writes.iter().any(|write| is_same(&setback.write, write))
        });
    }

    /// Forgets sources that are not among these.
    pub fn keep_places(&mut self, is_known: impl Fn(&Place) -> bool) {
        self.0.retain(|setback| is_known(&setback.place));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether any is of the source at `place`.
    pub fn are_of(&self, place: &Place) -> bool {
        self.0.iter().any(|setback| setback.place == *place)
    }

    /// Whether any is to be tried again by now.
    pub fn are_due(&self, now: Duration) -> bool {
        self.0.iter().any(|setback| setback.rests_until <= now)
    }

    pub fn rests(&self, place: &Place, write: &Write, now: Duration) -> bool {
        let mut all = self.0.iter();
        all.any(|setback| setback.is_of(place, write) && now < setback.rests_until)
    }

    /// This write was done.
    pub fn over(&mut self, place: &Place, write: &Write) {
        self.0.retain(|setback| !setback.is_of(place, write));
    }

    /// This write could not be done.
    pub fn note(
        &mut self,
        place: &Place,
        write: &Write,
        error: &WorldError,
        now: Duration,
        pauses: Policy,
    ) -> Again {
        let known = self.0.iter().position(|known| known.is_of(place, write));
        let is_first = known.is_none();
        let known = known.unwrap_or_else(|| {
            self.0.push(Setback {
                place: place.clone(),
                write: write.clone(),
                problem: None,
                backoff: Backoff::new(pauses),
                rests_until: now,
            });
            self.0.len() - 1
        });
        if is_first && matches!(error, WorldError::Conflict { .. }) {
            return Again::AtOnce;
        }
        let setback = &mut self.0[known];
        let target = &write.target;
        setback.problem = Some(format!(
            "{target} could not be written, and is tried again: {error}"
        ));
        setback.rests_until = now + setback.backoff.next_delay().unwrap_or(pauses.longest);
        Again::Later
    }

    /// Tells of them in what is decided: what is not there is nobody's.
    pub fn tell(&self, place: &Place, decision: &mut Decision) {
        for setback in self.0.iter().filter(|setback| setback.place == *place) {
            if matches!(setback.write.deed, Deed::Create(_)) {
                decision.resources.remove(&setback.write.target.to_string());
            }
            decision.invalid += usize::from(setback.problem.is_some());
            decision.problems.extend(setback.problem.clone());
        }
    }
}

impl Setback {
    fn is_of(&self, place: &Place, write: &Write) -> bool {
        self.place == *place && is_same(&self.write, write)
    }
}

/// Whether these are the same write. When a deletion was decided does not count: that is now, whenever it is decided.
fn is_same(one: &Write, other: &Write) -> bool {
    let timeless = |draft: &Draft| Draft {
        deletion: None,
        ..draft.clone()
    };
    if let (Deed::Replace(id, version, one), Deed::Replace(same, unmoved, other)) =
        (&one.deed, &other.deed)
    {
        return (id, version) == (same, unmoved)
            && one.deletion.is_some() == other.deletion.is_some()
            && timeless(one) == timeless(other);
    }
    one.target == other.target && one.deed == other.deed
}

//! What is to become of one resource that a source says validly. Who changed it last is told by its mark: the digest
//! of what the source wrote.

use super::asked::{Asked, is_of};
use super::decide::Question;
use crate::api::{OnDrift, Resource, ResourceRef};
use crate::world::Stored;

/// What is to become of one resource.
pub(super) enum Verdict<'a> {
    /// It is being deleted: the source gave it up, or a hand did it.
    Leaving(GivenUp),
    /// It was deleted by hand, and that is to be left so.
    Removed,
    /// It was changed by hand, and that is to be left so.
    Drifted(&'a Stored),
    /// The store says what the manifest says.
    InForce(&'a Stored),
    /// The manifest is written, for this reason.
    Write(&'static str),
}

/// Whether a source has given up what is being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// It has: what it says of it from then on is new.
    Yes,
    /// Somebody else deletes it.
    No,
}

impl GivenUp {
    /// What the mark says: [`super::parting`] leaves nothing in it that is asked for.
    fn of(stored: &Stored) -> Self {
        let mark = stored.draft.origin.as_ref();
        if mark.is_some_and(|origin| origin.digest.is_empty()) {
            Self::Yes
        } else {
            Self::No
        }
    }
}

impl<'a> Verdict<'a> {
    /// Compares what is `wanted`, by resource and digest, with what is stored of it.
    pub fn of(
        question: &Question,
        resource: &Resource,
        wanted: &str,
        stored: Option<&'a Stored>,
    ) -> Self {
        let Some(stored) = stored else {
            let target = ResourceRef::of(resource).to_string();
            let before = question.before.get(&target);
            let was_there = before.is_some_and(|before| Asked::of(before, wanted) != Asked::Anew);
            return match (question.on_drift, was_there) {
                (OnDrift::Report, true) => Self::Removed,
                (OnDrift::Restore, true) => Self::Write("deleted by hand; put back"),
                (OnDrift::Restore | OnDrift::Report, false) => Self::Write("new"),
            };
        };
        if stored.draft.deletion.is_some() {
            return Self::Leaving(GivenUp::of(stored));
        }
        if stored.draft.resource == *resource {
            return Self::InForce(stored);
        }
        let mark = stored.draft.origin.as_ref();
        let Some(origin) = mark.filter(|origin| origin.source == question.listing.place) else {
            return Self::Write("adopted");
        };
        let asked = Asked::of(&origin.digest, wanted);
        // Who writes by hand makes a generation that the mark does not know.
        let is_by_hand = origin.generation != stored.draft.generation
            && !is_of(&origin.digest, &stored.draft.resource);
        match (asked, is_by_hand) {
            (Asked::Anew, _) => return Self::Write("changed"),
            (Asked::Unknown, false) => return Self::Write("changed, or read anew"),
            // Neither has changed, and yet they differ: a newer release reads more of the same text.
            (Asked::Same, false) => return Self::Write("read anew"),
            (Asked::Same | Asked::Unknown, true) => {}
        }
        match question.on_drift {
            OnDrift::Restore => Self::Write("changed by hand; put back"),
            OnDrift::Report => Self::Drifted(stored),
        }
    }
}

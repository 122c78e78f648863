//! What is to become of one resource that a source says validly. Who changed it last is told by its mark: the digest
//! of what the source wrote.

use super::decide::{Question, digest};
use crate::api::{OnDrift, Resource, ResourceRef};
use crate::world::Stored;

/// What is to become of one resource.
pub(super) enum Verdict<'a> {
    /// It is being deleted.
    Leaving,
    /// It was deleted by hand, and that is to be left so.
    Removed,
    /// It was changed by hand, and that is to be left so.
    Drifted(&'a Stored),
    /// The store says what the manifest says.
    InForce(&'a Stored),
    /// The manifest is written, for this reason.
    Write(&'static str),
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
            let was_there = question.before.get(&target).map(String::as_str) == Some(wanted);
            return match (question.on_drift, was_there) {
                (OnDrift::Report, true) => Self::Removed,
                (OnDrift::Restore, true) => Self::Write("deleted by hand; put back"),
                (OnDrift::Restore | OnDrift::Report, false) => Self::Write("new"),
            };
        };
        if stored.draft.deletion.is_some() {
            return Self::Leaving;
        }
        if stored.draft.resource == *resource {
            return Self::InForce(stored);
        }
        let mark = stored.draft.origin.as_ref();
        let Some(origin) = mark.filter(|origin| origin.source == question.listing.place) else {
            return Self::Write("adopted");
        };
        if origin.digest != wanted {
            return Self::Write("changed");
        }
        if origin.digest == digest(&stored.draft.resource) {
            // Neither has changed, and yet they differ: a newer release reads more of the same text.
            return Self::Write("read anew");
        }
        match question.on_drift {
            OnDrift::Restore => Self::Write("changed by hand; put back"),
            OnDrift::Report => Self::Drifted(stored),
        }
    }
}

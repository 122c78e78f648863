//! What lies undone of what the sources ask for, as a controller sees it that stands by: who acts would have written it
//! (SAFETY-6). Who takes over, and when, is not decided here.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::decide::{Deed, Write};
use crate::api::OriginProblemKind;
use crate::world::{Draft, Stored};

/// The writes that one source asks for and that are not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Two looks that find the same writes undone have the same one.
    pub fingerprint: u64,
    /// How long ago the source was read. Who acts may have read it later.
    pub read_ago: Duration,
}

/// The fingerprint of those of `writes` that change what is asked for; none if none does. Where a manifest stands, and what
/// is wrong with it, two controllers may see differently for ever: marks alone are no work. That it is in force again is: somebody
/// has mended it, and whoever could not read it before finds no work in saying so again.
pub(super) fn fingerprint(writes: &[Write], stored: &[Stored]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let mut is_work = false;
    for write in writes.iter().filter(|write| asks(write, stored)) {
        is_work = true;
        write.target.to_string().hash(&mut hasher);
        if let Some(draft) = draft(write) {
            draft.deletion.is_some().hash(&mut hasher);
            format!("{:?}", draft.resource).hash(&mut hasher);
            is_invalid(draft).hash(&mut hasher);
        }
    }
    is_work.then(|| hasher.finish())
}

/// Whether it changes more than a mark that two controllers may see differently.
fn asks(write: &Write, stored: &[Stored]) -> bool {
    let Some(draft) = draft(write) else {
        return true;
    };
    write.target.look_up(stored).is_none_or(|stored| {
        let before = &stored.draft;
        before.resource != draft.resource
            || before.deletion.is_some() != draft.deletion.is_some()
            || is_invalid(before) && !is_invalid(draft)
    })
}

/// Whether it is told that its manifest cannot be applied.
fn is_invalid(draft: &Draft) -> bool {
    let problem = draft
        .origin
        .as_ref()
        .and_then(|origin| origin.problem.as_ref());
    problem.is_some_and(|problem| problem.kind == OriginProblemKind::Invalid)
}

/// What would be stored.
const fn draft(write: &Write) -> Option<&Draft> {
    match &write.deed {
        Deed::Create(draft) | Deed::Replace(_, _, draft) => Some(draft),
        Deed::Remove(_) => None,
    }
}

//! What was compared when there was nothing to do: as long as it is the same, nothing is compared again.

use std::sync::Arc;

use super::Look;
use crate::api::Route;
use crate::world::{Contents, Draft, Stored, Unreadable};

/// What was compared when there was nothing to do.
pub(super) struct Settled {
    pub looks: Vec<Look>,
    kernels: Vec<Kernel>,
    unreadable: Vec<Unreadable>,
}

/// What of a stored resource a source's decision depends on: all but the status, which changes often.
#[derive(Clone, Debug, PartialEq)]
struct Kernel {
    draft: Draft,
    route: Option<Route>,
}

/// Whether the sources say the same; when they were last read does not count.
pub(super) fn same(before: &[Look], now: &[Look]) -> bool {
    let kernel = |look: &Look| (look.listing.clone(), look.problem.clone());
    let is_same = |(before, now): (&Look, &Look)| {
        let is_one = match (&before.listing, &now.listing) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        before.problem == now.problem
            && before.branches == now.branches
            && (is_one || kernel(before) == kernel(now))
    };
    before.len() == now.len() && before.iter().zip(now).all(is_same)
}

impl Settled {
    pub fn of(looks: Vec<Look>, contents: &Contents) -> Self {
        Self {
            looks,
            kernels: contents.resources.iter().map(Kernel::of).collect(),
            unreadable: contents.unreadable.clone(),
        }
    }

    pub fn is_of(&self, looks: &[Look], contents: &Contents) -> bool {
        let stored = &contents.resources;
        same(&self.looks, looks)
            && self.kernels.len() == stored.len()
            && self.kernels.iter().zip(stored).all(|(k, s)| k.is_of(s))
            && self.unreadable == contents.unreadable
    }
}

impl Kernel {
    fn of(stored: &Stored) -> Self {
        let draft = &stored.draft;
        Self {
            draft: Draft {
                resource: draft.resource.clone(),
                generation: draft.generation,
                status: None,
                command: None,
                deletion: draft.deletion,
                origin: draft.origin.clone(),
                epoch: 0,
            },
            route: draft
                .status
                .as_ref()
                .and_then(|status| status.route.clone()),
        }
    }

    fn is_of(&self, stored: &Stored) -> bool {
        let (known, draft) = (&self.draft, &stored.draft);
        known.generation == draft.generation
            && known.deletion == draft.deletion
            && known.origin == draft.origin
            && known.resource == draft.resource
            && self.route.as_ref()
                == draft
                    .status
                    .as_ref()
                    .and_then(|status| status.route.as_ref())
    }
}

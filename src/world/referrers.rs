//! Which stored resources refer to which: what must not be removed yet.

use super::Stored;
use crate::api::{Kind, ResourceRef, RolloutStatus, references};

/// How a stored resource uses another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Its spec says so.
    Spec,
    /// Its servers are there, whatever its spec says by now ([`RolloutStatus::route`]).
    Route,
}

/// The stored resources that use `target`.
pub fn referrers<'a>(target: &ResourceRef, store: &'a [Stored]) -> Vec<(&'a Stored, Use)> {
    let used = |stored: &'a Stored| {
        if references(&stored.draft.resource).contains(target) {
            Some((stored, Use::Spec))
        } else if stored.draft.status.as_ref().and_then(route).as_ref() == Some(target) {
            Some((stored, Use::Route))
        } else {
            None
        }
    };
    store.iter().filter_map(used).collect()
}

/// The load balancer that a rollout's servers are in.
fn route(status: &RolloutStatus) -> Option<ResourceRef> {
    let route = status.route.as_ref()?;
    Some(ResourceRef::to(Kind::LoadBalancer, &route.load_balancer))
}

//! What is looked up in the store before a turn: the resources by name, who claims what, and whom to ask.

use std::collections::BTreeMap;

use crate::api::{Kind, LoadBalancerSpec, Name, Resource, RolloutSpec, Route};
use crate::plan::{Claim, Claims, Resources};
use crate::world::{Contents, Stored, Unreadable};

fn rollouts(stored: &[Stored]) -> impl Iterator<Item = (&Stored, &Name, &RolloutSpec)> {
    stored
        .iter()
        .filter_map(|stored| match &stored.draft.resource {
            Resource::Rollout(manifest) => Some((stored, &manifest.metadata.name, &manifest.spec)),
            Resource::LoadBalancer(_)
            | Resource::MetricSource(_)
            | Resource::AnalysisTemplate(_) => None,
        })
}

pub(super) fn resources(contents: &Contents) -> Resources {
    let stored = &contents.resources;
    let mut resources = Resources::default();
    for stored in stored {
        let name = stored.draft.resource.name().clone();
        match &stored.draft.resource {
            Resource::Rollout(_) => {}
            Resource::LoadBalancer(manifest) => {
                resources.load_balancers.insert(name, manifest.spec.clone());
            }
            Resource::MetricSource(manifest) => {
                resources.metric_sources.insert(name, manifest.spec.clone());
            }
            Resource::AnalysisTemplate(manifest) => {
                resources.templates.insert(name, manifest.spec.clone());
            }
        }
    }
    let mut claims = Claims::default();
    for (stored, name, spec) in rollouts(stored) {
        let status = stored.draft.status.as_ref();
        let holds = status.is_some_and(|status| status.route.is_some());
        let claim = if holds { Claim::Holds } else { Claim::Wants };
        if let Some(route) = route(stored, spec) {
            claims.add(name, stored.created_at, route, claim);
        }
    }
    for unreadable in &contents.unreadable {
        unread(unreadable, &mut claims);
    }
    resources.claims = claims;
    resources
}

/// What cannot be read is left alone, and so are the servers that it has (SAFETY-4).
fn unread(unreadable: &Unreadable, claims: &mut Claims) {
    let target = unreadable.target();
    let rollout = target.filter(|target| target.kind == Kind::Rollout);
    if let (Some(rollout), Some(route)) = (rollout, unreadable.route.clone()) {
        claims.add(&rollout.name, unreadable.created_at, route, Claim::Holds);
    }
}

/// Where a rollout's servers are, or will be; nowhere for a preview.
fn route(stored: &Stored, spec: &RolloutSpec) -> Option<Route> {
    let status = stored.draft.status.as_ref();
    let current = status.and_then(|status| status.route.clone());
    current.or_else(|| spec.route())
}

/// The load balancers that some rollout uses: the others are not even asked.
pub(super) fn used_balancers(
    stored: &[Stored],
    resources: &Resources,
) -> BTreeMap<Name, LoadBalancerSpec> {
    rollouts(stored)
        .filter_map(|(stored, _, spec)| {
            let name = route(stored, spec)?.load_balancer;
            let found = resources.load_balancers.get(&name)?.clone();
            Some((name, found))
        })
        .collect()
}

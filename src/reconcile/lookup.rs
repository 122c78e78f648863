//! What is looked up in the store before a turn: the resources by name, who claims what, and whom to ask.

use std::collections::BTreeMap;

use crate::api::{LoadBalancerSpec, Name, Resource, RolloutSpec, Route};
use crate::plan::{Claim, Claims, Resources};
use crate::world::Stored;

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

pub(super) fn resources(stored: &[Stored]) -> Resources {
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
    resources.claims = claims;
    resources
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

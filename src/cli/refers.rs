//! Which stored resources refer to which: what must not be removed yet.

use super::target::ResourceRef;
use crate::api::{Analysis, Kind, Metric, Name, Resource, RolloutSpec, RolloutStatus};
use crate::world::Stored;

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
    Some(refer(Kind::LoadBalancer, &route.load_balancer))
}

/// What a resource refers to.
pub fn references(resource: &Resource) -> Vec<ResourceRef> {
    match resource {
        Resource::Rollout(manifest) => of_rollout(&manifest.spec),
        Resource::AnalysisTemplate(manifest) => {
            sources(manifest.spec.source.as_ref(), &manifest.spec.metrics)
        }
        Resource::LoadBalancer(_) | Resource::MetricSource(_) => Vec::new(),
    }
}

fn of_rollout(spec: &RolloutSpec) -> Vec<ResourceRef> {
    let staged = spec.strategy.stages().filter_map(|stage| stage.analysis);
    spec.analysis
        .iter()
        .chain(staged)
        .flat_map(of_analysis)
        .chain([refer(Kind::LoadBalancer, &spec.traffic.load_balancer)])
        .collect()
}

fn of_analysis(analysis: &Analysis) -> Vec<ResourceRef> {
    let templates = analysis
        .templates
        .iter()
        .map(|template| refer(Kind::AnalysisTemplate, &template.name));
    sources(analysis.source.as_ref(), &analysis.metrics)
        .into_iter()
        .chain(templates)
        .collect()
}

fn sources(of_all: Option<&Name>, metrics: &[Metric]) -> Vec<ResourceRef> {
    metrics
        .iter()
        .filter_map(|metric| metric.source.as_ref())
        .chain(of_all)
        .map(|name| refer(Kind::MetricSource, name))
        .collect()
}

fn refer(kind: Kind, name: &Name) -> ResourceRef {
    ResourceRef {
        kind,
        name: name.clone(),
    }
}

//! Which resource a resource refers to, by kind and name.

use std::fmt;

use super::{Analysis, Kind, Metric, Name, Resource, RolloutSpec};

/// One resource by kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceRef {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
}

impl ResourceRef {
    /// The resource that `resource` is.
    pub fn of(resource: &Resource) -> Self {
        Self::to(resource.kind(), resource.name())
    }

    /// The resource of this kind and name.
    pub fn to(kind: Kind, name: &Name) -> Self {
        Self {
            kind,
            name: name.clone(),
        }
    }
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.singular(), self.name)
    }
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
        .chain(
            spec.route()
                .map(|route| ResourceRef::to(Kind::LoadBalancer, &route.load_balancer)),
        )
        .collect()
}

fn of_analysis(analysis: &Analysis) -> Vec<ResourceRef> {
    let templates = analysis
        .templates
        .iter()
        .map(|template| ResourceRef::to(Kind::AnalysisTemplate, &template.name));
    sources(analysis.source.as_ref(), &analysis.metrics)
        .into_iter()
        .chain(templates)
        .collect()
}

fn sources(of_all: Option<&Name>, metrics: &[Metric]) -> Vec<ResourceRef> {
    metrics
        .iter()
        .filter_map(Metric::source)
        .chain(of_all)
        .map(|name| ResourceRef::to(Kind::MetricSource, name))
        .collect()
}

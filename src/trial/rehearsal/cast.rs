//! The cast: which rollout is rehearsed, with what, and what had to be made up for it.
//!
//! Only what has no say in the outcome is made up: addresses of proxies and databases. An analysis template
//! that is not there is not guessed.

use std::collections::BTreeSet;

use crate::api::{
    Analysis, HaproxyInstance, HaproxySpec, InfluxDbSpec, LoadBalancerSpec, Manifest, Metadata,
    MetricSourceSpec, Name, Resource, RolloutSpec, Route,
};
use crate::manifest::nearest;
use crate::plan::{Claims, Resolved, Resources, SpecProblem};

/// A rollout and what it refers to.
#[derive(Clone, Debug)]
pub struct Cast {
    /// The rollout, as it is to be rolled out.
    pub rollout: Manifest<RolloutSpec>,
    /// What it refers to, and whatever else is there.
    pub neighbours: Vec<Resource>,
    /// What it refers to, found.
    pub resolved: Resolved,
}

/// Why there is nothing to rehearse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CastError {
    /// There is no rollout.
    #[error(
        "there is no Rollout in these files; `simulate` plays the release of one, so name its file with `-f`"
    )]
    NoRollout,
    /// There are several, and none is chosen.
    #[error("there are {} Rollouts in these files; choose one: --rollout {}", names.len(), names.join(" or --rollout "))]
    Several {
        /// Their names.
        names: Vec<String>,
    },
    /// The one that is chosen is not there.
    #[error("there is no Rollout `{name}` in these files; {remedy}")]
    Unknown {
        /// The name.
        name: Name,
        /// What would be right.
        remedy: String,
    },
    /// What it says cannot be carried out.
    #[error(transparent)]
    Spec(#[from] SpecProblem),
}

/// Chooses the rollout of that name, or the only one.
///
/// # Errors
/// When there is none, or more than one and no name.
pub fn choose(
    resources: &[Resource],
    wanted: Option<&Name>,
) -> Result<Manifest<RolloutSpec>, CastError> {
    let rollouts: Vec<_> = resources.iter().filter_map(rollout).collect();
    let names = || {
        let names = rollouts
            .iter()
            .map(|rollout| rollout.metadata.name.to_string());
        names.collect::<Vec<_>>()
    };
    match (wanted, rollouts.as_slice()) {
        (_, []) => Err(CastError::NoRollout),
        (None, [only]) => Ok((*only).clone()),
        (None, _) => Err(CastError::Several { names: names() }),
        (Some(name), _) => {
            let mut found = rollouts.iter();
            let found = found.find(|rollout| rollout.metadata.name == *name);
            found
                .map(|rollout| (*rollout).clone())
                .ok_or_else(|| CastError::Unknown {
                    name: name.clone(),
                    remedy: remedy(name, &names()),
                })
        }
    }
}

fn remedy(name: &Name, names: &[String]) -> String {
    match nearest(name.as_str(), names.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are: {}", names.join(", ")),
    }
}

fn rollout(resource: &Resource) -> Option<&Manifest<RolloutSpec>> {
    match resource {
        Resource::Rollout(rollout) => Some(rollout),
        Resource::LoadBalancer(_) | Resource::MetricSource(_) | Resource::AnalysisTemplate(_) => {
            None
        }
    }
}

impl Cast {
    /// `rollout` with its neighbours, which must be complete.
    ///
    /// # Errors
    /// When something that it refers to is not among them.
    pub fn new(
        rollout: Manifest<RolloutSpec>,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Result<Self, CastError> {
        let mut known = Resources {
            claims: Claims::default(),
            ..Resources::default()
        };
        let mut neighbours = Vec::new();
        for resource in resources {
            match &resource {
                Resource::Rollout(_) => continue,
                Resource::LoadBalancer(m) => {
                    known
                        .load_balancers
                        .insert(m.metadata.name.clone(), m.spec.clone());
                }
                Resource::MetricSource(m) => {
                    known
                        .metric_sources
                        .insert(m.metadata.name.clone(), m.spec.clone());
                }
                Resource::AnalysisTemplate(m) => {
                    known
                        .templates
                        .insert(m.metadata.name.clone(), m.spec.clone());
                }
            }
            neighbours.push(resource);
        }
        let resolved = known.resolve(&rollout.metadata.name, &rollout.spec, None)?;
        if let Err(problem) = &resolved.metrics {
            return Err(problem.clone().into());
        }
        Ok(Self {
            rollout,
            neighbours,
            resolved,
        })
    }
}

impl Cast {
    /// The back end that the rollout is behind; for a preview one that nothing is in.
    pub fn route(&self) -> Route {
        let nowhere = || Route {
            load_balancer: self.rollout.metadata.name.clone(),
            backend: String::new(),
        };
        self.rollout.spec.route().unwrap_or_else(nowhere)
    }
}

/// What `resources` refer to and do not hold, as far as it can be made up.
pub fn made_up(resources: &[Resource]) -> Vec<Resource> {
    let mut balancers = BTreeSet::new();
    let mut sources = BTreeSet::new();
    for resource in resources {
        match resource {
            Resource::Rollout(rollout) => {
                balancers.extend(rollout.spec.route().map(|route| route.load_balancer));
                let stages = rollout.spec.strategy.stages();
                let of_stages = stages.filter_map(|stage| stage.analysis);
                for analysis in rollout.spec.analysis.iter().chain(of_stages) {
                    sources.extend(sources_of(analysis));
                }
            }
            Resource::AnalysisTemplate(template) => {
                let spec = &template.spec;
                let metrics = spec.metrics.iter();
                sources.extend(metrics.filter_map(|metric| metric.source().cloned()));
                sources.extend(spec.source.clone());
            }
            Resource::LoadBalancer(_) | Resource::MetricSource(_) => {}
        }
    }
    for resource in resources {
        match resource {
            Resource::LoadBalancer(known) => balancers.remove(&known.metadata.name),
            Resource::MetricSource(known) => sources.remove(&known.metadata.name),
            Resource::Rollout(_) | Resource::AnalysisTemplate(_) => false,
        };
    }
    let balancers = balancers.into_iter().map(two_proxies);
    balancers.chain(sources.into_iter().map(database)).collect()
}

fn sources_of(analysis: &Analysis) -> impl Iterator<Item = Name> {
    let metrics = analysis.metrics.iter();
    let own = metrics.filter_map(|metric| metric.source().cloned());
    own.chain(analysis.source.clone())
}

fn two_proxies(name: Name) -> Resource {
    let instance = |number: u8| HaproxyInstance {
        name: literal(&format!("lb-{number}")),
        address: format!("unix:///run/haproxy-{number}/admin.sock"),
    };
    Resource::LoadBalancer(Manifest {
        metadata: metadata(name),
        spec: LoadBalancerSpec {
            haproxy: HaproxySpec {
                instances: vec![instance(1), instance(2)],
            },
        },
    })
}

fn database(name: Name) -> Resource {
    let influxdb: InfluxDbSpec = serde_json::from_value(serde_json::json!({
        "url": "http://influxdb:8086", "database": "rollouts",
    }))
    .expect("a source has defaults for the rest");
    Resource::MetricSource(Manifest {
        metadata: metadata(name),
        spec: MetricSourceSpec { influxdb },
    })
}

fn metadata(name: Name) -> Metadata {
    Metadata {
        name,
        labels: std::collections::BTreeMap::new(),
        annotations: std::collections::BTreeMap::new(),
    }
}

fn literal(name: &str) -> Name {
    name.parse().expect("a name")
}

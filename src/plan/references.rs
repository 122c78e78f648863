//! What a rollout refers to, found and joined; and who has a back end when two claim it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::{
    Analysis, AnalysisTemplateSpec, Duration, LoadBalancerSpec, MeasurementStatus, Metric,
    MetricBy, MetricDigest, MetricQuery, MetricSourceSpec, Name, RolloutSpec, Route, StageSpec,
    TemplateRef,
};

/// The interval of a metric that names none.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// The resources that a rollout may refer to.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Load balancers.
    pub load_balancers: BTreeMap<Name, LoadBalancerSpec>,
    /// Metric sources.
    pub metric_sources: BTreeMap<Name, MetricSourceSpec>,
    /// Analysis templates.
    pub templates: BTreeMap<Name, AnalysisTemplateSpec>,
    /// Who has which back end.
    pub claims: Claims,
}

/// What a rollout refers to, found.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The instances of its load balancer.
    pub instances: BTreeSet<Name>,
    /// The metrics of each stage; or why they cannot all be found, or why the spec as it is cannot be carried
    /// out for what runs. What serves needs none of it, so that it is kept, and can be taken back to, all the same.
    pub metrics: Result<Vec<Vec<ResolvedMetric>>, SpecProblem>,
}

impl Resolved {
    /// What is found for what has no servers, and whose spec cannot be carried out.
    pub fn unrouted(problem: &SpecProblem) -> Self {
        Self {
            instances: BTreeSet::new(),
            metrics: Err(problem.clone()),
        }
    }

    /// The metrics of the stage number `stage`, from 0; none where there is no such stage.
    pub fn metrics_of(&self, stage: u32) -> &[ResolvedMetric] {
        let stages = self.metrics.as_ref().map_or(&[][..], Vec::as_slice);
        let index = usize::try_from(stage).unwrap_or(usize::MAX);
        stages.get(index).map_or(&[], Vec::as_slice)
    }

    /// The metric that a record is of.
    pub fn metric(&self, record: &MeasurementStatus) -> Option<&ResolvedMetric> {
        let mut metrics = self.metrics_of(record.stage).iter();
        metrics.find(|metric| metric.metric.name == record.metric)
    }
}

/// A metric with all that its analysis and its template add.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedMetric {
    /// The metric as written.
    pub metric: Metric,
    /// Its source; a job has none.
    pub source: Option<ResolvedSource>,
    /// The time between two measurements; a job's, until it is tried again.
    pub interval: Duration,
    /// The values of its template's arguments, by `args.NAME`.
    pub args: BTreeMap<String, String>,
}

/// The source of a metric that is measured by a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedSource {
    /// Its name.
    pub name: Name,
    /// Its ingest lag.
    pub ingest_lag: Duration,
}

impl ResolvedMetric {
    /// What is measured under its name, and what passes. How often, and how much may go wrong, is none of that: what was
    /// measured counts on when it is changed.
    pub fn digest(&self) -> MetricDigest {
        let measured = Metric {
            interval: None,
            failure_limit: 0,
            consecutive_error_limit: 0,
            ..self.metric.clone()
        };
        let source = self.source.as_ref().map(|source| &source.name);
        MetricDigest::of(&(measured, source, &self.args))
    }

    /// What passes, as text.
    pub fn bounds(&self) -> String {
        match &self.metric.by {
            MetricBy::Query(query) => bounds(query),
            MetricBy::Job(_) => "exit code 0".into(),
        }
    }

    /// How long after its time a point may still come in.
    pub fn ingest_lag(&self) -> Duration {
        self.source
            .as_ref()
            .map_or(Duration::ZERO, |source| source.ingest_lag)
    }
}

fn bounds(query: &MetricQuery) -> String {
    match (query.min, query.max) {
        (None, None) => "any".into(),
        (None, Some(max)) => format!("<= {max}"),
        (Some(min), None) => format!(">= {min}"),
        (Some(min), Some(max)) => format!("{min} to {max}"),
    }
}

/// Why a spec cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecProblem {
    /// A resource that does not exist.
    #[error("{field} names {kind} `{name}`, which does not exist; apply it, or correct the name")]
    Missing {
        /// The field of the spec.
        field: &'static str,
        /// The kind.
        kind: crate::api::Kind,
        /// The name.
        name: Name,
    },
    /// A metric without a source.
    #[error("metric `{metric}` has no source; set `source` on the metric or on its analysis")]
    NoSource {
        /// The metric.
        metric: Name,
    },
    /// An argument of a template that has no value.
    #[error("analysis template `{template}` needs argument `{argument}`; give it under `args`")]
    NoArgument {
        /// The template.
        template: Name,
        /// The argument.
        argument: String,
    },
    /// Two metrics of one name in one stage.
    #[error("metric `{metric}` stands twice in stage {stage}; give each a name of its own")]
    Twice {
        /// The metric.
        metric: Name,
        /// The stage, from 0.
        stage: usize,
    },
    /// The back end of a rollout that has servers was changed: they would be left behind, serving.
    #[error(
        "spec.traffic asks for backend `{}` of load balancer `{}`, and the rollout's servers are in backend `{}` of `{}`, which cannot be changed; go back to it, or apply the spec under another name and delete this rollout",
        wanted.backend, wanted.load_balancer, current.backend, current.load_balancer
    )]
    Moved {
        /// Where the servers are.
        current: Route,
        /// Where the spec wants them.
        wanted: Route,
    },
    /// A rollout that serves was made a preview: its servers would be left behind, serving.
    #[error(
        "the spec asks for a preview, and the rollout serves from backend `{}` of load balancer `{}`; give the preview a name of its own",
        current.backend, current.load_balancer
    )]
    Serves {
        /// Where the servers are.
        current: Route,
    },
    /// Traffic is to be shared, and nothing says whose.
    #[error("the strategy shares traffic, and spec.traffic is missing; say where it comes from")]
    NoTraffic,
    /// Another rollout came first (SAFETY-4).
    #[error(
        "rollout `{owner}` has backend `{backend}` of load balancer `{load_balancer}` already; use another backend, or delete one of the two"
    )]
    Claimed {
        /// The rollout that came first.
        owner: Name,
        /// The load balancer.
        load_balancer: Name,
        /// The back end.
        backend: String,
    },
}

/// Which rollout has which back end: the one whose servers are there, or else the first one that
/// was created (SAFETY-4).
#[derive(Clone, Debug, Default)]
pub struct Claims(BTreeMap<Route, (Claim, Timestamp, Name)>);

/// What a rollout has to do with a back end. Who has servers there comes before who wants some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Its servers are there.
    Holds,
    /// Its spec asks for it.
    Wants,
}

impl Claims {
    /// Notes what the rollout `name`, created at `created_at`, has to do with the back end `route`.
    pub fn add(&mut self, name: &Name, created_at: Timestamp, route: Route, claim: Claim) {
        let claim = (claim, created_at, name.clone());
        self.0
            .entry(route)
            .and_modify(|first| {
                if claim < *first {
                    first.clone_from(&claim);
                }
            })
            .or_insert_with(|| claim.clone());
    }

    fn owner(&self, route: &Route) -> Option<&Name> {
        self.0.get(route).map(|(_, _, owner)| owner)
    }
}

impl Resources {
    /// Finds everything that `spec` of the rollout `name` refers to, whose servers are in the back end
    /// `current`, if it has any.
    ///
    /// # Errors
    /// Why the rollout has no back end to work on: its load balancer is missing, or another rollout
    /// came first.
    pub fn resolve(
        &self,
        name: &Name,
        spec: &RolloutSpec,
        current: Option<&Route>,
    ) -> Result<Resolved, SpecProblem> {
        let wanted = spec.route();
        let Some(route) = current.or(wanted.as_ref()) else {
            return self.resolve_unrouted(spec);
        };
        let balancer = self
            .load_balancers
            .get(&route.load_balancer)
            .ok_or_else(|| SpecProblem::Missing {
                field: "spec.traffic.loadBalancer",
                kind: crate::api::Kind::LoadBalancer,
                name: route.load_balancer.clone(),
            })?;
        if let Some(owner) = self.claims.owner(route).filter(|owner| *owner != name) {
            return Err(SpecProblem::Claimed {
                owner: owner.clone(),
                load_balancer: route.load_balancer.clone(),
                backend: route.backend.clone(),
            });
        }
        let instances = balancer
            .haproxy
            .instances
            .iter()
            .map(|instance| instance.name.clone())
            .collect();
        let metrics = match (current.cloned(), wanted) {
            (Some(current), None) => Err(SpecProblem::Serves { current }),
            (Some(current), Some(wanted)) if current != wanted => {
                Err(SpecProblem::Moved { current, wanted })
            }
            (Some(_) | None, _) => self.metrics(spec),
        };
        Ok(Resolved { instances, metrics })
    }

    /// The same for what has no servers and wants none.
    fn resolve_unrouted(&self, spec: &RolloutSpec) -> Result<Resolved, SpecProblem> {
        if spec.strategy.preview().is_none() {
            return Err(SpecProblem::NoTraffic);
        }
        Ok(Resolved {
            instances: BTreeSet::new(),
            metrics: self.metrics(spec),
        })
    }

    fn metrics(&self, spec: &RolloutSpec) -> Result<Vec<Vec<ResolvedMetric>>, SpecProblem> {
        let stages = spec.strategy.stages().enumerate();
        let metrics =
            stages.map(|(number, stage)| self.stage_metrics(number, spec.analysis.as_ref(), stage));
        metrics.collect()
    }

    fn stage_metrics(
        &self,
        stage: usize,
        common: Option<&Analysis>,
        spec: StageSpec,
    ) -> Result<Vec<ResolvedMetric>, SpecProblem> {
        let mut metrics = Vec::new();
        let measured = common.filter(|_| spec.has_traffic());
        for analysis in measured.into_iter().chain(spec.analysis) {
            // A stage's own analysis inherits what it does not say.
            let source = analysis
                .source
                .as_ref()
                .or(common.and_then(|common| common.source.as_ref()));
            let interval = analysis
                .interval
                .or(common.and_then(|common| common.interval));
            for metric in &analysis.metrics {
                metrics.push(self.metric(metric, source, interval, &BTreeMap::new())?);
            }
            for reference in &analysis.templates {
                metrics.extend(self.template_metrics(reference, source, interval)?);
            }
        }
        let mut names = BTreeSet::new();
        for metric in &metrics {
            if !names.insert(&metric.metric.name) {
                return Err(SpecProblem::Twice {
                    metric: metric.metric.name.clone(),
                    stage,
                });
            }
        }
        Ok(metrics)
    }

    fn template_metrics(
        &self,
        reference: &TemplateRef,
        source: Option<&Name>,
        interval: Option<Duration>,
    ) -> Result<Vec<ResolvedMetric>, SpecProblem> {
        let template = self
            .templates
            .get(&reference.name)
            .ok_or_else(|| SpecProblem::Missing {
                field: "analysis.templates",
                kind: crate::api::Kind::AnalysisTemplate,
                name: reference.name.clone(),
            })?;
        let mut args = BTreeMap::new();
        for argument in &template.args {
            let value = reference
                .args
                .get(&argument.name)
                .or(argument.value.as_ref());
            let value = value.ok_or_else(|| SpecProblem::NoArgument {
                template: reference.name.clone(),
                argument: argument.name.clone(),
            })?;
            args.insert(format!("args.{}", argument.name), value.clone());
        }
        let source = template.source.as_ref().or(source);
        let interval = template.interval.or(interval);
        template
            .metrics
            .iter()
            .map(|metric| self.metric(metric, source, interval, &args))
            .collect()
    }

    fn metric(
        &self,
        metric: &Metric,
        source: Option<&Name>,
        interval: Option<Duration>,
        args: &BTreeMap<String, String>,
    ) -> Result<ResolvedMetric, SpecProblem> {
        let source = match &metric.by {
            MetricBy::Query(query) => {
                Some(self.source(&metric.name, query.source.as_ref().or(source))?)
            }
            MetricBy::Job(_) => None,
        };
        Ok(ResolvedMetric {
            metric: metric.clone(),
            source,
            interval: metric.interval.or(interval).unwrap_or(DEFAULT_INTERVAL),
            args: args.clone(),
        })
    }

    fn source(&self, metric: &Name, source: Option<&Name>) -> Result<ResolvedSource, SpecProblem> {
        let name = source.ok_or_else(|| SpecProblem::NoSource {
            metric: metric.clone(),
        })?;
        let found = self
            .metric_sources
            .get(name)
            .ok_or_else(|| SpecProblem::Missing {
                field: "analysis.source",
                kind: crate::api::Kind::MetricSource,
                name: name.clone(),
            })?;
        Ok(ResolvedSource {
            name: name.clone(),
            ingest_lag: found.influxdb.ingest_lag,
        })
    }
}

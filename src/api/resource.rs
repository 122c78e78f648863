//! A resource of any kind, for code that handles them alike.

use serde::Serialize;

use super::{
    API_VERSION, AnalysisTemplateSpec, Kind, LoadBalancerSpec, Manifest, Metadata,
    MetricSourceSpec, Name, RolloutSpec,
};

/// A resource of any kind.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "resources are few and live in boxes of their own"
)]
pub enum Resource {
    /// A rollout.
    Rollout(Manifest<RolloutSpec>),
    /// A group of proxies.
    LoadBalancer(Manifest<LoadBalancerSpec>),
    /// A source of measurements.
    MetricSource(Manifest<MetricSourceSpec>),
    /// Shared metrics.
    AnalysisTemplate(Manifest<AnalysisTemplateSpec>),
}

/// How a resource looks from outside.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, S> {
    api_version: &'static str,
    kind: Kind,
    #[serde(flatten)]
    manifest: &'a Manifest<S>,
}

impl Resource {
    /// The resource's kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Rollout(_) => Kind::Rollout,
            Self::LoadBalancer(_) => Kind::LoadBalancer,
            Self::MetricSource(_) => Kind::MetricSource,
            Self::AnalysisTemplate(_) => Kind::AnalysisTemplate,
        }
    }

    /// The resource's name and labels.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Rollout(m) => &m.metadata,
            Self::LoadBalancer(m) => &m.metadata,
            Self::MetricSource(m) => &m.metadata,
            Self::AnalysisTemplate(m) => &m.metadata,
        }
    }

    /// The resource's name.
    pub fn name(&self) -> &Name {
        &self.metadata().name
    }

    /// The resource's `spec` as JSON.
    ///
    /// # Panics
    /// Never: specs are made of maps with text keys, lists, text and finite numbers.
    pub fn spec_json(&self) -> serde_json::Value {
        match self {
            Self::Rollout(m) => serde_json::to_value(&m.spec),
            Self::LoadBalancer(m) => serde_json::to_value(&m.spec),
            Self::MetricSource(m) => serde_json::to_value(&m.spec),
            Self::AnalysisTemplate(m) => serde_json::to_value(&m.spec),
        }
        .expect("a spec is plain JSON")
    }

    /// The whole resource as JSON: `{apiVersion, kind, metadata, spec}`.
    ///
    /// # Panics
    /// Never, as [`Self::spec_json`].
    pub fn to_json(&self) -> serde_json::Value {
        fn wrap<S: Serialize>(kind: Kind, manifest: &Manifest<S>) -> serde_json::Value {
            let envelope = Envelope {
                api_version: API_VERSION,
                kind,
                manifest,
            };
            serde_json::to_value(envelope).expect("a resource is plain JSON")
        }
        match self {
            Self::Rollout(m) => wrap(Kind::Rollout, m),
            Self::LoadBalancer(m) => wrap(Kind::LoadBalancer, m),
            Self::MetricSource(m) => wrap(Kind::MetricSource, m),
            Self::AnalysisTemplate(m) => wrap(Kind::AnalysisTemplate, m),
        }
    }
}

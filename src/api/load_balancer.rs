//! `kind: LoadBalancer`: the proxies that split the traffic between revisions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Name, Spec};

/// Which proxies carry a rollout's traffic, and how to reach their runtime API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LoadBalancerSpec {
    /// One or more HAProxy instances that serve the same back ends.
    pub haproxy: HaproxySpec,
}

/// A group of HAProxy instances, 2.6 or later, with the same configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HaproxySpec {
    /// The instances; each is set and verified on its own.
    #[schemars(length(min = 1))]
    pub instances: Vec<HaproxyInstance>,
}

/// One HAProxy process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HaproxyInstance {
    /// What messages and metrics call it; unique in its group.
    pub name: Name,
    /// Its `stats socket` with `level admin`: `unix:///path/to/admin.sock` or `tcp://host:port`.
    #[schemars(regex(pattern = r"^(unix:///.+|tcp://.+:[0-9]+)$"))]
    pub address: String,
}

impl Spec for LoadBalancerSpec {
    const KIND: Kind = Kind::LoadBalancer;
}

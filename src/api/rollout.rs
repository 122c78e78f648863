//! `kind: Rollout`: a service, and how its new revisions are released.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Analysis, Duration, Kind, Name, Spec, Template};

/// What is wanted of one service, for ever: what runs, behind what, and how it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RolloutSpec {
    /// How many tasks carry the whole traffic.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 10_000))]
    pub replicas: u32,
    /// How many former revisions are kept, scaled to 0.
    #[serde(default = "default_history")]
    #[schemars(range(max = 100))]
    pub revision_history_limit: u32,
    /// How long a stage may take to become ready. The clock stands while a stage bakes, is paused
    /// or waits for analysis, and starts anew with every stage that is reached.
    #[serde(default = "default_progress_deadline")]
    pub progress_deadline: Duration,
    /// What runs: a Compose-spec service, less what the rollout owns.
    pub template: Template,
    /// How requests reach it.
    pub traffic: Traffic,
    /// How a new revision replaces the old one.
    pub strategy: Strategy,
    /// What is measured in every stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    /// What happens when a stage fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

fn default_replicas() -> u32 {
    1
}

fn default_history() -> u32 {
    5
}

fn default_progress_deadline() -> Duration {
    Duration::from_secs(600)
}

fn default_drain_timeout() -> Duration {
    Duration::from_secs(30)
}

/// How requests reach a rollout's tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Traffic {
    /// The `LoadBalancer` in front.
    pub load_balancer: Name,
    /// The `backend` section of haproxy.cfg; foreign servers in it are left alone.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.:-]+$"), length(max = 128))]
    pub backend: String,
    /// The port on which the container listens.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// By which address the proxies reach a task.
    #[serde(default)]
    pub reach: Reach,
    /// How long open requests may take when a task leaves; then they are cut.
    #[serde(default = "default_drain_timeout")]
    pub drain_timeout: Duration,
}

/// By which address the proxies reach a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// The task's address on the template's first network; HAProxy is on that network too.
    #[default]
    Network,
    /// The node's address and a host-mode published port; HAProxy is anywhere.
    Host,
}

/// How a new revision replaces the old one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Strategy {
    /// Gradual scaling: weight and replicas grow by stage.
    Canary(Canary),
}

/// Gradual scaling: weight and replicas grow by stage, then the canary becomes stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Canary {
    /// The stages, with rising weights. After the last one the canary takes everything.
    #[schemars(length(min = 1, max = 100))]
    pub stages: Vec<Stage>,
}

/// One stage of a canary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Stage {
    /// The canary's share of the requests, in percent.
    #[schemars(range(min = 1, max = 100))]
    pub weight: u8,
    /// The canary's tasks; `replicas` × `weight`, rounded up, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub replicas: Option<u32>,
    /// How long the stage is held, at least, once its weight is observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Duration>,
    /// Whether a `rolloutctl promote` must let the rollout pass on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
    /// What is measured in this stage besides the rollout's own analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
}

/// What happens when a stage fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// Stable takes the traffic back.
    #[default]
    Rollback,
    /// Everything stays as it is until somebody decides.
    Pause,
}

impl RolloutSpec {
    /// The canary's stages.
    pub fn stages(&self) -> &[Stage] {
        match &self.strategy {
            Strategy::Canary(canary) => &canary.stages,
        }
    }
}

impl Stage {
    /// How many canary tasks this stage wants when the rollout as a whole wants `replicas`: what
    /// the stage says, or the weight's part of `replicas`, rounded up.
    pub fn sized(&self, replicas: u32) -> u32 {
        self.replicas.unwrap_or_else(|| {
            let part = u64::from(replicas) * u64::from(self.weight);
            u32::try_from(part.div_ceil(100)).unwrap_or(u32::MAX).max(1)
        })
    }
}

impl Spec for RolloutSpec {
    const KIND: Kind = Kind::Rollout;
}

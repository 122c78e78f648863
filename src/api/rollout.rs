//! `kind: Rollout`: a service, and how its new revisions are released.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Analysis, Duration, Kind, Name, Spec, Strategy, Template};

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
    /// Which former revisions come back without stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindow>,
}

/// Which former revisions come back without stages: what has served not long ago was measured then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RollbackWindow {
    /// So many that were stable before the one that is.
    #[schemars(range(min = 1, max = 10))]
    pub revisions: u32,
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

impl Spec for RolloutSpec {
    const KIND: Kind = Kind::Rollout;
}

//! `kind: Rollout`: a service, and how its new revisions are released.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Analysis, Duration, Kind, Name, Route, Spec, Strategy, Template};

/// What is wanted of one service, for ever: what runs, behind what, and how it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend(
    // What is no preview has traffic.
    "if" = {
        "properties": {"strategy": {"type": "object", "required": ["preview"]}},
        "required": ["strategy"],
    },
    "else" = {"required": ["traffic"]}
))]
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
    /// How production traffic reaches it. A preview has none, and needs none of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
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

impl RolloutSpec {
    /// The back end that its servers are to be in; none for a preview, whatever `traffic` says.
    pub fn route(&self) -> Option<Route> {
        let traffic = self.traffic.as_ref();
        traffic
            .filter(|_| self.strategy.preview().is_none())
            .map(Route::of)
    }

    /// How its tasks are reached.
    pub fn access(&self) -> Access {
        if let Some(preview) = self.strategy.preview() {
            return preview
                .publish
                .map_or(Access::Named {}, |publish| Access::Published {
                    port: publish.port,
                    host_port: publish.host_port,
                });
        }
        self.traffic
            .as_ref()
            .map_or(Access::Named {}, |traffic| Access::Proxied {
                port: traffic.port,
                reach: traffic.reach,
            })
    }

    /// How long open requests may take when a task leaves.
    pub fn drain_timeout(&self) -> Duration {
        let traffic = self.traffic.as_ref();
        traffic.map_or_else(default_drain_timeout, |traffic| traffic.drain_timeout)
    }
}

/// How the tasks of a revision are reached: by the names of their services on the template's networks in any case, and
/// by what this says. It shapes the service, so that it is part of what a revision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Access {
    /// By the proxies.
    Proxied {
        /// The container's port.
        port: u16,
        /// By which address.
        reach: Reach,
    },
    /// By a port of the nodes.
    Published {
        /// The container's port.
        port: u16,
        /// The node's port.
        host_port: u16,
    },
    /// By nothing else.
    Named {},
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

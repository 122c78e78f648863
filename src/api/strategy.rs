//! How a new revision replaces the old one: the strategies as they are written, and the stages that each comes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Analysis, Duration};

/// How a new revision replaces the old one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Strategy {
    /// Gradual scaling: weight and replicas grow by stage.
    Canary(Canary),
    /// Rollover: the new revision comes up whole, and takes everything in one switch.
    BlueGreen(BlueGreen),
    /// Up and destroy: each revision comes up without production traffic, is checked, and goes.
    Preview(Preview),
}

/// Which strategy it is, whatever its terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StrategyKind {
    /// Gradual scaling.
    Canary,
    /// Rollover.
    BlueGreen,
    /// Up and destroy.
    Preview,
}

/// Gradual scaling: weight and replicas grow by stage, then the canary becomes stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Canary {
    /// The stages, with rising weights. After the last one the canary takes everything.
    #[schemars(length(min = 1, max = 100))]
    pub stages: Vec<Stage>,
    /// How long the old revision keeps its tasks, without traffic, once the new one is stable: for that long the way
    /// back takes no time. Not at all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay: Option<Duration>,
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

/// Rollover: the new revision comes up whole and without traffic, passes its gates, takes everything in one switch on
/// all instances, and is watched; the old one stays warm for the way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BlueGreen {
    /// What must be passed before the switch, while the new revision is up and has no traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_promotion: Option<Promotion>,
    /// What must be passed after the switch; until then the old revision is the stable one, whole, and takes everything
    /// back at once if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_promotion: Option<Promotion>,
    /// How long the old revision keeps its tasks, without traffic, once the new one is stable: for that long the way
    /// back takes no time.
    #[serde(default = "default_scale_down_delay")]
    pub scale_down_delay: Duration,
}

/// As Argo Rollouts has it: long enough for proxies and people to notice.
fn default_scale_down_delay() -> Duration {
    Duration::from_secs(30)
}

/// Up and destroy: a revision comes up under an address of its own, without production traffic, is checked, and goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Preview {
    /// How long after its beginning a preview is removed at the latest. What is not checked by then has failed.
    #[serde(default = "default_ttl")]
    pub ttl: Duration,
    /// When it is removed.
    #[serde(default)]
    pub keep_until: KeepUntil,
    /// A port of the nodes that leads to it. Without one it is reached on its networks, by the rollout's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
    /// What must be passed once it is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Promotion>,
}

fn default_ttl() -> Duration {
    Duration::from_secs(3600)
}

/// When a preview is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeepUntil {
    /// When its time is over, so that people can look at it.
    #[default]
    Ttl,
    /// As soon as it has passed its checks.
    Checked,
}

/// A port of the container that is published, in host mode, by every node on which a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Publish {
    /// The port on which the container listens.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The port of the node. No two previews on a node can have the same.
    #[schemars(range(min = 1))]
    pub host_port: u16,
}

/// The gates before or after a switch, or of a preview.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Promotion {
    /// How long it is held, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Duration>,
    /// Whether a `rolloutctl promote` must let the rollout pass on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
    /// What is measured here. The rollout's own analysis is measured after the switch and not before, for what has no
    /// traffic has no measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
}

/// One stage of a release, whatever its strategy calls it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageSpec<'a> {
    /// The new revision's share of the requests, in percent.
    pub weight: u8,
    /// The new revision's tasks.
    pub tasks: StageTasks,
    /// How long the stage is held, at least, once its weight is observed.
    pub bake: Option<Duration>,
    /// Whether a `rolloutctl promote` must let the rollout pass on.
    pub approval: bool,
    /// What is measured in this stage besides the rollout's own analysis.
    pub analysis: Option<&'a Analysis>,
}

/// How many tasks the new revision has in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageTasks {
    /// So many.
    Said(u32),
    /// The weight's part of all, rounded up.
    ByWeight,
    /// All.
    All,
}

impl StageSpec<'_> {
    /// How many tasks this stage wants when the rollout as a whole wants `replicas`.
    pub fn sized(&self, replicas: u32) -> u32 {
        match self.tasks {
            StageTasks::Said(said) => said,
            StageTasks::All => replicas,
            StageTasks::ByWeight => {
                let part = u64::from(replicas) * u64::from(self.weight);
                u32::try_from(part.div_ceil(100)).unwrap_or(u32::MAX).max(1)
            }
        }
    }

    /// Whether the rollout's own analysis is measured here: only what has traffic can be.
    pub const fn has_traffic(&self) -> bool {
        self.weight > 0
    }
}

impl Stage {
    fn view(&self) -> StageSpec<'_> {
        StageSpec {
            weight: self.weight,
            tasks: self.replicas.map_or(StageTasks::ByWeight, StageTasks::Said),
            bake: self.bake,
            approval: self.approval,
            analysis: self.analysis.as_ref(),
        }
    }
}

impl Promotion {
    fn view(promotion: Option<&Self>, weight: u8) -> StageSpec<'_> {
        StageSpec {
            weight,
            tasks: StageTasks::All,
            bake: promotion.and_then(|it| it.bake),
            approval: promotion.is_some_and(|it| it.approval),
            analysis: promotion.and_then(|it| it.analysis.as_ref()),
        }
    }
}

impl Strategy {
    /// Which strategy it is.
    pub const fn kind(&self) -> StrategyKind {
        match self {
            Self::Canary(_) => StrategyKind::Canary,
            Self::BlueGreen(_) => StrategyKind::BlueGreen,
            Self::Preview(_) => StrategyKind::Preview,
        }
    }

    /// How many stages there are before the new revision is stable.
    pub fn stage_count(&self) -> usize {
        match self {
            Self::Canary(canary) => canary.stages.len(),
            Self::BlueGreen(_) => 2,
            Self::Preview(_) => 1,
        }
    }

    /// The stage number `index`, from 0.
    pub fn stage(&self, index: usize) -> Option<StageSpec<'_>> {
        match self {
            Self::Canary(canary) => canary.stages.get(index).map(Stage::view),
            Self::BlueGreen(rollover) => match index {
                0 => Some(Promotion::view(rollover.pre_promotion.as_ref(), 0)),
                1 => Some(Promotion::view(rollover.post_promotion.as_ref(), 100)),
                _ => None,
            },
            Self::Preview(preview) => {
                (index == 0).then(|| Promotion::view(preview.checks.as_ref(), 0))
            }
        }
    }

    /// The preview, if it is one: then nothing has production traffic.
    pub const fn preview(&self) -> Option<&Preview> {
        match self {
            Self::Preview(preview) => Some(preview),
            Self::Canary(_) | Self::BlueGreen(_) => None,
        }
    }

    /// All stages, in their order.
    pub fn stages(&self) -> impl Iterator<Item = StageSpec<'_>> {
        (0..self.stage_count()).filter_map(|index| self.stage(index))
    }

    /// What the stage number `index` is called, from 0; the one in which the new revision becomes stable for any number
    /// past the last.
    pub fn stage_name(&self, index: usize) -> String {
        match (self, index) {
            (Self::Canary(_), _) => format!("stage {}", index + 1),
            (Self::BlueGreen(_), 0) => "pre-promotion".to_owned(),
            (Self::BlueGreen(_), 1) => "post-promotion".to_owned(),
            (Self::BlueGreen(_), _) => "promotion".to_owned(),
            (Self::Preview(_), _) => "checks".to_owned(),
        }
    }

    /// Where the stage number `index` stands in a manifest, as a JSON pointer.
    pub fn stage_pointer(&self, index: usize) -> String {
        match (self, index) {
            (Self::Canary(_), _) => format!("/spec/strategy/canary/stages/{index}"),
            (Self::BlueGreen(_), 0) => "/spec/strategy/blueGreen/prePromotion".to_owned(),
            (Self::BlueGreen(_), _) => "/spec/strategy/blueGreen/postPromotion".to_owned(),
            (Self::Preview(_), _) => "/spec/strategy/preview/checks".to_owned(),
        }
    }

    /// How long the old revision keeps its tasks once the new one is stable.
    pub fn scale_down_delay(&self) -> Duration {
        match self {
            Self::Canary(canary) => canary.scale_down_delay.unwrap_or(Duration::ZERO),
            Self::BlueGreen(rollover) => rollover.scale_down_delay,
            Self::Preview(_) => Duration::ZERO,
        }
    }
}

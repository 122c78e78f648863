//! The nouns: every resource a user writes and every status the controller keeps, as plain data.
//!
//! Nothing here reads a file, a clock or a socket, and nothing here decides. The types carry
//! their JSON Schema (by `schemars`), from which `schema/` is generated.

mod analysis;
mod brief;
mod condition;
mod deletion;
mod duration;
mod event;
mod load_balancer;
mod log_end;
mod meta;
mod metric;
mod metric_digest;
mod metric_source;
mod origin;
mod refer;
mod resource;
mod revision;
mod rollout;
mod status;
mod strategy;
mod template;
mod weight;

pub use analysis::{Analysis, AnalysisTemplateSpec, Argument, NoData, TemplateRef, Window};
pub use brief::{brief, printable};
pub use condition::{Condition, ConditionStatus, ConditionType, Reason};
pub use deletion::{Deletion, Dependents};
pub use duration::{Duration, ParseDurationError};
pub use event::{Actor, Command, CommandOutcome, CommandRecord, Event, Verb};
pub use load_balancer::{HaproxyInstance, HaproxySpec, LoadBalancerSpec};
pub use log_end::log_end;
pub use meta::{
    API_VERSION, CHANGE_CAUSE_ANNOTATION, Kind, Manifest, Metadata, Name, NameError, Spec,
};
pub use metric::{Job, Metric, MetricBy, MetricQuery};
pub use metric_digest::MetricDigest;
pub use metric_source::{InfluxDbSpec, MetricSourceSpec, QueryLanguage};
pub use origin::{
    Commit, OnDrift, Origin, OriginProblem, OriginProblemKind, Place, Prune, SourceKind,
    SourcePhase, SourceStatus,
};
pub use refer::{ResourceRef, references};
pub use resource::Resource;
pub use revision::{Revision, RevisionError};
pub use rollout::{Access, OnFailure, Reach, RollbackWindow, RolloutSpec, Traffic};
pub use status::{
    Abort, AbortCause, AttemptOutcome, HistoryEntry, MeasurementPhase, MeasurementStatus, Pause,
    PauseReason, Phase, ProgressClock, Restore, RevisionRecord, RolloutStatus, Route, SampleRecord,
    ServiceRecord, Step, TrafficStatus, Upkeep, WaitingOn,
};
pub use strategy::{
    BlueGreen, Canary, KeepUntil, Preview, Promotion, Publish, Stage, StageSpec, StageTasks,
    Strategy, StrategyKind,
};
pub use template::{
    CommandLine, Deploy, Environment, FileReference, Healthcheck, Logging, Mount, MountKind,
    Placement, Preference, ResourceLimits, ResourceReservations, Resources, RestartCondition,
    RestartPolicy, Template,
};
pub use weight::{MAX_WEIGHT, ServerWeight, Share};

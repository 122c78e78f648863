//! What an idle turn waits for: the condition's reason, the sentence of `describe`, the metric's label.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::{Name, Revision};

/// What a rollout waits for. Every turn that does nothing names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all_fields = "camelCase")]
pub enum WaitingOn {
    /// A reply of a proxy's runtime API.
    Instance {
        /// The instance.
        instance: Name,
        /// What it said last.
        problem: String,
    },
    /// A `backend` section that the instance does not have.
    Backend {
        /// The instance.
        instance: Name,
        /// The back end.
        backend: String,
    },
    /// A load balancer that is gone while servers of a rollout that is being deleted are in it.
    LoadBalancer {
        /// The load balancer.
        load_balancer: Name,
    },
    /// An action that failed and is tried again.
    Action {
        /// Which one, and what was said.
        problem: String,
    },
    /// Tasks of a revision that are not ready.
    Tasks {
        /// The revision.
        revision: Revision,
        /// How many are ready.
        ready: u32,
        /// How many are wanted.
        wanted: u32,
        /// What a task that failed said last.
        problem: Option<String>,
    },
    /// Servers of a proxy that it does not see up yet.
    Servers {
        /// The instance.
        instance: Name,
        /// The revision.
        revision: Revision,
        /// How many are up.
        ready: u32,
        /// How many are wanted.
        wanted: u32,
    },
    /// Weights that were set and are not observed yet.
    Weights {
        /// The instance.
        instance: Name,
    },
    /// Open requests of a revision that leaves.
    Drain {
        /// The revision.
        revision: Revision,
        /// When they are cut.
        until: Timestamp,
    },
    /// A service that is to become smaller or to go.
    Service {
        /// The service.
        service: String,
    },
    /// Tasks to spare, until so many serve that the Swarm may stop any of them.
    Surplus {
        /// The revision.
        revision: Revision,
        /// How many tasks it is asked for.
        asked: u32,
        /// How many are wanted.
        wanted: u32,
    },
    /// The stage's bake time.
    Bake {
        /// When it ends.
        until: Timestamp,
    },
    /// The stage's first valid measurement of a metric.
    Measurement {
        /// The metric.
        metric: Name,
        /// When the next sample is due.
        next: Timestamp,
    },
    /// Data for a metric whose queries come back empty.
    Data {
        /// The metric.
        metric: Name,
    },
    /// A source of measurements that fails.
    Source {
        /// The metric.
        metric: Name,
        /// What the source said last.
        problem: String,
    },
    /// A metric's job.
    Job {
        /// The metric.
        metric: Name,
        /// When its time is over, if it is under way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Why it does not run, or did not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// `rolloutctl promote`, which the stage asks for.
    Approval,
    /// `rolloutctl resume`, after `rolloutctl pause`.
    Resume,
    /// Somebody's decision after a stage failed or could not be judged.
    Decision,
    /// `rolloutctl retry` or a new spec, after an abort.
    Retry,
    /// A change of the spec or of what it refers to.
    Spec,
    /// A step that was begun and is not observed yet.
    Observation,
}

impl WaitingOn {
    /// One word, for a metric's label.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Instance { .. } => "instance",
            Self::Backend { .. } => "backend",
            Self::LoadBalancer { .. } => "loadbalancer",
            Self::Action { .. } => "action",
            Self::Tasks { .. } => "tasks",
            Self::Servers { .. } => "servers",
            Self::Weights { .. } => "weights",
            Self::Drain { .. } => "drain",
            Self::Service { .. } => "service",
            Self::Surplus { .. } => "surplus",
            Self::Bake { .. } => "bake",
            Self::Measurement { .. } => "measurement",
            Self::Data { .. } => "data",
            Self::Source { .. } => "source",
            Self::Job { .. } => "job",
            Self::Approval => "approval",
            Self::Resume => "resume",
            Self::Decision => "decision",
            Self::Retry => "retry",
            Self::Spec => "spec",
            Self::Observation => "observation",
        }
    }

    /// What it reads as at `now`. Time passes while nobody writes: what was due before is late, and
    /// whoever was to see to it is what is waited for.
    pub fn as_of(&self, now: Timestamp) -> String {
        match self {
            Self::Bake { until } if *until <= now => {
                format!("the controller to go on: the bake time ended at {until:.0}")
            }
            Self::Measurement { metric, next } if *next <= now => {
                format!("the measurement of `{metric}` that was due at {next:.0}")
            }
            Self::Drain { revision, until } if *until <= now => {
                format!("the open requests of {revision} to be cut: their time ended at {until:.0}")
            }
            Self::Instance { .. }
            | Self::Backend { .. }
            | Self::LoadBalancer { .. }
            | Self::Action { .. }
            | Self::Tasks { .. }
            | Self::Servers { .. }
            | Self::Weights { .. }
            | Self::Drain { .. }
            | Self::Service { .. }
            | Self::Surplus { .. }
            | Self::Bake { .. }
            | Self::Measurement { .. }
            | Self::Data { .. }
            | Self::Source { .. }
            | Self::Job { .. }
            | Self::Approval
            | Self::Resume
            | Self::Decision
            | Self::Retry
            | Self::Spec
            | Self::Observation => self.to_string(),
        }
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance { instance, problem } => {
                write!(f, "HAProxy `{instance}` to answer: {problem}")
            }
            Self::Backend { instance, backend } => {
                write!(
                    f,
                    "HAProxy `{instance}` to have a section `backend {backend}`"
                )
            }
            Self::LoadBalancer { load_balancer } => write!(
                f,
                "LoadBalancer `{load_balancer}` to be there again, so that the servers in it can be drained"
            ),
            Self::Action { problem } => {
                write!(f, "what failed to be done; it is tried again: {problem}")
            }
            Self::Tasks { .. } | Self::Servers { .. } | Self::Surplus { .. } => self.write_count(f),
            Self::Weights { instance } => {
                write!(f, "HAProxy `{instance}` to show the weights that were set")
            }
            Self::Drain { revision, until } => {
                write!(
                    f,
                    "open requests of {revision} to end; they are cut at {until:.0}"
                )
            }
            Self::Service { service } => write!(f, "service {service} to stop its tasks"),
            Self::Bake { until } => write!(f, "the stage's bake time, which ends at {until:.0}"),
            Self::Measurement { metric, next } => {
                write!(
                    f,
                    "the first valid measurement of `{metric}`; the next one is due at {next:.0}"
                )
            }
            Self::Data { metric } => write!(f, "data for `{metric}`: its query finds no points"),
            Self::Source { metric, problem } => {
                write!(f, "the source of `{metric}` to answer: {problem}")
            }
            Self::Job { .. } => self.write_job(f),
            Self::Approval => f.write_str("approval: `rolloutctl promote`"),
            Self::Resume => f.write_str("`rolloutctl resume`"),
            Self::Decision => {
                f.write_str("a decision: `rolloutctl promote`, `resume`, `abort` or `retry`")
            }
            Self::Retry => f.write_str("`rolloutctl retry` or a new spec"),
            Self::Spec => f.write_str("a change of the spec, or of what it refers to"),
            Self::Observation => f.write_str("the last step to be observed"),
        }
    }
}

impl WaitingOn {
    /// How many there are, and how many there should be.
    fn write_count(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tasks {
                revision,
                ready,
                wanted,
                problem,
            } => {
                write!(f, "tasks of {revision} to be ready: {ready} of {wanted}")?;
                problem.as_ref().map_or(Ok(()), |problem| {
                    write!(f, "; the last one to fail said: {problem}")
                })
            }
            Self::Servers {
                instance,
                revision,
                ready,
                wanted,
            } => write!(
                f,
                "HAProxy `{instance}` to see the servers of {revision} up: {ready} of {wanted}"
            ),
            Self::Surplus {
                revision,
                asked,
                wanted,
            } => write!(
                f,
                "enough tasks of {revision} to serve: Swarm may stop any {} of {asked}, and might leave none that does",
                asked.saturating_sub(*wanted)
            ),
            _ => Ok(()),
        }
    }

    fn write_job(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Job {
            metric,
            until,
            problem,
        } = self
        else {
            return Ok(());
        };
        match until {
            Some(until) => write!(f, "the job of `{metric}` to end; it has until {until:.0}")?,
            None => write!(f, "the job of `{metric}` to run")?,
        }
        let Some(problem) = problem else {
            return Ok(());
        };
        write!(f, ": {problem}")
    }
}

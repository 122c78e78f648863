//! Facts about the Swarm: services, tasks, nodes (Engine API 1.41, `/services`, `/tasks`, `/nodes`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use smol_str::SmolStr;

use crate::api::{Name, Revision};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub SmolStr);

        impl<T: Into<SmolStr>> From<T> for $name {
            fn from(id: T) -> Self {
                Self(id.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A Swarm service's id.
    ServiceId
}
id! {
    /// A Swarm task's id: 25 lower-case letters and digits.
    TaskId
}
id! {
    /// A Swarm node's id.
    NodeId
}

/// One of our services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFact {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// Its object version, for compare-and-swap.
    pub version: u64,
    /// The rollout that owns it, by its label.
    pub rollout: Name,
    /// The revision that it runs, by its label.
    pub revision: Revision,
    /// How many tasks it asks for.
    pub replicas: u32,
    /// In what it differs from what we made it, if another hand changed it.
    pub drift: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written, by whomever.
    pub changed_at: Timestamp,
}

/// One task of one of our services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFact {
    /// Its id.
    pub id: TaskId,
    /// Its service.
    pub service: ServiceId,
    /// Its slot, from 1. Slots may have gaps or hold two tasks.
    pub slot: u32,
    /// Its node, once it has one.
    pub node: Option<NodeId>,
    /// What it is.
    pub state: TaskState,
    /// What the Swarm wants it to be. Beyond `Running` it is about to be stopped.
    pub desired: TaskState,
    /// Its address on each network that it is attached to, by the network's name.
    pub addresses: BTreeMap<String, IpAddr>,
    /// The node's port for each container port that is published in host mode.
    pub host_ports: BTreeMap<u16, u16>,
    /// What went wrong, if something did.
    pub problem: Option<String>,
    /// Since when its state is what it is.
    pub since: Timestamp,
}

/// A task's state; states only go forward (swarmkit `api/types.proto`, `TaskState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// Before it runs: new, pending, assigned, accepted, preparing, ready or starting.
    Waiting,
    /// It runs and, if it has a health check, is healthy.
    Running,
    /// It ended without error.
    Complete,
    /// It was asked to end and did.
    Shutdown,
    /// It ended with an error.
    Failed,
    /// Its node would not run it.
    Rejected,
    /// Its node is lost.
    Orphaned,
    /// It is to be removed.
    Remove,
}

impl TaskState {
    /// Whether the task's process has ended or never began and never will.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Waiting | Self::Running => false,
            Self::Complete
            | Self::Shutdown
            | Self::Failed
            | Self::Rejected
            | Self::Orphaned
            | Self::Remove => true,
        }
    }
}

/// One node of the Swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFact {
    /// Its id.
    pub id: NodeId,
    /// Its host name.
    pub hostname: String,
    /// Whether it is not known to be down or disconnected (`Status.State`).
    pub ready: bool,
    /// Its address, by which host-mode ports are reached.
    pub address: Option<IpAddr>,
}

//! Facts: what was observed of the Swarm, the proxies and the measurements, once for all rollouts.
//!
//! A snapshot is plain data. It holds no opinion: whether a task is good enough to be given
//! requests is decided on the floor above.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::api::{Name, Revision};

mod job;
mod proxy;
mod sample;
mod swarm;

pub use crate::api::Window;
pub use job::{JobEnd, JobFact, JobState};
pub use proxy::{
    AdminState, CheckState, InstanceFact, OperationalState, ProxyFact, ServerFact, ServerName,
    ServerNameError,
};
pub use sample::{Sample, SampleKey, SampleOutcome};
pub use swarm::{NodeFact, NodeId, ServiceFact, ServiceId, TaskFact, TaskId, TaskState};

/// All that was observed in one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When the look began.
    pub taken_at: Timestamp,
    /// Our labelled services, by name.
    pub services: BTreeMap<String, ServiceFact>,
    /// Our jobs, by their service's name: none of them is among the services.
    pub jobs: BTreeMap<String, JobFact>,
    /// The tasks of those services, by id.
    pub tasks: BTreeMap<TaskId, TaskFact>,
    /// All nodes of the Swarm, by id.
    pub nodes: BTreeMap<NodeId, NodeFact>,
    /// The instances of each load balancer, by name.
    pub load_balancers: BTreeMap<Name, BTreeMap<Name, InstanceFact>>,
    /// Samples that have come back and that no status shows yet.
    pub samples: Vec<Sample>,
}

impl Snapshot {
    /// The services of the rollout `rollout`, by name.
    pub fn services_of<'a>(&'a self, rollout: &'a Name) -> impl Iterator<Item = &'a ServiceFact> {
        self.services
            .values()
            .filter(move |service| service.rollout == *rollout)
    }

    /// The service that runs `revision` of the rollout `rollout`.
    pub fn service(&self, rollout: &Name, revision: &Revision) -> Option<&ServiceFact> {
        self.services
            .get(&revision.service_name(rollout))
            .filter(|service| service.rollout == *rollout && service.revision == *revision)
    }

    /// The tasks of one service.
    pub fn tasks_of<'a>(&'a self, service: &'a ServiceId) -> impl Iterator<Item = &'a TaskFact> {
        self.tasks
            .values()
            .filter(move |task| task.service == *service)
    }

    /// The tasks of one service that may still run.
    ///
    /// A task that is not wanted any more on a node that is not heard of is none: the Swarm has given it up, and
    /// calls it `running` until the node is back, or for a day.
    pub fn living_tasks_of<'a>(
        &'a self,
        service: &'a ServiceId,
    ) -> impl Iterator<Item = &'a TaskFact> {
        let is_given_up = |task: &TaskFact| {
            task.desired > TaskState::Running && !self.node_of(task).is_some_and(|node| node.ready)
        };
        self.tasks_of(service)
            .filter(move |task| !task.state.is_over() && !is_given_up(task))
    }

    /// The task that a server was made for, if it is known still.
    pub fn task_of(&self, server: &ServerName) -> Option<&TaskFact> {
        // Ids that begin alike stand together; what a server's name keeps of one comes before all of them.
        let from = TaskId::from(server.task().to_owned());
        let (_, task) = self.tasks.range(from..).next()?;
        server.is_of(&task.id).then_some(task)
    }

    /// The node on which a task runs, if it is known.
    pub fn node_of(&self, task: &TaskFact) -> Option<&NodeFact> {
        task.node.as_ref().and_then(|node| self.nodes.get(node))
    }
}

/// Where a task takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The TCP port.
    pub port: u16,
}

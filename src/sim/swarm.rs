//! The simulated Swarm: services with versions, tasks through their states, nodes that come and go.
//!
//! What is done to services is in `act`, what Swarm does by itself in `orchestrate`, a task's life in
//! `task`, its end in `stop`, jobs in `job`, nodes in `node`, and what is shown of it all in `facts`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::random::{Random, letter};
use super::time::Time;
use crate::action::NewService;
use crate::api::{Access, Duration, Reach, Revision};
use crate::snapshot::{Endpoint, NodeId, ServiceId, TaskId, TaskState};
use crate::world::swarm::SwarmFacts;

mod act;
mod facts;
mod job;
mod node;
mod orchestrate;
mod stop;
mod task;

pub(super) use job::{Job, JobNumber};
use node::Node;

/// A service, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServiceKey(pub u32);

/// A task, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskKey(pub u32);

/// What happens in the Swarm.
#[derive(Clone, Copy, Debug)]
pub(super) enum SwarmEvent {
    /// Swarm compares a service with its tasks.
    Orchestrate(ServiceKey),
    /// The updater replaces the next task that is not as its service is.
    Update(ServiceKey),
    /// The allocator or the updater writes to a service.
    Bump(ServiceKey),
    /// A task is given an address and a node.
    Assign(TaskKey),
    /// A task that was held back is meant to run now.
    Launch(TaskKey),
    /// A task's process is there, or is refused.
    Start(TaskKey),
    /// Its application listens.
    Listen(TaskKey),
    /// The managers hear that it runs.
    Run(TaskKey),
    /// Its health check has failed too often.
    Unhealthy(TaskKey),
    /// It dies by itself.
    Die(TaskKey),
    /// The stop signal.
    Signal(TaskKey),
    /// Its last open request is answered, and it ends.
    Finish(TaskKey),
    /// Its grace period is over.
    Kill(TaskKey),
    /// The managers hear that it has ended.
    Report(TaskKey),
    /// A task that is to be removed is taken from the list.
    Reap(TaskKey),
    /// A node has been silent for too long.
    Miss(usize, u32),
    /// A job's process is there, or is refused.
    RunJob(JobNumber),
    /// A job's process ends by itself.
    EndJob(JobNumber),
    /// The managers hear that a job has ended.
    ReportJob(JobNumber),
}

/// A service of ours.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub id: ServiceId,
    pub name: String,
    pub version: u64,
    /// As it was made, and as its tasks are.
    pub made: Arc<NewService>,
    pub replicas: u32,
    pub drift: Option<String>,
    pub created_at: Time,
    pub changed_at: Time,
    /// Which spec of its tasks is in force; a task made from an older one is replaced.
    pub round: u32,
    /// What its tasks run, if another hand changed it.
    pub image: String,
}

/// A task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub id: TaskId,
    pub service: ServiceKey,
    pub service_id: ServiceId,
    pub made: Arc<NewService>,
    pub image: String,
    pub round: u32,
    pub slot: u32,
    pub node: Option<usize>,
    pub state: TaskState,
    pub desired: TaskState,
    pub address: Option<Ipv4Addr>,
    pub host_port: Option<u16>,
    pub problem: Option<String>,
    pub since: Time,
    pub process: Process,
    /// The task that must have ended before this one may run.
    pub after: Option<TaskKey>,
    /// As what it will be known once the managers hear of its end.
    pub ending: Option<(TaskState, Option<String>)>,
}

/// A task's process, as it is, whatever the managers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// There is none yet.
    None,
    /// It runs and does not listen (yet, or any more).
    Deaf,
    /// It takes requests.
    Listens,
    /// It has ended.
    Ended,
}

impl Process {
    pub const fn is_alive(self) -> bool {
        match self {
            Self::Deaf | Self::Listens => true,
            Self::None | Self::Ended => false,
        }
    }
}

impl Task {
    pub fn revision(&self) -> &Revision {
        &self.made.revision
    }

    pub fn grace(&self) -> Duration {
        const DEFAULT: Duration = Duration::from_secs(10);
        self.made.template.stop_grace_period.unwrap_or(DEFAULT)
    }

    /// Whether it counts as one of its service's.
    pub fn is_wanted(&self) -> bool {
        self.desired <= TaskState::Running
    }
}

/// The Swarm.
pub(super) struct Swarm {
    pub services: BTreeMap<ServiceKey, Service>,
    pub by_name: BTreeMap<String, ServiceKey>,
    /// Names of services that are none of ours.
    pub foreign: BTreeSet<String>,
    pub tasks: BTreeMap<TaskKey, Task>,
    pub nodes: Vec<Node>,
    /// The jobs, by their age.
    pub jobs: BTreeMap<JobNumber, Job>,
    /// How often a job of each image was run.
    runs: BTreeMap<String, usize>,
    last_job: u32,
    /// Whose process listens where.
    pub listening: BTreeMap<Endpoint, TaskKey>,
    last_service: u32,
    last_task: u32,
    addresses: Addresses,
    host_ports: u16,
    seen: Option<Arc<SwarmFacts>>,
    past: VecDeque<(Time, Arc<SwarmFacts>)>,
}

/// The addresses of the overlay network, given out in turn.
struct Addresses {
    count: u32,
    last: u32,
    used: BTreeSet<u32>,
}

impl Addresses {
    /// The next one that is free, if there is one (moby #37338).
    fn take(&mut self) -> Option<Ipv4Addr> {
        let full = u32::try_from(self.used.len()).unwrap_or(u32::MAX) >= self.count;
        if full {
            return None;
        }
        loop {
            self.last = self.last % self.count + 1;
            if self.used.insert(self.last) {
                return Some(Ipv4Addr::from_bits(0x0a00_0000 + self.last));
            }
        }
    }

    fn free(&mut self, address: Ipv4Addr) {
        self.used.remove(&(address.to_bits() - 0x0a00_0000));
    }
}

impl Swarm {
    pub fn new(nodes: u32, addresses: u32, random: &mut Random) -> Self {
        let node = |number: u32| Node::new(number, NodeId::from(random.letters(25)));
        Self {
            services: BTreeMap::new(),
            by_name: BTreeMap::new(),
            foreign: BTreeSet::new(),
            tasks: BTreeMap::new(),
            nodes: (1..=nodes.max(1)).map(node).collect(),
            jobs: BTreeMap::new(),
            runs: BTreeMap::new(),
            last_job: 0,
            listening: BTreeMap::new(),
            last_service: 0,
            last_task: 0,
            addresses: Addresses {
                count: addresses.max(1),
                last: 0,
                used: BTreeSet::new(),
            },
            host_ports: 32_767,
            seen: None,
            past: VecDeque::new(),
        }
    }

    /// What is shown has to be made anew.
    pub fn touch(&mut self) {
        self.seen = None;
    }

    fn next_service(&mut self) -> ServiceKey {
        self.last_service += 1;
        ServiceKey(self.last_service)
    }

    fn next_task(&mut self) -> TaskKey {
        self.last_task += 1;
        TaskKey(self.last_task)
    }

    /// A host-mode port; the kernel gives out the next free one.
    fn next_port(&mut self) -> u16 {
        self.host_ports = if self.host_ports >= 60_999 {
            32_768
        } else {
            self.host_ports + 1
        };
        self.host_ports
    }

    /// Where a task would be reached.
    pub fn endpoints(&self, task: &Task) -> [Option<Endpoint>; 2] {
        let port = port_of(&task.made);
        let own = task.address.zip(port).map(|(address, port)| Endpoint {
            address: IpAddr::V4(address),
            port,
        });
        let node = task.node.and_then(|node| self.nodes.get(node));
        let host = node.zip(task.host_port).map(|(node, port)| Endpoint {
            address: node.address,
            port,
        });
        [own, host]
    }

    /// The tasks of a service.
    pub fn tasks_of(&self, service: ServiceKey) -> impl Iterator<Item = (TaskKey, &Task)> {
        let all = self.tasks.iter();
        all.filter(move |(_, task)| task.service == service)
            .map(|(key, task)| (*key, task))
    }
}

/// A task's id: 25 letters and digits, of which the first twelve tell tasks apart.
fn task_id(random: &mut Random, key: TaskKey) -> TaskId {
    let mut text = random.letters(8);
    let mut number = u64::from(key.0);
    for _ in 0..4 {
        text.push(letter(number % 36));
        number /= 36;
    }
    text.push_str(&random.letters(13));
    TaskId::from(text)
}

/// Whether a service publishes its port on its nodes.
fn is_published(made: &NewService) -> bool {
    match made.access {
        Access::Proxied { reach, .. } => reach == Reach::Host,
        Access::Published { .. } => true,
        Access::Named {} => false,
    }
}

/// The container's port, as far as its service tells.
fn port_of(made: &NewService) -> Option<u16> {
    match made.access {
        Access::Proxied { port, .. } | Access::Published { port, .. } => Some(port),
        Access::Named {} => None,
    }
}

//! The truth, to be looked at: what is, whatever a controller knows of it.

use super::haproxy::{Condition, Instance, Server};
use super::journal::{ControllerId, What, Who};
use super::point::Point;
use super::setup::Starts;
use super::state::State;
use super::swarm::{Process, Task};
use super::traffic::{Answered, Loss, Losses};
use crate::api::{Name, Resource, Revision, RolloutStatus, ServerWeight};
use crate::snapshot::{AdminState, CheckState, Endpoint, SampleKey, ServiceId, TaskId, TaskState};
use crate::world::{Lease, Stored};

use jiff::Timestamp;

/// Is called after every change.
pub trait Observer: Send {
    /// `who` did `what`; `view` shows the world after it. Whatever happened at the same instant may
    /// already show. The world itself must not be called from here: it is locked.
    fn changed(&mut self, view: &View<'_>, who: Who, what: &What);
}

impl<F> Observer for F
where
    F: FnMut(&View<'_>, Who, &What) + Send,
{
    fn changed(&mut self, view: &View<'_>, who: Who, what: &What) {
        self(view, who, what);
    }
}

/// The world as it is at one instant.
#[derive(Clone, Copy)]
pub struct View<'a>(pub(super) &'a State);

/// A service of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView<'a> {
    /// Its id.
    pub id: &'a ServiceId,
    /// Its name.
    pub name: &'a str,
    /// Its rollout.
    pub rollout: &'a Name,
    /// Its revision.
    pub revision: &'a Revision,
    /// Its object version.
    pub version: u64,
    /// How many tasks it asks for.
    pub replicas: u32,
    /// In what it differs from what it was made, if another hand changed it.
    pub drift: Option<&'a str>,
}

/// A job of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView<'a> {
    /// Its service's name.
    pub name: &'a str,
    /// Which measurement it takes.
    pub key: &'a SampleKey,
    /// Whether its process is there, as it is in truth.
    pub is_alive: bool,
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskView<'a> {
    /// Its id.
    pub id: &'a TaskId,
    /// Its service, which may be gone.
    pub service: &'a ServiceId,
    /// Its revision.
    pub revision: &'a Revision,
    /// The image that it runs, which another hand may have changed.
    pub image: &'a str,
    /// Its slot.
    pub slot: u32,
    /// The number of its node, from 0.
    pub node: Option<usize>,
    /// Its state, as the managers see it.
    pub state: TaskState,
    /// What the Swarm wants it to be.
    pub desired: TaskState,
    /// Whether its process is there, as it is in truth.
    pub is_alive: bool,
    /// Whether it takes requests, as it is in truth.
    pub listens: bool,
}

/// An instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceView<'a> {
    /// Its load balancer.
    pub load_balancer: &'a Name,
    /// Its name.
    pub name: &'a Name,
    /// Its process id.
    pub pid: u32,
    /// How it is.
    pub condition: Condition,
}

/// A dynamic server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerView<'a> {
    /// Its name.
    pub name: &'a str,
    /// The revision by its name.
    pub revision: Option<&'a Revision>,
    /// Where it sends requests.
    pub endpoint: Endpoint,
    /// What an administrator asked of it.
    pub admin: AdminState,
    /// Its weight.
    pub weight: ServerWeight,
    /// What its check says.
    pub check: CheckState,
    /// Whether HAProxy gives it new requests.
    pub takes_requests: bool,
    /// The task that would answer them, if one listens there.
    pub task: Option<&'a TaskId>,
    /// Its open requests, on average.
    pub open: f64,
}

impl<'a> View<'a> {
    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.0.now.stamp()
    }

    /// Our services, by their age.
    pub fn services(&self) -> impl Iterator<Item = ServiceView<'a>> + use<'a> {
        self.0.swarm.services.values().map(|service| ServiceView {
            id: &service.id,
            name: &service.name,
            rollout: &service.made.rollout,
            revision: &service.made.revision,
            version: service.version,
            replicas: service.replicas,
            drift: service.drift.as_deref(),
        })
    }

    /// Our jobs, by their age.
    pub fn jobs(&self) -> impl Iterator<Item = JobView<'a>> + use<'a> {
        self.0.swarm.jobs.values().map(|job| JobView {
            name: &job.name,
            key: &job.key,
            is_alive: job.is_alive,
        })
    }

    /// All tasks, by their age; also those whose service is gone.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'a>> + use<'a> {
        self.0.swarm.tasks.values().map(task)
    }

    /// Whether the managers hear of the node that a task is on; what they do not hear of they give up.
    pub fn is_heard_of(&self, task: &TaskView<'_>) -> bool {
        let node = task.node.and_then(|node| self.0.swarm.nodes.get(node));
        node.is_some_and(|node| node.is_ready)
    }

    /// How many tasks of a revision take requests in truth and are known and meant to run, on nodes
    /// that are not called down.
    pub fn ready_tasks(&self, revision: &Revision) -> u32 {
        let count = self.0.ready_tasks_of(revision).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The instances.
    pub fn instances(&self) -> impl Iterator<Item = InstanceView<'a>> + use<'a> {
        let instances = self.0.proxies.instances.iter();
        instances.map(|instance| InstanceView {
            load_balancer: &instance.load_balancer,
            name: &instance.name,
            pid: instance.pid,
            condition: instance.condition,
        })
    }

    /// The dynamic servers of a back end on the instance of that name, by name.
    pub fn servers(
        &self,
        instance: &Name,
        backend: &str,
    ) -> impl Iterator<Item = ServerView<'a>> + use<'a> {
        let state = self.0;
        let found = self.instance(instance);
        let backend = found.and_then(|instance| instance.backends.get(backend));
        let servers = backend.into_iter().flat_map(|backend| &backend.servers);
        servers.map(move |(name, server)| view_of(state, name, server))
    }

    /// The share of the requests, from 0 to 1, that goes to servers with a revision's name by their
    /// weights, whether or not they answer. 0 if nobody takes any.
    pub fn share(&self, instance: &Name, backend: &str, revision: &Revision) -> f64 {
        let found = self.instance(instance);
        let Some(backend) = found.and_then(|instance| instance.backends.get(backend)) else {
            return 0.0;
        };
        let (mut mine, mut all) = (0_u32, 0_u32);
        for server in backend.servers.values().filter(|s| s.takes_requests()) {
            let weight = u32::from(server.weight.get());
            all += weight;
            if server.revision.as_ref() == Some(revision) {
                mine += weight;
            }
        }
        all += backend
            .foreign
            .values()
            .copied()
            .map(u32::from)
            .sum::<u32>();
        if all == 0 {
            return 0.0;
        }
        f64::from(mine) / f64::from(all)
    }

    /// The open requests of a revision's tasks in a back end of an instance, on average; with those
    /// that a worker from before a reload still has.
    pub fn open_sessions(&self, instance: &Name, backend: &str, revision: &Revision) -> f64 {
        let Some(found) = self.instance(instance) else {
            return 0.0;
        };
        let servers = found.backends.get(backend).into_iter();
        let servers = servers.flat_map(|backend| backend.servers.values());
        let current = servers.flat_map(|server| &server.streams);
        let old = found.old.iter().filter(|(name, _)| name == backend);
        current
            .chain(old.map(|(_, stream)| stream))
            .filter(|stream| stream.revision == *revision)
            .map(|stream| stream.open(self.0.now))
            .sum()
    }

    /// Why requests of a back end are lost on an instance just now.
    pub fn losing(&self, instance: &Name, backend: &str) -> Option<Loss> {
        self.instance(instance)?.backends.get(backend)?.losing
    }

    /// All requests that were lost until now, on average.
    pub fn losses(&self) -> Losses {
        self.0.losses()
    }

    /// How many requests of a back end were lost by one cause until now, on average.
    pub fn lost(&self, backend: &str, loss: Loss) -> f64 {
        self.0.lost(backend, loss)
    }

    /// What a revision answered on all instances until now, on average.
    pub fn answered(&self, revision: &Revision) -> Answered {
        let instances = 0..self.0.proxies.instances.len();
        let all = instances.map(|index| self.answered_by(index, revision));
        all.fold(Answered::default(), |sum, one| Answered {
            requests: sum.requests + one.requests,
            failed: sum.failed + one.failed,
        })
    }

    /// What a revision answered on one instance until now, on average.
    pub fn answered_on(&self, instance: &Name, revision: &Revision) -> Answered {
        let mut instances = self.0.proxies.instances.iter();
        instances
            .position(|known| known.name == *instance)
            .map_or_else(Answered::default, |index| self.answered_by(index, revision))
    }

    fn answered_by(self, index: usize, revision: &Revision) -> Answered {
        let known = self.0.traffic.answered.get(&index);
        let known = known.and_then(|answered| answered.get(revision));
        let mut answered = known.copied().unwrap_or_default();
        let backends = self.0.proxies.instances[index].backends.values();
        let servers = backends.flat_map(|backend| backend.servers.values());
        for stream in servers.flat_map(|server| &server.streams) {
            if stream.revision == *revision {
                let requests = stream.uncounted(self.0.now);
                answered.requests += requests;
                answered.failed += requests * stream.app.error_rate;
            }
        }
        answered
    }

    /// The part of its requests that an image answers with 5xx, as it is in truth.
    pub fn error_rate(&self, image: &str) -> f64 {
        self.0.app(image).error_rate
    }

    /// Whether an image's tasks come up at all.
    pub fn comes_up(&self, image: &str) -> bool {
        self.0.app(image).starts != Starts::Rejected
    }

    /// The points of the whole seconds from `from` to before `until`, which must be over. None unless the
    /// world keeps them.
    pub fn points(&self, from: i64, until: i64) -> Vec<Point> {
        let until = until.min(self.0.now.second());
        let history = self.0.traffic.history.as_ref();
        history.map_or_else(Vec::new, |history| history.points(self.0.seed, from, until))
    }

    /// The resources in the store, by kind and name.
    pub fn stored(&self) -> impl Iterator<Item = &'a Stored> + use<'a> {
        self.0.store.contents.iter().map(AsRef::as_ref)
    }

    /// The rollout of that name in the store.
    pub fn rollout(&self, name: &Name) -> Option<&'a Stored> {
        self.stored().find(|stored| {
            matches!(&stored.draft.resource, Resource::Rollout(_))
                && stored.draft.resource.name() == name
        })
    }

    /// What is remembered of a rollout.
    pub fn status(&self, rollout: &Name) -> Option<&'a RolloutStatus> {
        self.rollout(rollout)?.draft.status.as_ref()
    }

    /// The lease, if anybody ever took it.
    pub fn lease(&self) -> Option<&'a Lease> {
        self.0.store.lease.as_ref()
    }

    /// How many calls a controller has begun.
    pub fn calls(&self, who: ControllerId) -> u64 {
        self.0.calls.begun.get(&who).copied().unwrap_or(0)
    }

    /// Whether a controller has reached the call at which it dies.
    pub fn is_dead(&self, who: ControllerId) -> bool {
        self.0.calls.dead.contains(&who)
    }

    fn instance(self, name: &Name) -> Option<&'a Instance> {
        let mut instances = self.0.proxies.instances.iter();
        instances.find(|instance| instance.name == *name)
    }
}

fn task(task: &Task) -> TaskView<'_> {
    TaskView {
        service: &task.service_id,
        id: &task.id,
        revision: task.revision(),
        image: &task.image,
        slot: task.slot,
        node: task.node,
        state: task.state,
        desired: task.desired,
        is_alive: task.process.is_alive(),
        listens: task.process == Process::Listens,
    }
}

fn view_of<'a>(state: &'a State, name: &'a str, server: &'a Server) -> ServerView<'a> {
    let task = state.swarm.listening.get(&server.endpoint);
    ServerView {
        name,
        revision: server.revision.as_ref(),
        endpoint: server.endpoint,
        admin: server.admin,
        weight: server.weight,
        check: server.check,
        takes_requests: server.takes_requests(),
        task: task
            .and_then(|key| state.swarm.tasks.get(key))
            .map(|task| &task.id),
        open: server.open(state.now),
    }
}

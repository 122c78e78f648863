//! Traffic: requests as a fluid, exact between two events.
//!
//! On each instance, the requests of a back end are split over the servers that take any, by weight. A
//! request that a task refuses, because it does not listen, goes to another server (`option redispatch`);
//! so it is lost only where none answers. No request is an event of its own.

use std::collections::BTreeMap;

use super::haproxy::{Backend, Condition, Server};
use super::state::State;
use super::swarm::{Process, TaskKey};
use super::time::Time;
use crate::api::{Resource, Revision, Route, Step};
use crate::snapshot::TaskState;

mod history;
mod loss;
mod stream;

pub(super) use history::History;
pub use loss::{Answered, Loss, Losses};
pub(super) use stream::Stream;

/// What became of all requests so far.
pub(super) struct Traffic {
    pub losses: Losses,
    /// What each revision answered on each instance.
    pub answered: BTreeMap<usize, BTreeMap<Revision, Answered>>,
    /// The rates of the past, if points are drawn from them.
    pub history: Option<History>,
    /// Why requests are lost has to be looked at again.
    causes: bool,
}

impl Traffic {
    pub fn new(keeps_history: bool) -> Self {
        Self {
            losses: Losses::default(),
            answered: BTreeMap::new(),
            history: keeps_history.then(History::default),
            causes: false,
        }
    }

    /// Whether stable has a ready task may have changed.
    pub fn touch_causes(&mut self) {
        self.causes = true;
    }

    /// Counts what a stream has answered until `now`.
    pub fn count(&mut self, instance: usize, stream: &mut Stream, now: Time) {
        let (requests, failed) = stream.counted(now);
        if requests > 0.0 {
            let answered = self.answered_by(instance, &stream.revision);
            answered.requests += requests;
            answered.failed += failed;
        }
    }

    fn answered_by(&mut self, instance: usize, revision: &Revision) -> &mut Answered {
        let answered = self.answered.entry(instance).or_default();
        // To ask first saves a copy of the key, nearly always.
        if !answered.contains_key(revision) {
            answered.insert(revision.clone(), Answered::default());
        }
        answered.get_mut(revision).expect("it is there")
    }

    pub fn set_rate(&mut self, instance: usize, stream: &mut Stream, rate: f64, now: Time) {
        self.count(instance, stream, now);
        stream.set(rate, now);
    }
}

/// Where the requests of a back end go: for each server, in their order, its task and the rate; and why
/// the rest is lost.
struct Split {
    targets: Vec<Option<(TaskKey, f64)>>,
    loss: Option<Loss>,
}

impl State {
    /// Brings the rates in line with weights, states and tasks, wherever one of them has changed.
    pub(super) fn flow(&mut self) {
        let causes = std::mem::take(&mut self.traffic.causes);
        for index in 0..self.proxies.instances.len() {
            let backends = &mut self.proxies.instances[index].backends;
            let dirty: Vec<String> = backends
                .iter_mut()
                .filter_map(|(name, backend)| {
                    let is_dirty = std::mem::take(&mut backend.dirty);
                    (is_dirty || (causes && backend.losing.is_some())).then(|| name.clone())
                })
                .collect();
            for backend in dirty {
                self.reflow(index, &backend);
            }
        }
    }

    fn reflow(&mut self, index: usize, name: &str) {
        let split = self.split(index, name);
        self.count_losses(index, name, split.loss);
        let now = self.now;
        let apps = (&self.apps, &self.other_apps);
        let tasks = &self.swarm.tasks;
        let Some(backend) = self.proxies.instances[index].backends.get_mut(name) else {
            return;
        };
        let targets = split.targets.into_iter().chain(std::iter::repeat(None));
        for (server, target) in backend.servers.values_mut().zip(targets) {
            if let Some((key, _)) = target
                && server.streams.iter().all(|stream| stream.task != key)
                && let Some(task) = tasks.get(&key)
            {
                let app = apps.0.get(&task.image).unwrap_or(apps.1).clone();
                let revision = task.revision().clone();
                server.streams.push(Stream::new(key, revision, app, now));
            }
            for stream in &mut server.streams {
                let rate = match target {
                    Some((task, rate)) if task == stream.task => rate,
                    Some(_) | None => 0.0,
                };
                self.traffic.set_rate(index, stream, rate, now);
                if let Some(task) = tasks.get(&stream.task) {
                    stream.play(apps.0.get(&task.image).unwrap_or(apps.1));
                }
            }
            server.streams.retain(|stream| stream.is_of_use(now));
        }
        if let Some(history) = &mut self.traffic.history {
            let servers = backend.servers.values();
            let streams = servers.flat_map(|server| &server.streams);
            history.note(index, name, streams, now);
        }
    }

    /// Splits the requests of a back end over its servers.
    fn split(&self, index: usize, name: &str) -> Split {
        let instance = &self.proxies.instances[index];
        let nothing = |loss| Split {
            targets: Vec::new(),
            loss,
        };
        let Some(backend) = instance.backends.get(name) else {
            return nothing(None);
        };
        if backend.rps <= 0.0 {
            return nothing(None);
        }
        if instance.condition == Condition::Stopped {
            return nothing(Some(Loss::ProxyStopped));
        }
        let mut weights = foreign_weight(backend);
        let mut are_refused = false;
        let mut weigh = |server: &Server| {
            if !server.takes_requests() {
                return None;
            }
            let Some(task) = self.swarm.listening.get(&server.endpoint) else {
                are_refused = true;
                return None;
            };
            let weight = f64::from(server.weight.get());
            weights += weight;
            Some((*task, weight))
        };
        let mut targets: Vec<_> = backend.servers.values().map(&mut weigh).collect();
        if weights <= 0.0 {
            let loss = if are_refused {
                Loss::Refused
            } else if self.has_ready_stable(index, name) {
                Loss::NoServer
            } else {
                Loss::NothingReady
            };
            return nothing(Some(loss));
        }
        for (_, rate) in targets.iter_mut().flatten() {
            *rate *= backend.rps / weights;
        }
        Split {
            targets,
            loss: None,
        }
    }

    /// Whether the stable revision of whoever has this back end has a ready task.
    fn has_ready_stable(&self, index: usize, backend: &str) -> bool {
        let load_balancer = &self.proxies.instances[index].load_balancer;
        self.store.contents.iter().any(|stored| {
            let Resource::Rollout(rollout) = &stored.draft.resource else {
                return false;
            };
            let route = rollout.spec.route();
            let is_here =
                |route: Route| route.backend == backend && route.load_balancer == *load_balancer;
            let status = stored.draft.status.as_ref();
            // Until a first revision has come up, nobody was promised anything.
            let has_begun = status.filter(|status| status.step != Step::Initial);
            let stable = has_begun.and_then(|status| status.stable_revision.as_ref());
            route.is_some_and(is_here)
                && stable.is_some_and(|revision| self.ready_tasks_of(revision).next().is_some())
        })
    }

    /// The tasks of a revision that take requests and are meant to, on nodes that are known to be there.
    pub(super) fn ready_tasks_of<'a>(
        &'a self,
        revision: &'a Revision,
    ) -> impl Iterator<Item = TaskKey> + 'a {
        let is_ready = move |key: &TaskKey| {
            self.swarm.tasks.get(key).is_some_and(|task| {
                let node = task.node.and_then(|node| self.swarm.nodes.get(node));
                task.revision() == revision
                    && task.process == Process::Listens
                    && task.state == TaskState::Running
                    && task.desired == TaskState::Running
                    && node.is_some_and(|node| node.is_ready)
            })
        };
        self.swarm.tasks.keys().copied().filter(is_ready)
    }

    /// When the last open request of a task will have been answered.
    pub(super) fn last_answer(&self, task: TaskKey) -> Time {
        self.streams_of(task)
            .map(Stream::last_answer)
            .fold(self.now, Time::max)
    }

    fn streams_of(&self, task: TaskKey) -> impl Iterator<Item = &Stream> {
        let instances = self.proxies.instances.iter();
        instances
            .flat_map(|instance| {
                let servers = instance.backends.values().flat_map(|b| b.servers.values());
                let current = servers.flat_map(|server| &server.streams);
                current.chain(instance.old.iter().map(|(_, stream)| stream))
            })
            .filter(move |stream| stream.task == task)
    }
}

fn foreign_weight(backend: &Backend) -> f64 {
    backend
        .foreign
        .values()
        .map(|weight| f64::from(*weight))
        .sum()
}

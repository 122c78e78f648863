//! The first half of a task's life: it is given a node and an address, starts, listens, and runs.

use super::super::agenda::Event;
use super::super::journal::{What, Who};
use super::super::setup::Starts;
use super::super::state::State;
use super::super::time::{Micros, SECOND, micros};
use super::{Process, SwarmEvent, Task, TaskKey, is_published};
use crate::snapshot::TaskState;

impl State {
    pub(super) fn assign(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get(&key) else {
            return;
        };
        if task.node.is_some() || !task.is_wanted() {
            return;
        }
        let Some(node) = self.swarm.free_node() else {
            self.set_problem(key, "no suitable node");
            return;
        };
        let needs_address = !task.made.template.networks.is_empty();
        let address = needs_address.then(|| self.swarm.addresses.take());
        if address == Some(None) {
            // Overlays run out of addresses (moby #37338). The allocator tries again.
            self.set_problem(key, "could not find an available IP");
            self.plan(SECOND, Event::Swarm(SwarmEvent::Assign(key)));
            return;
        }
        if let Some(task) = self.swarm.tasks.get_mut(&key) {
            task.node = Some(node);
            task.address = address.flatten();
            task.problem = None;
        }
        self.swarm.touch();
        self.begin(key);
    }

    fn set_problem(&mut self, key: TaskKey, problem: &str) {
        if let Some(task) = self.swarm.tasks.get_mut(&key) {
            task.problem = Some(problem.to_owned());
        }
        self.swarm.touch();
    }

    /// A task that was held back, until a pause was over or another task had ended, may run now.
    pub(super) fn launch(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get_mut(&key) else {
            return;
        };
        if task.desired != TaskState::Waiting {
            return;
        }
        task.desired = TaskState::Running;
        self.tell_task(key);
        self.begin(key);
    }

    /// Its node prepares it, once it has one and is meant to run.
    fn begin(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get(&key) else {
            return;
        };
        if task.node.is_none() || task.desired != TaskState::Running {
            return;
        }
        let app = self.app(&task.image);
        let delay = self.random.within(app.start);
        self.plan(delay, Event::Swarm(SwarmEvent::Start(key)));
    }

    pub(super) fn start(&mut self, key: TaskKey) {
        let port = self.swarm.next_port();
        let Some(task) = self.swarm.tasks.get_mut(&key) else {
            return;
        };
        let is_heard = task
            .node
            .is_some_and(|node| self.swarm.nodes[node].is_alive());
        if task.desired != TaskState::Running || task.process != Process::None || !is_heard {
            return;
        }
        let image = task.image.clone();
        let app = self.apps.get(&image).unwrap_or(&self.other_apps).clone();
        if app.starts == Starts::Rejected {
            let problem = format!("No such image: {image}");
            self.end(key, TaskState::Rejected, Some(problem));
            return;
        }
        task.process = Process::Deaf;
        let is_checked = is_checked(task);
        if is_published(&task.made) {
            task.host_port = Some(port);
        }
        if let Some(ready) = app.ready {
            let delay = self.random.within(ready);
            self.plan(delay, Event::Swarm(SwarmEvent::Listen(key)));
        } else if is_checked {
            let patience = self.patience(key);
            self.plan(patience, Event::Swarm(SwarmEvent::Unhealthy(key)));
        }
        if !is_checked {
            // Without a health check, `running` says nothing about readiness.
            let delay = self.random.within(self.pace.report);
            self.plan(delay, Event::Swarm(SwarmEvent::Run(key)));
        }
        if let Starts::Dies(after) = app.starts {
            self.plan(micros(after), Event::Swarm(SwarmEvent::Die(key)));
        }
        if let Some(mean) = app.mean_life {
            let life = self.random.exponential(micros(mean));
            self.plan(life, Event::Swarm(SwarmEvent::Die(key)));
        }
    }

    /// How long a task may be unhealthy at its start.
    fn patience(&self, key: TaskKey) -> Micros {
        const INTERVAL: Micros = 30 * SECOND;
        let task = self.swarm.tasks.get(&key);
        let check = task.and_then(|task| task.made.template.healthcheck.as_ref());
        let interval = check.and_then(|check| check.interval);
        let retries = check.and_then(|check| check.retries).unwrap_or(3);
        let begin = check.and_then(|check| check.start_period);
        begin.map_or(0, micros) + interval.map_or(INTERVAL, micros) * i64::from(retries.max(1))
    }

    pub(super) fn listen(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get_mut(&key) else {
            return;
        };
        if task.process != Process::Deaf || task.ending.is_some() {
            return;
        }
        task.process = Process::Listens;
        let id = task.id.clone();
        let (is_checked, interval) = (is_checked(task), check_interval(task));
        self.open_endpoints(key);
        self.tell(|| What::Listens(id));
        if is_checked {
            let wait = u64::try_from(interval).unwrap_or(0);
            let wait = i64::try_from(self.random.below(wait)).unwrap_or(0);
            let delay = wait + self.random.within(self.pace.report);
            self.plan(delay, Event::Swarm(SwarmEvent::Run(key)));
        }
    }

    /// The managers hear that a task runs and, if it has a health check, that it is healthy.
    pub(super) fn run(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get_mut(&key) else {
            return;
        };
        let is_heard = task
            .node
            .is_some_and(|node| self.swarm.nodes[node].is_heard());
        if task.state != TaskState::Waiting || !task.process.is_alive() || !is_heard {
            return;
        }
        task.state = TaskState::Running;
        task.since = self.now;
        let node = task.node;
        self.tell_task(key);
        if let Some(node) = node {
            self.hint_node(node);
        }
    }

    /// Tells of a task's state as the managers see it.
    pub(super) fn tell_task(&mut self, key: TaskKey) {
        self.swarm.touch();
        self.traffic.touch_causes();
        let Some(task) = self.swarm.tasks.get(&key) else {
            return;
        };
        let (id, state, desired) = (&task.id, task.state, task.desired);
        let service = task.made.name();
        self.journal.note(Who::World, || What::Task {
            task: id.clone(),
            service,
            state,
            desired,
        });
    }
}

/// Whether its engine checks a task's health: then `running` means healthy.
fn is_checked(task: &Task) -> bool {
    let check = task.made.template.healthcheck.as_ref();
    check.is_some_and(|check| check.test.first().is_none_or(|first| first != "NONE"))
}

fn check_interval(task: &Task) -> Micros {
    let check = task.made.template.healthcheck.as_ref();
    let interval = check.and_then(|check| check.interval);
    interval.map_or(30 * SECOND, micros)
}

//! The second half of a task's life: it is meant to stop, gets its signal, and ends; or it dies.

use super::super::agenda::Event;
use super::super::journal::What;
use super::super::setup::OnStop;
use super::super::state::State;
use super::super::time::{Time, micros};
use super::{Process, SwarmEvent, TaskKey};
use crate::snapshot::TaskState;

impl State {
    /// The Swarm wants a task to end. Its desired state says so at once; the signal comes 1 s to 3 s later.
    pub(in crate::sim) fn stop_task(&mut self, key: TaskKey, desired: TaskState) {
        let Some(task) = self.swarm.tasks.get_mut(&key) else {
            return;
        };
        let was_wanted = task.is_wanted();
        if task.desired >= desired {
            return;
        }
        task.desired = desired;
        let (state, process) = (task.state, task.process);
        let is_heard = task
            .node
            .is_none_or(|node| self.swarm.nodes[node].is_heard());
        self.tell_task(key);
        if state.is_over() && desired == TaskState::Remove {
            self.plan_reap(key);
        }
        if !was_wanted || !is_heard || state.is_over() {
            return;
        }
        match process {
            Process::None => {
                let delay = self.random.within(self.pace.report);
                if let Some(task) = self.swarm.tasks.get_mut(&key) {
                    task.process = Process::Ended;
                    task.ending = Some((TaskState::Shutdown, None));
                }
                self.plan(delay, Event::Swarm(SwarmEvent::Report(key)));
            }
            Process::Deaf | Process::Listens => self.plan_signal(key),
            Process::Ended => {}
        }
    }

    pub(super) fn plan_signal(&mut self, key: TaskKey) {
        let delay = self.random.within(self.pace.signal);
        self.plan(delay, Event::Swarm(SwarmEvent::Signal(key)));
    }

    pub(super) fn signal(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get(&key) else {
            return;
        };
        if !task.process.is_alive() {
            return;
        }
        let (id, grace) = (task.id.clone(), micros(task.grace()));
        let app = self.app(&task.image);
        self.tell(|| What::Signalled(id));
        match app.on_stop {
            OnStop::Exits => self.end(key, TaskState::Shutdown, None),
            OnStop::Ignores => self.plan(grace, Event::Swarm(SwarmEvent::Kill(key))),
            OnStop::Finishes => {
                self.close_endpoints(key);
                if let Some(task) = self.swarm.tasks.get_mut(&key) {
                    task.process = Process::Deaf;
                    task.ending = Some((TaskState::Shutdown, None));
                }
                self.flow(); // Nothing new comes in from here on.
                let last = self.last_answer(key);
                let limit = self.now.plus(grace);
                if last <= limit {
                    self.plan_at(last, Event::Swarm(SwarmEvent::Finish(key)));
                } else {
                    self.plan_at(limit, Event::Swarm(SwarmEvent::Kill(key)));
                }
            }
        }
    }

    fn plan_at(&mut self, at: Time, event: Event) {
        self.agenda.plan(at.max(self.now), event);
    }

    pub(super) fn finish(&mut self, key: TaskKey) {
        self.end(key, TaskState::Shutdown, None);
    }

    pub(super) fn kill(&mut self, key: TaskKey) {
        self.end(key, TaskState::Shutdown, None);
    }

    pub(super) fn unhealthy(&mut self, key: TaskKey) {
        let problem = "task: non-zero exit (137): dockerexec: unhealthy container";
        self.end(key, TaskState::Failed, Some(problem.to_owned()));
    }

    pub(in crate::sim) fn die(&mut self, key: TaskKey) {
        let problem = "task: non-zero exit (1)";
        self.end(key, TaskState::Failed, Some(problem.to_owned()));
    }

    /// A task's process ends here and now, and with it its open requests. The managers hear of it later.
    pub(super) fn end(&mut self, key: TaskKey, state: TaskState, problem: Option<String>) {
        let Some(task) = self.swarm.tasks.get_mut(&key) else {
            return;
        };
        if task.process == Process::Ended {
            return;
        }
        let state = if task.is_wanted() {
            state
        } else {
            TaskState::Shutdown
        };
        task.process = Process::Ended;
        task.ending = Some((state, problem));
        let (id, node) = (task.id.clone(), task.node);
        self.close_endpoints(key);
        self.lose_open_requests(key);
        self.tell(|| What::Ended(id));
        let Some(node) = node else { return };
        if self.swarm.nodes[node].is_heard() {
            let delay = self.random.within(self.pace.report);
            self.plan(delay, Event::Swarm(SwarmEvent::Report(key)));
            self.hint_node(node);
        }
    }

    /// The managers hear that a task has ended.
    pub(super) fn report(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get_mut(&key) else {
            return;
        };
        let is_heard = task
            .node
            .is_none_or(|node| self.swarm.nodes[node].is_heard());
        if task.state.is_over() || !is_heard {
            return;
        }
        let Some((state, problem)) = task.ending.take() else {
            return;
        };
        task.state = state;
        task.problem = problem;
        task.since = self.now;
        let (desired, address) = (task.desired, task.address.take());
        let (service, slot) = (task.service, task.slot);
        if let Some(address) = address {
            self.swarm.addresses.free(address);
        }
        self.tell_task(key);
        if desired <= TaskState::Running {
            self.restart(key);
        } else if desired == TaskState::Remove {
            self.plan_reap(key);
        } else {
            self.forget(service, slot);
        }
        self.launch_after(key);
    }

    /// Tasks that waited for this one to end may run.
    fn launch_after(&mut self, key: TaskKey) {
        let waiting: Vec<TaskKey> = self
            .swarm
            .tasks
            .iter()
            .filter(|(_, task)| task.after == Some(key))
            .map(|(key, _)| *key)
            .collect();
        for task in waiting {
            self.launch(task);
        }
    }

    pub(super) fn plan_reap(&mut self, key: TaskKey) {
        let delay = self.random.within(self.pace.report);
        self.plan(delay, Event::Swarm(SwarmEvent::Reap(key)));
    }

    pub(super) fn reap(&mut self, key: TaskKey) {
        self.swarm.tasks.remove(&key);
        self.swarm.touch();
    }

    /// From here on a task takes requests.
    pub(super) fn open_endpoints(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get(&key) else {
            return;
        };
        for endpoint in self.swarm.endpoints(task).into_iter().flatten() {
            self.swarm.listening.insert(endpoint, key);
            self.endpoint_changed(endpoint);
        }
        self.swarm.touch();
    }

    /// From here on a task takes no requests.
    fn close_endpoints(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get(&key) else {
            return;
        };
        for endpoint in self.swarm.endpoints(task).into_iter().flatten() {
            if self.swarm.listening.get(&endpoint) == Some(&key) {
                self.swarm.listening.remove(&endpoint);
                self.endpoint_changed(endpoint);
            }
        }
    }
}

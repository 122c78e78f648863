//! What Swarm does by itself: it compares services with their tasks, and makes and ends tasks.

use std::collections::BTreeSet;

use super::super::agenda::Event;
use super::super::state::State;
use super::super::time::{Micros, SECOND, micros};
use super::{Process, ServiceKey, SwarmEvent, Task, TaskKey, task_id};
use crate::api::{RestartCondition, RestartPolicy};
use crate::snapshot::TaskState;

/// How many tasks are remembered of a slot, the current one among them (`docker swarm update
/// --task-history-limit`).
const HISTORY: usize = 5;

/// The pause before a task that ended is replaced, if the template says nothing.
const RESTART_DELAY: Micros = 5 * SECOND;

impl State {
    pub(in crate::sim) fn swarm_event(&mut self, event: SwarmEvent) {
        match event {
            SwarmEvent::Orchestrate(service) => self.orchestrate(service),
            SwarmEvent::Update(service) => self.update(service),
            SwarmEvent::Bump(service) => self.bump(service),
            SwarmEvent::Assign(task) => self.assign(task),
            SwarmEvent::Launch(task) => self.launch(task),
            SwarmEvent::Start(task) => self.start(task),
            SwarmEvent::Listen(task) => self.listen(task),
            SwarmEvent::Run(task) => self.run(task),
            SwarmEvent::Unhealthy(task) => self.unhealthy(task),
            SwarmEvent::Die(task) => self.die(task),
            SwarmEvent::Signal(task) => self.signal(task),
            SwarmEvent::Finish(task) => self.finish(task),
            SwarmEvent::Kill(task) => self.kill(task),
            SwarmEvent::Report(task) => self.report(task),
            SwarmEvent::Reap(task) => self.reap(task),
            SwarmEvent::Miss(node, silence) => self.miss(node, silence),
            SwarmEvent::RunJob(job) => self.run_job(job),
            SwarmEvent::EndJob(job) => self.end_job(job),
            SwarmEvent::ReportJob(job) => self.report_job(job),
        }
    }

    /// Makes tasks in the lowest free slots, or ends some. Which ones cannot be chosen, and all go at once.
    fn orchestrate(&mut self, key: ServiceKey) {
        let Some(service) = self.swarm.services.get(&key) else {
            return;
        };
        let wanted = usize::try_from(service.replicas).unwrap_or(usize::MAX);
        let mut slots: Vec<u32> = self
            .swarm
            .tasks_of(key)
            .filter(|(_, task)| task.is_wanted())
            .map(|(_, task)| task.slot)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        while slots.len() > wanted {
            let victim = slots.swap_remove(self.random.index(slots.len()));
            self.empty_slot(key, victim);
        }
        let taken: BTreeSet<u32> = slots.iter().copied().collect();
        let free = (1..).filter(|slot| !taken.contains(slot));
        for slot in free.take(wanted.saturating_sub(taken.len())) {
            self.make_task(key, slot, TaskState::Running, None);
        }
        self.plan_update(key);
    }

    fn empty_slot(&mut self, service: ServiceKey, slot: u32) {
        let tasks: Vec<TaskKey> = self
            .swarm
            .tasks_of(service)
            .filter(|(_, task)| task.slot == slot)
            .map(|(key, _)| key)
            .collect();
        for task in tasks {
            self.stop_task(task, TaskState::Remove);
        }
    }

    fn plan_update(&mut self, key: ServiceKey) {
        if self.outdated(key).is_some() {
            self.plan(SECOND / 10, Event::Swarm(SwarmEvent::Update(key)));
        }
    }

    fn outdated(&self, key: ServiceKey) -> Option<TaskKey> {
        let round = self.swarm.services.get(&key)?.round;
        let mut tasks = self.swarm.tasks_of(key);
        tasks
            .find(|(_, task)| task.is_wanted() && task.round != round)
            .map(|(task, _)| task)
    }

    /// Swarm's own updater, with its defaults: one task at a time, stop first.
    fn update(&mut self, key: ServiceKey) {
        let moves = self
            .swarm
            .tasks_of(key)
            .any(|(_, task)| task.desired == TaskState::Waiting);
        if moves {
            self.plan(SECOND / 2, Event::Swarm(SwarmEvent::Update(key)));
            return;
        }
        let Some(old) = self.outdated(key) else {
            return;
        };
        let slot = self.swarm.tasks.get(&old).map_or(1, |task| task.slot);
        self.stop_task(old, TaskState::Shutdown);
        self.make_task(key, slot, TaskState::Waiting, Some(old));
        self.plan(SECOND / 2, Event::Swarm(SwarmEvent::Update(key)));
    }

    pub(super) fn make_task(
        &mut self,
        key: ServiceKey,
        slot: u32,
        desired: TaskState,
        after: Option<TaskKey>,
    ) -> Option<TaskKey> {
        let service = self.swarm.services.get(&key)?;
        let (service_id, made) = (service.id.clone(), service.made.clone());
        let (image, round) = (service.image.clone(), service.round);
        let task = self.swarm.next_task();
        let new = Task {
            id: task_id(&mut self.random, task),
            service: key,
            service_id,
            made,
            image,
            round,
            slot,
            node: None,
            state: TaskState::Waiting,
            desired,
            address: None,
            host_port: None,
            problem: None,
            since: self.now,
            process: Process::None,
            after,
            ending: None,
        };
        self.swarm.tasks.insert(task, new);
        self.tell_task(task);
        let delay = self.random.within(self.pace.schedule);
        self.plan(delay, Event::Swarm(SwarmEvent::Assign(task)));
        Some(task)
    }

    /// A task has ended by itself: another one takes its slot after a pause, and its node may be another.
    pub(super) fn restart(&mut self, key: TaskKey) {
        let Some(task) = self.swarm.tasks.get_mut(&key) else {
            return;
        };
        task.desired = TaskState::Shutdown;
        let deploy = task.made.template.deploy.as_ref();
        let policy = deploy.and_then(|deploy| deploy.restart_policy.as_ref());
        let delay = policy
            .and_then(|policy| policy.delay)
            .map_or(RESTART_DELAY, micros);
        let is_wanted = is_restarted(policy, task.state);
        let (service, slot) = (task.service, task.slot);
        if !is_wanted {
            return;
        }
        if let Some(new) = self.make_task(service, slot, TaskState::Waiting, None) {
            self.plan(delay, Event::Swarm(SwarmEvent::Launch(new)));
        }
        self.forget(service, slot);
    }

    /// Of a slot's tasks that have ended, only the last ones are remembered.
    pub(super) fn forget(&mut self, service: ServiceKey, slot: u32) {
        let over: Vec<TaskKey> = self
            .swarm
            .tasks_of(service)
            .filter(|(_, task)| {
                task.slot == slot && task.state.is_over() && !task.process.is_alive()
            })
            .map(|(key, _)| key)
            .collect();
        let surplus = (over.len() + 1).saturating_sub(HISTORY);
        for task in over.into_iter().take(surplus) {
            self.swarm.tasks.remove(&task);
        }
        self.swarm.touch();
    }
}

fn is_restarted(policy: Option<&RestartPolicy>, state: TaskState) -> bool {
    match policy.and_then(|policy| policy.condition) {
        Some(RestartCondition::None) => false,
        Some(RestartCondition::OnFailure) => state != TaskState::Complete,
        Some(RestartCondition::Any) | None => true,
    }
}

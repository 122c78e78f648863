//! Nodes: they lose their power or their network, are called down some time later, and come back.

use std::net::{IpAddr, Ipv4Addr};

use super::super::agenda::Event;
use super::super::journal::{NodeChange, What};
use super::super::state::State;
use super::{Process, Swarm, SwarmEvent, TaskKey};
use crate::snapshot::{NodeId, TaskState};

/// A node.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Node {
    pub id: NodeId,
    pub hostname: String,
    pub address: IpAddr,
    pub power: Power,
    pub hearing: Hearing,
    /// Whether the managers call it ready.
    pub is_ready: bool,
    pub is_drained: bool,
    /// Counts its silences, so that the end of one is not taken for that of another.
    silences: u32,
}

/// Whether a node has power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Power {
    On,
    Off,
}

/// Whether the managers hear a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Hearing {
    Heard,
    Silent,
}

impl Node {
    pub fn new(number: u32, id: NodeId) -> Self {
        Self {
            id,
            hostname: format!("node-{number}"),
            address: IpAddr::V4(Ipv4Addr::from_bits(0xc0a8_0000 + number)),
            power: Power::On,
            hearing: Hearing::Heard,
            is_ready: true,
            is_drained: false,
            silences: 0,
        }
    }

    pub fn is_heard(&self) -> bool {
        self.hearing == Hearing::Heard && self.power == Power::On
    }

    pub fn is_alive(&self) -> bool {
        self.power == Power::On
    }
}

impl Swarm {
    /// The node with the fewest tasks among those that take any.
    pub(super) fn free_node(&self) -> Option<usize> {
        let takes = |node: &&Node| node.is_ready && !node.is_drained;
        let mut load = vec![0_u32; self.nodes.len()];
        for task in self.tasks.values().filter(|task| task.is_wanted()) {
            if let Some(node) = task.node {
                load[node] += 1;
            }
        }
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(|(_, node)| takes(node))
            .min_by_key(|(index, _)| load[*index])
            .map(|(index, _)| index)
    }

    fn tasks_on(&self, node: usize) -> Vec<TaskKey> {
        let all = self.tasks.iter();
        all.filter(|(_, task)| task.node == Some(node))
            .map(|(key, _)| *key)
            .collect()
    }
}

impl State {
    fn tell_node(&mut self, node: usize, change: NodeChange) {
        self.swarm.touch();
        self.tell(|| What::Node(node, change));
        self.hint_all();
    }

    /// A node loses its power: what ran on it is gone at once, and the managers do not know.
    pub(in crate::sim) fn crash_node(&mut self, node: usize) {
        if !self.swarm.nodes[node].is_alive() {
            return;
        }
        self.swarm.nodes[node].power = Power::Off;
        for task in self.swarm.tasks_on(node) {
            let is_alive = |process: Process| process.is_alive();
            if self
                .swarm
                .tasks
                .get(&task)
                .is_some_and(|t| is_alive(t.process))
            {
                self.end(task, TaskState::Failed, Some("the node was lost".into()));
            }
        }
        self.lose_jobs(node, "the node was lost");
        self.fall_silent(node, NodeChange::Crashed);
    }

    /// The managers do not hear a node any more, while what runs on it goes on.
    pub(in crate::sim) fn cut_node(&mut self, node: usize) {
        if self.swarm.nodes[node].is_heard() {
            self.fall_silent(node, NodeChange::CutOff);
        }
    }

    fn fall_silent(&mut self, node: usize, change: NodeChange) {
        self.swarm.nodes[node].hearing = Hearing::Silent;
        self.swarm.nodes[node].silences += 1;
        let silence = self.swarm.nodes[node].silences;
        let delay = self.random.within(self.pace.heartbeat);
        self.plan(delay, Event::Swarm(SwarmEvent::Miss(node, silence)));
        self.tell_node(node, change);
    }

    /// The managers call a node down. Its tasks keep the state that they had, for up to 24 h, and are
    /// replaced elsewhere: a slot then holds two.
    pub(super) fn miss(&mut self, node: usize, silence: u32) {
        let known = &mut self.swarm.nodes[node];
        if known.is_heard() || known.silences != silence || !known.is_ready {
            return;
        }
        known.is_ready = false;
        self.tell_node(node, NodeChange::Down);
        for task in self.swarm.tasks_on(node) {
            self.replace(task, None);
        }
    }

    /// Wants a task to end, and another one in its slot.
    fn replace(&mut self, key: TaskKey, after: Option<TaskKey>) {
        let Some(task) = self.swarm.tasks.get(&key) else {
            return;
        };
        let (service, slot) = (task.service, task.slot);
        if !task.is_wanted() || task.state.is_over() {
            return;
        }
        self.stop_task(key, TaskState::Shutdown);
        let desired = match after {
            Some(_) => TaskState::Waiting,
            None => TaskState::Running,
        };
        self.make_task(service, slot, desired, after);
    }

    /// A node is heard again: what was meant to stop stops now, and what ended is reported.
    pub(in crate::sim) fn return_node(&mut self, node: usize) {
        if self.swarm.nodes[node].is_heard() {
            return;
        }
        let known = &mut self.swarm.nodes[node];
        known.power = Power::On;
        known.hearing = Hearing::Heard;
        known.is_ready = true;
        self.tell_node(node, NodeChange::Back);
        for key in self.swarm.tasks_on(node) {
            let Some(task) = self.swarm.tasks.get_mut(&key) else {
                continue;
            };
            let (process, is_wanted) = (task.process, task.is_wanted());
            let event = match (process, is_wanted) {
                (Process::Ended, _) => SwarmEvent::Report(key),
                (Process::Deaf | Process::Listens, true) => SwarmEvent::Run(key),
                (Process::Deaf | Process::Listens, false) => SwarmEvent::Signal(key),
                (Process::None, true) => SwarmEvent::Start(key),
                (Process::None, false) => {
                    task.process = Process::Ended;
                    task.ending = Some((TaskState::Shutdown, None));
                    SwarmEvent::Report(key)
                }
            };
            let span = match event {
                SwarmEvent::Signal(_) => self.pace.signal,
                _other => self.pace.report,
            };
            let delay = self.random.within(span);
            self.plan(delay, Event::Swarm(event));
        }
        self.assign_the_waiting();
    }

    /// `docker node update --availability drain`: all its tasks are replaced, each once it has stopped.
    pub(in crate::sim) fn drain_node(&mut self, node: usize) {
        self.swarm.nodes[node].is_drained = true;
        self.tell_node(node, NodeChange::Drained);
        self.lose_jobs(node, "it was stopped before its end");
        for task in self.swarm.tasks_on(node) {
            self.replace(task, Some(task));
        }
    }

    /// `docker node update --availability active`.
    pub(in crate::sim) fn activate_node(&mut self, node: usize) {
        self.swarm.nodes[node].is_drained = false;
        self.tell_node(node, NodeChange::Active);
        self.assign_the_waiting();
    }

    fn assign_the_waiting(&mut self) {
        let waiting: Vec<TaskKey> = self
            .swarm
            .tasks
            .iter()
            .filter(|(_, task)| task.node.is_none())
            .map(|(key, _)| *key)
            .collect();
        for key in waiting {
            let delay = self.random.within(self.pace.schedule);
            self.plan(delay, Event::Swarm(SwarmEvent::Assign(key)));
        }
    }
}

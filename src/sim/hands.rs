//! Other hands: what people, failures and neighbours do to the world.

use std::sync::Arc;

use jiff::Timestamp;

use super::agenda::Event;
use super::haproxy::{Condition, set_admin};
use super::journal::{Outcome, ServiceChange, What, Who};
use super::setup::App;
use super::state::State;
use super::swarm::ServiceKey;
use super::time::Time;
use crate::api::{Dependents, Duration, Kind, Name, Resource, ServerWeight, Verb};
use crate::snapshot::AdminState;

mod desk;

/// Something that is done to the world by another hand. What is not there is left alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Hand {
    /// Applies a manifest.
    Apply(Box<Resource>),
    /// Gives a rollout a command, for the attempt and stage at hand.
    Command(Name, Verb),
    /// Likewise, by somebody who looked before the stage at hand began.
    LateCommand(Name, Verb),
    /// Deletes a resource.
    Delete(Kind, Name, Dependents),
    /// Scales a service of ours.
    Scale(Which, u32),
    /// Edits a service of ours.
    Edit(Which, Edit),
    /// Removes a service of ours: all its tasks are stopped at once.
    RemoveService(Which),
    /// Kills the process of a task that lives, the how-manieth, modulo their number.
    KillTask(usize),
    /// Sets the weight of a server of ours.
    Weigh(WhichServer, ServerWeight),
    /// Sets the state of a server of ours.
    SetState(WhichServer, AdminState),
    /// Deploys so many services that are none of ours: versions rise, and hints come.
    StackDeploy(u32),
    /// Creates a foreign service of that name, if there is none of it.
    TakeName(String),
    /// A node loses its power.
    CrashNode(usize),
    /// The managers do not hear a node.
    CutNode(usize),
    /// A node is back.
    ReturnNode(usize),
    /// A node is drained.
    DrainNode(usize),
    /// A node takes tasks again.
    ActivateNode(usize),
    /// An instance, by its number, is reloaded.
    Reload(usize),
    /// An instance stops, and runs again after so long.
    Restart(usize, Duration),
    /// An instance's runtime API is like that from here on.
    Condition(usize, Condition),
    /// So many requests per second come to a back end, on each instance.
    Load(String, f64),
    /// The application of an image behaves like that from here on.
    App(String, App),
}

/// A service of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// By its name.
    Named(String),
    /// The how-manieth by age, modulo their number.
    Nth(usize),
}

/// How a service is edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Something that its tasks do not depend on.
    Label,
    /// Its image: Swarm's own updater then replaces its tasks, one at a time.
    Image(String),
}

/// A dynamic server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhichServer {
    /// The instance, by its number.
    pub instance: usize,
    /// The back end.
    pub backend: String,
    /// The how-manieth by name, modulo their number.
    pub server: usize,
}

impl State {
    /// Plans what a hand will do.
    pub(super) fn schedule(&mut self, at: Timestamp, hand: Hand) {
        let at = Time::of(at).max(self.now);
        self.agenda.plan(at, Event::Hand(Box::new(hand)));
    }

    /// Does what a hand does.
    pub(super) fn lend(&mut self, hand: &Hand) {
        let told = || What::Lent(Box::new(hand.clone()));
        self.journal.note(Who::Hand, told);
        match hand {
            Hand::Apply(resource) => self.desk_applies(resource),
            Hand::Command(rollout, verb) => {
                self.desk_commands(rollout, *verb, |status| {
                    Some((status.attempt, status.stage))
                });
            }
            Hand::LateCommand(rollout, verb) => self.desk_commands(rollout, *verb, desk::before),
            Hand::Delete(kind, name, dependents) => self.desk_deletes(*kind, name, *dependents),
            Hand::Scale(which, replicas) => self.hand_scales(which, *replicas),
            Hand::Edit(which, edit) => self.hand_edits(which, edit),
            Hand::RemoveService(which) => self.hand_removes(which),
            Hand::KillTask(nth) => self.hand_kills(*nth),
            Hand::Weigh(which, weight) => {
                self.hand_changes_server(which, |server, _| server.weight = *weight);
            }
            Hand::SetState(which, admin) => {
                let now = self.now;
                self.hand_changes_server(which, |server, idle| {
                    set_admin(server, *admin, now, idle);
                });
            }
            Hand::StackDeploy(count) => {
                for _ in 0..*count {
                    self.next_index();
                    self.hint_all();
                }
            }
            Hand::TakeName(name) => {
                if !self.swarm.by_name.contains_key(name) {
                    self.next_index();
                    self.swarm.foreign.insert(name.clone());
                    self.hint_all();
                }
            }
            Hand::CrashNode(node) => self.on_node(*node, Self::crash_node),
            Hand::CutNode(node) => self.on_node(*node, Self::cut_node),
            Hand::ReturnNode(node) => self.on_node(*node, Self::return_node),
            Hand::DrainNode(node) => self.on_node(*node, Self::drain_node),
            Hand::ActivateNode(node) => self.on_node(*node, Self::activate_node),
            Hand::Reload(index) => self.on_proxy(*index, Self::reload_proxy),
            Hand::Restart(index, pause) => {
                self.on_proxy(*index, |state, index| state.restart_proxy(index, *pause));
            }
            Hand::Condition(index, condition) => {
                self.on_proxy(*index, |state, index| {
                    state.set_condition(index, *condition);
                });
            }
            Hand::Load(backend, rps) => self.set_load(backend, *rps),
            Hand::App(image, app) => {
                self.apps.insert(image.clone(), Arc::new(app.clone()));
                self.proxies.touch_all();
            }
        }
    }

    fn on_node(&mut self, node: usize, change: impl FnOnce(&mut Self, usize)) {
        if node < self.swarm.nodes.len() {
            change(self, node);
        }
    }

    fn on_proxy(&mut self, index: usize, change: impl FnOnce(&mut Self, usize)) {
        if index < self.proxies.instances.len() {
            change(self, index);
        }
    }

    fn which(&self, which: &Which) -> Option<ServiceKey> {
        match which {
            Which::Named(name) => self.swarm.by_name.get(name).copied(),
            Which::Nth(nth) => {
                let count = self.swarm.services.len();
                let nth = nth.checked_rem(count)?;
                self.swarm.services.keys().nth(nth).copied()
            }
        }
    }

    fn hand_scales(&mut self, which: &Which, replicas: u32) {
        let Some(key) = self.which(which) else { return };
        self.tell_of_service(key, |from| ServiceChange::Scale { from, to: replicas });
        self.set_replicas(key, replicas);
    }

    fn hand_edits(&mut self, which: &Which, edit: &Edit) {
        let Some(key) = self.which(which) else { return };
        self.tell_of_service(key, |_| ServiceChange::Edit);
        let version = self.next_index();
        if let Some(service) = self.swarm.services.get_mut(&key) {
            service.version = version;
            match edit {
                Edit::Label => service.drift = Some("Labels.note: nothing, now \"x\"".into()),
                Edit::Image(image) => {
                    service.drift = Some(format!("Image: now {image:?}"));
                    service.image.clone_from(image);
                    service.round += 1;
                }
            }
        }
        self.service_changed(key);
    }

    fn hand_removes(&mut self, which: &Which) {
        let Some(key) = self.which(which) else { return };
        self.tell_of_service(key, |_| ServiceChange::Remove);
        self.drop_service(key);
    }

    fn tell_of_service(&mut self, key: ServiceKey, change: impl FnOnce(u32) -> ServiceChange) {
        if let Some(service) = self.swarm.services.get(&key) {
            let (name, change) = (service.name.clone(), change(service.replicas));
            self.tell_service(Who::Hand, &name, change, Outcome::Done);
        }
    }

    fn hand_kills(&mut self, nth: usize) {
        let tasks = self.swarm.tasks.iter();
        let alive: Vec<_> = tasks
            .filter(|(_, task)| task.process.is_alive())
            .map(|(key, _)| *key)
            .collect();
        if let Some(nth) = nth.checked_rem(alive.len()) {
            self.die(alive[nth]);
        }
    }

    fn hand_changes_server(
        &mut self,
        which: &WhichServer,
        change: impl FnOnce(&mut super::haproxy::Server, Time),
    ) {
        let idle = self.now.plus(self.random.within(self.pace.idle));
        let Some(instance) = self.proxies.instances.get_mut(which.instance) else {
            return;
        };
        let Some(backend) = instance.backends.get_mut(&which.backend) else {
            return;
        };
        let Some(nth) = which.server.checked_rem(backend.servers.len()) else {
            return;
        };
        let Some(server) = backend.servers.values_mut().nth(nth) else {
            return;
        };
        change(server, idle);
        let serial = server.serial;
        backend.dirty = true;
        self.plan_check(which.instance, serial);
    }

    fn set_load(&mut self, name: &str, rps: f64) {
        for index in 0..self.proxies.instances.len() {
            let backend = self.proxies.instances[index].backends.get(name);
            let Some(losing) = backend.map(|backend| backend.losing) else {
                continue;
            };
            self.count_losses(index, name, losing);
            if let Some(backend) = self.proxies.instances[index].backends.get_mut(name) {
                backend.rps = rps;
                backend.dirty = true;
            }
        }
    }

    /// The instance of that name.
    pub(super) fn instance_number(&self, name: &Name) -> Option<usize> {
        let mut instances = self.proxies.instances.iter();
        instances.position(|instance| instance.name == *name)
    }
}

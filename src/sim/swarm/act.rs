//! What is asked of the Swarm: services created, put back, scaled and removed.
//!
//! As `world::swarm` does it: what is so already is done, and what is not as it was observed is a conflict.

use std::sync::Arc;

use super::super::agenda::Event;
use super::super::faults::{Rates, Way};
use super::super::journal::{ControllerId, Outcome, ServiceChange, What, Who};
use super::super::state::State;
use super::super::store::outcome;
use super::{Service, ServiceKey, SwarmEvent};
use crate::action::{Action, NewService, ServiceTarget};
use crate::snapshot::{ServiceId, TaskState};
use crate::world::WorldError;

impl State {
    pub(in crate::sim) fn do_action(
        &mut self,
        who: ControllerId,
        action: &Action,
        rates: &Rates,
        way: Way,
    ) -> Result<(), WorldError> {
        let who = Who::Controller(who);
        match action {
            Action::CreateService(new) => self.create_service(who, new),
            Action::RestoreService { service, spec } => {
                self.meet_conflict(service, rates);
                self.restore_service(who, service, spec)
            }
            Action::ScaleService { service, replicas } => {
                self.meet_conflict(service, rates);
                self.scale_service(who, service, *replicas)
            }
            Action::RemoveService { service } => {
                self.meet_conflict(service, rates);
                self.remove_service(who, service)
            }
            Action::ChangeServers(changes) => self.change_servers(who, changes, way),
            Action::StartJob(new) => {
                self.start_job(who, new);
                Ok(())
            }
            Action::RemoveJob(job) => {
                self.remove_job(who, job);
                Ok(())
            }
            Action::Measure(_) | Action::ReadLog(_) | Action::Forget => Err(WorldError::Refused {
                what: "act on the Swarm".into(),
                reason: "the action is not about a service".into(),
            }),
        }
    }

    /// Swarm itself, or somebody else, writes to the service just before.
    fn meet_conflict(&mut self, target: &ServiceTarget, rates: &Rates) {
        if self.random.chance(rates.conflict)
            && let Some(key) = self.service_of(&target.id)
        {
            self.bump(key);
        }
    }

    fn service_of(&self, id: &ServiceId) -> Option<ServiceKey> {
        let mut services = self.swarm.services.iter();
        services
            .find(|(_, service)| service.id == *id)
            .map(|(key, _)| *key)
    }

    fn create_service(&mut self, who: Who, new: &NewService) -> Result<(), WorldError> {
        let name = new.name();
        let what = || format!("create the service {name}");
        if let Some(key) = self.swarm.by_name.get(&name) {
            let known = self.swarm.services.get(key);
            let is_it = known.is_some_and(|service| {
                service.made.rollout == new.rollout && service.made.revision == new.revision
            });
            if is_it {
                return Ok(()); // From an earlier try whose answer was lost (SAFETY-1).
            }
        }
        if self.swarm.by_name.contains_key(&name) || self.swarm.foreign.contains(&name) {
            self.tell_service(
                who,
                &name,
                ServiceChange::Create(new.replicas),
                Outcome::Refused,
            );
            return Err(WorldError::Refused {
                what: what(),
                reason: "a service of that name exists that is not ours".into(),
            });
        }
        let key = self.swarm.next_service();
        let service = Service {
            id: ServiceId::from(self.random.letters(25)),
            name: name.clone(),
            version: self.next_index(),
            image: new.template.image.clone(),
            made: Arc::new(new.clone()),
            replicas: new.replicas,
            drift: None,
            created_at: self.now,
            changed_at: self.now,
            round: 0,
        };
        self.swarm.by_name.insert(name.clone(), key);
        self.swarm.services.insert(key, service);
        self.tell_service(
            who,
            &name,
            ServiceChange::Create(new.replicas),
            Outcome::Done,
        );
        self.service_changed(key);
        Ok(())
    }

    fn restore_service(
        &mut self,
        who: Who,
        target: &ServiceTarget,
        new: &NewService,
    ) -> Result<(), WorldError> {
        let what = || format!("put back the service {}", target.name);
        let result = self.at_version(target, what, |service| {
            service.drift.is_none() && service.replicas == new.replicas
        });
        let change = ServiceChange::Restore(new.replicas);
        let Some(key) = self.told(who, target, change, result)? else {
            return Ok(());
        };
        let version = self.next_index();
        if let Some(service) = self.swarm.services.get_mut(&key) {
            service.version = version;
            service.drift = None;
            service.replicas = new.replicas;
            service.made = Arc::new(new.clone());
            if service.image != new.template.image {
                service.image.clone_from(&new.template.image);
                service.round += 1;
            }
        }
        self.service_changed(key);
        Ok(())
    }

    fn scale_service(
        &mut self,
        who: Who,
        target: &ServiceTarget,
        replicas: u32,
    ) -> Result<(), WorldError> {
        let what = || format!("scale the service {} to {replicas}", target.name);
        let before = self.service_of(&target.id);
        let before = before.and_then(|key| self.swarm.services.get(&key));
        let from = before.map_or(0, |service| service.replicas);
        // What is as it was observed is written again: then the Swarm is to look at it again.
        let result = self.at_version(target, what, |service| {
            service.replicas == replicas && service.version != target.version
        });
        let change = ServiceChange::Scale { from, to: replicas };
        if let Some(key) = self.told(who, target, change, result)? {
            self.set_replicas(key, replicas);
        }
        Ok(())
    }

    /// Asks for another number of tasks, whoever it is.
    pub(in crate::sim) fn set_replicas(&mut self, key: ServiceKey, replicas: u32) {
        let version = self.next_index();
        if let Some(service) = self.swarm.services.get_mut(&key) {
            service.version = version;
            service.replicas = replicas;
        }
        self.service_changed(key);
    }

    fn remove_service(&mut self, who: Who, target: &ServiceTarget) -> Result<(), WorldError> {
        if self.service_of(&target.id).is_none() {
            return Ok(());
        }
        let what = || format!("remove the service {}", target.name);
        let result = self.at_version(target, what, |_| false);
        if let Some(key) = self.told(who, target, ServiceChange::Remove, result)? {
            self.drop_service(key);
        }
        Ok(())
    }

    /// Removes a service, whoever it is: all its tasks go at once.
    pub(in crate::sim) fn drop_service(&mut self, key: ServiceKey) {
        self.next_index();
        if let Some(service) = self.swarm.services.remove(&key) {
            self.swarm.by_name.remove(&service.name);
        }
        let tasks: Vec<_> = self.swarm.tasks_of(key).map(|(task, _)| task).collect();
        for task in tasks {
            self.stop_task(task, TaskState::Remove);
        }
        self.swarm.touch();
        self.hint_all();
    }

    /// The service, if it is still as it was observed; none if `is_done` of it.
    fn at_version(
        &self,
        target: &ServiceTarget,
        what: impl Fn() -> String,
        is_done: impl Fn(&Service) -> bool,
    ) -> Result<Option<ServiceKey>, WorldError> {
        let conflict = |reason: String| WorldError::Conflict {
            what: what(),
            reason,
        };
        let key = self.service_of(&target.id);
        let Some((key, service)) = key.zip(key.and_then(|key| self.swarm.services.get(&key)))
        else {
            return Err(conflict("it is gone".into()));
        };
        if is_done(service) {
            return Ok(None);
        }
        if service.version != target.version {
            return Err(conflict(format!(
                "it has changed since it was observed (version {} then, {} now)",
                target.version, service.version
            )));
        }
        Ok(Some(key))
    }

    /// Passes a result on, and tells of it unless nothing had to be done.
    fn told(
        &mut self,
        who: Who,
        target: &ServiceTarget,
        change: ServiceChange,
        result: Result<Option<ServiceKey>, WorldError>,
    ) -> Result<Option<ServiceKey>, WorldError> {
        if !matches!(result, Ok(None)) {
            self.tell_service(who, &target.name, change, outcome(&result));
        }
        result
    }

    pub(in crate::sim) fn tell_service(
        &mut self,
        who: Who,
        service: &str,
        change: ServiceChange,
        outcome: Outcome,
    ) {
        self.journal.note(who, || What::Service {
            service: service.to_owned(),
            change,
            outcome,
        });
    }

    /// What follows each write to a service: Swarm acts on it, and writes to it itself.
    pub(in crate::sim) fn service_changed(&mut self, key: ServiceKey) {
        let schedule = self.pace.schedule;
        let delay = self.random.within(schedule);
        self.plan(delay, Event::Swarm(SwarmEvent::Orchestrate(key)));
        let bumps = self.random.below(u64::from(self.pace.bumps) + 1);
        for _ in 0..bumps {
            let delay = self.random.within(schedule) * 4;
            self.plan(delay, Event::Swarm(SwarmEvent::Bump(key)));
        }
        if let Some(service) = self.swarm.services.get_mut(&key) {
            service.changed_at = self.now;
        }
        self.swarm.touch();
        self.hint_all();
    }

    /// The allocator and the updater write to the object too: its version moves by itself.
    pub(in crate::sim) fn bump(&mut self, key: ServiceKey) {
        let version = self.next_index();
        let Some(service) = self.swarm.services.get_mut(&key) else {
            return;
        };
        service.version = version;
        service.changed_at = self.now;
        let name = service.name.clone();
        self.tell_service(Who::World, &name, ServiceChange::Bump, Outcome::Done);
        self.swarm.touch();
        self.hint_all();
    }
}

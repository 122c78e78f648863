//! Instances that gave a controller no answer in time: like [`crate::world::haproxy`], it does not
//! wait for them again, and asks them beside its looks until they answer.

use std::collections::BTreeSet;

use super::super::faults::{Fate, Target, Way};
use super::super::journal::ControllerId;
use super::super::state::State;
use super::super::time::micros;
use crate::action::ServerChanges;
use crate::api::Name;

/// Who waits for which instance no more, by its number.
#[derive(Debug, Default)]
pub(super) struct Silences(BTreeSet<(ControllerId, usize)>);

impl Silences {
    /// `who` has waited for all of the time limit.
    pub fn begin(&mut self, who: ControllerId, instance: usize) {
        self.0.insert((who, instance));
    }

    fn end(&mut self, who: ControllerId, instance: usize) {
        self.0.remove(&(who, instance));
    }

    fn knows(&self, who: ControllerId, instance: usize) -> bool {
        self.0.contains(&(who, instance))
    }
}

/// What a controller that knows of an instance's silence sends: nothing.
const UNSENT: Fate = Fate {
    way: Way::Lost,
    arrives: 0,
    ends: 0,
};

impl State {
    /// What becomes of the question to an instance that is part of a look. A silent one is asked by a
    /// connection that the look does not wait for; the next look is answered if this one was.
    pub(super) fn fate_of_look(
        &mut self,
        who: ControllerId,
        load_balancer: &Name,
        name: &Name,
        silent: &mut Vec<usize>,
    ) -> Fate {
        let fate = self.fate_at(load_balancer, name);
        let Some(instance) = self.proxies.find(load_balancer, name) else {
            return fate;
        };
        let is_in_time = fate.ends < micros(Target::Haproxy.limit());
        let was_silent = self.calls.silences.knows(who, instance);
        match (was_silent, is_in_time) {
            (true, true) => self.calls.silences.end(who, instance),
            (false, false) => silent.push(instance),
            (true, false) | (false, true) => {}
        }
        if was_silent { UNSENT } else { fate }
    }

    /// What becomes of changes to an instance: none is sent to one that is silent.
    pub(super) fn fate_of_change(
        &mut self,
        who: ControllerId,
        changes: &ServerChanges,
        silent: &mut Vec<usize>,
    ) -> Fate {
        let (load_balancer, name) = (&changes.load_balancer, &changes.instance);
        let instance = self.proxies.find(load_balancer, name);
        if instance.is_some_and(|instance| self.calls.silences.knows(who, instance)) {
            return UNSENT;
        }
        let fate = self.fate_at(load_balancer, name);
        if fate.ends >= micros(Target::Haproxy.limit()) {
            silent.extend(instance);
        }
        fate
    }

    /// An instance that takes connections and says nothing costs the time limit.
    fn fate_at(&mut self, load_balancer: &Name, name: &Name) -> Fate {
        let fate = self.fate(Target::Haproxy);
        if self.proxies.hangs(load_balancer, name) {
            let ends = micros(Target::Haproxy.limit());
            return Fate { ends, ..fate };
        }
        fate
    }
}

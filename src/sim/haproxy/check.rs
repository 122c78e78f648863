//! Health checks: not each one, only those that come to another result.
//!
//! Our servers are checked each second; the first answer counts (`rise 1`), two failures 250 ms apart take one down
//! (`fall 2 fastinter 250ms`), and one failure does if the server has just been enabled.

use super::super::agenda::Event;
use super::super::journal::What;
use super::super::state::State;
use super::super::time::{Micros, SECOND};
use super::ProxyEvent;
use crate::snapshot::{AdminState, CheckState, Endpoint};

const INTERVAL: u64 = 1_000_000;
const AGAIN: Micros = SECOND / 4;

impl State {
    pub(in crate::sim) fn proxy_event(&mut self, event: ProxyEvent) {
        match event {
            ProxyEvent::Check(instance, serial, turn) => self.check(instance, serial, turn),
            ProxyEvent::Start(instance) => self.start_proxy(instance),
        }
    }

    /// Something began or ceased to listen: those who check it will find out.
    pub(in crate::sim) fn endpoint_changed(&mut self, endpoint: Endpoint) {
        self.proxies.touch_all();
        let mut concerned = Vec::new();
        for (index, instance) in self.proxies.instances.iter().enumerate() {
            let servers = instance.backends.values().flat_map(|b| b.servers.values());
            let here = servers.filter(|server| server.endpoint == endpoint);
            concerned.extend(here.map(|server| (index, server.serial)));
        }
        for (index, serial) in concerned {
            self.plan_check(index, serial);
        }
    }

    /// Plans the check that will come to another result, if one will.
    pub(in crate::sim) fn plan_check(&mut self, index: usize, serial: u64) {
        let wait = i64::try_from(self.random.below(INTERVAL)).unwrap_or(0);
        let listening = &self.swarm.listening;
        let Some((_, _, server)) = self.proxies.instances[index].server(serial) else {
            return;
        };
        server.turn += 1;
        if !server.is_checked || server.admin == AdminState::Maintenance {
            return;
        }
        let answers = listening.contains_key(&server.endpoint);
        let delay = match (server.check, answers) {
            (CheckState::Pending | CheckState::Disabled, _) | (CheckState::Failed, true) => wait,
            (CheckState::Passed, false) => wait + AGAIN,
            (CheckState::Passed, true) | (CheckState::Failed, false) => return,
        };
        let event = ProxyEvent::Check(index, serial, server.turn);
        self.plan(delay, Event::Proxy(event));
    }

    fn check(&mut self, index: usize, serial: u64, turn: u32) {
        let now = self.now;
        let listening = &self.swarm.listening;
        let instance = &mut self.proxies.instances[index];
        let name = instance.name.clone();
        let Some((backend, server_name, server)) = instance.server(serial) else {
            return;
        };
        if server.turn != turn {
            return;
        }
        let answers = listening.contains_key(&server.endpoint);
        let check = if answers {
            CheckState::Passed
        } else {
            CheckState::Failed
        };
        server.check = check;
        server.set_up(answers, now);
        let (backend, server_name) = (backend.to_owned(), server_name.to_owned());
        if let Some(backend) = self.proxies.instances[index].backends.get_mut(&backend) {
            backend.dirty = true;
        }
        self.tell(|| What::Checked {
            instance: name,
            server: server_name,
            check,
        });
    }
}

//! Reloads, restarts, and instances that nobody reaches.

use super::super::agenda::Event;
use super::super::journal::{ProxyChange, What};
use super::super::state::State;
use super::super::time::micros;
use super::super::traffic::Loss;
use super::{Condition, ProxyEvent};
use crate::api::Duration;

impl State {
    fn tell_proxy(&mut self, index: usize, change: ProxyChange) {
        let name = self.proxies.instances[index].name.clone();
        self.proxies.touch_all();
        self.tell(|| What::Proxy(name, change));
    }

    /// A reload: another process without what the first one was told. The old worker goes on with its
    /// open requests, which nobody sees in the new one's counters.
    pub(in crate::sim) fn reload_proxy(&mut self, index: usize) {
        self.flow();
        let now = self.now;
        self.proxies.pids += 1;
        let pid = self.proxies.pids;
        let instance = &mut self.proxies.instances[index];
        instance.pid = pid;
        instance.started = now;
        instance.stuck.clear();
        for (name, backend) in &mut instance.backends {
            backend.dirty = true;
            for mut server in std::mem::take(&mut backend.servers).into_values() {
                for mut stream in server.streams.drain(..) {
                    self.traffic.set_rate(index, &mut stream, 0.0, now);
                    instance.old.push((name.clone(), stream));
                }
            }
        }
        instance.old.retain(|(_, stream)| stream.open(now) > 0.0);
        self.tell_proxy(index, ProxyChange::Reloaded);
    }

    /// It stops with all its requests, and runs again after a while.
    pub(in crate::sim) fn restart_proxy(&mut self, index: usize, pause: Duration) {
        self.reload_proxy(index);
        let now = self.now;
        let mut old = std::mem::take(&mut self.proxies.instances[index].old);
        for (backend, stream) in &mut old {
            let requests = stream.cut(now);
            let revision = stream.revision.clone();
            self.lose(Loss::ProxyStopped, backend, &revision, requests);
        }
        self.proxies.instances[index].condition = Condition::Stopped;
        self.plan(micros(pause), Event::Proxy(ProxyEvent::Start(index)));
        self.tell_proxy(index, ProxyChange::Stopped);
    }

    pub(super) fn start_proxy(&mut self, index: usize) {
        let instance = &mut self.proxies.instances[index];
        if instance.condition == Condition::Stopped {
            instance.condition = Condition::Answers;
            instance.started = self.now;
            self.tell_proxy(index, ProxyChange::Started);
        }
    }

    /// Its runtime API is as `condition` says from here on. What it was asked while it said nothing
    /// may still be in its socket: half of it is read when it goes on.
    pub(in crate::sim) fn set_condition(&mut self, index: usize, condition: Condition) {
        let instance = &mut self.proxies.instances[index];
        if instance.condition == Condition::Stopped || instance.condition == condition {
            return;
        }
        instance.condition = condition;
        let stuck = std::mem::take(&mut instance.stuck);
        let change = match condition {
            Condition::Answers => ProxyChange::Answers,
            Condition::Unreachable => ProxyChange::Unreachable,
            Condition::Hangs => ProxyChange::Hangs,
            Condition::Stopped => ProxyChange::Stopped,
        };
        self.tell_proxy(index, change);
        for changes in stuck {
            if self.random.chance(0.5) {
                self.apply_late(index, &changes);
            }
        }
    }
}

//! What is asked of a proxy: servers added, enabled, weighed, drained and removed (management guide,
//! section 9.3), with the refusals of 2.6.12.

use super::super::faults::Way;
use super::super::journal::{Outcome, What, Who};
use super::super::state::State;
use super::super::store::outcome;
use super::super::time::Time;
use super::super::traffic::Loss;
use super::{Condition, Server, revision_of};
use crate::action::{ServerChange, ServerChanges, ServerVerb};
use crate::api::ServerWeight;
use crate::snapshot::{AdminState, CheckState, Endpoint};
use crate::world::WorldError;

/// Why a command was refused.
enum Refusal {
    /// Not yet: a later look decides.
    Early(&'static str),
    /// No.
    No(&'static str),
}

impl State {
    /// Makes changes in their order. There is no transaction: what is refused keeps nothing else from
    /// being done, and where a connection breaks, the first part is done.
    pub(in crate::sim) fn change_servers(
        &mut self,
        who: Who,
        changes: &ServerChanges,
        way: Way,
    ) -> Result<(), WorldError> {
        let result = self.try_changes(changes, way);
        self.journal.note(who, || What::Servers {
            changes: changes.clone(),
            outcome: outcome(&result),
        });
        result
    }

    fn try_changes(&mut self, changes: &ServerChanges, way: Way) -> Result<(), WorldError> {
        let what = || {
            format!(
                "changing servers of back end {} on {}/{}",
                changes.backend, changes.load_balancer, changes.instance
            )
        };
        let unreachable = |reason: &str| WorldError::Unreachable {
            what: what(),
            reason: reason.to_owned(),
        };
        let found = self.proxies.find(&changes.load_balancer, &changes.instance);
        let Some(index) = found else {
            return Err(WorldError::Conflict {
                what: what(),
                reason: "the load balancer has no such instance any more".into(),
            });
        };
        match self.proxies.instances[index].condition {
            Condition::Answers => {}
            Condition::Unreachable | Condition::Stopped => {
                return Err(unreachable("connection refused"));
            }
            Condition::Hangs => {
                self.proxies.instances[index].stuck.push(changes.clone());
                return Err(unreachable("no answer within 2s"));
            }
        }
        let count = if way == Way::Partly {
            self.random.index(changes.changes.len())
        } else {
            changes.changes.len()
        };
        let refusals = self.apply(index, &changes.backend, &changes.changes[..count]);
        told(&refusals, what)
    }

    /// Does what an instance read late.
    pub(super) fn apply_late(&mut self, index: usize, changes: &ServerChanges) {
        let refusals = self.apply(index, &changes.backend, &changes.changes);
        self.tell(|| What::Servers {
            changes: changes.clone(),
            outcome: if refusals.is_empty() {
                Outcome::Done
            } else {
                Outcome::Refused
            },
        });
    }

    fn apply(&mut self, index: usize, backend: &str, changes: &[ServerChange]) -> Vec<Refusal> {
        if !self.proxies.instances[index].backends.contains_key(backend) {
            return vec![Refusal::No("No such backend.")];
        }
        let mut refusals = Vec::new();
        for change in changes {
            refusals.extend(self.apply_one(index, backend, change).err());
        }
        if let Some(backend) = self.proxies.instances[index].backends.get_mut(backend) {
            backend.dirty = true;
        }
        refusals
    }

    fn apply_one(
        &mut self,
        index: usize,
        backend: &str,
        change: &ServerChange,
    ) -> Result<(), Refusal> {
        let name = change.server.to_string();
        if let ServerVerb::Add(endpoint) = change.verb {
            self.add_server(index, backend, change, endpoint);
            return Ok(());
        }
        let now = self.now;
        let idle = now.plus(self.random.within(self.pace.idle));
        let instance = &mut self.proxies.instances[index];
        let servers = instance.backends.get_mut(backend).map(|b| &mut b.servers);
        let Some(servers) = servers else {
            return Err(Refusal::No("No such backend."));
        };
        let Some(server) = servers.get_mut(&name) else {
            return if change.verb == ServerVerb::Delete {
                Ok(())
            } else {
                Err(Refusal::No("No such server."))
            };
        };
        match change.verb {
            ServerVerb::Add(_) => {}
            ServerVerb::Enable => {
                set_admin(server, AdminState::Ready, now, idle);
                let serial = server.serial;
                self.plan_check(index, serial);
            }
            ServerVerb::Weigh(weight) => server.weight = weight,
            ServerVerb::Drain => set_admin(server, AdminState::Drain, now, idle),
            ServerVerb::Maintain => set_admin(server, AdminState::Maintenance, now, idle),
            ServerVerb::Cut => self.cut(index, backend, &name),
            ServerVerb::Delete => {
                may_delete(server, now)?;
                servers.remove(&name);
            }
        }
        Ok(())
    }

    /// `add server`: in maintenance, at weight 0, unchecked until `enable health`. One that is there stays as it is.
    fn add_server(&mut self, index: usize, backend: &str, change: &ServerChange, at: Endpoint) {
        self.proxies.serials += 1;
        let server = Server {
            serial: self.proxies.serials,
            revision: Some(revision_of(&change.server)),
            endpoint: at,
            admin: AdminState::Maintenance,
            weight: ServerWeight::ZERO,
            is_checked: false,
            check: CheckState::Pending,
            is_up: false,
            changed: self.now,
            turn: 0,
            idle_until: self.now,
            streams: Vec::new(),
        };
        let instance = &mut self.proxies.instances[index];
        if let Some(backend) = instance.backends.get_mut(backend) {
            let name = change.server.to_string();
            backend.servers.entry(name).or_insert(server);
        }
    }

    /// `shutdown sessions server`.
    fn cut(&mut self, index: usize, backend: &str, name: &str) {
        // What was said before it in the same line is in force already.
        self.proxies.touch_all();
        self.flow();
        let now = self.now;
        let instance = &mut self.proxies.instances[index];
        let server = instance
            .backends
            .get_mut(backend)
            .and_then(|backend| backend.servers.get_mut(name));
        let Some(server) = server else { return };
        let streams = server.streams.iter_mut();
        let cut: Vec<_> = streams
            .map(|stream| (stream.revision.clone(), stream.cut(now)))
            .collect();
        for (revision, requests) in cut {
            self.lose(Loss::Cut, backend, &revision, requests);
        }
    }
}

/// `enable health` and `enable server`: out of maintenance and drain. What comes out of maintenance
/// counts as up until its first check, which one failure takes down again.
fn enable(server: &mut Server, now: Time) {
    let was_off = server.admin == AdminState::Maintenance;
    server.admin = AdminState::Ready;
    if was_off || !server.is_checked {
        server.set_up(true, now);
        server.check = CheckState::Pending;
    }
    server.is_checked = true;
}

pub(in crate::sim) fn set_admin(
    server: &mut Server,
    admin: AdminState,
    now: Time,
    idle_until: Time,
) {
    let was_off = server.admin == AdminState::Maintenance;
    server.note_admin(admin, now);
    match admin {
        AdminState::Ready => enable(server, now),
        AdminState::Drain => {
            if was_off {
                server.set_up(true, now);
                server.check = CheckState::Pending;
            }
            server.admin = AdminState::Drain;
        }
        AdminState::Maintenance => {
            if !was_off {
                server.idle_until = idle_until;
                server.turn += 1;
            }
            server.admin = AdminState::Maintenance;
        }
    }
}

/// Only in maintenance, without requests, and without idle connections, which go some time after
/// maintenance begins (measured on 2.6.12).
fn may_delete(server: &Server, now: Time) -> Result<(), Refusal> {
    if server.admin != AdminState::Maintenance {
        return Err(Refusal::Early(
            "Only servers in maintenance mode can be deleted.",
        ));
    }
    if server.open(now) > 0.0 || now < server.idle_until {
        return Err(Refusal::Early(
            "Server still has connections attached to it, cannot remove it.",
        ));
    }
    Ok(())
}

/// All refusals together, as `world::haproxy` tells them.
fn told(refusals: &[Refusal], what: impl Fn() -> String) -> Result<(), WorldError> {
    if refusals.is_empty() {
        return Ok(());
    }
    let words = refusals.iter().map(|refusal| match refusal {
        Refusal::Early(words) | Refusal::No(words) => *words,
    });
    let reason = words.collect::<Vec<_>>().join("; ");
    let is_early = |refusal: &Refusal| match refusal {
        Refusal::Early(_) => true,
        Refusal::No(_) => false,
    };
    Err(if refusals.iter().all(is_early) {
        WorldError::Conflict {
            what: what(),
            reason,
        }
    } else {
        WorldError::Refused {
            what: what(),
            reason,
        }
    })
}

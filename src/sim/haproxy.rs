//! The simulated HAProxy: instances with back ends, and what their runtime APIs show.
//!
//! What is asked of them is in `change`, what their health checks find in `check`, and reloads and
//! failures in `trouble`.

use std::collections::BTreeMap;

use super::setup::InstanceSetup;
use super::state::State;
use super::time::{SECOND, Time};
use super::traffic::{Loss, Stream};
use crate::action::ServerChanges;
use crate::api::{Name, Revision, ServerWeight};
use crate::snapshot::{
    AdminState, CheckState, Endpoint, InstanceFact, OperationalState, ProxyFact, ServerFact,
    ServerName,
};

mod change;
mod check;
mod trouble;

pub(super) use change::set_admin;

/// The version that all simulated instances have: the one whose manners were measured.
const VERSION: &str = "2.6.12";

/// What happens in a proxy.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProxyEvent {
    /// A health check comes to a result: of which instance, which server, and which turn of checks.
    Check(usize, u64, u32),
    /// It runs again.
    Start(usize),
}

/// All instances.
pub(super) struct Proxies {
    pub instances: Vec<Instance>,
    serials: u64,
    pids: u32,
}

/// One instance.
#[derive(Debug)]
pub(super) struct Instance {
    pub load_balancer: Name,
    pub name: Name,
    pub pid: u32,
    pub started: Time,
    pub condition: Condition,
    pub backends: BTreeMap<String, Backend>,
    /// What was asked while it said nothing; it reads some of that when it goes on.
    stuck: Vec<ServerChanges>,
    /// Requests that the worker from before a reload still has, by back end.
    pub old: Vec<(String, Stream)>,
}

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// All is well.
    Answers,
    /// It serves; its runtime API cannot be reached.
    Unreachable,
    /// It serves; its runtime API takes connections and says nothing.
    Hangs,
    /// It does not run: nothing is served.
    Stopped,
}

/// A back end.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub rps: f64,
    pub servers: BTreeMap<String, Server>,
    /// The servers of haproxy.cfg, by name, each with its weight.
    pub foreign: BTreeMap<String, u16>,
    /// Why requests are lost now, and since when that is counted.
    pub losing: Option<Loss>,
    pub counted: Time,
    /// Whether the rates have to be worked out anew.
    pub dirty: bool,
}

/// A dynamic server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub serial: u64,
    /// The revision by its name, if the name is one of ours.
    pub revision: Option<Revision>,
    pub endpoint: Endpoint,
    pub admin: AdminState,
    pub weight: ServerWeight,
    pub is_checked: bool,
    pub check: CheckState,
    is_up: bool,
    /// When its state last changed.
    changed: Time,
    /// Counts turns of checks, so that one that was planned before a change is of no account.
    turn: u32,
    /// Until when idle connections keep it from being removed.
    idle_until: Time,
    pub streams: Vec<Stream>,
}

impl Server {
    /// Whether it is given new requests.
    pub fn takes_requests(&self) -> bool {
        self.admin == AdminState::Ready && self.is_up && !self.weight.is_zero()
    }

    /// Its open requests.
    pub fn open(&self, now: Time) -> f64 {
        self.streams.iter().map(|stream| stream.open(now)).sum()
    }

    /// To drain, to go on after that, and to be put out of service or back while it is up are changes of its state, as 2.6.12 counts
    /// them (measured).
    fn note_admin(&mut self, admin: AdminState, now: Time) {
        let begins_to_drain = admin == AdminState::Drain && self.admin != AdminState::Drain;
        if begins_to_drain || self.admin != admin && self.is_up {
            self.changed = now;
        }
    }

    /// It is up or down from now on, if it was not so already.
    fn set_up(&mut self, is_up: bool, now: Time) {
        if self.is_up != is_up {
            self.is_up = is_up;
            self.changed = now;
        }
    }

    fn fact(&self, now: Time) -> ServerFact {
        let is_off = self.admin == AdminState::Maintenance;
        ServerFact {
            endpoint: Some(self.endpoint),
            admin: self.admin,
            operational: if self.is_up && !is_off {
                OperationalState::Running
            } else {
                OperationalState::Stopped
            },
            unchanged_secs: u32::try_from(now.since(self.changed) / SECOND).unwrap_or(0),
            check: match (self.is_checked, is_off) {
                (false, _) => CheckState::Disabled,
                // In maintenance the column is empty.
                (true, true) => CheckState::Pending,
                (true, false) => self.check,
            },
            weight: self.weight,
            sessions: rounded_up(self.open(now)),
        }
    }
}

/// Any part of a request is one that is open.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of requests, never negative"
)]
fn rounded_up(open: f64) -> u32 {
    open.ceil() as u32
}

impl Proxies {
    pub fn new(setup: Vec<InstanceSetup>, now: Time) -> Self {
        let instances = setup.into_iter().zip(1_u32..).map(|(setup, number)| {
            let backends = setup.backends.into_iter().map(|backend| {
                let known = Backend {
                    rps: backend.rps,
                    foreign: backend.foreign,
                    servers: BTreeMap::new(),
                    losing: None,
                    counted: now,
                    dirty: true,
                };
                (backend.name, known)
            });
            Instance {
                load_balancer: setup.load_balancer,
                name: setup.name,
                pid: 100 + number,
                started: now,
                condition: Condition::Answers,
                backends: backends.collect(),
                stuck: Vec::new(),
                old: Vec::new(),
            }
        });
        Self {
            instances: instances.collect(),
            serials: 0,
            pids: 1_000,
        }
    }

    pub fn find(&self, load_balancer: &Name, name: &Name) -> Option<usize> {
        self.instances
            .iter()
            .position(|i| i.name == *name && i.load_balancer == *load_balancer)
    }

    pub fn hangs(&self, load_balancer: &Name, name: &Name) -> bool {
        self.find(load_balancer, name)
            .is_some_and(|index| self.instances[index].condition == Condition::Hangs)
    }

    /// Every back end's rates have to be worked out anew.
    pub fn touch_all(&mut self) {
        for instance in &mut self.instances {
            for backend in instance.backends.values_mut() {
                backend.dirty = true;
            }
        }
    }
}

impl Instance {
    /// The server with that serial number.
    fn server(&mut self, serial: u64) -> Option<(&str, &str, &mut Server)> {
        self.backends.iter_mut().find_map(|(backend, known)| {
            let mut servers = known.servers.iter_mut();
            let (name, server) = servers.find(|(_, server)| server.serial == serial)?;
            Some((backend.as_str(), name.as_str(), server))
        })
    }

    fn fact(&self, now: Time) -> InstanceFact {
        let problem = match self.condition {
            Condition::Answers => None,
            Condition::Unreachable | Condition::Stopped => Some("connection refused"),
            Condition::Hangs => Some("gave no answer within 2s"),
        };
        if let Some(problem) = problem {
            return InstanceFact::Unreachable {
                problem: problem.to_owned(),
            };
        }
        let backends = self.backends.iter().map(|(name, backend)| {
            let ours = backend.servers.iter();
            let ours = ours.map(|(name, server)| (name.clone(), server.fact(now)));
            let foreign = backend.foreign.iter();
            let foreign = foreign.map(|(name, weight)| (name.clone(), foreign_fact(*weight)));
            (name.clone(), ours.chain(foreign).collect())
        });
        InstanceFact::Reachable(ProxyFact {
            pid: self.pid,
            uptime_secs: u64::try_from(now.since(self.started) / SECOND).unwrap_or(0),
            version: VERSION.to_owned(),
            backends: backends.collect(),
        })
    }
}

fn foreign_fact(weight: u16) -> ServerFact {
    ServerFact {
        endpoint: None,
        admin: AdminState::Ready,
        operational: OperationalState::Running,
        unchanged_secs: 0,
        check: CheckState::Disabled,
        weight: ServerWeight::new(weight),
        sessions: 0,
    }
}

/// The revision of a server, if its name is one of ours.
fn revision_of(name: &ServerName) -> Revision {
    name.revision().clone()
}

impl State {
    /// An instance's part of a look.
    pub(super) fn instance_fact(&self, load_balancer: &Name, name: &Name) -> InstanceFact {
        match self.proxies.find(load_balancer, name) {
            Some(index) => self.proxies.instances[index].fact(self.now),
            None => InstanceFact::Unreachable {
                problem: "cannot connect: no such instance".into(),
            },
        }
    }
}

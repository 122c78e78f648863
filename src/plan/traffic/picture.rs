//! One proxy as the planner sees it: its servers of ours, each with the role of its revision, and
//! the weights that they should have.

use std::collections::{BTreeMap, BTreeSet};

use super::apportion::{Weights, achieved, apportion};
use crate::api::{Revision, ServerWeight, Share};
use crate::plan::stages::Sizing;
use crate::snapshot::{AdminState, CheckState, Endpoint, OperationalState, ServerFact, ServerName};

/// What the traffic of a rollout should be.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Intent {
    pub stable: Option<Revision>,
    pub canary: Option<Revision>,
    pub warm: BTreeSet<Revision>,
    pub canary_sizing: Sizing,
    pub last_server: LastServer,
}

/// What becomes of servers that should leave when no other one could take their requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum LastServer {
    /// They stay and serve (TRAFFIC-5).
    Stays,
    /// They go: the rollout itself is being deleted.
    Goes,
}

/// A task that may be given requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct ReadyTask {
    pub server: ServerName,
    pub endpoint: Endpoint,
}

/// The part that a server plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plan) enum Role {
    Stable,
    Canary,
    /// It was stable, and is ready for the way back, without traffic.
    Warm,
    Leaving,
}

/// A server of ours: wanted, seen, or both.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Server<'a> {
    pub name: ServerName,
    pub role: Role,
    /// Where it should send requests; none when its task is not ready (any more).
    pub wanted: Option<Endpoint>,
    /// What the proxy shows of it.
    pub seen: Option<&'a ServerFact>,
    /// What other proxies found out about it.
    pub repute: Repute,
}

/// What the checks of all proxies say of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Repute {
    /// They fail on some proxy.
    Bad,
    /// Nothing bad of itself, and they fail of another server of the canary.
    Doubtful,
    /// Nothing bad.
    Good,
}

impl Server<'_> {
    /// Whether the proxy sends it requests, or would if its weight were above 0.
    fn is_up(&self) -> bool {
        self.seen.is_some_and(|fact| {
            let passed = match fact.check {
                CheckState::Passed | CheckState::Disabled => true,
                // Only a proxy that was found empty is given weights before its first checks, so
                // that it serves at once (TRAFFIC-6).
                CheckState::Pending => !fact.weight.is_zero() && self.keeps_trust(),
                CheckState::Failed => false,
            };
            passed && is_usable(fact)
        })
    }

    /// Whether it is up by its own checks, and not on trust.
    fn is_checked(&self) -> bool {
        let on_trust = self
            .seen
            .is_some_and(|fact| fact.check == CheckState::Pending);
        self.is_up() && !on_trust
    }

    /// Whether a weight that was given before any check of its own still counts. What fails of the canary somewhere
    /// speaks against all of it that is not checked yet (TRAFFIC-1); stable is given the chance.
    const fn keeps_trust(&self) -> bool {
        match (self.role, self.repute) {
            (Role::Canary, Repute::Bad | Repute::Doubtful) => false,
            (Role::Canary, Repute::Good) | (Role::Stable | Role::Warm | Role::Leaving, _) => true,
        }
    }

    /// Whether it would take new requests as it was seen, if it is up.
    fn has_weight(&self) -> bool {
        self.seen
            .is_some_and(|fact| !fact.weight.is_zero() && fact.admin == AdminState::Ready)
    }

    /// Whether it takes new requests as it was seen.
    pub fn takes_requests(&self) -> bool {
        self.has_weight() && self.seen.is_some_and(is_usable)
    }
}

/// Whether a server is not known to be down.
fn is_usable(fact: &ServerFact) -> bool {
    let running = match fact.operational {
        OperationalState::Running | OperationalState::Starting => true,
        OperationalState::Stopped | OperationalState::Stopping => false,
    };
    running && fact.check != CheckState::Failed
}

/// One proxy as the planner sees it.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Picture<'a> {
    /// How long the proxy has run, in seconds.
    pub uptime_secs: u64,
    pub servers: Vec<Server<'a>>,
    pub weights: Weights,
    /// Servers of each role that are wanted and up.
    pub stables_up: u32,
    pub canaries_up: u32,
    pub last_server: LastServer,
    /// Nobody serves yet: whatever is ready is given its weight at once (TRAFFIC-6).
    pub cold: bool,
    /// The canary should have no share, and serves as long as no server of stable is up (TRAFFIC-5).
    pub stands_in: bool,
}

impl<'a> Picture<'a> {
    /// Looks at one back end with `intent` in mind.
    pub fn of(
        intent: &Intent,
        ready: &[ReadyTask],
        down: &BTreeSet<ServerName>,
        seen: &'a BTreeMap<String, ServerFact>,
        uptime_secs: u64,
    ) -> Self {
        let mut servers = servers(intent, ready, seen);
        judge(&mut servers, down);
        let up = |role| {
            servers
                .iter()
                .filter(|s| s.role == role && s.is_up())
                .count()
        };
        // A server that leaves and still serves gives the others the time to be checked.
        let is_serving = |server: &Server| server.is_up() && server.takes_requests();
        let cold = up(Role::Stable) == 0 && !servers.iter().any(is_serving);
        let counted = |role| {
            let count = if cold {
                servers
                    .iter()
                    .filter(|s| s.role == role && may_serve(s))
                    .count()
            } else {
                up(role)
            };
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        let (stables, canaries) = (counted(Role::Stable), counted(Role::Canary));
        let sizing = intent.canary_sizing;
        let share = sizing.share.scaled(canaries, sizing.sized);
        let has_canary = servers
            .iter()
            .any(|s| s.role == Role::Canary && s.has_weight());
        let stands_in = sizing.share.is_none() && up(Role::Stable) == 0 && has_canary;
        let weights = if stands_in {
            Weights::ALONE
        } else {
            apportion(share, stables, canaries)
        };
        Self {
            weights,
            stables_up: u32::try_from(up(Role::Stable)).unwrap_or(u32::MAX),
            canaries_up: u32::try_from(up(Role::Canary)).unwrap_or(u32::MAX),
            last_server: intent.last_server,
            cold,
            stands_in,
            uptime_secs,
            servers,
        }
    }

    /// The weight that a server of ours should have now.
    pub fn target(&self, server: &Server) -> ServerWeight {
        let is_serving = if self.cold {
            may_serve(server)
        } else {
            server.is_up()
        };
        match server.role {
            // A stable server that is down keeps its weight: when it comes back, the canary's
            // share is too small for a moment, never too large.
            Role::Stable
                if is_serving || server.seen.is_some_and(|fact| !fact.weight.is_zero()) =>
            {
                self.weights.stable
            }
            // Whom it stands in for cannot serve: a check that fails once must not be the end of it.
            Role::Canary if is_serving || self.stands_in && server.has_weight() => {
                self.weights.canary
            }
            Role::Stable | Role::Canary | Role::Warm | Role::Leaving => ServerWeight::ZERO,
        }
    }

    /// Whether somebody else takes the requests of servers that leave (TRAFFIC-5): one that has passed its checks. Trust is
    /// for a proxy on which nobody serves (TRAFFIC-6).
    pub fn is_relieved(&self) -> bool {
        let takes_over = |server: &Server| {
            server.role != Role::Leaving && server.is_checked() && may_serve(server)
        };
        match self.last_server {
            LastServer::Goes => true,
            LastServer::Stays => self
                .servers
                .iter()
                .any(|server| takes_over(server) && !self.target(server).is_zero()),
        }
    }

    /// Whether the proxy shows just what it should (TRAFFIC-3). Servers that leave or are kept warm only have to
    /// be out of the traffic, unless nobody relieves them, and a stable server that is down is out of it anyway.
    pub fn is_settled(&self) -> bool {
        self.servers
            .iter()
            .all(|server| match (server.role, server.seen) {
                (Role::Leaving, _) if !self.is_relieved() => true,
                (Role::Warm | Role::Leaving, _) => !server.takes_requests(),
                (Role::Stable | Role::Canary, None) => false,
                // It takes nothing, and it must not keep a better revision from coming.
                (Role::Stable, Some(fact)) if !is_usable(fact) => true,
                (Role::Stable | Role::Canary, Some(fact)) => {
                    server.is_up()
                        && fact.admin == AdminState::Ready
                        && fact.weight == self.target(server)
                }
            })
    }

    /// Whether a server of stable is not up yet, and not known to be down: it holds back what settles.
    pub fn awaits_stable(&self) -> bool {
        self.servers.iter().any(|server| {
            let is_open = |fact: &ServerFact| is_usable(fact) && !server.is_up();
            server.role == Role::Stable && server.seen.is_some_and(is_open)
        })
    }

    /// How many servers of a role are wanted and up by their own checks. One that was given its
    /// weight before them, as nobody served, is up on trust (TRAFFIC-6): no evidence for going on.
    pub fn checked_up(&self, role: Role) -> u32 {
        let is_checked = |server: &&Server| server.role == role && server.is_checked();
        let count = self.servers.iter().filter(is_checked).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether it shows for less than so many seconds that a server is down. One whose checks failed, and have not failed often
    /// enough for that, counts; and so does one that a proxy has not checked yet which has not run for longer itself.
    pub fn has_news_of(&self, server: &Server, seconds: u32) -> bool {
        let is_new = self.uptime_secs < u64::from(seconds);
        match server.seen {
            _ if server.is_checked() => false,
            None => is_new && server.wanted.is_some(),
            Some(fact) => match fact.check {
                CheckState::Failed => {
                    fact.operational != OperationalState::Stopped || fact.unchanged_secs < seconds
                }
                CheckState::Pending => is_new,
                CheckState::Passed | CheckState::Disabled => false,
            },
        }
    }

    /// Whether nothing that leaves, or has left the traffic already, takes requests any more.
    pub fn leaving_is_out(&self) -> bool {
        self.servers.iter().all(|server| match server.role {
            Role::Warm | Role::Leaving => !server.takes_requests(),
            Role::Stable | Role::Canary => true,
        })
    }

    /// The share that the canary should have here now.
    pub fn wanted_share(&self) -> Share {
        achieved(self.weights, self.stables_up, self.canaries_up)
    }

    /// Servers that cannot be as they are by our doing: drained or in maintenance with a weight,
    /// which we set to 0 first, or with another weight than the servers beside them in the same
    /// role, which get theirs in one batch. A proxy that is found empty says nothing.
    pub fn out_of_line(&self) -> BTreeSet<&ServerName> {
        if self.cold {
            return BTreeSet::new();
        }
        let in_line = |role| {
            self.servers
                .iter()
                .any(|s| s.role == role && s.takes_requests() && self.is_at_target(s))
        };
        let is_odd = |server: &&Server| {
            let Some(fact) = server.seen else {
                return false;
            };
            let is_weighed = server.role != Role::Leaving && !fact.weight.is_zero();
            let is_off = server.is_up() && !self.is_at_target(server) && in_line(server.role);
            is_weighed && (fact.admin != AdminState::Ready || is_off)
        };
        self.servers
            .iter()
            .filter(is_odd)
            .map(|server| &server.name)
            .collect()
    }

    /// The one server with another weight than it should have, where all others are kept, up and right. A canary that serves
    /// alone has all the traffic by any weight: it may be ours, of another stage.
    pub fn only_one_off(&self) -> Option<&ServerName> {
        if self.stables_up == 0 {
            return None;
        }
        let is_kept = |server: &Server| server.role != Role::Leaving && server.takes_requests();
        let mut off = self.servers.iter().filter(|s| !self.is_at_target(s));
        let one = off.next().filter(|_| off.next().is_none())?;
        (!self.cold && self.servers.iter().all(is_kept)).then_some(&one.name)
    }

    fn is_at_target(&self, server: &Server) -> bool {
        server
            .seen
            .is_some_and(|fact| fact.weight == self.target(server))
    }

    /// The canary's share of the requests by the weights that were seen.
    pub fn observed_share(&self) -> Share {
        let sum = |canary_only: bool| -> u64 {
            let counted =
                |s: &&Server| s.takes_requests() && (!canary_only || s.role == Role::Canary);
            self.servers
                .iter()
                .filter(counted)
                .filter_map(|s| s.seen)
                .map(|f| u64::from(f.weight.get()))
                .sum()
        };
        Share::new(sum(true), sum(false))
    }
}

/// Whether a server may be given requests although its checks have not said so yet. A canary must not
/// have failed them elsewhere (TRAFFIC-1); stable is given the chance.
fn may_serve(server: &Server) -> bool {
    let is_trusted = match (server.role, server.repute) {
        (Role::Canary, Repute::Bad) => false,
        (Role::Canary, Repute::Doubtful | Repute::Good)
        | (Role::Stable | Role::Warm | Role::Leaving, _) => true,
    };
    is_trusted && server.wanted.is_some() && server.seen.is_none_or(is_usable)
}

/// Gives each server its repute; `down` are those whose checks fail on some proxy.
fn judge(servers: &mut [Server], down: &BTreeSet<ServerName>) {
    let is_down = |server: &Server| down.contains(&server.name);
    let canary_fails = servers
        .iter()
        .any(|server| server.role == Role::Canary && is_down(server));
    for server in servers {
        server.repute = match server.role {
            _ if is_down(server) => Repute::Bad,
            Role::Canary if canary_fails => Repute::Doubtful,
            Role::Canary | Role::Stable | Role::Warm | Role::Leaving => Repute::Good,
        };
    }
}

fn servers<'a>(
    intent: &Intent,
    ready: &[ReadyTask],
    seen: &'a BTreeMap<String, ServerFact>,
) -> Vec<Server<'a>> {
    let mut all: BTreeMap<ServerName, Server<'a>> = BTreeMap::new();
    for task in ready {
        let role = role_of(intent, task.server.revision());
        if role == Role::Leaving {
            continue;
        }
        let name = task.server.clone();
        all.insert(
            name.clone(),
            Server {
                name,
                role,
                wanted: Some(task.endpoint),
                seen: None,
                repute: Repute::Good,
            },
        );
    }
    for (name, fact) in seen {
        // TRAFFIC-7: what does not carry a name of ours is not even looked at.
        let Ok(name) = name.parse::<ServerName>() else {
            continue;
        };
        let server = all.entry(name.clone()).or_insert_with(|| Server {
            name,
            role: Role::Leaving,
            wanted: None,
            seen: None,
            repute: Repute::Good,
        });
        server.seen = Some(fact);
        if fact.endpoint != server.wanted {
            server.role = Role::Leaving;
            server.wanted = None;
        }
    }
    all.into_values().collect()
}

fn role_of(intent: &Intent, revision: &Revision) -> Role {
    if intent.stable.as_ref() == Some(revision) {
        Role::Stable
    } else if intent.canary.as_ref() == Some(revision) {
        Role::Canary
    } else if intent.warm.contains(revision) {
        Role::Warm
    } else {
        Role::Leaving
    }
}

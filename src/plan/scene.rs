//! The scene: tasks and servers of one rollout, in the light of one status.
//!
//! Built anew whenever the status has changed, since a revision's role is a matter of the status.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::traffic::{Intent, LastServer, Overdue, Picture, ReadyTask, Role, changes};
use super::{Input, Resolved, stages};
use crate::action::{Action, ServerChanges};
use crate::api::{Access, Duration, Name, Reach, Revision, RolloutStatus, Route, ServerWeight};
use crate::snapshot::{
    AdminState, CheckState, Endpoint, InstanceFact, ServerFact, ServerName, ServiceId, TaskFact,
    TaskState,
};

/// One proxy, as far as it can be seen.
pub(super) enum View<'a> {
    /// It did not answer.
    Unreachable(&'a str),
    /// It has no such `backend` section.
    NoBackend,
    /// It answered.
    Seen(Picture<'a>),
}

impl<'a> View<'a> {
    fn picture(&self) -> Option<&Picture<'a>> {
        match self {
            Self::Seen(picture) => Some(picture),
            Self::Unreachable(_) | Self::NoBackend => None,
        }
    }
}

/// Tasks and servers of one rollout.
pub(super) struct Scene<'a> {
    /// Tasks that may be given requests, by revision.
    pub ready: BTreeMap<Revision, u32>,
    /// Every instance of the load balancer.
    pub instances: BTreeMap<Name, View<'a>>,
    /// The revision that is being tried.
    pub canary: Option<Revision>,
    /// How many tasks each service asks for.
    asked: BTreeMap<ServiceId, u32>,
    /// The back end that the servers are in; none if there are no servers.
    route: Option<Route>,
    /// Servers that leave and may be cut.
    overdue: Overdue,
    /// Revisions whose open requests may be with a process that nobody can ask any more.
    out_of_sight: BTreeSet<Revision>,
}

impl<'a> Scene<'a> {
    /// Looks at the snapshot with `status` in mind.
    pub fn of(status: &RolloutStatus, input: &Input<'a>, resolved: &Resolved) -> Self {
        let intent = Intent {
            stable: status.stable_revision.clone(),
            canary: status.canary_revision.clone(),
            warm: status
                .warm
                .keys()
                .filter(|it| status.is_warm(it))
                .cloned()
                .collect(),
            canary_sizing: stages::in_force(input, status),
            last_server: LastServer::Stays,
        };
        Self::with_intent(&intent, status, input, &resolved.instances)
    }

    /// The scene of a rollout of which nothing is to stay.
    pub fn of_deletion(
        status: &RolloutStatus,
        input: &Input<'a>,
        instances: &BTreeSet<Name>,
    ) -> Self {
        let intent = Intent {
            stable: None,
            canary: None,
            warm: BTreeSet::new(),
            canary_sizing: stages::in_force(input, &RolloutStatus::default()),
            last_server: LastServer::Goes,
        };
        Self::with_intent(&intent, status, input, instances)
    }

    fn with_intent(
        intent: &Intent,
        status: &RolloutStatus,
        input: &Input<'a>,
        instances: &BTreeSet<Name>,
    ) -> Self {
        let tasks = ready_tasks(input, status);
        let route = status.route.clone();
        let seen = route
            .as_ref()
            .and_then(|route| input.snapshot.load_balancers.get(&route.load_balancer));
        let instances = match &route {
            Some(route) => views(intent, &tasks, seen, instances, &route.backend),
            None => BTreeMap::new(),
        };
        let overdue = overdue(&instances, status, input);
        let out_of_sight = out_of_sight(seen, status, input);
        let asked = input
            .snapshot
            .services_of(input.name)
            .map(|s| (s.id.clone(), s.replicas))
            .collect();
        Self {
            ready: count_ready(input, status, &tasks),
            instances,
            canary: intent.canary.clone(),
            asked,
            route,
            overdue,
            out_of_sight,
        }
    }

    /// The back end that the servers are in.
    pub fn backend(&self) -> &str {
        self.route.as_ref().map_or("", |route| &route.backend)
    }

    /// The proxies that answered and have the back end.
    pub fn pictures(&self) -> impl Iterator<Item = (&Name, &Picture<'a>)> {
        let views = self.instances.iter();
        views.filter_map(|(name, view)| Some((name, view.picture()?)))
    }

    /// Whether a proxy sends requests to a revision that should leave, as nothing else is up (TRAFFIC-5).
    pub fn needs(&self, leaving: &Revision) -> bool {
        self.pictures().any(|(_, picture)| {
            let mut all = picture.servers.iter();
            let serves = all.any(|it| it.name.revision() == leaving && it.takes_requests());
            serves && !picture.is_relieved()
        })
    }

    /// An instance that does not answer, and why.
    pub fn silent_instance(&self) -> Option<(&Name, &str)> {
        self.instances.iter().find_map(|(name, view)| match view {
            View::Unreachable(problem) => Some((name, *problem)),
            View::NoBackend | View::Seen(_) => None,
        })
    }

    /// Whether a stable server would have less weight than it was seen to have.
    pub fn is_lowered(&self, instance: &Name, server: &ServerName, weight: ServerWeight) -> bool {
        let Some(picture) = self.instances.get(instance).and_then(View::picture) else {
            return false;
        };
        let mut servers = picture.servers.iter();
        let found = servers.find(|known| known.role == Role::Stable && known.name == *server);
        let seen = found.and_then(|known| known.seen);
        seen.is_some_and(|fact| weight < fact.weight)
    }

    /// Whether every instance answered and `holds` of each (TRAFFIC-3). What has no servers needs none.
    pub fn everywhere(&self, holds: impl Fn(&Picture<'a>) -> bool) -> bool {
        let mut views = self.instances.values();
        self.route.is_none()
            || !self.instances.is_empty() && views.all(|view| view.picture().is_some_and(&holds))
    }

    /// Whether `holds` of every instance that answered.
    pub fn wherever_it_answers(&self, holds: impl Fn(&Picture<'a>) -> bool) -> bool {
        let mut views = self.instances.values();
        views.all(|view| matches!(view, View::Unreachable(_)) || view.picture().is_some_and(&holds))
    }

    /// Whether `holds` of every instance that has the back end, and every instance answered. One
    /// that has no such back end serves nothing from it.
    pub fn wherever_it_is(&self, holds: impl Fn(&Picture<'a>) -> bool) -> bool {
        let mut views = self.instances.values();
        self.route.is_none()
            || !self.instances.is_empty()
                && views.all(|view| {
                    matches!(view, View::NoBackend) || view.picture().is_some_and(&holds)
                })
    }

    /// How many tasks of `revision` may be given requests.
    pub fn ready_of(&self, revision: &Revision) -> u32 {
        self.ready.get(revision).copied().unwrap_or(0)
    }

    /// How many tasks a service asks for; 0 for one that is not seen.
    pub fn asked_for(&self, service: &ServiceId) -> u32 {
        self.asked.get(service).copied().unwrap_or(0)
    }

    /// Whether any proxy may still have a server of `revision`, or requests open with it. One that does not
    /// answer may.
    pub fn may_serve(&self, revision: &Revision) -> bool {
        let is_elsewhere = |picture: &Picture| {
            let mut servers = picture.servers.iter();
            servers.all(|s| s.seen.is_none() || s.name.revision() != revision)
        };
        self.out_of_sight.contains(revision) || !self.wherever_it_is(is_elsewhere)
    }

    /// The changes of servers, one action per instance.
    pub fn server_changes(&self) -> Vec<Action> {
        let Some(route) = &self.route else {
            return Vec::new();
        };
        let one = |(instance, picture): (&Name, &Picture)| {
            let changes = changes(picture, &self.overdue);
            (!changes.is_empty()).then(|| {
                Action::ChangeServers(ServerChanges {
                    load_balancer: route.load_balancer.clone(),
                    instance: instance.clone(),
                    backend: route.backend.clone(),
                    changes,
                })
            })
        };
        self.pictures().filter_map(one).collect()
    }
}

/// Servers whose checks fail on some instance.
fn down_somewhere(
    seen: Option<&BTreeMap<Name, InstanceFact>>,
    backend: &str,
) -> BTreeSet<ServerName> {
    let instances = seen.into_iter().flat_map(BTreeMap::values);
    let servers = instances.filter_map(|fact| match fact {
        InstanceFact::Reachable(proxy) => proxy.backends.get(backend),
        InstanceFact::Unreachable { .. } => None,
    });
    servers
        .flatten()
        .filter(|(_, server)| server.check == CheckState::Failed)
        .filter_map(|(name, _)| name.parse().ok())
        .collect()
}

fn views<'a>(
    intent: &Intent,
    tasks: &[ReadyTask],
    seen: Option<&'a BTreeMap<Name, InstanceFact>>,
    instances: &BTreeSet<Name>,
    backend: &str,
) -> BTreeMap<Name, View<'a>> {
    let down = down_somewhere(seen, backend);
    let one = |name: &Name| {
        let fact = seen.and_then(|instances| instances.get(name));
        (name.clone(), view(intent, tasks, &down, fact, backend))
    };
    instances.iter().map(one).collect()
}

fn view<'a>(
    intent: &Intent,
    tasks: &[ReadyTask],
    down: &BTreeSet<ServerName>,
    fact: Option<&'a InstanceFact>,
    backend: &str,
) -> View<'a> {
    match fact {
        None => View::Unreachable("it was not asked yet"),
        Some(InstanceFact::Unreachable { problem }) => View::Unreachable(problem),
        Some(InstanceFact::Reachable(proxy)) => match proxy.backends.get(backend) {
            None => View::NoBackend,
            Some(servers) => {
                View::Seen(Picture::of(intent, tasks, down, servers, proxy.uptime_secs))
            }
        },
    }
}

/// The tasks that may be given requests: running and meant to run, on a node that the managers
/// hear from, with an address.
fn ready_tasks(input: &Input, status: &RolloutStatus) -> Vec<ReadyTask> {
    let mut ready = Vec::new();
    for service in input.snapshot.services_of(input.name) {
        let record = status.revisions.get(&service.revision);
        let access = record.map_or_else(|| input.spec.access(), |record| record.access);
        let Access::Proxied { port, reach } = access else {
            continue;
        };
        let network = record
            .map_or(&input.spec.template, |record| &record.template)
            .networks
            .first();
        for task in input.snapshot.tasks_of(&service.id) {
            if !is_ready(task, input) {
                continue;
            }
            let endpoint = match reach {
                Reach::Network => network_endpoint(task, network, port),
                Reach::Host => host_endpoint(task, port, input),
            };
            if let Some(endpoint) = endpoint {
                ready.push(ReadyTask {
                    server: ServerName::new(&service.revision, task.slot, &task.id),
                    endpoint,
                });
            }
        }
    }
    ready
}

/// The tasks that may be given requests, by revision; of what has no servers, the tasks that run.
fn count_ready(
    input: &Input,
    status: &RolloutStatus,
    tasks: &[ReadyTask],
) -> BTreeMap<Revision, u32> {
    let mut ready = BTreeMap::new();
    if status.route.is_some() {
        for task in tasks {
            *ready.entry(task.server.revision().clone()).or_insert(0) += 1;
        }
        return ready;
    }
    for service in input.snapshot.services_of(input.name) {
        let tasks = input.snapshot.tasks_of(&service.id);
        let count = tasks.filter(|task| is_ready(task, input)).count();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        ready.insert(service.revision.clone(), count);
    }
    ready
}

fn is_ready(task: &TaskFact, input: &Input) -> bool {
    task.state == TaskState::Running
        && task.desired == TaskState::Running
        && input.snapshot.node_of(task).is_some_and(|node| node.ready)
}

fn network_endpoint(task: &TaskFact, network: Option<&String>, port: u16) -> Option<Endpoint> {
    let address = *task.addresses.get(network?)?;
    Some(Endpoint { address, port })
}

fn host_endpoint(task: &TaskFact, port: u16, input: &Input) -> Option<Endpoint> {
    let address = input.snapshot.node_of(task)?.address?;
    let port = *task.host_ports.get(&port)?;
    Some(Endpoint { address, port })
}

/// By how much a controller's time of day may jump, and no request is lost by it.
pub(super) const JUMP: Duration = Duration::from_secs(60 * 60);

/// Revisions that have not had their time to drain, on a proxy that was reloaded since they began to leave, or not
/// much earlier. The new process knows nothing of their requests, while the old one finishes them (HAProxy's management
/// guide, section 4) and cannot be asked how far it is: only the time tells (TRAFFIC-4).
fn out_of_sight(
    seen: Option<&BTreeMap<Name, InstanceFact>>,
    status: &RolloutStatus,
    input: &Input,
) -> BTreeSet<Revision> {
    let facts = seen.into_iter().flat_map(BTreeMap::values);
    let uptimes = facts.filter_map(|fact| match fact {
        InstanceFact::Reachable(proxy) => Some(Duration::from_secs(proxy.uptime_secs)),
        InstanceFact::Unreachable { .. } => None,
    });
    let uptimes: Vec<Duration> = uptimes.collect();
    let timeout = input.drain_timeout();
    let hides = |uptime: Duration, since: Timestamp| {
        let began = uptime.before(input.now);
        let end = timeout.after(since);
        // By the end all is cut that is in sight: what began later hides nothing.
        let is_of_then = began >= timeout.before(since) && began <= JUMP.after(end);
        // The time of day may jump, and a proxy's own does not.
        is_of_then && (uptime < timeout || input.now < end)
    };
    let has_time = |since: Timestamp| uptimes.iter().any(|uptime| hides(*uptime, since));
    let left = status.leaving.iter();
    left.filter(|(_, since)| has_time(**since))
        .map(|(revision, _)| revision.clone())
        .collect()
}

/// For how long a server has been in its state; that it drains is another one (`srv_time_since_last_change`, HAProxy's
/// management guide, section 9.3).
fn unchanged_for(fact: &ServerFact) -> Duration {
    Duration::from_secs(fact.unchanged_secs.into())
}

/// Servers whose revision has had its time to drain, and servers whose task has been over for as
/// long: a request that was still connecting to it goes to another server when its proxy gives up.
fn overdue(instances: &BTreeMap<Name, View>, status: &RolloutStatus, input: &Input) -> Overdue {
    let timeout = input.drain_timeout();
    let late = |revision: &Revision| {
        status
            .leaving
            .get(revision)
            .is_some_and(|since| input.now >= timeout.after(*since))
    };
    let long_over = |server: &ServerName, fact: &ServerFact| {
        match input.snapshot.task_of(server) {
            Some(task) => task.state.is_over() && input.now >= timeout.after(task.since),
            // When that was is forgotten, or it was never listed; only the proxy knows for how long it has drained.
            None => fact.admin != AdminState::Ready && unchanged_for(fact) >= timeout,
        }
    };
    let mut overdue = BTreeSet::new();
    for view in instances.values() {
        let Some(picture) = view.picture() else {
            continue;
        };
        for server in &picture.servers {
            let Some(fact) = server.seen else {
                continue;
            };
            if late(server.name.revision()) || long_over(&server.name, fact) {
                overdue.insert(server.name.clone());
            }
        }
    }
    Overdue(overdue)
}

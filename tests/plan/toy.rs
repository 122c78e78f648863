//! A toy world: a Swarm that starts a task in one turn, two proxies that do as they are told, a
//! clock that is moved by hand. Breadth comes from the simulation; this is for single rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use rolloutctl::action::{Action, Measure, NewJob, ServerVerb};
use rolloutctl::api::{
    Actor, Command, Commit, Deletion, Dependents, Duration, Name, OriginProblem, Phase, Revision,
    RolloutSpec, RolloutStatus, Step, Verb,
};
use rolloutctl::plan::{AskedBy, Input, Outstanding, Plan, Resources, SpecProblem, plan};
use rolloutctl::snapshot::{
    AdminState, InstanceFact, NodeFact, NodeId, ProxyFact, SampleOutcome, ServerFact, ServerName,
    ServiceFact, Snapshot, TaskState,
};

#[path = "toy/moves.rs"]
mod moves;

pub const BACKEND: &str = "news-web";
const TURN: Duration = Duration::from_millis(100);

/// What becomes of the proxies' first checks of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    Pass,
    Pending,
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// A rollout of six tasks through the stages 5, 33 and 50.
pub fn spec(image: &str) -> RolloutSpec {
    serde_json::from_value(serde_json::json!({
        "replicas": 6,
        "template": {"image": image, "networks": ["news"]},
        "traffic": {"loadBalancer": "edge", "backend": BACKEND, "port": 8080, "drainTimeout": "5s"},
        "strategy": {"canary": {"stages": [{"weight": 5}, {"weight": 33}, {"weight": 50}]}},
    }))
    .expect("a spec")
}

/// The same with a metric that must stay below 0.01.
pub fn measured(image: &str) -> RolloutSpec {
    let mut spec = spec(image);
    spec.analysis = serde_json::from_value(serde_json::json!({
        "source": "main", "interval": "10s",
        "metrics": [{"name": "errors", "query": "SELECT {{ window }}", "max": 0.01}],
    }))
    .expect("an analysis");
    spec
}

/// `spec` with these stages instead of its own.
pub fn staged(mut spec: RolloutSpec, stages: &serde_json::Value) -> RolloutSpec {
    let strategy = serde_json::json!({"canary": {"stages": stages}});
    spec.strategy = serde_json::from_value(strategy).expect("a strategy");
    spec
}

/// `spec` with one stage, which is held until it is approved.
pub fn held(spec: RolloutSpec, weight: u8) -> RolloutSpec {
    let stages = serde_json::json!([{"weight": weight, "approval": true}]);
    staged(spec, &stages)
}

pub struct Toy {
    pub spec: RolloutSpec,
    pub generation: u64,
    pub status: RolloutStatus,
    pub command: Option<Command>,
    pub deletion: Option<Deletion>,
    pub now: Timestamp,
    pub snapshot: Snapshot,
    /// Revisions whose tasks never become ready.
    pub broken: BTreeSet<Revision>,
    /// Open requests of every server that drains.
    pub open_requests: u32,
    /// What every question is answered with.
    pub answer: SampleOutcome,
    /// The questions that were asked, each once.
    pub asked: Vec<Measure>,
    /// Every job that was ever started.
    pub started: Vec<NewJob>,
    /// What the spec may refer to.
    pub resources: Resources,
    /// Problem of the spec, if it has one.
    pub problem: Option<SpecProblem>,
    /// What was said when an action failed.
    pub obstacle: Option<String>,
    pub asked_by: AskedBy,
    /// The commit that asked for the spec.
    pub commit: Option<Commit>,
    /// What is wrong between the rollout and its source.
    pub source_problem: Option<OriginProblem>,
    pub forgotten: bool,
    /// The actions of the last turn.
    pub last: Vec<Action>,
    ids: u32,
}

impl Toy {
    pub fn new(spec: RolloutSpec) -> Self {
        let proxy = || {
            InstanceFact::Reachable(ProxyFact {
                pid: 1,
                uptime_secs: 86_400,
                version: "2.6.12".into(),
                backends: BTreeMap::from([(BACKEND.to_owned(), BTreeMap::new())]),
            })
        };
        let instances = BTreeMap::from([(name("lb-1"), proxy()), (name("lb-2"), proxy())]);
        let node = NodeFact {
            id: NodeId::from("node"),
            hostname: "node".into(),
            ready: true,
            address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        };
        let snapshot = Snapshot {
            nodes: BTreeMap::from([(node.id.clone(), node)]),
            load_balancers: BTreeMap::from([(name("edge"), instances)]),
            ..Snapshot::default()
        };
        Self {
            spec,
            generation: 1,
            status: RolloutStatus::default(),
            command: None,
            deletion: None,
            now: Timestamp::from_second(1_000_000).expect("an instant"),
            snapshot,
            broken: BTreeSet::new(),
            open_requests: 0,
            answer: SampleOutcome::Value(0.0),
            asked: Vec::new(),
            started: Vec::new(),
            resources: resources(),
            problem: None,
            obstacle: None,
            asked_by: AskedBy::Hand,
            commit: None,
            source_problem: None,
            forgotten: false,
            last: Vec::new(),
            ids: 0,
        }
    }

    /// A rollout whose first revision is stable.
    pub fn stable(spec: RolloutSpec) -> Self {
        let mut toy = Self::new(spec);
        toy.until("the first revision is stable", |toy| {
            toy.status.phase == Phase::Healthy
        });
        toy
    }

    /// What the planner says now; nothing is done.
    pub fn plan(&self) -> Plan {
        let resolved =
            self.resources
                .resolve(&name("news-web"), &self.spec, self.status.route.as_ref());
        let references = self.problem.as_ref().map_or(resolved.as_ref(), Err);
        plan(&Input {
            name: &name("news-web"),
            generation: self.generation,
            spec: &self.spec,
            command: self.command.as_ref(),
            deletion: self.deletion,
            references,
            status: &self.status,
            snapshot: &self.snapshot,
            obstacle: self.obstacle.as_deref(),
            outstanding: Outstanding::Nothing,
            asked_by: self.asked_by,
            commit: self.commit.as_ref(),
            source_problem: self.source_problem.as_ref(),
            now: self.now,
        })
    }

    /// One turn: plan, remember, act, and a moment passes.
    pub fn turn(&mut self) -> Plan {
        let plan = self.step();
        self.swarm_moves();
        plan
    }

    /// A turn in which the Swarm does nothing.
    pub fn turn_of_proxies(&mut self, checks: Checks) -> Plan {
        let plan = self.step();
        if checks == Checks::Pass {
            self.checks_pass();
        }
        plan
    }

    fn step(&mut self) -> Plan {
        self.snapshot.taken_at = self.now;
        let plan = self.plan();
        // SAFETY-1: the status survives, in the form in which it is stored.
        let stored = serde_json::to_string(&plan.status).expect("a status");
        self.status = serde_json::from_str(&stored).expect("the same status");
        assert_eq!(
            self.status, plan.status,
            "the status does not survive its own form"
        );
        self.deletion = plan.deletion;
        self.last.clone_from(&plan.actions);
        for action in &plan.actions {
            self.act(action);
        }
        self.wait(TURN);
        plan
    }

    /// A rollout from v1 to `spec` whose stage number `stage`, from 0, has begun.
    pub fn in_stage(spec: RolloutSpec, stage: u32) -> Self {
        let mut toy = Self::stable(self::spec("v1"));
        toy.apply(spec);
        toy.until("the stage begins", |toy| {
            toy.status.stage == stage && matches!(toy.status.step, Step::Running { .. })
        });
        toy
    }

    pub fn turns(&mut self, count: u32) {
        for _ in 0..count {
            self.turn();
        }
    }

    pub fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..2_000 {
            if holds(self) {
                return;
            }
            self.turn();
        }
        panic!("never: {what}; status: {:#?}", self.status);
    }

    /// One task dies, and the Swarm starts another.
    pub fn fail_task(&mut self) {
        let mut tasks = self.snapshot.tasks.values_mut();
        let task = tasks.next().expect("a task");
        task.state = TaskState::Failed;
        task.desired = TaskState::Shutdown;
        task.since = self.now;
    }

    /// All tasks of a revision die, and no other one becomes ready.
    pub fn lose_tasks_of(&mut self, revision: &Revision) {
        self.broken.insert(revision.clone());
        let service = revision.service_name(&name("news-web"));
        let tasks = self.snapshot.tasks.values_mut();
        for task in tasks.filter(|task| task.service.0 == service) {
            task.state = TaskState::Failed;
            task.desired = TaskState::Shutdown;
            task.since = self.now;
        }
    }

    /// Loses a node that runs one task of each service: the Swarm gives these up, and starts others.
    pub fn lose_node(&mut self) {
        let lost = NodeFact {
            id: NodeId::from("lost"),
            hostname: "lost".into(),
            ready: false,
            address: None,
        };
        let services: Vec<_> = self.snapshot.services.values().cloned().collect();
        for service in services {
            let mut tasks = self.snapshot.tasks.values_mut();
            let task = tasks.find(|task| task.service == service.id);
            if let Some(task) = task {
                task.node = Some(lost.id.clone());
                task.desired = TaskState::Shutdown;
            }
        }
        self.snapshot.nodes.insert(lost.id.clone(), lost);
    }

    pub fn apply(&mut self, spec: RolloutSpec) {
        self.spec = spec;
        self.generation += 1;
    }

    pub fn command(&mut self, verb: Verb) {
        self.command_for(verb, self.status.attempt, self.status.stage);
    }

    pub fn command_for(&mut self, verb: Verb, attempt: u32, stage: u32) {
        self.ids += 1;
        let by = Actor("ada@desk".into());
        self.command = Some(Command {
            id: self.ids.to_string(),
            verb,
            attempt,
            stage,
            generation: Some(self.generation),
            by,
            at: self.now,
        });
    }

    pub fn delete(&mut self, dependents: Dependents) {
        self.deletion = Some(Deletion {
            at: self.now,
            dependents,
        });
    }

    pub fn revision(&self, image: &str) -> Revision {
        let mut spec = self.spec.clone();
        image.clone_into(&mut spec.template.image);
        Revision::of(&spec)
    }

    /// The proxies that answer; none if the load balancer is gone.
    pub fn proxies(&mut self) -> impl Iterator<Item = &mut ProxyFact> {
        let instances = self.snapshot.load_balancers.get_mut("edge").into_iter();
        let facts = instances.flat_map(BTreeMap::values_mut);
        facts.filter_map(|fact| match fact {
            InstanceFact::Reachable(proxy) => Some(proxy),
            InstanceFact::Unreachable { .. } => None,
        })
    }

    pub fn cut_off(&mut self, instance: &str) {
        let instances = self
            .snapshot
            .load_balancers
            .get_mut("edge")
            .expect("the load balancer");
        let problem = "connection refused".to_owned();
        instances.insert(name(instance), InstanceFact::Unreachable { problem });
    }

    /// A new process, which has just begun and has none of the servers, takes the place of a proxy's old one.
    pub fn reload(&mut self, instance: &str) {
        let instances = self.snapshot.load_balancers.get_mut("edge");
        let fact = instances.and_then(|instances| instances.get_mut(&name(instance)));
        let Some(InstanceFact::Reachable(proxy)) = fact else {
            panic!("an instance that answers");
        };
        (proxy.pid, proxy.uptime_secs) = (proxy.pid + 1, 0);
        proxy.backends.values_mut().for_each(BTreeMap::clear);
    }

    /// The share of a revision by the weights of one proxy, in percent.
    pub fn share(&mut self, revision: &Revision) -> Vec<f64> {
        let revision = revision.as_str();
        let shares = self.proxies().map(|proxy| {
            let weight = |mine: bool| -> f64 {
                let serving = |(name, fact): &(&String, &ServerFact)| {
                    fact.admin == AdminState::Ready && (!mine || name.starts_with(revision))
                };
                let servers = proxy.backends[BACKEND].iter().filter(serving);
                servers.map(|(_, fact)| f64::from(fact.weight.get())).sum()
            };
            100.0 * weight(true) / weight(false).max(1.0)
        });
        shares.collect()
    }

    pub fn replicas(&self, revision: &Revision) -> Option<u32> {
        self.snapshot
            .services
            .get(&revision.service_name(&name("news-web")))
            .map(|service| service.replicas)
    }

    /// How many of the remembered events hold `text`.
    pub fn said(&self, text: &str) -> usize {
        let events = self.status.events.iter();
        events.filter(|event| event.message.contains(text)).count()
    }

    /// A server of one instance.
    pub fn server(&mut self, instance: &str, server: &str) -> &mut ServerFact {
        let instances = self.snapshot.load_balancers.get_mut("edge");
        let instance = instances.and_then(|instances| instances.get_mut(instance));
        let Some(InstanceFact::Reachable(proxy)) = instance else {
            panic!("an instance that answers");
        };
        let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
        servers.get_mut(server).expect("the server")
    }

    /// The name of one server of a revision.
    pub fn server_of(&mut self, revision: &Revision) -> String {
        let mut proxies = self.proxies();
        let servers = &proxies.next().expect("a proxy").backends[BACKEND];
        let mut names = servers.keys();
        let found = names.find(|name| name.starts_with(revision.as_str()));
        found.expect("a server of the revision").clone()
    }

    pub fn service(&mut self, name: &str) -> &mut ServiceFact {
        self.snapshot.services.get_mut(name).expect("the service")
    }
}

pub fn resources() -> Resources {
    let load_balancer = serde_json::json!({"haproxy": {"instances": [
        {"name": "lb-1", "address": "unix:///1.sock"}, {"name": "lb-2", "address": "unix:///2.sock"},
    ]}});
    let source =
        serde_json::json!({"influxdb": {"url": "http://influxdb:8086", "database": "rollouts"}});
    Resources {
        load_balancers: BTreeMap::from([(
            name("edge"),
            serde_json::from_value(load_balancer).expect("a spec"),
        )]),
        metric_sources: BTreeMap::from([(
            name("main"),
            serde_json::from_value(source).expect("a spec"),
        )]),
        ..Resources::default()
    }
}

/// The names of the servers that a plan changes, with what it does to them.
pub fn server_verbs(actions: &[Action]) -> Vec<(ServerName, ServerVerb)> {
    let changes = |action: &Action| match action {
        Action::ChangeServers(changes) => changes.changes.clone(),
        _ => Vec::new(),
    };
    actions
        .iter()
        .flat_map(changes)
        .map(|change| (change.server, change.verb))
        .collect()
}

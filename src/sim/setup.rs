//! What a simulated world is made of: nodes, proxies, applications and their speeds.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::faults::FaultPlan;
use super::time::Span;
use crate::api::{Duration, Name};

/// What a simulated world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where chance begins. The same seed and the same calls make the same history.
    pub seed: u64,
    /// When the world begins.
    pub start: Timestamp,
    /// How many nodes the Swarm has.
    pub nodes: u32,
    /// How many addresses the overlay network has. Those of tasks that ended are given out again.
    pub addresses: u32,
    /// The proxies.
    pub instances: Vec<InstanceSetup>,
    /// How applications behave, by their image.
    pub apps: BTreeMap<String, App>,
    /// How the application of any other image behaves.
    pub other_apps: App,
    /// How the programs of jobs behave, by their image.
    pub programs: BTreeMap<String, Program>,
    /// How the program of any other image behaves.
    pub other_programs: Program,
    /// How long things take.
    pub pace: Pace,
    /// What goes wrong between a controller and its neighbours.
    pub faults: FaultPlan,
    /// Whether every call and event is written down.
    pub journal: Keep,
    /// Whether the traffic is kept from which points are drawn.
    pub points: Keep,
    /// In which form the store keeps statuses.
    pub form: Form,
}

/// Whether something is kept that costs time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// In which form the store keeps what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As text, as the real one does: it is read back from that, and must not be too large.
    Text,
    /// As it is, which is quicker.
    Plain,
}

/// One HAProxy instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceSetup {
    /// The load balancer that it belongs to.
    pub load_balancer: Name,
    /// Its name.
    pub name: Name,
    /// Its back ends.
    pub backends: Vec<BackendSetup>,
}

/// A `backend` section of haproxy.cfg, and the requests that come to it.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendSetup {
    /// Its name.
    pub name: String,
    /// Requests per second that come in on each instance.
    pub rps: f64,
    /// Servers in haproxy.cfg, which are none of ours, each with its weight. They always answer.
    pub foreign: BTreeMap<String, u16>,
}

/// How an application behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Whether it starts.
    pub starts: Starts,
    /// From being assigned to a node until its process runs (pulling the image, creating the container).
    pub start: Span,
    /// From there until it listens and is healthy; never, if absent.
    pub ready: Option<Span>,
    /// The part of its requests that it answers with 5xx.
    pub error_rate: f64,
    /// How long its requests take: parts that make 1 together.
    pub requests: Vec<RequestClass>,
    /// What it does on the stop signal.
    pub on_stop: OnStop,
    /// How long a task lives until it dies by itself, on average; for ever, if absent.
    pub mean_life: Option<Duration>,
}

/// Whether an application starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starts {
    /// It does.
    Well,
    /// The node refuses to run it: there is no such image.
    Rejected,
    /// Its process ends by itself after so long.
    Dies(Duration),
}

/// A part of an application's requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestClass {
    /// The part, of 1.
    pub part: f64,
    /// How long each takes.
    pub takes: Duration,
}

/// What an application does on the stop signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// It takes no new requests and ends when its open ones are answered.
    Finishes,
    /// It ends at once.
    Exits,
    /// It goes on until it is killed.
    Ignores,
}

/// How the program of a job behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// From being asked for until it runs, or is known not to.
    pub start: Span,
    /// How long it runs.
    pub takes: Span,
    /// How each run ends; all later ones as the last.
    pub ends: Vec<Ends>,
}

/// How a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// By itself, with this exit code.
    With(i64),
    /// It does not.
    Never,
    /// It never runs: there is no such image.
    Missing,
    /// It never runs: no node takes it.
    Nowhere,
}

impl Program {
    /// One whose runs end like this, after a few seconds.
    pub fn ending(ends: impl IntoIterator<Item = Ends>) -> Self {
        Self {
            start: Span::millis(100, 800),
            takes: Span::millis(500, 4_000),
            ends: ends.into_iter().collect(),
        }
    }
}

impl Default for Program {
    fn default() -> Self {
        Self::ending([Ends::With(0)])
    }
}

impl Default for App {
    fn default() -> Self {
        Self {
            starts: Starts::Well,
            start: Span::millis(200, 1_500),
            ready: Some(Span::millis(100, 2_000)),
            error_rate: 0.001,
            requests: vec![
                RequestClass {
                    part: 0.9,
                    takes: Duration::from_millis(50),
                },
                RequestClass {
                    part: 0.1,
                    takes: Duration::from_secs(2),
                },
            ],
            on_stop: OnStop::Finishes,
            mean_life: None,
        }
    }
}

/// How long things take.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// A call to the Swarm or the store, there and back.
    pub swarm: Span,
    /// A question to a proxy, there and back.
    pub proxy: Span,
    /// A query, there and back.
    pub source: Span,
    /// From a change of a service until Swarm acts on it; and until a task has a node.
    pub schedule: Span,
    /// From a task's desired state until its signal: the agent takes it out of service discovery and
    /// sleeps 2 s.
    pub signal: Span,
    /// From what happens to a task until the managers know.
    pub report: Span,
    /// From a node's silence until the managers call it down.
    pub heartbeat: Span,
    /// From an event until a hint of it.
    pub hint: Span,
    /// From maintenance until a proxy has closed the idle connections of a server.
    pub idle: Span,
    /// How often, at most, the allocator and the updater write to a service after us.
    pub bumps: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            swarm: Span::millis(2, 20),
            proxy: Span::millis(1, 5),
            source: Span::millis(5, 50),
            schedule: Span::millis(5, 50),
            signal: Span::millis(1_000, 3_000),
            report: Span::millis(10, 150),
            heartbeat: Span::millis(10_000, 20_000),
            hint: Span::millis(1, 30),
            idle: Span::millis(10, 1_500),
            bumps: 2,
        }
    }
}

impl Setup {
    /// A world of three nodes without proxies in which nothing goes wrong.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            start: Timestamp::from_second(1_767_225_600).unwrap_or_default(),
            nodes: 3,
            addresses: 65_000,
            instances: Vec::new(),
            apps: BTreeMap::new(),
            other_apps: App::default(),
            programs: BTreeMap::new(),
            other_programs: Program::default(),
            pace: Pace::default(),
            faults: FaultPlan::none(),
            journal: Keep::No,
            points: Keep::No,
            form: Form::Plain,
        }
    }

    /// Adds an instance with one back end, to which `rps` requests per second come.
    #[must_use]
    pub fn with_proxy(
        mut self,
        load_balancer: &Name,
        name: &Name,
        backend: &str,
        rps: f64,
    ) -> Self {
        self.instances.push(InstanceSetup {
            load_balancer: load_balancer.clone(),
            name: name.clone(),
            backends: vec![BackendSetup {
                name: backend.to_owned(),
                rps,
                foreign: BTreeMap::new(),
            }],
        });
        self
    }
}

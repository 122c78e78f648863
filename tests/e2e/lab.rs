//! The lab as a test sees it: the command line, Docker, the proxies, and waiting with a limit.
//!
//! The lab itself is built by `tests/lab`; what runs in it for one test only is in [`crate::daemon`] and
//! [`crate::load`].

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rolloutctl::api::{HaproxyInstance, Name, RolloutStatus};
use rolloutctl::snapshot::{AdminState, InstanceFact, ProxyFact, ServerFact, ServerName};
use rolloutctl::world::haproxy::Haproxy;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::daemon::Controller;

/// How long anything in the lab may take, unless a test says more: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The pause between two looks of [`Lab::until`].
const PAUSE: Duration = Duration::from_millis(50);

/// There is one lab: its tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// The lab, for one test alone.
pub struct Lab {
    /// Its directory.
    pub dir: PathBuf,
    /// The front ends of both proxies.
    pub urls: [String; 2],
    /// Their runtime APIs, `lb-1` and `lb-2`.
    pub instances: Vec<HaproxyInstance>,
    /// InfluxDB's base URL.
    pub influxdb: String,
    /// Where the proxies send their logs.
    pub log: String,
    /// The overlay network.
    pub network: String,
    /// How the proxies reach tasks: `host` or `network`.
    pub reach: String,
    /// Docker's address.
    pub docker_host: String,
    runtime: Runtime,
    _turn: MutexGuard<'static, ()>,
}

/// What a command said.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its answer.
    pub stdout: String,
    /// Its messages.
    pub stderr: String,
}

impl Output {
    /// The answer of a command that must succeed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

impl Lab {
    /// The lab that the environment names, with the load balancer `edge` and the metric source `main` in its store
    /// and without rollouts; none, and a line that says so, if there is no lab.
    pub fn open() -> Option<Self> {
        if std::env::var_os("LAB_DIR").is_none() {
            eprintln!(
                "skipped: no lab; start one by `tests/lab up` and `eval \"$(tests/lab env)\"`"
            );
            return None;
        }
        // A test that failed has done no harm to those that follow: `sweep` sees to that.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = |name: &str, variable| HaproxyInstance {
            name: name.parse().expect("a name"),
            address: of_lab(variable),
        };
        let lab = Self {
            dir: of_lab("LAB_DIR").into(),
            urls: [of_lab("LAB_URL_1"), of_lab("LAB_URL_2")],
            instances: vec![
                instance("lb-1", "LAB_HAPROXY_1"),
                instance("lb-2", "LAB_HAPROXY_2"),
            ],
            influxdb: of_lab("LAB_INFLUX_URL"),
            log: of_lab("LAB_LOG_ADDR"),
            network: of_lab("LAB_NETWORK"),
            reach: of_lab("LAB_REACH"),
            docker_host: of_lab("DOCKER_HOST"),
            runtime: Runtime::new().expect("a runtime"),
            _turn: turn,
        };
        lab.apply(&lab.base());
        lab.sweep();
        Some(lab)
    }

    /// What every rollout refers to.
    pub fn base(&self) -> String {
        let addresses: Vec<String> = self
            .instances
            .iter()
            .map(|one| one.address.clone())
            .collect();
        let source = json!({
            "apiVersion": "rolloutctl.dev/v1alpha1",
            "kind": "MetricSource",
            "metadata": {"name": "main"},
            "spec": {"influxdb": {"url": self.influxdb, "database": "rollouts", "ingestLag": "2s"}},
        });
        format!("{}\n---\n{source}", self.load_balancer(&addresses))
    }

    /// The load balancer `edge`, whose instances are reached at `addresses`.
    pub fn load_balancer(&self, addresses: &[String]) -> String {
        let instance = |(one, address): (&HaproxyInstance, &String)| json!({"name": one.name, "address": address});
        let instances: Vec<Value> = self.instances.iter().zip(addresses).map(instance).collect();
        json!({
            "apiVersion": "rolloutctl.dev/v1alpha1",
            "kind": "LoadBalancer",
            "metadata": {"name": "edge"},
            "spec": {"haproxy": {"instances": instances}},
        })
        .to_string()
    }

    /// Removes what tests that failed have left.
    fn sweep(&self) {
        let left = self.rollouts();
        if left.is_empty() {
            return;
        }
        let _controller = Controller::start(self);
        for name in left {
            self.clean(&name);
        }
    }

    /// The names of all rollouts in the store.
    pub fn rollouts(&self) -> Vec<String> {
        let listed = self.cli(&["get", "rollout", "-o", "name"]).ok();
        let names = listed
            .lines()
            .filter_map(|line| line.strip_prefix("rollout/"));
        names.map(ToOwned::to_owned).collect()
    }

    /// Runs `rolloutctl`.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_with_input(arguments, "")
    }

    fn cli_with_input(&self, arguments: &[&str], input: &str) -> Output {
        run(self.command().args(arguments), input)
    }

    /// `rolloutctl`, without arguments yet, for the lab's Swarm.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rolloutctl"));
        command.env("DOCKER_HOST", &self.docker_host);
        command
    }

    /// Applies manifests.
    pub fn apply(&self, manifests: &str) {
        let output = self.cli_with_input(&["apply", "-f", "-"], manifests);
        assert_eq!(output.code, 0, "{output:?}\n{manifests}");
    }

    /// A rollout as `get -o json` prints it: `{apiVersion, kind, metadata, spec, status}`.
    pub fn get(&self, name: &str) -> Value {
        let json = self.cli(&["get", "rollout", name, "-o", "json"]).ok();
        serde_json::from_str(&json).expect("JSON")
    }

    /// A rollout's status, if the controller has written one for the spec as it is.
    pub fn status(&self, name: &str) -> Option<RolloutStatus> {
        let object = self.get(name);
        let status = object.get("status").filter(|status| !status.is_null())?;
        let status: RolloutStatus = serde_json::from_value(status.clone()).expect("a status");
        (object["metadata"]["generation"] == status.observed_generation).then_some(status)
    }

    /// Waits until the rollout's status, which speaks of the spec as it is, contents `enough`.
    pub fn until_status(
        &self,
        name: &str,
        what: &str,
        enough: impl Fn(&RolloutStatus) -> bool,
    ) -> RolloutStatus {
        self.until(&format!("{name}: {what}"), PATIENCE, || {
            self.status(name).filter(|status| enough(status))
        })
    }

    /// Waits until the rollout is Healthy.
    pub fn until_healthy(&self, name: &str) -> RolloutStatus {
        self.until_status(name, "is Healthy", |status| {
            status.phase == rolloutctl::api::Phase::Healthy
        })
    }

    /// Runs `docker`, which must succeed.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("docker");
        run(
            command
                .env("DOCKER_HOST", &self.docker_host)
                .args(arguments),
            "",
        )
        .ok()
    }

    /// Deletes a rollout, whatever source it came from, and waits until it is gone. Wants a controller.
    pub fn clean(&self, name: &str) {
        let rollout = format!("rollout/{name}");
        let output = self.cli(&["delete", &rollout, "--force", "--wait", "--timeout", "90s"]);
        assert_eq!(output.code, 0, "{output:?}");
    }

    /// Both proxies as they are; none for one that does not answer.
    pub fn observe(&self) -> BTreeMap<Name, Option<ProxyFact>> {
        let haproxy = Haproxy::default();
        let facts = self.runtime.block_on(haproxy.observe(&self.instances));
        let proxies = facts.into_iter().map(|(name, fact)| match fact {
            InstanceFact::Reachable(fact) => (name, Some(fact)),
            InstanceFact::Unreachable { .. } => (name, None),
        });
        proxies.collect()
    }

    /// The share, in percent, that `revision` has of the weights in `backend` at each proxy that answers. Servers
    /// that get nothing count as weight 0; a back end without weights gives nobody anything.
    pub fn shares(&self, backend: &str, revision: &str) -> BTreeMap<Name, f64> {
        let answering = self
            .observe()
            .into_iter()
            .filter_map(|(name, fact)| Some((name, fact?)));
        answering
            .map(|(name, fact)| (name, share(&fact, backend, revision)))
            .collect()
    }

    /// Waits until `look` gives something, and panics with what the rollouts are about when it does not.
    pub fn until<T>(&self, what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
        poll(limit, look).unwrap_or_else(|| {
            let told: Vec<String> = self
                .rollouts()
                .iter()
                .map(|name| self.cli(&["describe", &format!("rollout/{name}")]).stdout)
                .collect();
            panic!("not within {limit:?}: {what}\n{}", told.join("\n"));
        })
    }

    /// The runtime on which a test's own servers run.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

/// The share of the weights in `backend` that `revision` has, in percent.
fn share(fact: &ProxyFact, backend: &str, revision: &str) -> f64 {
    let servers = fact.backends.get(backend).cloned().unwrap_or_default();
    let (mut of_it, mut of_all) = (0, 0);
    for (server, fact) in &servers {
        let Ok(server) = server.parse::<ServerName>() else {
            continue;
        };
        of_all += weight(fact);
        if server.revision().to_string() == revision {
            of_it += weight(fact);
        }
    }
    f64::from(of_it) / f64::from(of_all.max(1)) * 100.0
}

/// Looks again and again until there is something to see or the time is over.
#[expect(
    clippy::disallowed_methods,
    reason = "a test polls what it waits for, with a limit"
)]
pub fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if began.elapsed() > limit {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// The weight by which a server gets requests.
fn weight(fact: &ServerFact) -> u16 {
    match fact.admin {
        AdminState::Ready => fact.weight.get(),
        AdminState::Drain | AdminState::Maintenance => 0,
    }
}

fn of_lab(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: eval \"$(tests/lab env)\""))
}

fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("its input");
    // A program that does not read its input may have closed it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

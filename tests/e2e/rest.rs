//! Rollouts at rest: nothing is written, and little is asked.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use rolloutctl::api::Phase;
use serde_json::Value;

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, PATIENCE, poll};
use crate::manifest::Manifest;
use crate::relay::{Questions, Relay, asked_since};

/// How many rollouts.
const ROLLOUTS: u32 = 20;

/// How long they are watched.
const WATCHED: Duration = Duration::from_secs(60);

/// How long nothing must have been written before the watch begins.
const CALM: Duration = Duration::from_secs(5);

#[test]
fn safety_5_twenty_rollouts_at_rest_cause_no_write() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let engine = Relay::start(&lab, "engine", &lab.docker_host);
    let proxies: Vec<Relay> = (lab.instances.iter())
        .map(|one| Relay::start(&lab, &one.name.to_string(), &one.address))
        .collect();
    let addresses: Vec<String> = proxies.iter().map(Relay::address).collect();
    lab.apply(&lab.load_balancer(&addresses));
    let controller = Controller::start_with(&lab, "controller", &["-H", &engine.address()]);
    let names: Vec<String> = (1..=ROLLOUTS).map(|n| format!("web-{n}")).collect();
    let manifests: Vec<String> = (names.iter())
        .map(|name| Manifest::new(&lab, name).replicas(1).yaml())
        .collect();
    lab.apply(&manifests.join("\n---\n"));
    until_at_rest(&lab, &names);

    let before = (
        versions(&lab),
        engine.requests(),
        commands(&proxies),
        servers(&lab),
    );
    let cpu = cpu_ticks(controller.pid());
    poll(WATCHED, || None::<()>);
    let cpu = cpu_ticks(controller.pid()) - cpu;
    let after = (
        versions(&lab),
        engine.requests(),
        commands(&proxies),
        servers(&lab),
    );

    let asked = asked_since(&before.1, &after.1);
    let commands = asked_since(&before.2, &after.2);
    report(controller.pid(), cpu, &asked, &commands);
    assert_eq!(before.0, after.0, "something was written to the Swarm");
    assert_eq!(before.3, after.3, "a server was changed");
    assert!(asked.keys().all(|one| one.starts_with("GET ")), "{asked:?}");
    assert!(commands.keys().all(|one| is_question(one)), "{commands:?}");
    assert!(
        asked.contains_key("GET /services"),
        "the controller looked: {asked:?}"
    );

    controller.stop();
    let _controller = Controller::start(&lab);
    for name in &names {
        lab.cli(&["delete", &format!("rollout/{name}")]).ok();
    }
    for name in &names {
        lab.until(&format!("{name} is gone"), PATIENCE, || {
            (!lab.rollouts().contains(name)).then_some(())
        });
    }
}

/// Whether a command of HAProxy's runtime API changes nothing that outlasts its connection: `set severity-output`
/// chooses how the answers on it look (management guide, section 9.3).
fn is_question(command: &str) -> bool {
    command.starts_with("show ") || command == "set severity-output"
}

/// Waits until all are Healthy and nothing has been written for [`CALM`].
fn until_at_rest(lab: &Lab, names: &[String]) {
    for name in names {
        lab.until(&format!("{name} is Healthy"), 4 * PATIENCE, || {
            let status = lab.status(name)?;
            (status.phase == Phase::Healthy && status.leaving.is_empty()).then_some(())
        });
    }
    let mut seen = (versions(lab), Instant::now());
    lab.until("nothing is written any more", PATIENCE, || {
        let now = versions(lab);
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        (seen.1.elapsed() >= CALM).then_some(())
    });
}

/// The version of every object in the Swarm's raft store that Docker shows, whoever owns it.
fn versions(lab: &Lab) -> BTreeMap<String, u64> {
    let mut versions = BTreeMap::new();
    for kind in ["services", "tasks", "configs", "secrets", "nodes", "swarm"] {
        let listed = match ask_engine(lab, kind) {
            Value::Array(objects) => objects,
            one => vec![one],
        };
        for object in listed {
            let version = object["Version"]["Index"].as_u64().expect("a version");
            versions.insert(format!("{kind}/{}", object["ID"]), version);
        }
    }
    versions
}

fn ask_engine(lab: &Lab, path: &str) -> Value {
    let socket = lab.docker_host.trim_start_matches("unix://");
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--unix-socket",
            socket,
        ])
        .arg(format!("http://engine/{path}"))
        .output()
        .expect("curl runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What both proxies were told, together.
fn commands(proxies: &[Relay]) -> Questions {
    let mut all = Questions::new();
    for (command, count) in proxies.iter().flat_map(Relay::commands) {
        *all.entry(command).or_default() += count;
    }
    all
}

/// All servers of both proxies: name, address, state and weight.
fn servers(lab: &Lab) -> String {
    let proxies = lab.observe().into_iter();
    let told = proxies.map(|(name, fact)| {
        let mut fact = fact.unwrap_or_else(|| panic!("{name} does not answer"));
        let backends = fact.backends.values_mut();
        for server in backends.flat_map(BTreeMap::values_mut) {
            server.unchanged_secs = 0; // It grows.
        }
        format!("{name} {} {:#?}", fact.pid, fact.backends)
    });
    told.collect::<Vec<_>>().join("\n")
}

/// The processor time that a process has used, in hundredths of a second (`proc(5)`, `utime` and `stime`).
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The second field is the name in brackets, which may hold blanks; the third is the first of these.
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    let field = |number: usize| fields.split(' ').nth(number - 3).map(str::parse::<u64>);
    [14, 15]
        .map(|number| field(number).expect("a field").expect("a number"))
        .iter()
        .sum()
}

fn report(pid: u32, cpu: u64, asked: &Questions, commands: &Questions) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let memory = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .expect("its memory");
    let turns = asked.get("GET /services").copied().unwrap_or(0);
    let calls: u64 = asked.values().sum();
    eprintln!(
        "{ROLLOUTS} rollouts at rest for {WATCHED:?}: {turns} turns, {calls} calls to the engine, {asked:?}"
    );
    eprintln!("commands to both proxies: {commands:?}");
    eprintln!("controller: {memory}, {cpu} hundredths of a second of processor time");
}

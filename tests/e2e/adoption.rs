//! A service that runs already, behind servers that are not ours, is taken over by `import --take-over` under load.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use rolloutctl::snapshot::AdminState;
use serde_json::Value;

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, PATIENCE};
use crate::load::{Load, Options};

const NAME: &str = "web-44";
const SERVICE: &str = "web_44";
const TASKS: usize = 2;

/// One command to a runtime API.
fn ask(address: &str, command: &str) -> String {
    fn talk(mut stream: impl Read + Write, command: &str) -> std::io::Result<String> {
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
    let answer = match address.split_once("://") {
        Some(("unix", path)) => UnixStream::connect(path).and_then(|s| talk(s, command)),
        Some(("tcp", place)) => TcpStream::connect(place).and_then(|s| talk(s, command)),
        _ => panic!("{address} is no address"),
    };
    answer.unwrap_or_else(|error| panic!("{address}: {error}"))
}

/// Where the tasks of the service take requests: on the network, or by a port of the node.
fn endpoints(lab: &Lab) -> Vec<String> {
    let node = lab.docker(&[
        "node",
        "inspect",
        "self",
        "--format",
        "{{.ManagerStatus.Addr}}",
    ]);
    let node = node
        .trim()
        .rsplit_once(':')
        .expect("an address and a port")
        .0
        .to_owned();
    lab.until("the tasks of the old service run", PATIENCE, || {
        let ids = lab.docker(&[
            "service",
            "ps",
            SERVICE,
            "--quiet",
            "--filter",
            "desired-state=running",
        ]);
        let ids: Vec<_> = ids.lines().collect();
        if ids.len() != TASKS {
            return None;
        }
        let tasks = lab.docker(&[&["inspect"], &ids[..]].concat());
        let tasks: Vec<Value> = serde_json::from_str(&tasks).expect("JSON");
        tasks
            .iter()
            .map(|task| endpoint(lab, &node, task))
            .collect()
    })
}

fn endpoint(lab: &Lab, node: &str, task: &Value) -> Option<String> {
    if task["Status"]["State"] != "running" {
        return None;
    }
    if lab.reach == "host" {
        let port = &task["Status"]["PortStatus"]["Ports"][0]["PublishedPort"];
        return Some(format!("{node}:{}", port.as_u64()?));
    }
    let address = task["NetworksAttachments"][0]["Addresses"][0].as_str()?;
    Some(format!("{}:8080", address.split('/').next()?))
}

/// The old service, and a server for each of its tasks on both proxies, called by no name of ours.
fn old_world(lab: &Lab) {
    let network = format!("name={},alias=old-web", lab.network);
    let port = "mode=host,target=8080";
    let mut arguments = vec![
        "service",
        "create",
        "--detach",
        "--no-resolve-image",
        "--name",
        SERVICE,
        "--replicas",
        "2",
        "--network",
        &network,
        "--env",
        "FEATURE_X=on",
        "--env",
        "ON_SIGTERM=exit",
        "--update-parallelism",
        "1",
    ];
    if lab.reach == "host" {
        arguments.extend(["--publish", port]);
    }
    arguments.push("demo-app:v1");
    lab.docker(&arguments);
    for (index, endpoint) in endpoints(lab).iter().enumerate() {
        for instance in &lab.instances {
            let server = format!("{NAME}/old-{index}");
            ask(
                &instance.address,
                &format!("add server {server} {endpoint} check inter 1s weight 100"),
            );
            ask(
                &instance.address,
                &format!("enable health {server}; enable server {server}"),
            );
        }
    }
    lab.until("the old servers are up", PATIENCE, || {
        let proxies = lab.observe();
        let up = proxies.values().flatten().all(|proxy| {
            let servers = &proxy.backends[NAME];
            let ready = servers.values().filter(|s| s.admin == AdminState::Ready);
            ready
                .filter(|s| s.check == rolloutctl::snapshot::CheckState::Passed)
                .count()
                == TASKS
        });
        up.then_some(())
    });
}

/// Takes away what is not ours and what an earlier try has left.
fn clear(lab: &Lab) {
    let services = lab.docker(&[
        "service",
        "ls",
        "--quiet",
        "--filter",
        &format!("name={SERVICE}"),
    ]);
    if !services.trim().is_empty() {
        lab.docker(&["service", "rm", SERVICE]);
    }
    for instance in &lab.instances {
        for index in 0..TASKS {
            let server = format!("{NAME}/old-{index}");
            ask(
                &instance.address,
                &format!("set server {server} state maint"),
            );
            lab.until("an old server is deleted", PATIENCE, || {
                let answer = ask(&instance.address, &format!("del server {server}"));
                (answer.contains("deleted") || answer.contains("No such server")).then_some(())
            });
        }
    }
}

/// What is asked of the old servers, on both proxies.
fn old_servers(lab: &Lab) -> Vec<AdminState> {
    let proxies = lab.observe();
    let servers = proxies
        .values()
        .flatten()
        .flat_map(|proxy| &proxy.backends[NAME]);
    let old = servers.filter(|(name, _)| name.starts_with("old-"));
    old.map(|(_, server)| server.admin).collect()
}

fn replicas(lab: &Lab) -> String {
    let format = "{{.Spec.Mode.Replicated.Replicas}}";
    lab.docker(&["service", "inspect", SERVICE, "--format", format])
        .trim()
        .to_owned()
}

#[test]
fn traffic_4_a_running_service_is_taken_over_without_losing_a_request() {
    let Some(lab) = Lab::open() else { return };
    clear(&lab);
    old_world(&lab);
    let reach = lab.reach.clone();
    let printed = lab.cli(&["import", SERVICE, "--reach", &reach, "--port", "8080"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(
        printed.stdout.contains("FEATURE_X: 'on'") || printed.stdout.contains("FEATURE_X: on"),
        "{printed:?}"
    );
    assert!(printed.stderr.contains("UpdateConfig"), "{printed:?}");
    assert!(
        lab.rollouts().is_empty(),
        "nothing is written without being asked"
    );
    let load = Load::start(
        &lab,
        NAME,
        &Options {
            rps: 150,
            connections: 200,
            slow_share: 0.2,
            slow_ms: "300-2000",
            close_share: 0.1,
        },
    );
    let before = load.totals(&lab);

    let take_over = [
        "import",
        SERVICE,
        "--reach",
        &reach,
        "--port",
        "8080",
        "--take-over",
        "--drop-names",
    ];
    // Without a controller nothing comes up, and nothing is drained.
    let early = lab.cli(&[&take_over[..], &["--timeout", "2s"]].concat());
    assert_eq!(early.code, 3, "{early:?}");
    assert_eq!(old_servers(&lab), [AdminState::Ready; 4]);

    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let told = lab.cli(&take_over).ok();
    assert!(told.contains("scaled from 2 to 0"), "{told}");
    assert!(told.contains("backend web-44: server old-1"), "{told}");
    assert_eq!(old_servers(&lab), [AdminState::Maintenance; 4]);
    assert_eq!(replicas(&lab), "0");
    let after = load.until_more(&lab, &before, 2_000);
    assert!(after.requests > before.requests);
    let again = lab.cli(&take_over).ok();
    assert!(
        again.contains("the service has no tasks any more"),
        "{again}"
    );

    load.stop().assert_nothing_lost();
    clear(&lab);
    lab.clean(NAME);
}

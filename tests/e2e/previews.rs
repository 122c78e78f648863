//! PROGRESS-9 and PROGRESS-10 on a real Swarm: twenty previews at once, beside a service that serves. Whatever becomes of
//! them, the Swarm and the proxies are afterwards as they were before, and the service has lost no request.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rolloutctl::api::{Phase, RolloutStatus};
use rolloutctl::snapshot::{AdminState, Endpoint};
use serde_json::{Value, json};

use crate::daemon::Controller;
use crate::lab::{Lab, PATIENCE};
use crate::load::{Load, Options};
use crate::manifest::Manifest;

/// What serves beside them.
const NAME: &str = "web-34";

/// How many come at once.
const PREVIEWS: u16 = 20;

/// What is checked goes at once, but its rollout stays for so long; time enough to come up beside nineteen others.
const SHORT: &str = "100s";

/// All twenty have come up, or gone, within so long.
const TOGETHER: Duration = Duration::from_secs(240);

/// The first of the nodes' ports that lead to previews.
const FIRST_PORT: u16 = 18_080;

/// What a preview is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A port of the node leads to it.
    Published,
    /// A job asks it by its name.
    Asked,
    /// A job asks it by its name, and does not get what it wants.
    Failing,
    /// It goes as soon as it is checked.
    Brief,
}

impl Kind {
    fn of(number: u16) -> Self {
        match number % 5 {
            0 => Self::Published,
            1 | 2 => Self::Asked,
            3 => Self::Failing,
            _ => Self::Brief,
        }
    }

    /// How its checks end.
    fn phase(self) -> Phase {
        match self {
            Self::Published | Self::Asked | Self::Brief => Phase::Healthy,
            Self::Failing => Phase::Degraded,
        }
    }
}

fn name_of(number: u16) -> String {
    format!("preview-{number}")
}

fn port_of(number: u16) -> u16 {
    FIRST_PORT + number
}

/// The numbers of the previews that are of this kind.
fn all_of(kind: Kind) -> impl Iterator<Item = u16> {
    (0..PREVIEWS).filter(move |number| Kind::of(*number) == kind)
}

/// A job that asks the preview by the name of its rollout, and wants `version`.
fn asks(lab: &Lab, name: &str, version: &str) -> Value {
    let template = json!({
        "image": "demo-app:v1", "command": ["check", format!("http://{name}:8080/")],
        "networks": [lab.network], "environment": {"CHECK_VERSION": version},
    });
    let job = json!({"template": template, "timeLimit": "120s"});
    json!({"analysis": {"metrics": [{"name": "acceptance", "job": job}]}})
}

/// A preview of `demo-app:v2`.
fn preview(lab: &Lab, number: u16) -> String {
    let name = name_of(number);
    let strategy = match Kind::of(number) {
        Kind::Published => {
            let publish = json!({"port": 8080, "hostPort": port_of(number)});
            json!({"ttl": "1h", "publish": publish, "checks": {"bake": "1s"}})
        }
        Kind::Asked => json!({"ttl": "1h", "checks": asks(lab, &name, "v2")}),
        Kind::Failing => json!({"ttl": "1h", "checks": asks(lab, &name, "v3")}),
        Kind::Brief => json!({"ttl": SHORT, "keepUntil": "checked", "checks": {"bake": "1s"}}),
    };
    let usual = Manifest::new(lab, &name)
        .version("v2")
        .replicas(1)
        .progress_deadline("5m")
        .yaml();
    let mut manifest: Value = serde_json::from_str(&usual).expect("JSON");
    let spec = manifest["spec"].as_object_mut().expect("a spec");
    spec.remove("traffic");
    spec.insert("strategy".to_owned(), json!({"preview": strategy}));
    manifest.to_string()
}

/// What of a server matters here: where it sends requests, whether it may, and how many.
type Server = (Option<Endpoint>, AdminState, u16);

/// For how long nothing comes or goes before what is there is taken for what belongs there: a container has ten seconds to end,
/// and one of an earlier test may be on its way out.
const CALM: Duration = Duration::from_secs(12);

/// What must be as it was.
#[derive(Debug, PartialEq)]
struct Inventory {
    services: BTreeSet<String>,
    containers: BTreeSet<String>,
    networks: BTreeSet<String>,
    configs: BTreeSet<String>,
    servers: BTreeMap<String, Server>,
}

impl Inventory {
    fn take(lab: &Lab) -> Self {
        let names = |what: &[&str]| -> BTreeSet<String> {
            let listed = lab.docker(what);
            listed.lines().map(ToOwned::to_owned).collect()
        };
        Self {
            services: names(&["service", "ls", "--format", "{{.Name}}"]),
            containers: names(&["ps", "--format", "{{.Names}}"]),
            networks: names(&["network", "ls", "--format", "{{.Name}}"]),
            configs: names(&["config", "ls", "--format", "{{.Name}}"]),
            servers: servers(lab),
        }
    }

    /// The same, once nothing has come or gone for a while.
    fn at_rest(lab: &Lab) -> Self {
        let mut last = (Self::take(lab), Instant::now());
        lab.until("nothing comes or goes", PATIENCE, || {
            let now = Self::take(lab);
            if now != last.0 {
                last = (now, Instant::now());
            }
            (last.1.elapsed() >= CALM).then_some(())
        });
        last.0
    }

    /// What is there now and was not `before`, and what was and is not.
    fn differs(&self, before: &Self) -> Vec<String> {
        let named = [
            (&self.services, &before.services),
            (&self.containers, &before.containers),
            (&self.networks, &before.networks),
            (&self.configs, &before.configs),
        ];
        let named = named.into_iter().flat_map(|(now, then)| now ^ then);
        let servers = self.servers.iter().chain(&before.servers);
        let servers =
            servers.filter(|(name, _)| self.servers.get(*name) != before.servers.get(*name));
        named
            .chain(servers.map(|(name, server)| format!("{name} {server:?}")))
            .collect()
    }
}

/// The servers of all back ends of both proxies.
fn servers(lab: &Lab) -> BTreeMap<String, Server> {
    let mut found = BTreeMap::new();
    for (instance, proxy) in lab.observe() {
        let proxy = proxy.unwrap_or_else(|| panic!("{instance} does not answer"));
        for (backend, servers) in proxy.backends {
            for (name, fact) in servers {
                let server = (fact.endpoint, fact.admin, fact.weight.get());
                found.insert(format!("{instance}: {backend}/{name}"), server);
            }
        }
    }
    found
}

/// The address of the lab's first node.
fn node(lab: &Lab) -> String {
    let told = lab.docker(&["node", "inspect", "self", "--format", "{{.Status.Addr}}"]);
    told.trim().to_owned()
}

/// What `http://HOST:PORT/` answers, head and body; none if it does not.
fn get(host: &str, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((host, port)).ok()?;
    let request = "GET / HTTP/1.1\r\nHost: preview\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The statuses of all rollouts that have one for their spec as it is.
fn statuses(lab: &Lab) -> BTreeMap<String, RolloutStatus> {
    let told = lab.cli(&["get", "rollout", "-o", "json"]).ok();
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let items = told["items"].as_array().expect("a list").iter();
    let told = items.filter_map(|object| {
        let name = object["metadata"]["name"].as_str()?.to_owned();
        let status: RolloutStatus = serde_json::from_value(object["status"].clone()).ok()?;
        (object["metadata"]["generation"] == status.observed_generation).then_some((name, status))
    });
    told.collect()
}

/// Waits until the checks of each preview have ended as they are to end.
fn until_checked(lab: &Lab) {
    let mut awaited: BTreeSet<u16> = (0..PREVIEWS).collect();
    lab.until("each preview is checked", TOGETHER, || {
        let statuses = statuses(lab);
        awaited.retain(|number| {
            let phase = statuses.get(&name_of(*number)).map(|status| status.phase);
            let wanted = Kind::of(*number).phase();
            let is_wrong = match phase {
                Some(Phase::Progressing) | None => false,
                Some(phase) => phase != wanted,
            };
            assert!(!is_wrong, "{number}: {phase:?}: {statuses:#?}");
            phase != Some(wanted)
        });
        awaited.is_empty().then_some(())
    });
}

/// Waits until the brief ones have gone by themselves.
fn until_the_brief_are_gone(lab: &Lab) {
    lab.until("what was brief is gone", TOGETHER, || {
        let left = lab.rollouts();
        all_of(Kind::Brief)
            .all(|number| !left.contains(&name_of(number)))
            .then_some(())
    });
}

#[test]
fn progress_10_of_twenty_previews_at_once_nothing_is_left() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start_with(&lab, "previews", &[]);
    let beside = Manifest::new(&lab, NAME);
    beside.apply(&lab);
    lab.until_healthy(NAME);
    let load = Load::start(&lab, NAME, &Options::quick(30));
    let before = Inventory::at_rest(&lab);
    assert_eq!(
        before.servers.len(),
        4,
        "two tasks at two proxies: {before:#?}"
    );

    let asked = Instant::now();
    let manifests: Vec<String> = (0..PREVIEWS).map(|number| preview(&lab, number)).collect();
    lab.apply(&manifests.join("\n---\n"));
    until_checked(&lab);
    eprintln!(
        "twenty previews asked for: checked after {:?}",
        asked.elapsed()
    );
    assert_eq!(
        servers(&lab),
        before.servers,
        "a preview has no production traffic"
    );
    let node = node(&lab);
    for number in all_of(Kind::Published) {
        let answer = get(&node, port_of(number)).unwrap_or_default();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{number}: {answer:?}");
        assert!(answer.ends_with("v2"), "{number}: {answer:?}");
    }
    for (name, status) in statuses(&lab) {
        let has_failed = all_of(Kind::Failing).any(|number| name == name_of(number));
        assert_eq!(status.abort.is_some(), has_failed, "{name}: {status:#?}");
    }

    until_the_brief_are_gone(&lab);
    let told = Instant::now();
    let left = lab.rollouts().into_iter().filter(|name| name != NAME);
    let left: Vec<String> = left.map(|name| format!("rollout/{name}")).collect();
    assert_eq!(left.len() + all_of(Kind::Brief).count(), 20, "{left:?}");
    let names: Vec<&str> = left.iter().map(String::as_str).collect();
    let delete = [&["delete"], &names[..], &["--wait", "--timeout", "4m"]].concat();
    lab.cli(&delete).ok();
    eprintln!(
        "{} previews deleted: gone after {:?}",
        left.len(),
        told.elapsed()
    );
    lab.until("all is as it was before", PATIENCE, || {
        let left = Inventory::take(&lab).differs(&before);
        if !left.is_empty() && told.elapsed() > PATIENCE / 2 {
            eprintln!("after {:?} it still differs in {left:?}", told.elapsed());
        }
        left.is_empty().then_some(())
    });
    eprintln!(
        "all is as it was before after {:?}, and after {:?} in all",
        told.elapsed(),
        asked.elapsed()
    );
    assert!(
        all_of(Kind::Published).all(|number| get(&node, port_of(number)).is_none()),
        "a port of the node is still open"
    );
    load.stop().assert_nothing_lost();
    lab.clean(NAME);
    controller.stop();
}

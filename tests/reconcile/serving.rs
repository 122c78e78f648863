//! What a controller serves over HTTP: `/healthz`, `/readyz` and `/metrics`, as docs/operations.md describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rolloutctl::api::{OnDrift, Prune};
use rolloutctl::controller::{Options, run};
use rolloutctl::gitops::SourceOptions;
use rolloutctl::runtime::Tokio;
use rolloutctl::world::http::HttpClient;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::neighbour::{Mood, Neighbour};
use crate::toy::spec;

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

const PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// A controller that serves; it ends with its owner.
struct Served {
    address: SocketAddr,
    http: HttpClient,
    task: JoinHandle<()>,
    /// A source that says nothing.
    _specs: TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    /// Starts a controller of `world`, and waits until it serves.
    async fn start(world: &Arc<Neighbour>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let specs = tempfile::tempdir().expect("a directory");
        let source = SourceOptions::directory(specs.path(), Prune::Keep, OnDrift::Restore);
        let source = source.expect("a path");
        let options = Options {
            listen: Some(address),
            resync: Duration::from_millis(20),
            identity: "me".to_owned(),
            patience: LIMIT,
            sources: vec![source],
        };
        let runtime = Arc::new(Tokio::default());
        let controller = run(world.clone(), runtime, options, std::future::pending());
        let task = tokio::spawn(async { controller.await.expect("the address is free") });
        let http = HttpClient::new().expect("a client");
        let served = Self {
            address,
            http,
            task,
            _specs: specs,
        };
        served
            .until("/healthz", |status, _| status == StatusCode::OK)
            .await;
        served
    }

    async fn ask(&self, method: Method, path: &str) -> reqwest::Result<reqwest::Response> {
        let url = format!("http://{}{path}", self.address);
        let client = self.http.client_for(&url).expect("http needs nothing");
        client.request(method, url).send().await
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let reply = self.ask(Method::GET, path).await.expect("an answer");
        (reply.status(), reply.text().await.expect("a text"))
    }

    /// Waits until `path` answers as it should; tells the answer.
    async fn until(&self, path: &str, holds: impl Fn(StatusCode, &str) -> bool) -> String {
        let mut ticks = interval(Duration::from_millis(10));
        let looking = async {
            loop {
                ticks.tick().await;
                let Ok(reply) = self.ask(Method::GET, path).await else {
                    continue;
                };
                let status = reply.status();
                let text = reply.text().await.expect("a text");
                if holds(status, &text) {
                    return text;
                }
            }
        };
        let found = timeout(LIMIT, looking).await;
        found.unwrap_or_else(|_| panic!("{path} does not answer as it should"))
    }
}

#[tokio::test]
async fn a_controller_is_ready_once_a_turn_was_carried_out() {
    let world = Neighbour::new(spec("web:1"));
    world.feel(Mood::Silent);
    let served = Served::start(&world).await;
    let (status, reason) = served.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reason, "the first turn is not over\n");
    assert_eq!(served.get("/healthz").await.0, StatusCode::OK, "it tries");

    let world = Neighbour::new(spec("web:1"));
    let served = Served::start(&world).await;
    served
        .until("/readyz", |status, text| {
            (status, text) == (StatusCode::OK, "ok\n")
        })
        .await;
}

#[tokio::test]
async fn nothing_is_served_to_who_would_write() {
    let served = Served::start(&Neighbour::new(spec("web:1"))).await;
    for path in PATHS {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let reply = served.ask(method.clone(), path).await.expect("an answer");
            let told = (reply.status(), path);
            assert_eq!(told, (StatusCode::METHOD_NOT_ALLOWED, path), "{method}");
        }
    }
    assert_eq!(served.get("/").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_metric_of_the_documentation_is_served_and_no_other_one() {
    let world = Neighbour::new(spec("web:1"));
    let served = Served::start(&world).await;
    // A write that comes too late changes nothing; an action that is refused is counted.
    world.feel(Mood::Refusing);
    let all = |_, text: &str| {
        let last = [
            "rolloutctl_action_failures_total{",
            "rolloutctl_source_last_success",
        ];
        last.iter().all(|name| text.contains(name))
    };
    let text = served.until("/metrics", all).await;
    let reply = served.ask(Method::GET, "/metrics").await.expect("answered");
    let kind = reply.headers()["content-type"].to_str().expect("a text");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");

    let served: BTreeMap<_, _> = families(&text);
    let documented = documented();
    assert!(documented.len() > 5, "{documented:?}");
    let names: BTreeSet<_> = served.keys().collect();
    assert_eq!(names, documented.keys().collect::<BTreeSet<_>>());
    for (name, labels) in &documented {
        assert_eq!(&served[name], labels, "{name}");
    }
}

/// The metrics of the documentation, with their labels, from its table.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let text = std::fs::read_to_string(path).expect("the documentation");
    let rows = text.lines().filter_map(|line| {
        let (metric, _) = line.strip_prefix("| `rolloutctl_")?.split_once("` |")?;
        let (name, labels) = metric.split_once('{').unwrap_or((metric, ""));
        let labels = labels.trim_end_matches('}').split(',');
        let names = labels.map(|label| label.split('=').next().unwrap_or_default());
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
        Some((format!("rolloutctl_{name}"), names.collect()))
    });
    rows.collect()
}

/// The metrics of a text in the OpenMetrics format with their labels; the parts of a histogram are one metric.
///
/// # Panics
/// When a line is not of that format, or no `# TYPE` precedes a sample.
fn families(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut types = BTreeMap::new();
    let mut families: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let body = text.strip_suffix("# EOF\n").expect("the end");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<_> = comment.splitn(3, ' ').collect();
            let [keyword, name, rest] = words[..] else {
                panic!("half a comment: {line}");
            };
            match keyword {
                "TYPE" => drop(types.insert(name, rest)),
                "HELP" | "UNIT" => {}
                other => panic!("`{other}` is no keyword: {line}"),
            }
            continue;
        }
        let (metric, value) = line.rsplit_once(' ').expect("a value");
        let _: f64 = value.parse().expect(line);
        let (name, labels) = metric.split_once('{').unwrap_or((metric, "}"));
        let labels = labels.strip_suffix('}').expect(line);
        let (family, kind) = types
            .iter()
            .find(|(family, _)| name.starts_with(**family))
            .unwrap_or_else(|| panic!("no type is told: {line}"));
        let name = match *kind {
            "histogram" => *family,
            "counter" | "gauge" => name,
            other => panic!("nobody documented a {other}: {line}"),
        };
        let names = labels.split(',').filter(|label| !label.is_empty());
        let names = names.map(|label| label.split_once("=\"").expect(line).0.to_owned());
        let names = names.filter(|name| name != "le");
        families.entry(name.to_owned()).or_default().extend(names);
    }
    families
}

//! What the controller serves and logs, as it is run.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use rolloutctl::world::http::HttpClient;
use serde_json::Value;

use super::daemon::{Daemon, Signal, until};
use super::engine::{Engine, Manner};

/// The lines of its log, each a JSON object.
fn lines(log: &str) -> Vec<Value> {
    let read = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}"));
        assert!(value.is_object(), "{line}");
        value
    };
    log.lines().map(read).collect()
}

/// Where it serves: it was told to take any free port, and logs which one it took.
fn address(log: &str) -> Option<String> {
    let whole = &log[..=log.rfind('\n')?];
    lines(whole)
        .iter()
        .find_map(|line| line["address"].as_str().map(str::to_owned))
}

async fn get(address: &str, path: &str) -> (StatusCode, String) {
    let url = format!("http://{address}{path}");
    let http = HttpClient::new().expect("a client");
    let client = http.client_for(&url).expect("http needs nothing");
    let reply = client.get(&url).send().await.expect("an answer");
    (reply.status(), reply.text().await.expect("a text"))
}

#[tokio::test]
async fn a_controller_is_ready_while_the_engine_answers_and_logs_json() {
    let engine = Engine::start();
    engine.be(Manner::Leaderless, "/configs");
    let arguments = ["--log-format", "json", "controller", "--listen"];
    let arguments = [&arguments[..], &["127.0.0.1:0"]].concat();
    let mut controller = Daemon::start(&arguments, |command| {
        command.env("DOCKER_HOST", engine.host());
    });
    let address = until("the address", async || address(&controller.log())).await;
    let (status, reason) = until("a failed turn", async || {
        let told = get(&address, "/readyz").await;
        told.1.contains("leader").then_some(told)
    })
    .await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{reason}");
    let (status, text) = get(&address, "/healthz").await;
    assert_eq!(
        (status, text.as_str()),
        (StatusCode::OK, "ok\n"),
        "it tries"
    );
    let (_, text) = get(&address, "/metrics").await;
    let failed = "rolloutctl_turns_total{outcome=\"failed\"}";
    assert!(text.contains(failed), "{text}");

    engine.be_well();
    until("a turn that is carried out", async || {
        let (status, _) = get(&address, "/readyz").await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    let (_, text) = get(&address, "/metrics").await;
    assert!(text.contains("rolloutctl_leader 1"), "{text}");
    controller.signal(Signal::Terminate).await;
    assert_eq!(controller.exit_code().await, Some(0));

    let log = lines(&controller.log());
    let mut levels = BTreeSet::new();
    for line in &log {
        let timestamp = line["timestamp"].as_str().expect("a time");
        let _: jiff::Timestamp = timestamp.parse().expect("a time");
        assert!(!line["message"].as_str().expect("words").is_empty());
        levels.insert(line["level"].as_str().expect("a level"));
    }
    assert_eq!(levels, BTreeSet::from(["ERROR", "INFO"]));
    let last = log.last().expect("a line");
    assert_eq!(last["message"], "controller stopped");
}

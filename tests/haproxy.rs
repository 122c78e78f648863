//! HAProxy's runtime API against a real HAProxy that each test starts for itself.
//!
//! Runs when `haproxy` is installed or `LAB_HAPROXY_BIN` names one; says so when it is skipped.

#[path = "haproxy/bench.rs"]
mod bench;
#[path = "haproxy/measured.rs"]
mod measured;
#[path = "haproxy/silence.rs"]
mod silence;
#[path = "haproxy/site.rs"]
mod site;

use std::time::Duration;

use bench::{Bench, instance_at, name};
use rolloutctl::action::ServerVerb;
use rolloutctl::api::ServerWeight;
use rolloutctl::snapshot::{AdminState, CheckState, InstanceFact, OperationalState};
use rolloutctl::world::WorldError;
use rolloutctl::world::haproxy::{ApiLevel, Balance, Haproxy};
use site::Site;

#[tokio::test]
async fn a_server_lives_from_add_to_delete() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    let empty = bench.facts().await.backends;
    assert_eq!(
        empty.get("hashed"),
        Some(&std::collections::BTreeMap::new()),
        "a back end without servers is seen"
    );
    bench
        .apply(&[(1, ServerVerb::Add(site.endpoint))])
        .await
        .expect("add");
    let added = bench.server(1).await.expect("the server");
    assert_eq!(added.endpoint, Some(site.endpoint));
    assert_eq!(added.admin, AdminState::Maintenance);
    assert_eq!(added.check, CheckState::Disabled);
    assert_eq!(added.weight, ServerWeight::ZERO);

    bench
        .apply(&[
            (1, ServerVerb::Enable),
            (1, ServerVerb::Weigh(ServerWeight::new(42))),
        ])
        .await
        .expect("enable");
    let enabled = bench.server(1).await.expect("the server");
    assert_eq!(enabled.admin, AdminState::Ready);
    assert_eq!(enabled.weight, ServerWeight::new(42));
    bench
        .until(1, |server| server.check == CheckState::Passed)
        .await;

    bench.apply(&[(1, ServerVerb::Drain)]).await.expect("drain");
    let drained = bench.server(1).await.expect("the server");
    assert_eq!(drained.admin, AdminState::Drain);
    assert_eq!(drained.operational, OperationalState::Running);

    bench
        .apply(&[(1, ServerVerb::Enable)])
        .await
        .expect("enable");
    let back = bench.server(1).await.expect("the server");
    assert_eq!(back.admin, AdminState::Ready, "out of drain");
    bench.apply(&[(1, ServerVerb::Drain)]).await.expect("drain");

    bench
        .apply(&[(1, ServerVerb::Maintain), (1, ServerVerb::Delete)])
        .await
        .expect("maintenance and delete");
    assert_eq!(bench.server(1).await, None);
}

#[tokio::test]
async fn safety_1_doing_it_twice_is_doing_it_once() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    let up = [
        (1, ServerVerb::Add(site.endpoint)),
        (1, ServerVerb::Enable),
        (1, ServerVerb::Weigh(ServerWeight::EVEN)),
    ];
    for _ in 0..2 {
        bench.apply(&up).await.expect("up");
    }
    assert_eq!(
        bench.server(1).await.map(|s| s.weight),
        Some(ServerWeight::EVEN)
    );
    let down = [(1, ServerVerb::Maintain), (1, ServerVerb::Delete)];
    bench.apply(&down).await.expect("down");
    bench
        .apply(&[(1, ServerVerb::Delete)])
        .await
        .expect("a delete of what is gone");
}

#[tokio::test]
async fn traffic_7_a_foreign_server_is_left_alone() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let foreign = async || bench.facts().await.backends["odd"]["foreign"].clone();
    let before = foreign().await;
    let site = Site::start("one").await;
    let changes = [
        (1, ServerVerb::Add(site.endpoint)),
        (1, ServerVerb::Enable),
        (1, ServerVerb::Weigh(ServerWeight::EVEN)),
        (1, ServerVerb::Drain),
        (1, ServerVerb::Maintain),
        (1, ServerVerb::Delete),
    ];
    bench.apply_to("odd", &changes).await.expect("all of it");
    let after = foreign().await;
    assert_eq!(
        (after.admin, after.weight, after.endpoint),
        (before.admin, before.weight, before.endpoint)
    );
    assert_eq!(bench.facts().await.backends["odd"].len(), 1);
}

#[tokio::test]
async fn traffic_4_a_server_with_an_open_request_is_cut_before_it_is_deleted() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    bench.serve(1, &site).await;
    let request = tokio::spawn(bench.get("/held"));
    site.held().await;
    bench.until(1, |server| server.sessions == 1).await;

    bench
        .apply(&[(1, ServerVerb::Maintain)])
        .await
        .expect("maintenance");
    let early = bench.apply(&[(1, ServerVerb::Delete)]).await;
    assert!(
        matches!(early, Err(WorldError::Conflict { .. })),
        "{early:?}"
    );

    bench.apply(&[(1, ServerVerb::Cut)]).await.expect("cut");
    bench.until(1, |server| server.sessions == 0).await;
    bench.delete(1).await;
    assert_eq!(bench.server(1).await, None);
    let answer = request.await.expect("the client");
    assert_eq!(answer.expect("an answer").0, 502, "the cut request");
}

#[tokio::test]
async fn traffic_4_a_request_outlives_drain_and_maintenance() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    bench.serve(1, &site).await;
    let request = tokio::spawn(bench.get("/held"));
    site.held().await;
    bench
        .apply(&[(1, ServerVerb::Drain), (1, ServerVerb::Maintain)])
        .await
        .expect("drain and maintenance");
    site.release();
    let answer = request.await.expect("the client").expect("an answer");
    assert_eq!(answer, (200, "one".to_owned()));
}

#[tokio::test]
async fn traffic_2_requests_follow_the_weights() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let (stable, canary) = (Site::start("stable").await, Site::start("canary").await);
    bench.serve(1, &stable).await;
    bench.serve(2, &canary).await;
    bench
        .apply(&[
            (1, ServerVerb::Weigh(ServerWeight::new(190))),
            (2, ServerVerb::Weigh(ServerWeight::new(10))),
        ])
        .await
        .expect("weights");
    let weights = bench.facts().await.backends["web"]
        .values()
        .map(|server| server.weight.get())
        .collect::<Vec<_>>();
    assert_eq!(weights, [190, 10], "seen at once");
    let seen = bench.count(2_000).await;
    let canary = seen["canary"];
    assert!(
        (98..=102).contains(&canary),
        "5 % of 2,000 is 100: {seen:?}"
    );
    assert_eq!(canary + seen["stable"], 2_000);
}

#[tokio::test]
async fn traffic_6_a_restart_shows_by_the_pid_and_the_missing_servers() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    bench.serve(1, &site).await;
    let before = bench.facts().await;
    bench.restart().await;
    let after = bench.facts().await;
    assert_ne!(before.pid, after.pid);
    assert!(after.uptime_secs <= before.uptime_secs + 1);
    assert!(after.backends["web"].is_empty(), "{after:?}");
    let refused = bench
        .apply(&[(1, ServerVerb::Weigh(ServerWeight::EVEN))])
        .await
        .expect_err("no such server");
    assert!(refused.to_string().contains("added again"), "{refused}");
}

#[tokio::test]
async fn one_write_holds_many_changes_and_long_batches_are_split() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    let changes: Vec<_> = (1..=200)
        .flat_map(|slot| {
            [
                (slot, ServerVerb::Add(site.endpoint)),
                (slot, ServerVerb::Weigh(ServerWeight::new(3))),
            ]
        })
        .collect();
    bench.apply(&changes).await.expect("four hundred changes");
    let servers = &bench.facts().await.backends["web"];
    assert_eq!(servers.len(), 200);
    assert!(servers.values().all(|s| s.weight == ServerWeight::new(3)));
}

#[tokio::test]
async fn refusals_name_the_instance_the_command_the_words_and_a_remedy() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    let add = [(1, ServerVerb::Add(site.endpoint))];
    for (backend, words, remedy) in [
        ("hashed", "dynamic load balancing", "balance roundrobin"),
        ("nowhere", "No such backend", "traffic.backend"),
    ] {
        let refused = bench.apply_to(backend, &add).await;
        let Err(WorldError::Refused { what, reason }) = refused else {
            panic!("{backend}: {refused:?}");
        };
        assert!(what.contains("edge/lb-1"), "{what}");
        for part in [words, remedy, "add server"] {
            assert!(reason.contains(part), "no {part:?} in {reason}");
        }
    }
}

#[tokio::test]
async fn every_kind_of_socket_is_observed_or_says_why_not() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let plain_file = bench.path("plain");
    std::fs::write(&plain_file, "").expect("a file");
    let deaf = std::os::unix::net::UnixListener::bind(bench.path("deaf")).expect("a socket");
    let unix = |name: &str| format!("unix://{}", bench.path(name).display());
    let front = format!("tcp://127.0.0.1:{}", bench.front);
    let cases = [
        ("missing", unix("missing"), "mount the directory"),
        ("plain", unix("plain"), "nobody listens"),
        ("deaf", unix("deaf"), "gave no answer within"),
        ("closed", "tcp://127.0.0.1:1".to_owned(), "nobody listens"),
        ("wrong", front, "answered 0 of 3 commands"),
        ("operator", unix("operator.sock"), "`level admin`"),
        ("typo", "unix:/x".to_owned(), "write `unix:///"),
    ];
    let mut instances = vec![
        instance_at("unix", &unix("admin.sock")),
        instance_at("tcp", &bench.tcp),
    ];
    instances.extend(
        cases
            .iter()
            .map(|(name, address, _)| instance_at(name, address)),
    );
    let facts = Haproxy::new(Duration::from_millis(700))
        .observe(&instances)
        .await;
    for good in ["unix", "tcp"] {
        let fact = &facts[&name(good)];
        assert!(matches!(fact, InstanceFact::Reachable(_)), "{fact:?}");
    }
    for (case, _, remedy) in &cases {
        let fact = &facts[&name(case)];
        assert!(
            matches!(fact, InstanceFact::Unreachable { problem } if problem.contains(remedy)),
            "{case}: {fact:?}"
        );
    }
    drop(deaf);
}

#[tokio::test]
async fn preflight_sees_the_level_the_version_and_how_each_back_end_balances() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let haproxy = Haproxy::default();
    let admin = haproxy
        .inspect(&bench.instance())
        .await
        .expect("an inspection");
    assert_eq!(admin.level, ApiLevel::Admin);
    assert!(admin.has_dynamic_servers(), "{}", admin.version);
    assert_eq!(admin.threads, Some(2));
    let balance = |backend: &str| admin.backends[backend].balance.clone();
    assert_eq!(
        balance("web"),
        Some(Balance::Weighted("roundrobin".to_owned()))
    );
    assert_eq!(
        balance("hashed"),
        Some(Balance::Hashed("source".to_owned()))
    );
    let socket = format!("unix://{}", bench.path("operator.sock").display());
    let operator = haproxy
        .inspect(&instance_at("lb-1", &socket))
        .await
        .expect("an inspection");
    assert_eq!(operator.level, ApiLevel::Operator);
}

//! What the planner relies on and HAProxy's manual does not say: measured, so that a version that
//! does otherwise is noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use rolloutctl::action::ServerVerb;
use rolloutctl::api::ServerWeight;
use rolloutctl::snapshot::{CheckState, Endpoint, OperationalState};
use rolloutctl::world::WorldError;

use super::bench::Bench;
use super::site::Site;

const EVEN: ServerVerb = ServerVerb::Weigh(ServerWeight::EVEN);
const NOTHING: ServerVerb = ServerVerb::Weigh(ServerWeight::ZERO);

#[tokio::test]
async fn an_enabled_server_is_used_before_its_first_check() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    // One write; so nothing may be given a weight before its check is seen to have passed.
    bench
        .apply(&[
            (1, ServerVerb::Add(site.endpoint)),
            (1, ServerVerb::Enable),
            (1, EVEN),
        ])
        .await
        .expect("one write");
    let server = bench.server(1).await.expect("the server");
    assert_eq!(server.check, CheckState::Pending);
    assert_eq!(server.operational, OperationalState::Running);
    let answer = bench.get("/").await.expect("an answer");
    assert_eq!(answer, (200, "one".to_owned()));
}

#[tokio::test]
async fn a_dead_server_is_down_after_its_first_check() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let dead = Endpoint {
        address: [127, 0, 0, 1].into(),
        port: 1,
    };
    bench
        .apply(&[(1, ServerVerb::Add(dead)), (1, ServerVerb::Enable)])
        .await
        .expect("add and enable");
    bench
        .until(1, |server| server.check != CheckState::Pending)
        .await;
    let server = bench.server(1).await.expect("the server");
    assert_eq!(server.check, CheckState::Failed);
    assert_eq!(server.operational, OperationalState::Stopped);
}

#[tokio::test]
async fn a_server_back_from_maintenance_is_pending_until_it_is_checked_again() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    bench.serve(1, &site).await;
    bench
        .apply(&[(1, ServerVerb::Maintain), (1, ServerVerb::Enable)])
        .await
        .expect("out and in");
    let check = bench.server(1).await.map(|server| server.check);
    assert_eq!(check, Some(CheckState::Pending));
    bench
        .until(1, |server| server.check == CheckState::Passed)
        .await;
}

#[tokio::test]
async fn a_kept_alive_client_moves_on_at_its_next_request_after_drain() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let (old, new) = (Site::start("old").await, Site::start("new").await);
    bench.serve(1, &old).await;
    let mut client = bench.client().await;
    assert_eq!(client.get("/").await.expect("an answer").1, "old");
    bench.serve(2, &new).await;
    bench.apply(&[(1, ServerVerb::Drain)]).await.expect("drain");
    for _ in 0..4 {
        assert_eq!(client.get("/").await.expect("an answer").1, "new");
    }
}

#[tokio::test]
async fn idle_connections_to_an_added_server_are_kept_and_hinder_its_deletion_but_for_a_moment() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    bench.serve(1, &site).await;
    let before = site.connections.load(Ordering::Relaxed);
    bench.count(200).await;
    let opened = site.connections.load(Ordering::Relaxed) - before;
    // The checks, once a second, connect as well.
    assert!(opened < 20, "{opened} connections for 200 requests");
    // HAProxy's threads close them in their own time, so not before the end of the same write.
    let both = [(1, ServerVerb::Maintain), (1, ServerVerb::Delete)];
    let early = bench.apply(&both).await;
    assert!(
        matches!(early, Ok(()) | Err(WorldError::Conflict { .. })),
        "{early:?}"
    );
    bench.delete(1).await;
}

#[tokio::test]
async fn traffic_4_idle_connections_that_maintenance_leaves_open_hinder_a_deletion_for_seconds_only()
 {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let site = Site::start("one").await;
    bench.serve(1, &site).await;
    // So many at once that HAProxy learns to keep as many for later.
    let together = async || join_all((0..32).map(|_| bench.get("/held"))).await;
    for _ in 0..2 {
        let release = async {
            bench.until(1, |server| server.sessions == 32).await;
            (0..32).for_each(|_| site.release());
        };
        tokio::join!(together(), release);
    }
    // Of a server that is down already maintenance closes nothing, as of one whose last request has just ended
    // it closes all but the connection of that one.
    bench.order(1, "health down").await;
    bench
        .until(1, |server| server.operational == OperationalState::Stopped)
        .await;
    bench
        .apply(&[(1, ServerVerb::Maintain)])
        .await
        .expect("maintenance");
    bench.delete(1).await;
}

#[tokio::test]
async fn traffic_4_no_request_fails_when_the_only_server_is_replaced() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let bench = Arc::new(bench);
    let sites = [Site::start("even").await, Site::start("odd").await];
    bench.serve(0, &sites[0]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..6)
        .map(|kind| tokio::spawn(load(bench.clone(), stop.clone(), kind)))
        .collect();
    for old in 0..4_u32 {
        let new = old + 1;
        let site = &sites[usize::try_from(new % 2).expect("0 or 1")];
        bench.serve(new, site).await;
        bench.apply(&[(old, NOTHING)]).await.expect("weight 0");
        bench
            .apply(&[(old, ServerVerb::Drain)])
            .await
            .expect("drain");
        bench.until(old, |server| server.sessions == 0).await;
        bench
            .apply(&[(old, ServerVerb::Maintain)])
            .await
            .expect("maintenance");
        bench.delete(old).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut requests = 0;
    for client in clients {
        requests += client.await.expect("no failed request");
    }
    assert!(requests > 100, "only {requests} requests");
}

/// Asks again and again; panics when a request fails. Every other client keeps its connection.
async fn load(bench: Arc<Bench>, stop: Arc<AtomicBool>, kind: usize) -> usize {
    let mut client = bench.client().await;
    let mut requests = 0;
    while !stop.load(Ordering::Relaxed) {
        if kind.is_multiple_of(2) {
            client = bench.client().await;
        }
        let (status, body) = client.get("/").await.expect("an answer");
        assert_eq!(status, 200, "{body}");
        requests += 1;
    }
    requests
}

//! Not one request is lost, whatever becomes of a rollout: slow requests, kept connections, and an app that ends
//! at once when it is told to.

use rolloutctl::api::{Phase, Step};

use crate::daemon::{Collector, Controller};
use crate::lab::Lab;
use crate::load::{Load, Options};
use crate::manifest::{Manifest, bake, gate};

/// How many requests are counted at least.
const COUNTED: u64 = 20_000;

/// Requests of 0.3 s to 2 s among quick ones.
fn slow(rps: u32) -> Options {
    Options {
        rps,
        connections: 400,
        slow_share: 0.25,
        slow_ms: "300-2000",
        close_share: 0.1,
    }
}

#[test]
fn traffic_4_no_request_is_lost_by_a_promotion_or_an_abort_though_the_app_ends_at_once() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let name = "web-3";
    let v1 = Manifest::new(&lab, name)
        .replicas(3)
        .env("ON_SIGTERM", "exit")
        .stages([bake(5, "2s"), bake(50, "2s")]);
    v1.apply(&lab);
    lab.until_healthy(name);
    let load = Load::start(&lab, name, &slow(400));
    let before = load.totals(&lab);

    v1.clone().version("v2").apply(&lab);
    lab.until_status(name, "v2 is stable and v1 has left", |status| {
        status.phase == Phase::Healthy && status.leaving.is_empty()
    });
    let v3 = v1.version("v3").stages([gate(50)]);
    v3.apply(&lab);
    lab.until_status(name, "v3 has half", |status| {
        matches!(status.step, Step::Running { .. })
    });
    let half = load.totals(&lab);
    load.until_more(&lab, &half, 2_000);
    lab.cli(&["abort", name]).ok();
    lab.until_status(name, "v3 has left", |status| {
        status.phase == Phase::Degraded && status.leaving.is_empty()
    });

    lab.cli(&["retry", name]).ok();
    lab.until_status(name, "v3 has half again", |status| {
        matches!(status.step, Step::Running { .. })
    });
    lab.cli(&["promote", "--full", name]).ok();
    lab.until_status(name, "v3 is stable and v2 has left", |status| {
        status.phase == Phase::Healthy && status.leaving.is_empty()
    });
    load.until_more(&lab, &before, COUNTED);
    let total = load.stop();
    eprintln!(
        "{} requests, {:?}, {:?} ms, {} lost",
        total.requests, total.versions, total.latency_ms, total.lost
    );
    total.assert_nothing_lost();
    assert!(total.requests >= COUNTED && total.of("v3") > 0, "{total:?}");
    lab.clean(name);
}

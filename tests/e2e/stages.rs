//! A rollout through its stages, and what the clients see of it.

use rolloutctl::api::{Phase, Step};

use crate::daemon::{Collector, Controller};
use crate::lab::Lab;
use crate::load::{Load, Options};
use crate::manifest::{Manifest, gate};

/// How many requests are counted in each stage.
const COUNTED: u64 = 5_000;

#[test]
fn traffic_2_the_clients_see_each_stage_s_share_to_within_one_point() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let name = "web-1";
    let weights = [5, 33, 50];
    let v1 = Manifest::new(&lab, name)
        .replicas(4)
        .stages(weights.map(gate));
    v1.apply(&lab);
    let stable = lab
        .until_healthy(name)
        .stable_revision
        .expect("a stable revision");
    let load = Load::start(&lab, name, &Options::quick(1_000));

    v1.clone().version("v2").apply(&lab);
    for (stage, weight) in (0..).zip(weights) {
        let status = lab.until_status(name, "runs the next stage", |status| {
            status.stage == stage && matches!(status.step, Step::Running { .. })
        });
        let canary = status.canary_revision.expect("a canary").to_string();
        let shares = lab.shares(name, &canary);
        assert_eq!(shares.len(), 2, "{shares:?}");
        let before = load.totals(&lab);
        let counted = load
            .until_more(&lab, &before, COUNTED)
            .share_since(&before, "v2");
        eprintln!(
            "stage {stage}: {weight} % wanted, {shares:?} by weights, {counted:.2} % counted"
        );
        for share in shares.values() {
            assert!((share - f64::from(weight)).abs() < 0.5, "{shares:?}");
            assert!(
                (share - counted).abs() <= 1.0,
                "{shares:?}, counted {counted}"
            );
        }
        lab.cli(&["promote", name]).ok();
    }

    let done = lab.until_status(name, "v2 is stable and v1 has left", |status| {
        status.phase == Phase::Healthy && status.leaving.is_empty()
    });
    assert_ne!(done.stable_revision.as_ref(), Some(&stable));
    let listed = lab.docker(&["service", "ls", "--format", "{{.Name}} {{.Replicas}}"]);
    assert!(
        listed.contains(&format!("{name}-{stable} 0/0")),
        "v1's service is kept, without tasks: {listed}"
    );
    let before = load.totals(&lab);
    let after = load.until_more(&lab, &before, 1_000);
    assert!((after.share_since(&before, "v2") - 100.0).abs() < f64::EPSILON);
    let total = load.stop();
    eprintln!("{} requests, {:?}", total.requests, total.latency_ms);
    total.assert_nothing_lost();
    lab.clean(name);
}

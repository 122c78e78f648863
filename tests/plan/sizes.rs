//! TRAFFIC-1: a share is never above what the ready tasks were sized for.

use rolloutctl::api::{Revision, Step, Verb};
use rolloutctl::snapshot::{CheckState, OperationalState};
use serde_json::json;

use crate::toy::{BACKEND, Toy, held, spec, staged};

#[test]
fn traffic_1_the_share_shrinks_with_the_canarys_ready_tasks() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let v2 = toy.revision("v2");
    assert_eq!(toy.share(&v2), [50.0, 50.0]);
    one_canary_fails(&mut toy, &v2);
    for share in toy.share(&v2) {
        assert!((share - 100.0 / 3.0).abs() < 0.1, "share {share}");
    }
}

/// One of three canaries fails its checks everywhere: two thirds of the capacity, two thirds of the share.
fn one_canary_fails(toy: &mut Toy, canary: &Revision) {
    for proxy in toy.proxies() {
        let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
        let (_, down) = servers
            .iter_mut()
            .find(|(name, _)| name.starts_with(canary.as_str()))
            .expect("a canary");
        down.check = CheckState::Failed;
        down.operational = OperationalState::Stopped;
    }
    toy.turns(3);
}

#[test]
fn traffic_1_a_stage_of_more_tasks_than_the_rollout_has_is_sized_for_them_also_when_it_is_left() {
    let stages =
        json!([{"weight": 5, "replicas": 3}, {"weight": 24, "approval": true}, {"weight": 50}]);
    let mut next = staged(spec("v2"), &stages);
    next.replicas = 1;
    let mut toy = Toy::in_stage(next, 1);
    let v2 = toy.revision("v2");
    one_canary_fails(&mut toy, &v2);
    toy.command(Verb::Promote);
    toy.turns(20);
    assert_eq!((toy.status.stage, toy.status.step), (2, Step::Scaling));
    for share in toy.share(&v2) {
        assert!((share - 16.0).abs() < 0.2, "share {share}");
    }
}

#[test]
fn traffic_3_a_stage_begins_with_its_share_also_when_the_one_before_had_more_tasks() {
    let mut first = staged(
        spec("v2"),
        &json!([{"weight": 11, "replicas": 3, "bake": "9s"}]),
    );
    first.replicas = 2;
    let mut toy = Toy::in_stage(first.clone(), 0);
    let v2 = toy.revision("v2");
    toy.until("the stage is left", |toy| toy.status.stage == 1);
    assert_eq!(toy.replicas(&v2), Some(2), "one of its tasks goes");
    // The canary's next task does not start for now.
    toy.broken.insert(v2.clone());
    let mut next = staged(
        first,
        &json!([{"weight": 14}, {"weight": 22, "approval": true}]),
    );
    next.replicas = 6;
    toy.apply(next);
    let mut shown = Vec::new();
    while !matches!(toy.status.step, Step::Running { .. }) {
        shown = toy.share(&v2);
        toy.turn();
    }
    assert_eq!((toy.status.stage, toy.status.weight), (1, 22));
    for share in shown {
        assert!((share - 22.0).abs() < 1.0, "it began at {share} %");
    }
}

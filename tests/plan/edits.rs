//! Stages and strategies that are edited under a running attempt: what has been given is not given to fewer tasks, and no
//! gate is passed by an edit.

use rolloutctl::api::{Phase, RolloutSpec, Step, Verb};
use rolloutctl::plan::SpecProblem;
use serde_json::{Value, json};

use crate::toy::{Toy, measured, name, spec, staged};

/// `spec` with another strategy than its own.
fn by(mut spec: RolloutSpec, strategy: &Value) -> RolloutSpec {
    spec.strategy = serde_json::from_value(strategy.clone()).expect("a strategy");
    spec
}

/// v2 in a stage of 50 %, with three of six tasks, paused by somebody.
fn paused_at_half() -> Toy {
    let stages = json!([{"weight": 5}, {"weight": 50, "approval": true}]);
    let mut toy = Toy::in_stage(staged(spec("v2"), &stages), 1);
    let v2 = toy.revision("v2");
    assert_eq!(
        (toy.replicas(&v2), toy.share(&v2)),
        (Some(3), vec![50.0, 50.0])
    );
    toy.command(Verb::Pause);
    toy.turns(2);
    toy
}

/// The same stage with less traffic.
fn smaller(spec: RolloutSpec) -> RolloutSpec {
    staged(
        spec,
        &json!([{"weight": 5}, {"weight": 10, "approval": true}]),
    )
}

#[test]
fn traffic_1_a_paused_stage_that_becomes_smaller_gives_traffic_back_before_it_gives_tasks_up() {
    let mut toy = paused_at_half();
    let v2 = toy.revision("v2");
    toy.apply(smaller(spec("v2")));
    toy.turn();
    let lowered = toy.share(&v2);
    assert!(lowered[0] < 11.0, "taken at once: {lowered:?} %");
    toy.turns(100);
    assert_eq!(toy.status.phase, Phase::Paused);
    assert_eq!(toy.replicas(&v2), Some(3), "nobody has seen it everywhere");
    toy.command(Verb::Resume);
    toy.until("the smaller stage runs", |toy| {
        matches!(toy.status.step, Step::Running { .. })
    });
    toy.turns(5);
    assert_eq!(toy.replicas(&v2), Some(1));
    assert!((toy.share(&v2)[0] - 10.0).abs() < 0.5);
}

#[test]
fn traffic_1_a_proxy_that_does_not_answer_keeps_the_tasks_that_it_may_still_send_half_of_all_to() {
    let stages = json!([{"weight": 5}, {"weight": 50, "approval": true}]);
    let mut toy = Toy::in_stage(staged(spec("v2"), &stages), 1);
    let v2 = toy.revision("v2");
    toy.cut_off("lb-2");
    toy.apply(smaller(spec("v2")));
    toy.turns(100);
    assert_eq!(toy.replicas(&v2), Some(3));
}

#[test]
fn traffic_1_a_smaller_stage_of_a_spec_that_cannot_be_carried_out_takes_no_tasks() {
    let mut toy = paused_at_half();
    let v2 = toy.revision("v2");
    toy.resources.metric_sources.clear();
    toy.apply(smaller(measured("v2")));
    toy.turns(100);
    assert_eq!(toy.status.phase, Phase::Degraded, "{}", toy.status.message);
    assert_eq!(
        (toy.replicas(&v2), toy.share(&v2)),
        (Some(3), vec![50.0, 50.0])
    );
}

#[test]
fn traffic_1_a_switch_that_becomes_a_canary_keeps_its_tasks_until_it_has_given_the_traffic_back() {
    let mut toy = Toy::stable(spec("v1"));
    let switched = json!({"blueGreen": {"postPromotion": {"approval": true}}});
    toy.apply(by(spec("v2"), &switched));
    let v2 = toy.revision("v2");
    toy.until("it has switched", |toy| {
        toy.status.stage == 1 && matches!(toy.status.step, Step::Running { .. })
    });
    toy.command(Verb::Pause);
    toy.turns(2);
    toy.apply(spec("v2"));
    toy.turns(100);
    let share = toy.share(&v2);
    assert!(share[0] < 34.0, "{share:?} %");
    assert_eq!(toy.replicas(&v2), Some(6));
}

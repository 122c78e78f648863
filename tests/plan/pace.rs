//! When the planner wants to look again: never without a pause, for whoever must decide takes his time.

use rolloutctl::api::{Duration, OnFailure, PauseReason, Phase};
use rolloutctl::snapshot::SampleOutcome;
use serde_json::json;

use crate::toy::{Toy, measured, name, spec, staged};

/// An hour later nothing is done, and the next look is not at once.
fn rests(toy: &mut Toy) {
    toy.turns(3);
    for _ in 0..3 {
        toy.wait(Duration::from_secs(3600));
        let plan = toy.plan();
        assert!(plan.actions.is_empty(), "{:?}", plan.actions);
        let next = plan.requeue_at;
        assert!(
            next.is_none_or(|at| at > toy.now),
            "{next:?}, and it is {}",
            toy.now
        );
    }
}

#[test]
fn safety_5_a_stage_that_has_failed_is_not_looked_at_without_a_pause() {
    let mut spec = measured("v2");
    spec.on_failure = OnFailure::Pause;
    let mut toy = Toy::in_stage(spec, 0);
    toy.answer = SampleOutcome::Value(0.9);
    toy.until("paused", |toy| toy.status.phase == Phase::Paused);
    let pause = toy.status.pause.as_ref().map(|pause| pause.reason);
    assert_eq!(pause, Some(PauseReason::Failure));
    rests(&mut toy);
    assert_eq!(toy.plan().requeue_at, None, "nothing is measured");
}

#[test]
fn safety_5_a_stage_that_cannot_be_judged_is_not_looked_at_without_a_pause() {
    let mut toy = Toy::in_stage(measured("v2"), 0);
    toy.answer = SampleOutcome::Error("no route to host".to_owned());
    for _ in 0..10 {
        toy.wait(Duration::from_secs(10));
        toy.turns(3);
    }
    let pause = toy.status.pause.as_ref().map(|pause| pause.reason);
    assert_eq!(pause, Some(PauseReason::Inconclusive));
    rests(&mut toy);
}

#[test]
fn safety_5_a_stage_whose_source_is_gone_is_not_looked_at_without_a_pause() {
    let stages = json!([{"weight": 20, "bake": "1h"}]);
    let mut toy = Toy::in_stage(staged(measured("v2"), &stages), 0);
    toy.turns(3);
    toy.resources.metric_sources.clear();
    rests(&mut toy);
}

#[test]
fn safety_3_a_service_that_cannot_be_put_back_is_not_looked_at_without_a_pause() {
    let mut toy = Toy::stable(spec("v1"));
    let service = toy.revision("v1").service_name(&name("news-web"));
    let drifts = |toy: &mut Toy| toy.service(&service).drift = Some("its image".to_owned());
    drifts(&mut toy);
    toy.turn();
    for _ in 0..5 {
        // Refused: it is still as another hand made it, at the same version.
        drifts(&mut toy);
        toy.wait(Duration::from_secs(10));
        let plan = toy.plan();
        assert_eq!(plan.status, toy.status, "nothing is decided");
        let next = plan.requeue_at;
        assert!(
            next.is_none_or(|at| at > toy.now),
            "{next:?}, and it is {}",
            toy.now
        );
    }
}

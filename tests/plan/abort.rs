//! ABORT rules.

use rolloutctl::api::{OnFailure, Phase, Verb, WaitingOn};
use rolloutctl::snapshot::SampleOutcome;

use crate::toy::{Checks, Toy, held, measured, spec, staged};

#[test]
fn abort_1_stable_has_all_the_traffic_in_the_turn_of_the_decision() {
    let mut toy = Toy::in_stage(measured("v2"), 1);
    let v1 = toy.revision("v1");
    toy.command(Verb::Abort);
    let plan = toy.turn();
    assert_eq!(plan.status.phase, Phase::Degraded);
    assert_eq!(toy.share(&v1), [100.0, 100.0]);
}

#[test]
fn abort_1_it_does_not_wait_for_an_instance_that_is_down() {
    let mut toy = Toy::in_stage(measured("v2"), 1);
    let v1 = toy.revision("v1");
    toy.cut_off("lb-2");
    toy.command(Verb::Abort);
    toy.turn();
    assert_eq!(toy.share(&v1), [100.0]);
    let v2 = toy.revision("v2");
    toy.turns(200);
    assert!(
        toy.replicas(&v2) > Some(0),
        "TRAFFIC-4: lb-2 may still send requests to it"
    );
}

#[test]
fn abort_1_what_serves_on_as_stable_is_down_is_told() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.lose_tasks_of(&v1);
    toy.turns(3);
    toy.command(Verb::Abort);
    toy.turns(200);
    assert_eq!(
        toy.share(&v2),
        [100.0, 100.0],
        "TRAFFIC-5: nobody else is up"
    );
    let waiting = toy.status.waiting_on.clone();
    assert!(
        matches!(&waiting, Some(WaitingOn::Tasks { revision, .. }) if *revision == v1),
        "{waiting:?}"
    );
    let message = &toy.status.message;
    assert!(message.contains("serves on"), "{message}");
    toy.broken.clear();
    toy.until("stable serves", |toy| {
        toy.status.waiting_on == Some(WaitingOn::Retry)
    });
    assert!(
        !toy.status.message.contains("serves on"),
        "{}",
        toy.status.message
    );
}

#[test]
fn abort_1_a_server_of_stable_whose_task_died_is_nothing_that_leaves() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let v1 = toy.revision("v1");
    toy.command(Verb::Abort);
    toy.until("it rests", |toy| {
        toy.status.waiting_on == Some(WaitingOn::Retry)
    });
    toy.lose_tasks_of(&v1);
    toy.turn_of_proxies(Checks::Pass);
    assert!(
        !toy.status.message.contains("serves on"),
        "{}",
        toy.status.message
    );
}

#[test]
fn abort_2_the_same_bad_template_is_not_tried_again_by_itself() {
    let mut toy = Toy::in_stage(measured("v2"), 1);
    toy.answer = SampleOutcome::Value(0.05);
    toy.until("it is aborted", |toy| toy.status.phase == Phase::Degraded);
    assert!(
        toy.status.message.contains("0.0500"),
        "{}",
        toy.status.message
    );
    toy.until("it waits", |toy| {
        toy.status.waiting_on == Some(WaitingOn::Retry)
    });
    let mut again = measured("v2");
    again.replicas = 5;
    toy.apply(again);
    toy.turns(50);
    assert_eq!((toy.status.phase, toy.status.attempt), (Phase::Degraded, 2));
    toy.answer = SampleOutcome::Value(0.0);
    toy.command(Verb::Retry);
    let v2 = toy.revision("v2");
    toy.until("the retry makes it stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
    assert_eq!(toy.status.attempt, 3);
}

#[test]
fn abort_2_the_stable_template_clears_the_abort() {
    let mut toy = Toy::in_stage(measured("v2"), 1);
    toy.command(Verb::Abort);
    toy.turns(3);
    toy.apply(spec("v1"));
    toy.until("all is well", |toy| toy.status.phase == Phase::Healthy);
}

#[test]
fn abort_3_a_verdict_is_final() {
    let mut toy = Toy::in_stage(measured("v2"), 1);
    toy.answer = SampleOutcome::Value(0.05);
    toy.until("it is aborted", |toy| toy.status.phase == Phase::Degraded);
    toy.answer = SampleOutcome::Value(0.0);
    toy.turns(500);
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn abort_3_a_failed_stage_that_pauses_cannot_be_resumed() {
    let mut toy = Toy::stable(spec("v1"));
    let mut next = measured("v2");
    next.on_failure = OnFailure::Pause;
    toy.answer = SampleOutcome::Value(0.05);
    toy.apply(next);
    toy.until("it is paused", |toy| toy.status.phase == Phase::Paused);
    toy.answer = SampleOutcome::Value(0.0);
    toy.command(Verb::Resume);
    toy.turns(200);
    assert_eq!(toy.status.phase, Phase::Paused);
    toy.command(Verb::Abort);
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
}

/// v2 in a stage of 50 %, with three tasks, that has failed its measurement; one proxy does not answer.
fn failed_at_half(on_failure: OnFailure) -> Toy {
    let stages = serde_json::json!([{"weight": 5}, {"weight": 50}]);
    let mut next = staged(measured("v2"), &stages);
    next.on_failure = on_failure;
    let mut toy = Toy::in_stage(next, 1);
    toy.cut_off("lb-2");
    toy.answer = SampleOutcome::Value(0.05);
    toy.until("it has failed", |toy| {
        matches!(toy.status.phase, Phase::Paused | Phase::Degraded)
    });
    toy
}

#[test]
fn traffic_4_what_is_tried_again_keeps_the_tasks_that_a_silent_proxy_may_still_send_half_of_all_to()
{
    for on_failure in [OnFailure::Pause, OnFailure::Rollback] {
        let mut toy = failed_at_half(on_failure);
        let v2 = toy.revision("v2");
        toy.answer = SampleOutcome::Value(0.0);
        toy.command(Verb::Retry);
        toy.turns(20);
        assert_eq!((toy.status.attempt, toy.status.stage), (3, 0));
        assert_eq!(toy.replicas(&v2), Some(3), "{on_failure:?}");
    }
}

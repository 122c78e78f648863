//! Stages, strategies and metrics that are edited under a running attempt: what has been given is not given to fewer tasks,
//! no gate is passed by an edit, and what was measured says nothing of another metric.

use rolloutctl::api::{
    CommandOutcome, Duration, OnFailure, Phase, RolloutSpec, Step, Strategy, Verb,
};
use rolloutctl::snapshot::{JobState, SampleOutcome};
use serde_json::{Value, json};

use crate::toy::{Toy, held, measured, spec, staged};

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

/// v2 held for approval in the second of three stages.
fn held_at_a_third() -> Toy {
    let stages = json!([{"weight": 5}, {"weight": 33, "approval": true}, {"weight": 50}]);
    Toy::in_stage(staged(spec("v2"), &stages), 1)
}

/// Whatever turns come, v2 does not get all the traffic.
fn is_held(toy: &mut Toy) {
    let v2 = toy.revision("v2");
    for _ in 0..200 {
        toy.turn();
        let (share, message) = (toy.share(&v2), &toy.status.message);
        assert_ne!(
            share,
            [100.0, 100.0],
            "all of it, which nobody approved; {message}"
        );
    }
    assert_eq!(toy.status.phase, Phase::Paused, "{}", toy.status.message);
}

#[test]
fn progress_7_a_canary_that_becomes_a_rollover_on_its_way_begins_with_the_first_gate() {
    let mut toy = held_at_a_third();
    let gates = json!({"prePromotion": {"approval": true}, "postPromotion": {"bake": "1h"}});
    toy.apply(by(spec("v2"), &json!({"blueGreen": gates})));
    let v2 = toy.revision("v2");
    toy.turn();
    assert_eq!((toy.status.attempt, toy.status.stage), (2, 0));
    assert_eq!(toy.share(&v2), [0.0, 0.0]);
    is_held(&mut toy);
    assert_eq!(toy.replicas(&v2), Some(6));
    toy.command(Verb::Promote);
    toy.until("it has switched", |toy| {
        toy.status.stage == 1 && matches!(toy.status.step, Step::Running { .. })
    });
}

#[test]
fn progress_4_fewer_stages_than_an_attempt_has_come_to_pass_no_approval() {
    let mut toy = held_at_a_third();
    let one = json!([{"weight": 33, "approval": true}]);
    toy.apply(staged(spec("v2"), &one));
    is_held(&mut toy);
    assert_eq!((toy.status.attempt, toy.status.stage), (2, 0));
    let v2 = toy.revision("v2");
    toy.command(Verb::Promote);
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

#[test]
fn progress_4_what_has_passed_all_stages_is_not_sent_back_by_fewer_of_them() {
    // All of its tasks are to come, which takes time.
    let mut toy = Toy::in_stage(spec("v2"), 2);
    toy.command(Verb::Promote);
    toy.turn();
    assert_eq!(toy.status.stage, 3);
    toy.apply(staged(
        spec("v2"),
        &json!([{"weight": 5, "approval": true}]),
    ));
    let v2 = toy.revision("v2");
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

/// v2 in a stage of ten minutes whose only metric, `tests`, is measured so.
fn tested(measured: &Value) -> RolloutSpec {
    let mut metric = json!({"name": "tests"});
    let fields = metric.as_object_mut().expect("a metric");
    fields.extend(measured.as_object().expect("fields").clone());
    let analysis = json!({"interval": "10s", "metrics": [metric]});
    staged(
        spec("v2"),
        &json!([{"weight": 20, "bake": "10m", "analysis": analysis}]),
    )
}

fn by_job(image: &str) -> RolloutSpec {
    tested(&json!({"job": {"template": {"image": image}, "timeLimit": "1m"}}))
}

fn by_query(max: f64) -> RolloutSpec {
    tested(&json!({"query": "SELECT {{ window }}", "max": max, "source": "main"}))
}

/// The job `tests:1` has passed.
fn passed_by_job() -> Toy {
    let mut toy = Toy::in_stage(by_job("tests:1"), 0);
    toy.until("its job is started", |toy| !toy.started.is_empty());
    let at = toy.now;
    for job in toy.snapshot.jobs.values_mut() {
        job.state = JobState::Ended { exit_code: 0, at };
    }
    toy.until("it has passed", |toy| toy.status.measurements[0].valid == 1);
    toy
}

#[test]
fn analysis_5_a_metric_that_is_asked_by_a_query_now_does_not_pass_by_its_former_job() {
    let mut toy = passed_by_job();
    toy.apply(by_query(0.5));
    toy.answer = SampleOutcome::Value(0.9);
    toy.wait(Duration::from_secs(600));
    toy.until("it has failed", |toy| toy.status.phase == Phase::Degraded);
    assert_eq!(toy.asked.len(), 1);
}

#[test]
fn analysis_5_other_bounds_are_not_kept_by_what_was_measured_before() {
    let mut toy = Toy::in_stage(by_query(0.5), 0);
    toy.wait(Duration::from_secs(20));
    toy.until("it passes", |toy| {
        toy.status.measurements.iter().any(|it| it.valid == 1)
    });
    toy.apply(by_query(0.1));
    toy.turn();
    assert_eq!(toy.status.measurements[0].valid, 0);
    // How often is no matter of what was measured.
    let mut toy = passed_by_job();
    let mut patient = by_job("tests:1");
    let Strategy::Canary(canary) = &mut patient.strategy else {
        panic!("a canary");
    };
    let analysis = canary.stages[0].analysis.as_mut().expect("an analysis");
    analysis.metrics[0].failure_limit = 3;
    toy.apply(patient);
    toy.turn();
    assert_eq!(toy.status.measurements[0].valid, 1);
}

#[test]
fn analysis_6_a_job_that_has_passed_is_run_again_once_it_has_an_interval() {
    let mut toy = passed_by_job();
    toy.turns(200);
    assert_eq!(toy.started.len(), 1);
    let again = json!({
        "job": {"template": {"image": "tests:1"}, "timeLimit": "1m"}, "interval": "10s"
    });
    toy.apply(tested(&again));
    toy.turns(200);
    assert_eq!(toy.started.len(), 2);
}

#[test]
fn analysis_6_another_job_under_the_same_name_is_run() {
    let mut toy = passed_by_job();
    toy.apply(by_job("tests:2"));
    toy.until("it is started", |toy| toy.started.len() == 2);
    assert_eq!(toy.started[1].template.image, "tests:2");
    // One that runs is of no use once it is another one again.
    toy.apply(by_job("tests:3"));
    toy.until("it is started", |toy| toy.started.len() == 3);
    assert_eq!(toy.snapshot.jobs.len(), 1, "never two at once");
    toy.wait(Duration::from_secs(30));
    toy.turns(3);
    assert_eq!(toy.status.measurements[0].taken, 0, "it runs still");
}

/// `spec` in one long stage, with these of its metric.
fn measured_by(terms: &Value) -> RolloutSpec {
    let mut spec = staged(measured("v2"), &json!([{"weight": 50, "bake": "1h"}]));
    let mut analysis = serde_json::to_value(&spec.analysis).expect("an analysis");
    for (key, value) in terms.as_object().expect("terms") {
        analysis["metrics"][0][key] = value.clone();
    }
    spec.analysis = serde_json::from_value(analysis).expect("an analysis");
    spec
}

#[test]
fn progress_4_a_shorter_interval_applies_to_what_is_measured_already() {
    let mut toy = Toy::in_stage(measured_by(&json!({"interval": "1d"})), 0);
    toy.turns(300);
    assert_eq!(toy.asked.len(), 0, "not before tomorrow");
    toy.apply(measured_by(&json!({"interval": "10s"})));
    toy.turns(300);
    assert!(toy.asked.len() >= 2, "{:?}", toy.status.measurements);
}

#[test]
fn analysis_5_a_lower_failure_limit_applies_to_what_was_measured_already() {
    let mut toy = Toy::in_stage(measured_by(&json!({"failureLimit": 5})), 0);
    toy.answer = SampleOutcome::Value(0.05);
    toy.until("three have failed", |toy| {
        let mut records = toy.status.measurements.iter();
        records.any(|record| record.failed == 3)
    });
    toy.answer = SampleOutcome::Value(0.0);
    toy.turns(200);
    assert_eq!(toy.status.phase, Phase::Progressing);
    toy.apply(measured_by(&json!({"failureLimit": 2})));
    toy.turns(2);
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn abort_3_a_metric_that_has_failed_stays_so_whatever_it_becomes() {
    let mut spec = by_query(0.5);
    spec.on_failure = OnFailure::Pause;
    let mut toy = Toy::in_stage(spec, 0);
    toy.answer = SampleOutcome::Value(0.9);
    toy.until("it has failed", |toy| toy.status.phase == Phase::Paused);
    let mut spec = by_query(1.0);
    spec.on_failure = OnFailure::Pause;
    toy.apply(spec);
    toy.command(Verb::Resume);
    toy.turns(20);
    assert_eq!(toy.status.phase, Phase::Paused);
    assert_eq!(toy.status.measurements[0].failed, 1);
}

#[test]
fn progress_6_what_leads_on_is_refused_if_the_spec_was_edited_since() {
    let edits = [
        by(
            spec("v2"),
            &json!({"blueGreen": {"prePromotion": {"approval": true}}}),
        ),
        staged(
            spec("v2"),
            &json!([{"weight": 50, "approval": true}, {"weight": 80, "approval": true}]),
        ),
    ];
    for edit in edits {
        for verb in [Verb::Promote, Verb::PromoteFull] {
            let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
            toy.command(verb);
            toy.apply(edit.clone());
            toy.turn();
            let record = toy.status.last_command.as_ref().expect("an answer");
            assert!(
                matches!(record.outcome, CommandOutcome::Refused(_)),
                "its author approved of other stages: {record:?}"
            );
            assert_eq!(toy.status.stage, 0, "the gate is not passed");
        }
    }
}

#[test]
fn progress_6_what_takes_back_or_holds_is_done_although_the_spec_was_edited_since() {
    for verb in [Verb::Pause, Verb::Abort] {
        let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
        toy.command(verb);
        toy.apply(by(spec("v2"), &json!({"blueGreen": {}})));
        toy.turn();
        let record = toy.status.last_command.as_ref().expect("an answer");
        assert_eq!(record.outcome, CommandOutcome::Applied);
    }
}

#[test]
fn progress_6_a_command_for_a_stage_that_was_over_is_refused_although_an_edit_gives_its_number_to_another()
 {
    let mut toy = paused_at_half();
    toy.command_for(Verb::Abort, toy.status.attempt, 0);
    toy.apply(by(spec("v2"), &json!({"blueGreen": {}})));
    toy.turn();
    assert_eq!(toy.status.stage, 0, "the edit leads there");
    let record = toy.status.last_command.as_ref().expect("an answer");
    assert!(matches!(record.outcome, CommandOutcome::Refused(_)));
    assert_eq!(toy.status.abort, None);
}

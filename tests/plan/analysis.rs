//! ANALYSIS rules.

use rolloutctl::api::{
    Duration, MetricBy, MetricQuery, NoData, PauseReason, Phase, RolloutSpec, Step, Strategy, Verb,
    WaitingOn,
};
use rolloutctl::snapshot::SampleOutcome;

use crate::toy::{Toy, held, measured, spec, staged};

/// The query of the first metric.
fn query(spec: &mut RolloutSpec) -> &mut MetricQuery {
    let analysis = spec.analysis.as_mut().expect("an analysis");
    match &mut analysis.metrics[0].by {
        MetricBy::Query(query) => query,
        MetricBy::Job(job) => panic!("no query, but {job:?}"),
    }
}

fn measuring(answer: SampleOutcome) -> Toy {
    let mut toy = Toy::in_stage(measured("v2"), 0);
    toy.answer = answer;
    toy
}

#[test]
fn analysis_1_no_data_is_neither_success_nor_failure() {
    let mut toy = measuring(SampleOutcome::NoData);
    toy.turns(1_000);
    assert_eq!(
        (toy.status.stage, toy.status.phase),
        (0, Phase::Progressing)
    );
    assert!(
        matches!(toy.status.waiting_on, Some(WaitingOn::Data { .. })),
        "{:?}",
        toy.status.waiting_on
    );
    toy.answer = SampleOutcome::Value(0.0);
    toy.until("it goes on", |toy| toy.status.stage == 1);
}

#[test]
fn analysis_1_a_source_that_falls_silent_in_the_stage_holds_it() {
    let next = serde_json::json!([{"weight": 5, "bake": "1m"}]);
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(staged(measured("v2"), &next));
    toy.until("a value was measured", |toy| {
        toy.status
            .measurements
            .iter()
            .any(|record| record.valid > 0)
    });
    toy.answer = SampleOutcome::NoData;
    toy.turns(1_000);
    assert_eq!(toy.status.stage, 0, "the bake is over, and nobody knows");
    assert!(
        matches!(toy.status.waiting_on, Some(WaitingOn::Data { .. })),
        "{:?}",
        toy.status.waiting_on
    );
    toy.answer = SampleOutcome::Value(0.0);
    toy.until("it goes on", |toy| toy.status.stage == 1);
}

#[test]
fn analysis_1_no_data_fails_or_is_waived_where_the_spec_says_so() {
    let with = |no_data| {
        let mut toy = Toy::stable(spec("v1"));
        toy.answer = SampleOutcome::NoData;
        let mut next = measured("v2");
        query(&mut next).no_data = no_data;
        toy.apply(next);
        toy.until("it is over", |toy| {
            toy.status.observed_generation == 2 && toy.status.step == Step::Idle
        });
        toy
    };
    assert_eq!(with(NoData::Fail).status.phase, Phase::Degraded);
    let waived = with(NoData::Skip);
    assert_eq!(waived.status.stable_revision, Some(waived.revision("v2")));
}

#[test]
fn analysis_2_windows_lie_inside_the_stage_and_behind_the_lag() {
    let mut toy = Toy::stable(spec("v1"));
    let mut next = measured("v2");
    query(&mut next).window = Some(Duration::from_secs(60));
    let next = staged(next, &serde_json::json!([{"weight": 5, "bake": "2m"}]));
    toy.apply(next);
    let mut since = None;
    while toy.status.stage == 0 {
        if let Step::Running { since: began } = toy.status.step {
            since = Some(began);
        }
        let before = toy.asked.len();
        let now = toy.now;
        toy.turn();
        for question in &toy.asked[before..] {
            assert!(question.window.start >= since.expect("the stage began"));
            assert!(question.window.end <= Duration::from_secs(2).before(now));
            assert!(
                Duration::between(question.window.start, question.window.end)
                    <= Duration::from_secs(60)
            );
        }
    }
    assert!(toy.asked.len() >= 10, "{} samples", toy.asked.len());
}

#[test]
fn analysis_3_a_source_that_fails_holds_and_then_pauses_but_never_promotes() {
    let mut toy = measuring(SampleOutcome::Error("connection refused".into()));
    toy.until("it waits for the source", |toy| {
        matches!(toy.status.waiting_on, Some(WaitingOn::Source { .. }))
    });
    assert_eq!(toy.status.stage, 0);
    toy.until("it is inconclusive", |toy| toy.status.pause.is_some());
    assert_eq!(
        toy.status.pause.as_ref().map(|pause| pause.reason),
        Some(PauseReason::Inconclusive)
    );
    assert_eq!(toy.asked.len(), 5, "the limit of 4 and one more");
    toy.turns(300);
    assert_eq!(
        (toy.asked.len(), toy.status.stage),
        (5, 0),
        "nobody is asked while it is paused"
    );
    toy.answer = SampleOutcome::Value(0.0);
    toy.command(Verb::Resume);
    toy.until("it goes on", |toy| toy.status.stage == 1);
}

#[test]
fn analysis_3_a_short_failure_only_delays() {
    let mut toy = measuring(SampleOutcome::Error("connection refused".into()));
    toy.until("it has failed twice", |toy| toy.asked.len() == 2);
    toy.answer = SampleOutcome::Value(0.0);
    let v2 = toy.revision("v2");
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

#[test]
fn analysis_5_a_stage_without_bake_waits_for_its_first_measurement() {
    let mut toy = measuring(SampleOutcome::Value(0.0));
    toy.turns(100);
    assert_eq!(
        toy.status.stage, 0,
        "the first sample is due after interval and lag"
    );
    toy.turns(25);
    assert_eq!(toy.status.stage, 1);
}

#[test]
fn a_tolerated_failure_does_not_abort() {
    let mut toy = Toy::stable(spec("v1"));
    let mut next = measured("v2");
    next.analysis.as_mut().expect("an analysis").metrics[0].failure_limit = 2;
    let next = staged(next, &serde_json::json!([{"weight": 5, "bake": "1m"}]));
    toy.answer = SampleOutcome::Value(0.5);
    toy.apply(next);
    toy.until("two have failed", |toy| toy.asked.len() == 2);
    toy.answer = SampleOutcome::Value(0.0);
    let v2 = toy.revision("v2");
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

#[test]
fn progress_6_a_wait_for_approval_is_not_interrupted_by_further_samples() {
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(held(measured("v2"), 5));
    toy.until("it waits for approval", |toy| {
        toy.status.waiting_on == Some(WaitingOn::Approval)
    });
    for _ in 0..1_000 {
        toy.turn();
        assert_eq!(
            (toy.status.phase, &toy.status.waiting_on),
            (Phase::Paused, &Some(WaitingOn::Approval))
        );
    }
    assert!(toy.asked.len() > 3, "it was measured on meanwhile");
}

#[test]
fn analysis_3_a_waived_metric_whose_source_fails_holds_the_stage() {
    let mut toy = Toy::stable(spec("v1"));
    toy.answer = SampleOutcome::NoData;
    let mut next = measured("v2");
    query(&mut next).no_data = NoData::Skip;
    let next = staged(next, &serde_json::json!([{"weight": 5, "bake": "25s"}]));
    toy.apply(next);
    toy.until("there was no data", |toy| toy.asked.len() == 1);
    toy.answer = SampleOutcome::Error("connection refused".into());
    toy.until("the source failed", |toy| toy.asked.len() == 3);
    toy.turns(20);
    assert_eq!(toy.status.stage, 0);
}

#[test]
fn analysis_2_a_sample_from_before_the_stage_was_prepared_again_is_void() {
    let mut toy = measuring(SampleOutcome::Value(1.0));
    toy.wait(Duration::from_secs(20));
    toy.turn();
    assert_eq!(toy.asked.len(), 1, "a sample is on its way");
    let mut edited = measured("v2");
    let Strategy::Canary(canary) = &mut edited.strategy else {
        panic!("a canary");
    };
    canary.stages[0].weight = 10;
    toy.apply(edited);
    toy.until("the stage begins again", |toy| {
        toy.status.weight == 10 && matches!(toy.status.step, Step::Running { .. })
    });
    toy.turns(5);
    assert_eq!(toy.status.phase, Phase::Progressing);
    assert_eq!(toy.status.measurements[0].taken, 0);
}

#[test]
fn a_stage_without_metrics_is_not_said_to_be_measured() {
    for (spec, message) in [
        (crate::toy::spec("v2"), "the stage bakes"),
        (
            crate::toy::measured("v2"),
            "the stage bakes and is measured",
        ),
    ] {
        let mut baking = spec;
        let Strategy::Canary(canary) = &mut baking.strategy else {
            panic!("a canary");
        };
        canary.stages[0].bake = Some(Duration::from_secs(60));
        let mut toy = Toy::stable(crate::toy::spec("v1"));
        toy.apply(baking);
        toy.until("the first stage runs", |toy| {
            matches!(toy.status.step, Step::Running { .. })
        });
        toy.turn();
        assert_eq!(toy.status.message, message);
    }
}

//! ANALYSIS-6: metrics that are measured by a job.

use rolloutctl::action::Action;
use rolloutctl::api::{
    Dependents, Duration, MeasurementPhase, PauseReason, Phase, RolloutSpec, Step, Verb, WaitingOn,
};
use rolloutctl::snapshot::{JobFact, JobState, NodeId};
use serde_json::{Value, json};

use crate::toy::{Toy, name, spec, staged};

/// A rollout of `image` with one stage, in which a job is the only metric; `more` is what else that has.
fn tested(image: &str, more: &Value) -> RolloutSpec {
    let mut metric = json!({"name": "tests", "job": {
        "template": {"image": "tests:1", "networks": ["news"]}, "timeLimit": "1m",
    }});
    let fields = metric.as_object_mut().expect("a metric");
    fields.extend(more.as_object().expect("fields").clone());
    let analysis = json!({"metrics": [metric]});
    staged(
        spec(image),
        &json!([{"weight": 20, "bake": "1s", "analysis": analysis}]),
    )
}

/// In the stage whose job was just started.
fn started(more: &Value) -> Toy {
    let mut toy = Toy::in_stage(tested("v2", more), 0);
    toy.until("its job is started", |toy| !toy.started.is_empty());
    toy
}

fn job(toy: &mut Toy) -> &mut JobFact {
    toy.snapshot.jobs.values_mut().next().expect("a job")
}

fn running(toy: &mut Toy) {
    job(toy).state = JobState::Running {
        node: Some(NodeId::from("node")),
    };
}

fn ends_with(toy: &mut Toy, exit_code: i64) {
    let at = toy.now;
    job(toy).state = JobState::Ended { exit_code, at };
}

fn lost(toy: &mut Toy, problem: &str) {
    job(toy).state = JobState::Lost {
        problem: problem.to_owned(),
    };
}

#[test]
fn analysis_6_a_stage_passes_with_the_exit_code_0_of_its_job_and_not_before() {
    let mut toy = started(&json!({}));
    running(&mut toy);
    toy.turns(20);
    assert_eq!(toy.status.stage, 0);
    assert!(matches!(toy.status.step, Step::Running { .. }));
    let waits = toy.status.waiting_on.clone();
    let until = Duration::from_secs(60).after(job(&mut toy).created_at);
    let expected = WaitingOn::Job {
        metric: name("tests"),
        until: Some(until),
        problem: None,
    };
    assert_eq!(waits, Some(expected));
    ends_with(&mut toy, 0);
    toy.until("the rollout is healthy", |toy| {
        toy.status.phase == Phase::Healthy
    });
    assert_eq!(toy.started.len(), 1, "a job without an interval runs once");
    assert!(toy.snapshot.jobs.is_empty(), "nothing of it is left");
}

#[test]
fn analysis_6_a_job_that_fails_takes_the_traffic_back_and_its_log_is_told() {
    let mut toy = started(&json!({}));
    ends_with(&mut toy, 3);
    toy.until("it is aborted", |toy| toy.status.abort.is_some());
    let record = &toy.status.measurements[0];
    assert_eq!(record.phase, MeasurementPhase::Failed);
    assert_eq!(record.failures[0].exit_code, Some(3));
    assert_eq!(record.failures[0].log, ["the last line"]);
    let message = &toy.status.abort.as_ref().expect("an abort").message;
    assert!(
        message.contains("measured exit code 3, wanted exit code 0"),
        "{message}"
    );
    toy.turns(2);
    assert!(toy.snapshot.jobs.is_empty());
}

#[test]
fn analysis_6_a_job_that_runs_over_its_time_has_failed() {
    let mut toy = started(&json!({}));
    running(&mut toy);
    toy.wait(Duration::from_secs(61));
    toy.until("it is aborted", |toy| toy.status.abort.is_some());
    let message = &toy.status.abort.as_ref().expect("an abort").message;
    assert!(
        message.contains("no end within its time limit of 1m"),
        "{message}"
    );
    toy.turns(2);
    assert!(toy.snapshot.jobs.is_empty(), "it is not left running");
}

#[test]
fn analysis_6_a_job_that_ends_after_its_time_has_failed_though_nobody_looked_meanwhile() {
    let mut toy = started(&json!({}));
    toy.wait(Duration::from_secs(600));
    ends_with(&mut toy, 0);
    toy.until("it is aborted", |toy| toy.status.abort.is_some());
    let message = &toy.status.abort.as_ref().expect("an abort").message;
    assert!(
        message.contains("no end within its time limit"),
        "{message}"
    );
    // The clock of its node may be a little ahead.
    let mut toy = started(&json!({}));
    toy.wait(Duration::from_secs(62));
    ends_with(&mut toy, 0);
    toy.until("the rollout is healthy", |toy| {
        toy.status.phase == Phase::Healthy
    });
}

#[test]
fn analysis_6_a_tolerated_failure_is_tried_again_and_passes_nothing() {
    let mut toy = started(&json!({"failureLimit": 1}));
    ends_with(&mut toy, 1);
    toy.until("it is run again", |toy| toy.started.len() == 2);
    assert_eq!(toy.status.stage, 0);
    assert_ne!(toy.started[0].name(), toy.started[1].name());
    ends_with(&mut toy, 0);
    toy.until("the rollout is healthy", |toy| {
        toy.status.phase == Phase::Healthy
    });
}

#[test]
fn analysis_6_a_job_with_an_interval_is_run_again_after_its_end_and_never_twice_at_once() {
    let mut toy = Toy::in_stage(tested("v2", &json!({"interval": "20s"})), 0);
    toy.command(Verb::Pause);
    toy.until("its job is started", |toy| !toy.started.is_empty());
    running(&mut toy);
    toy.wait(Duration::from_secs(30));
    toy.turns(3);
    assert_eq!(toy.started.len(), 1, "it still runs");
    ends_with(&mut toy, 0);
    let ended = toy.now;
    toy.until("it is run again", |toy| toy.started.len() == 2);
    assert!(toy.now >= Duration::from_secs(20).after(ended));
    assert_eq!(toy.snapshot.jobs.len(), 1);
}

#[test]
fn analysis_6_what_cannot_be_run_is_an_error_and_pauses_as_inconclusive() {
    let mut toy = started(&json!({"consecutiveErrorLimit": 1}));
    lost(&mut toy, "No such image: tests:1");
    toy.until("it is tried again", |toy| toy.started.len() == 2);
    assert_eq!(toy.status.measurements[0].failed, 0);
    lost(&mut toy, "No such image: tests:1");
    toy.until("it is paused", |toy| toy.status.phase == Phase::Paused);
    let pause = toy.status.pause.clone().expect("a pause");
    assert_eq!(pause.reason, PauseReason::Inconclusive);
    assert_eq!(
        pause.message,
        "the job of metric `tests` could not be run 2 times in a row: No such image: tests:1"
    );
    toy.turns(2);
    assert!(toy.snapshot.jobs.is_empty());
    toy.command(Verb::Resume);
    toy.until("it is tried again", |toy| toy.started.len() == 3);
}

#[test]
fn analysis_6_a_job_that_failed_passes_nothing_when_an_inconclusive_pause_is_resumed() {
    let mut toy = started(&json!({"failureLimit": 2, "consecutiveErrorLimit": 0}));
    ends_with(&mut toy, 1);
    toy.until("it is tried again", |toy| toy.started.len() == 2);
    lost(&mut toy, "No such image: tests:1");
    toy.until("it is paused", |toy| toy.status.phase == Phase::Paused);
    toy.command(Verb::Resume);
    toy.until("it is tried again", |toy| toy.started.len() == 3);
    toy.turns(50);
    assert_eq!(toy.status.stage, 0);
}

#[test]
fn analysis_6_what_waits_for_a_node_for_all_its_time_is_no_failure() {
    let mut toy = started(&json!({"consecutiveErrorLimit": 0}));
    job(&mut toy).state = JobState::Waiting {
        problem: Some("no suitable node".to_owned()),
    };
    toy.turns(10);
    let waits = toy.status.waiting_on.clone().expect("it waits");
    assert!(waits.to_string().ends_with(": no suitable node"), "{waits}");
    toy.wait(Duration::from_secs(61));
    toy.until("it is paused", |toy| toy.status.phase == Phase::Paused);
    let reason = toy.status.pause.as_ref().map(|pause| pause.reason);
    assert_eq!(reason, Some(PauseReason::Inconclusive));
}

#[test]
fn analysis_6_a_job_on_a_node_that_is_down_is_not_said_to_have_failed() {
    let mut toy = started(&json!({"consecutiveErrorLimit": 0}));
    job(&mut toy).state = JobState::Running {
        node: Some(NodeId::from("lost")),
    };
    toy.wait(Duration::from_secs(61));
    toy.until("it is paused", |toy| toy.status.phase == Phase::Paused);
    assert_eq!(toy.status.measurements[0].failed, 0);
}

#[test]
fn analysis_6_what_the_engine_refuses_for_a_jobs_time_is_an_error() {
    let mut toy = Toy::in_stage(tested("v2", &json!({"consecutiveErrorLimit": 0})), 0);
    toy.turn();
    toy.snapshot.jobs.clear();
    toy.obstacle = Some("there is no Swarm network `news`".to_owned());
    let plan = toy.plan();
    let starts = |action: &Action| matches!(action, Action::StartJob(_));
    assert!(plan.actions.iter().any(starts));
    toy.wait(Duration::from_secs(61));
    let paused = toy.plan().status.pause.expect("a pause");
    assert!(
        paused.message.contains("there is no Swarm network"),
        "{}",
        paused.message
    );
}

#[test]
fn analysis_6_nothing_of_a_job_is_left_after_an_abort_a_promotion_or_a_deletion() {
    type Deed = fn(&mut Toy);
    let deeds: [(&str, Deed); 4] = [
        ("abort", |toy| toy.command(Verb::Abort)),
        ("promote", |toy| toy.command(Verb::PromoteFull)),
        ("another template", |toy| toy.apply(spec("v3"))),
        ("deletion", |toy| toy.delete(Dependents::Orphan)),
    ];
    for (what, deed) in deeds {
        let mut toy = started(&json!({}));
        running(&mut toy);
        toy.turn();
        deed(&mut toy);
        toy.turns(3);
        assert!(toy.snapshot.jobs.is_empty(), "after {what}");
        assert_eq!(toy.forgotten, what == "deletion", "{what}");
    }
}

/// What comes late, as after an answer that was lost, is of no stage at hand.
#[test]
fn analysis_6_a_job_that_comes_after_its_rollout_is_to_be_deleted_is_removed_first() {
    let mut toy = started(&json!({}));
    toy.delete(Dependents::Remove);
    let (kept_name, kept) = toy.snapshot.jobs.pop_first().expect("a job");
    toy.until("nothing else is left", |toy| {
        toy.snapshot.services.len() <= 1
    });
    toy.snapshot.jobs.insert(kept_name, kept);
    toy.until("it is forgotten", |toy| toy.forgotten);
    assert!(toy.snapshot.jobs.is_empty());
}

#[test]
fn analysis_6_a_job_is_told_what_it_checks() {
    let toy = started(&json!({}));
    let told = &toy.started[0].told;
    let canary = toy.status.canary_revision.as_ref().expect("a canary");
    let stable = toy.status.stable_revision.as_ref().expect("a stable");
    for (variable, value) in [
        ("ROLLOUTCTL_ROLLOUT", "news-web".to_owned()),
        (
            "ROLLOUTCTL_BACKEND",
            toy.spec.route().expect("a route").backend,
        ),
        ("ROLLOUTCTL_CANARY", canary.to_string()),
        ("ROLLOUTCTL_STABLE", stable.to_string()),
        ("ROLLOUTCTL_CANARY_SERVICE", format!("news-web-{canary}")),
        ("ROLLOUTCTL_STABLE_SERVICE", format!("news-web-{stable}")),
        ("ROLLOUTCTL_ATTEMPT", "2".to_owned()),
        ("ROLLOUTCTL_STAGE", "1".to_owned()),
        ("ROLLOUTCTL_METRIC", "tests".to_owned()),
    ] {
        assert_eq!(told.get(variable), Some(&value), "{variable}");
    }
    assert_eq!(told.len(), 9);
}

/// What one job says fits many times into what an object of the store may hold.
#[test]
fn analysis_6_a_status_with_many_logs_stays_small() {
    let metrics: Vec<Value> = (0..12)
        .map(|number| {
            json!({"name": format!("tests-{number}"), "failureLimit": 9, "interval": "1s",
                "job": {"template": {"image": "tests:1"}}})
        })
        .collect();
    let stages = json!([{"weight": 20, "approval": true, "analysis": {"metrics": metrics}}]);
    let mut toy = Toy::in_stage(staged(spec("v2"), &stages), 0);
    for _ in 0..150 {
        toy.turn();
        let now = toy.now;
        for job in toy.snapshot.jobs.values_mut() {
            job.state = JobState::Ended {
                exit_code: 1,
                at: now,
            };
        }
        for sample in &mut toy.snapshot.samples {
            if let rolloutctl::snapshot::SampleOutcome::Ran { log, .. } = &mut sample.outcome {
                *log = vec!["x".repeat(100); 20];
            }
        }
    }
    let mut records = toy.status.measurements.iter();
    assert!(records.all(|record| record.failed > 1));
    let stored = serde_json::to_string(&toy.status).expect("a status");
    let logs: usize = toy
        .status
        .measurements
        .iter()
        .flat_map(|record| record.recent.iter().chain(&record.failures))
        .map(|sample| sample.log.iter().map(String::len).sum::<usize>())
        .sum();
    assert!(logs > 0 && logs <= 16 * 1024, "{logs} bytes of logs");
    assert!(stored.len() < 64 * 1024, "{} bytes", stored.len());
}

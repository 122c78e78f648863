//! PROGRESS-7 and PROGRESS-8: the rollover, and the way back.

use rolloutctl::api::{
    AttemptOutcome, Duration, Phase, Revision, RolloutSpec, Step, Verb, WaitingOn,
};
use rolloutctl::snapshot::SampleOutcome;
use serde_json::{Value, json};

use crate::toy::{Toy, measured, spec};

/// `spec` with a rollover instead of its stages.
fn rollover(mut spec: RolloutSpec, terms: &Value) -> RolloutSpec {
    let strategy = json!({"blueGreen": terms});
    spec.strategy = serde_json::from_value(strategy).expect("a strategy");
    spec
}

/// A rollout of v1 that was rolled over to v2, which is stable; and both revisions.
fn rolled_over(terms: &Value) -> (Toy, Revision, Revision) {
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(rollover(spec("v2"), terms));
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.until("all is well", |toy| {
        toy.status.stable_revision == Some(v2.clone()) && toy.status.phase == Phase::Healthy
    });
    (toy, v1, v2)
}

/// The shares of a revision at both proxies are this.
fn all(toy: &mut Toy, revision: &Revision, percent: f64) -> bool {
    toy.share(revision) == [percent, percent]
}

#[test]
fn progress_7_a_rollover_is_whole_and_approved_before_its_one_switch() {
    let terms = json!({"prePromotion": {"approval": true}});
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(rollover(spec("v2"), &terms));
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.until("it waits for approval", |toy| {
        toy.status.waiting_on == Some(WaitingOn::Approval)
    });
    assert_eq!(toy.replicas(&v2), Some(6));
    assert!(all(&mut toy, &v1, 100.0));
    let mut seen = vec![toy.share(&v2)];
    toy.command(Verb::Promote);
    for _ in 0..50 {
        toy.turn();
        seen.push(toy.share(&v2));
    }
    seen.dedup();
    assert_eq!(
        seen,
        [[0.0, 0.0], [100.0, 100.0]],
        "nothing in between, and both in one turn"
    );
    assert_eq!(toy.status.stable_revision, Some(v2));
}

#[test]
fn progress_7_what_has_no_traffic_is_not_measured_by_the_rollouts_own_analysis() {
    let gate = json!({"metrics": [{"name": "smoke", "query": "SELECT {{ window }}", "max": 0.5}]});
    let terms = json!({"prePromotion": {"analysis": gate}, "postPromotion": {"bake": "20s"}});
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(rollover(measured("v2"), &terms));
    let v2 = toy.revision("v2");
    toy.until("it is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
    let in_stage = |stage| {
        let asked = toy
            .asked
            .iter()
            .filter(move |asked| asked.key.stage == stage);
        asked
            .map(|asked| asked.key.metric.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(in_stage(0), ["smoke"]);
    assert_eq!(in_stage(1), ["errors"]);
}

#[test]
fn progress_7_a_version_that_fails_after_the_switch_is_back_in_the_turn_of_the_verdict() {
    let terms = json!({"postPromotion": {"bake": "5m"}});
    let mut toy = Toy::stable(spec("v1"));
    toy.apply(rollover(measured("v2"), &terms));
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.until("it has switched", |toy| {
        toy.status.stage == 1 && matches!(toy.status.step, Step::Running { .. })
    });
    assert!(all(&mut toy, &v2, 100.0));
    assert_eq!(toy.replicas(&v1), Some(6), "the old one is whole still");
    toy.answer = SampleOutcome::Value(0.05);
    while toy.status.phase != Phase::Degraded {
        assert!(all(&mut toy, &v2, 100.0));
        toy.turn();
    }
    assert!(all(&mut toy, &v1, 100.0));
    assert!(
        toy.status.message.contains("in post-promotion"),
        "{}",
        toy.status.message
    );
}

#[test]
fn progress_8_what_was_stable_stays_warm_and_takes_all_back_in_one_turn() {
    let terms = json!({"scaleDownDelay": "1m"});
    let (mut toy, v1, v2) = rolled_over(&terms);
    toy.wait(Duration::from_secs(30));
    toy.turns(5);
    assert_eq!(toy.replicas(&v1), Some(6));
    toy.apply(rollover(spec("v1"), &terms));
    toy.turn();
    assert!(all(&mut toy, &v1, 100.0));
    toy.until("it is stable again", |toy| {
        toy.status.stable_revision == Some(v1.clone()) && toy.status.phase == Phase::Healthy
    });
    assert_eq!(toy.replicas(&v2), Some(6), "now that one is warm");
}

#[test]
fn progress_8_what_was_warm_for_its_time_leaves_and_the_rollout_stays_healthy() {
    let terms = json!({"scaleDownDelay": "1m"});
    let (mut toy, v1, _) = rolled_over(&terms);
    let plan = toy.plan();
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
    assert_eq!(
        plan.status, toy.status,
        "SAFETY-5: nothing is written while it is warm"
    );
    let until = *toy.status.warm.get(&v1).expect("it is warm");
    assert!(plan.requeue_at.is_some_and(|at| at <= until));
    toy.wait(Duration::from_secs(61));
    for _ in 0..200 {
        toy.turn();
        assert_eq!(toy.status.phase, Phase::Healthy, "{}", toy.status.message);
    }
    assert_eq!(toy.replicas(&v1), Some(0));
    assert!(toy.status.warm.is_empty() && toy.status.leaving.is_empty());
}

#[test]
fn progress_8_only_the_last_one_is_kept_warm() {
    let terms = json!({"scaleDownDelay": "1h"});
    let mut toy = Toy::stable(spec("v1"));
    for version in ["v2", "v3"] {
        toy.apply(rollover(spec(version), &terms));
        let wanted = toy.revision(version);
        toy.until("all is well", |toy| {
            toy.status.stable_revision == Some(wanted.clone()) && toy.status.phase == Phase::Healthy
        });
    }
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.until("the first one is gone", |toy| toy.status.leaving.is_empty());
    assert_eq!((toy.replicas(&v1), toy.replicas(&v2)), (Some(0), Some(6)));
}

#[test]
fn progress_8_what_served_within_the_rollback_window_comes_back_without_stages() {
    let windowed = |image| {
        let mut spec = spec(image);
        spec.rollback_window = serde_json::from_value(json!({"revisions": 1})).expect("a window");
        spec
    };
    let mut toy = Toy::stable(windowed("v1"));
    for version in ["v2", "v3"] {
        toy.apply(windowed(version));
        let wanted = toy.revision(version);
        toy.until("all is well", |toy| {
            toy.status.stable_revision == Some(wanted.clone()) && toy.status.phase == Phase::Healthy
        });
    }
    toy.apply(windowed("v2"));
    toy.turn();
    assert_eq!(toy.status.stage, 3, "past the last stage");
    let v2 = toy.revision("v2");
    toy.until("it is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone()) && toy.status.phase == Phase::Healthy
    });
    toy.apply(windowed("v1"));
    toy.turn();
    assert_eq!(
        toy.status.stage, 0,
        "v1 was stable before v3, which is one too many"
    );
}

#[test]
fn progress_8_a_deletion_drains_what_is_warm() {
    let terms = json!({"scaleDownDelay": "1h"});
    let (mut toy, ..) = rolled_over(&terms);
    toy.delete(rolloutctl::api::Dependents::Remove);
    toy.until("it is forgotten", |toy| toy.forgotten);
    assert!(toy.snapshot.services.is_empty());
}

#[test]
fn progress_8_failed_attempts_do_not_push_out_what_was_stable() {
    let limited = |image| {
        let mut spec = spec(image);
        spec.revision_history_limit = 1;
        spec
    };
    let mut toy = Toy::stable(limited("v1"));
    toy.apply(limited("v2"));
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone()) && toy.status.phase == Phase::Healthy
    });
    toy.apply(limited("v3"));
    toy.until("v3 is tried", |toy| {
        matches!(toy.status.step, Step::Running { .. })
    });
    toy.command(Verb::Abort);
    toy.turn();
    toy.until("v3 has left", |toy| toy.status.leaving.is_empty());
    toy.turns(20);
    let v3 = toy.revision("v3");
    assert_eq!((toy.replicas(&v1), toy.replicas(&v3)), (Some(0), None));
}

#[test]
fn progress_8_many_failed_attempts_do_not_push_out_of_the_history_what_was_stable() {
    let limited = |image| {
        let mut spec = spec(image);
        spec.revision_history_limit = 1;
        spec
    };
    let mut toy = Toy::stable(limited("v1"));
    toy.apply(limited("v2"));
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone()) && toy.status.phase == Phase::Healthy
    });
    toy.apply(limited("v3"));
    for _ in 0..20 {
        toy.until("v3 is tried", |toy| {
            matches!(toy.status.step, Step::Running { .. })
        });
        toy.command(Verb::Abort);
        toy.turn();
        toy.until("v3 has left", |toy| toy.status.leaving.is_empty());
        toy.turns(5);
        toy.command(Verb::Retry);
        toy.turn();
    }
    assert_eq!(toy.replicas(&v1), Some(0), "the way back is kept");
    let history = &toy.status.history;
    let stable: Vec<_> = history
        .iter()
        .filter(|entry| entry.outcome == AttemptOutcome::Completed)
        .map(|entry| entry.revision.clone())
        .collect();
    assert_eq!(stable, [v1, v2]);
    assert_eq!(history.len(), 12, "the last ten, and these");
}

//! PROGRESS-9 and PROGRESS-10: previews.

use rolloutctl::api::{
    AttemptOutcome, Dependents, Duration, Phase, Revision, RolloutSpec, Step, Verb, WaitingOn,
};
use rolloutctl::plan::AskedBy;
use rolloutctl::snapshot::SampleOutcome;
use serde_json::{Value, json};

use crate::toy::{BACKEND, Toy, spec};

/// `image` as a preview with two tasks.
fn preview(image: &str, terms: &Value) -> RolloutSpec {
    let mut spec = spec(image);
    spec.replicas = 2;
    spec.traffic = None;
    spec.strategy = serde_json::from_value(json!({"preview": terms})).expect("a strategy");
    spec
}

/// A preview that is measured.
fn measured(image: &str) -> RolloutSpec {
    let metric =
        json!({"name": "smoke", "query": "SELECT {{ window }}", "max": 0.5, "source": "main"});
    preview(
        image,
        &json!({"ttl": "10m", "checks": {"analysis": {"interval": "1s", "metrics": [metric]}}}),
    )
}

/// A preview that has passed; and its revision.
fn passed(terms: &Value) -> (Toy, Revision) {
    let spec = preview("v1", terms);
    let revision = Revision::of(&spec);
    let mut toy = Toy::new(spec);
    toy.until("it has passed", |toy| toy.status.phase == Phase::Healthy);
    (toy, revision)
}

fn has_servers(toy: &mut Toy) -> bool {
    let mut backends = toy.proxies().flat_map(|proxy| proxy.backends.values());
    backends.any(|servers| !servers.is_empty())
}

fn is_gone(toy: &Toy) -> bool {
    toy.snapshot.services.is_empty()
        && toy.snapshot.tasks.is_empty()
        && toy.status.leaving.is_empty()
}

#[test]
fn progress_9_a_preview_comes_up_whole_is_measured_and_has_no_traffic() {
    let spec = measured("v1");
    let revision = Revision::of(&spec);
    let mut toy = Toy::new(spec);
    toy.until("its checks run", |toy| {
        matches!(toy.status.step, Step::Running { .. })
    });
    assert_eq!(toy.status.stable_revision, None, "it has not passed yet");
    assert_eq!(toy.replicas(&revision), Some(2));
    assert_eq!(toy.status.phase, Phase::Progressing);
    toy.until("it has passed", |toy| toy.status.phase == Phase::Healthy);
    assert_eq!(toy.status.stable_revision, Some(revision));
    assert_eq!(toy.asked.len(), 1, "ANALYSIS-5");
    assert!(!has_servers(&mut toy));
    assert_eq!(toy.status.history[0].outcome, AttemptOutcome::Passed);
    toy.turns(5);
    let before = toy.status.clone();
    toy.turns(5);
    assert_eq!(toy.status, before, "SAFETY-5");
    assert!(toy.last.is_empty(), "SAFETY-5");
}

#[test]
fn progress_9_a_preview_that_fails_its_checks_is_removed_and_stays_degraded() {
    let mut toy = Toy::new(measured("v1"));
    toy.answer = SampleOutcome::Value(0.9);
    toy.until("it has failed", |toy| toy.status.phase == Phase::Degraded);
    toy.until("it is gone", is_gone);
    toy.turns(10);
    assert_eq!(
        toy.status.phase,
        Phase::Degraded,
        "ABORT-2: it is not tried again by itself"
    );
    assert!(
        toy.status.message.contains("smoke"),
        "{}",
        toy.status.message
    );
    toy.answer = SampleOutcome::Value(0.1);
    toy.command(Verb::Retry);
    toy.until("it has passed", |toy| toy.status.phase == Phase::Healthy);
    assert_eq!(toy.status.attempt, 2);
}

#[test]
fn progress_9_a_newer_preview_comes_up_when_the_older_one_is_gone() {
    let (mut toy, old) = passed(&json!({}));
    toy.apply(preview("v2", &json!({})));
    let new = Revision::of(&toy.spec);
    toy.until("the new one is there", |toy| {
        let both = toy.snapshot.tasks.values();
        let of = |revision: &Revision| {
            let mut tasks = both.clone();
            tasks.any(|task| task.service.0.ends_with(revision.as_str()))
        };
        assert!(
            !(of(&old) && of(&new)),
            "they have the same name and may have the same port"
        );
        toy.status.stable_revision.as_ref() == Some(&new)
    });
    toy.until("the old one is removed", |toy| {
        toy.snapshot.services.len() == 1
    });
}

#[test]
fn progress_9_a_preview_is_not_tried_before_all_its_tasks_run_and_fails_by_its_deadline() {
    let spec = preview("v1", &json!({"ttl": "1h"}));
    let mut toy = Toy::new(spec);
    toy.broken.insert(Revision::of(&toy.spec));
    toy.turns(5);
    assert_eq!(toy.status.step, Step::Scaling);
    assert!(matches!(
        toy.status.waiting_on,
        Some(WaitingOn::Tasks { .. })
    ));
    toy.wait(toy.spec.progress_deadline);
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
    toy.until("it is gone", is_gone);
}

#[test]
fn progress_10_a_preview_goes_when_its_time_is_over_and_the_rollout_with_it() {
    let (mut toy, revision) = passed(&json!({"ttl": "10m"}));
    assert!(toy.status.expires_at.is_some());
    let requeue = toy.plan().requeue_at.expect("it looks again at the end");
    assert_eq!(Some(requeue), toy.status.expires_at);
    toy.wait(Duration::from_secs(600));
    toy.turn();
    assert!(toy.status.leaving.contains_key(&revision));
    toy.until("it is gone", is_gone);
    toy.until("the rollout is forgotten", |toy| toy.forgotten);
}

#[test]
fn progress_10_what_a_source_asks_for_stays_to_tell_how_it_ended() {
    let (mut toy, _) = passed(&json!({"ttl": "10m"}));
    toy.asked_by = AskedBy::Source;
    toy.wait(Duration::from_secs(600));
    toy.until("it is gone", is_gone);
    toy.turns(10);
    assert!(!toy.forgotten, "its source would only ask for it again");
    assert_eq!(toy.status.phase, Phase::Healthy);
    assert_eq!(toy.plan().requeue_at, None, "nothing is to come");
    // A later spec of the same revision does not bring it back; somebody may.
    toy.apply(preview("v1", &json!({"ttl": "20m"})));
    toy.turns(5);
    assert!(is_gone(&toy));
    toy.command(Verb::Retry);
    toy.until("it is up again", |toy| {
        toy.status.expires_at.is_some() && toy.status.phase == Phase::Healthy
    });
}

#[test]
fn progress_10_a_preview_that_is_kept_until_it_is_checked_goes_then() {
    let spec = preview(
        "v1",
        &json!({"keepUntil": "checked", "checks": {"bake": "5s"}}),
    );
    let mut toy = Toy::new(spec);
    toy.until("its checks run", |toy| {
        matches!(toy.status.step, Step::Running { .. })
    });
    toy.wait(Duration::from_secs(5));
    toy.until("it is gone", is_gone);
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Healthy);
    assert!(
        !toy.forgotten,
        "whoever waits for it must find how it ended"
    );
    toy.wait(Duration::from_secs(3600));
    toy.until("the rollout is forgotten", |toy| toy.forgotten);
}

#[test]
fn progress_10_checks_that_are_not_done_in_time_have_failed() {
    let mut toy = Toy::new(measured("v1"));
    toy.answer = SampleOutcome::NoData;
    toy.until("its checks run", |toy| {
        matches!(toy.status.step, Step::Running { .. })
    });
    toy.wait(Duration::from_secs(600));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
    assert!(
        toy.status.message.contains("ttl of 10m"),
        "{}",
        toy.status.message
    );
    toy.until("the rollout is forgotten", |toy| toy.forgotten);
    assert!(is_gone(&toy));
}

#[test]
fn progress_10_who_pauses_a_preview_keeps_it() {
    let (mut toy, revision) = passed(&json!({"ttl": "10m"}));
    toy.command(Verb::Pause);
    toy.wait(Duration::from_secs(3600));
    toy.turns(5);
    assert_eq!(toy.status.phase, Phase::Paused);
    assert_eq!(toy.replicas(&revision), Some(2));
    toy.command(Verb::Resume);
    toy.until("the rollout is forgotten", |toy| toy.forgotten);
}

#[test]
fn progress_9_promote_leads_past_the_checks() {
    let checks = json!({"checks": {"approval": true}});
    let mut toy = Toy::new(preview("v1", &checks));
    toy.until("it waits for approval", |toy| {
        toy.status.waiting_on == Some(WaitingOn::Approval)
    });
    assert_eq!(toy.status.phase, Phase::Paused);
    toy.command(Verb::Promote);
    toy.until("it has passed", |toy| toy.status.phase == Phase::Healthy);
}

#[test]
fn safety_7_a_deleted_preview_leaves_nothing() {
    let (mut toy, _) = passed(&json!({}));
    toy.delete(Dependents::Remove);
    toy.until("the rollout is forgotten", |toy| toy.forgotten);
    assert!(toy.snapshot.services.is_empty());
}

#[test]
fn safety_4_a_rollout_that_serves_does_not_become_a_preview() {
    let mut toy = Toy::stable(spec("v1"));
    let v1 = toy.revision("v1");
    toy.apply(preview("v2", &json!({})));
    toy.turns(5);
    assert_eq!(toy.status.phase, Phase::Degraded);
    assert!(
        toy.status.message.contains("a name of its own"),
        "{}",
        toy.status.message
    );
    // Whatever times the preview has: they are none of what serves.
    toy.wait(Duration::from_secs(86_400));
    for instance in ["lb-1", "lb-2"] {
        toy.reload(instance);
        for proxy in toy.proxies() {
            proxy.backends.entry(BACKEND.to_owned()).or_default();
        }
        toy.turns(5);
    }
    assert_eq!(toy.share(&v1), [100.0, 100.0]);
    assert_eq!(toy.replicas(&v1), Some(6));
    assert_eq!(toy.status.stable_revision, Some(v1));
    assert_eq!(toy.deletion, None);
    assert_eq!(toy.snapshot.services.len(), 1);
}

#[test]
fn traffic_4_a_preview_that_is_refused_does_not_cut_what_drains_short() {
    let mut patient = spec("v2");
    let traffic = patient.traffic.as_mut().expect("a canary has traffic");
    traffic.drain_timeout = Duration::from_secs(600);
    let mut toy = Toy::in_stage(patient, 1);
    let v2 = toy.revision("v2");
    toy.open_requests = 1;
    toy.apply(preview("v3", &json!({})));
    toy.turns(3);
    toy.command(Verb::Abort);
    toy.turns(3);
    assert_eq!(toy.status.phase, Phase::Degraded);
    toy.wait(Duration::from_secs(500));
    toy.turns(20);
    assert_ne!(toy.replicas(&v2), Some(0), "it has ten minutes");
    toy.wait(Duration::from_secs(120));
    toy.until("it is stopped", |toy| toy.replicas(&v2) == Some(0));
}

#[test]
fn safety_4_what_serves_keeps_its_size_whatever_a_refused_preview_asks_for() {
    let mut toy = Toy::in_stage(spec("v2"), 2);
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    let before = (toy.replicas(&v1), toy.replicas(&v2), toy.share(&v2));
    let mut small = preview("v3", &json!({}));
    small.replicas = 1;
    toy.apply(small);
    toy.turns(20);
    let after = (toy.replicas(&v1), toy.replicas(&v2), toy.share(&v2));
    assert_eq!(after, before);
    // Another hand's change is put back too.
    let service = v1.service_name(&crate::toy::name("news-web"));
    toy.service(&service).replicas = 2;
    toy.turns(20);
    assert_eq!(toy.replicas(&v1), Some(6), "SAFETY-3");
    // The canary has no more than what is left of it was sized for (TRAFFIC-1).
    toy.lose_tasks_of(&v2);
    toy.turns(5);
    assert_eq!(toy.share(&v2), [0.0, 0.0]);
}

/// A preview of v1 that has passed, whose release as v2 cannot come: its metric source is not there, or its load balancer.
fn whose_release_is_refused(by: fn(&mut Toy)) -> (Toy, Revision) {
    let (mut toy, shown) = passed(&json!({"ttl": "10m"}));
    by(&mut toy);
    toy.apply(crate::toy::measured("v2"));
    toy.turns(20);
    assert_eq!(toy.status.phase, Phase::Degraded, "{}", toy.status.message);
    (toy, shown)
}

#[test]
fn progress_10_a_preview_whose_release_is_refused_stays_as_it_is_until_its_end() {
    let missing: [fn(&mut Toy); 2] = [
        |toy| toy.resources.metric_sources.clear(),
        |toy| toy.resources.load_balancers.clear(),
    ];
    for by in missing {
        let (mut toy, shown) = whose_release_is_refused(by);
        assert_eq!(toy.replicas(&shown), Some(2), "not six, as the release has");
        let end = toy.status.expires_at.expect("it has an end still");
        assert_eq!(toy.plan().requeue_at, Some(end));
        toy.wait(Duration::from_secs(600));
        toy.until("it is gone", is_gone);
        toy.turns(20);
        assert!(!toy.forgotten, "somebody wants the release");
        assert_eq!((toy.status.expires_at, toy.plan().requeue_at), (None, None));
        toy.resources = crate::toy::resources();
        let v2 = toy.revision("v2");
        toy.until("the release is there", |toy| {
            toy.status.phase == Phase::Healthy && toy.status.stable_revision.as_ref() == Some(&v2)
        });
        assert_eq!(toy.replicas(&v2), Some(6));
    }
}

#[test]
fn progress_10_who_pauses_a_preview_keeps_it_also_while_its_release_is_refused() {
    let (mut toy, shown) = whose_release_is_refused(|toy| toy.resources.metric_sources.clear());
    toy.command(Verb::Pause);
    toy.turn();
    toy.wait(Duration::from_secs(3600));
    toy.turns(20);
    assert_eq!(toy.replicas(&shown), Some(2));
}

#[test]
fn progress_9_a_preview_that_becomes_a_release_gives_way() {
    let (mut toy, shown) = passed(&json!({}));
    toy.apply(spec("v2"));
    let v2 = toy.revision("v2");
    toy.until("the first revision is stable", |toy| {
        toy.status.phase == Phase::Healthy && toy.status.stable_revision.as_ref() == Some(&v2)
    });
    assert_eq!(toy.share(&v2), [100.0, 100.0]);
    toy.until("nobody goes back to it", |toy| {
        toy.replicas(&shown).is_none()
    });
}

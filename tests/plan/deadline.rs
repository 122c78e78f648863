//! PROGRESS-5: the progress deadline.

use rolloutctl::api::{
    Duration, OnFailure, PauseReason, Phase, RolloutSpec, ServerWeight, Step, Verb, WaitingOn,
};
use rolloutctl::snapshot::CheckState;

use crate::toy::{Checks, Toy, held, measured, spec};

#[test]
fn progress_5_the_deadline_takes_a_canary_back_that_never_becomes_ready() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2.clone());
    toy.apply(spec("v2"));
    toy.turns(5);
    toy.wait(Duration::from_secs(599));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Progressing);
    toy.wait(Duration::from_secs(2));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
    assert!(
        toy.status.message.contains("progress deadline"),
        "{}",
        toy.status.message
    );
    toy.until("the canary is gone", |toy| toy.replicas(&v2) == Some(0));
}

#[test]
fn progress_5_what_is_ready_when_somebody_looks_is_not_taken_back() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2.clone());
    toy.apply(spec("v2"));
    toy.turns(5);
    let deadline = toy.status.deadline.expect("one");
    toy.broken.clear();
    toy.swarm_moves();
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(toy.status.step, Step::Scaling);
    // Nobody looks until long after.
    toy.wait(Duration::from_secs(10_000));
    toy.turn();
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
    assert!(toy.now > deadline);
    assert_eq!(toy.said("aborted"), 0);
}

#[test]
fn progress_5_a_stage_tells_what_it_waits_for_and_not_what_stable_lacks() {
    let mut toy = Toy::stable(spec("v1"));
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.broken.insert(v1.clone());
    toy.fail_task();
    toy.apply(spec("v2"));
    toy.turns(2);
    for _ in 0..10 {
        toy.turn_of_proxies(Checks::Pending); // It runs, and HAProxy does not see it up.
    }
    let waiting = toy.status.waiting_on.clone();
    assert!(
        matches!(&waiting, Some(WaitingOn::Servers { revision, ready: 0, .. }) if *revision == v2),
        "{waiting:?}"
    );
    toy.wait(Duration::from_secs(601));
    toy.turn_of_proxies(Checks::Pending);
    let message = &toy.status.message;
    assert!(
        message.contains(v2.as_str()) && !message.contains(&format!("tasks of {v1}")),
        "{message}"
    );
}

#[test]
fn progress_5_a_server_of_stable_that_is_not_checked_yet_is_what_a_stage_waits_for() {
    let mut toy = Toy::stable(spec("v1"));
    let v1 = toy.revision("v1");
    toy.apply(spec("v2"));
    toy.until("it shifts", |toy| toy.status.step == Step::Shifting);
    let server = toy.server_of(&v1);
    let fact = toy.server("lb-1", &server);
    fact.check = CheckState::Pending;
    fact.weight = ServerWeight::ZERO;
    let waiting = toy.plan().status.waiting_on;
    assert!(
        matches!(&waiting, Some(WaitingOn::Servers { revision, ready: 5, .. }) if *revision == v1),
        "{waiting:?}"
    );
}

#[test]
fn progress_5_the_clock_stands_while_paused() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2);
    toy.apply(spec("v2"));
    toy.turns(3);
    toy.command(Verb::Pause);
    toy.turn();
    toy.wait(Duration::from_secs(10_000));
    toy.turns(3);
    assert_eq!(toy.status.phase, Phase::Paused);
    toy.command(Verb::Resume);
    toy.turns(3);
    assert_eq!(
        toy.status.phase,
        Phase::Progressing,
        "{}",
        toy.status.message
    );
    toy.wait(Duration::from_secs(600));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn progress_5_a_full_promotion_out_of_an_expired_deadline_starts_its_clock_anew() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2);
    let mut next = spec("v2");
    next.on_failure = OnFailure::Pause;
    toy.apply(next);
    toy.turn();
    for _ in 0..3 {
        toy.command(Verb::PromoteFull);
        toy.turns(3);
        assert!(toy.status.deadline.is_some(), "it would wait for good");
        toy.wait(Duration::from_secs(601));
        toy.turn();
        let pause = toy.status.pause.as_ref().expect("a pause");
        assert_eq!(pause.reason, PauseReason::Failure);
    }
}

#[test]
fn progress_5_promote_out_of_an_expired_deadline_starts_its_clock_anew() {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2.clone());
    let mut next = spec("v2");
    next.on_failure = OnFailure::Pause;
    toy.apply(next);
    let pauses_once_it_is_over = |toy: &mut Toy| {
        toy.turns(3);
        toy.wait(Duration::from_secs(590));
        toy.turn();
        assert_eq!(toy.status.phase, Phase::Progressing, "there is time left");
        toy.wait(Duration::from_secs(11));
        toy.turn();
        let pause = toy.status.pause.as_ref().expect("a pause");
        assert_eq!(pause.reason, PauseReason::Failure);
        assert!(
            pause.message.contains("progress deadline"),
            "{}",
            pause.message
        );
    };
    pauses_once_it_is_over(&mut toy);
    toy.wait(Duration::from_secs(5_000));
    toy.command(Verb::Promote);
    pauses_once_it_is_over(&mut toy);
    toy.command(Verb::Promote);
    toy.broken.remove(&v2);
    toy.until("v2 is stable", |toy| {
        toy.status.stable_revision == Some(v2.clone())
    });
}

/// A measured rollover, which asks for all tasks at its first gate.
fn rollover(image: &str) -> RolloutSpec {
    let mut spec = measured(image);
    spec.strategy = serde_json::from_value(serde_json::json!({"blueGreen": {}})).expect("one");
    spec
}

/// v2, which does not come up, 590 s into a deadline of 600 s.
fn nearly_late() -> Toy {
    let mut toy = Toy::stable(spec("v1"));
    let v2 = toy.revision("v2");
    toy.broken.insert(v2);
    toy.apply(rollover("v2"));
    toy.turns(5);
    toy.wait(Duration::from_secs(590));
    toy
}

/// That much time is left, and no more.
fn has_left(toy: &mut Toy, seconds: u64) {
    toy.turn();
    toy.wait(Duration::from_secs(seconds - 10));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Progressing);
    toy.wait(Duration::from_secs(11));
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn progress_5_more_tasks_have_the_whole_time() {
    let mut toy = nearly_late();
    let mut more = rollover("v2");
    more.replicas *= 3;
    toy.apply(more);
    has_left(&mut toy, 600);
}

#[test]
fn progress_5_tasks_that_come_and_go_hold_a_deadline_off_once() {
    let mut toy = nearly_late();
    for round in 0..20 {
        let mut other = rollover("v2");
        other.replicas *= if round % 2 == 0 { 3 } else { 1 };
        other.revision_history_limit = 5 + round;
        toy.apply(other);
        toy.turn();
        toy.wait(Duration::from_secs(100));
    }
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn progress_5_another_deadline_counts_from_where_the_old_one_did() {
    let mut toy = nearly_late();
    let mut longer = rollover("v2");
    longer.progress_deadline = Duration::from_secs(900);
    toy.apply(longer);
    has_left(&mut toy, 310);
    let mut toy = nearly_late();
    let mut shorter = rollover("v2");
    shorter.progress_deadline = Duration::from_secs(60);
    toy.apply(shorter);
    toy.turn();
    assert_eq!(toy.status.phase, Phase::Degraded);
}

#[test]
fn progress_5_another_deadline_counts_although_the_clock_stands() {
    let mut toy = nearly_late();
    toy.command(Verb::Pause);
    toy.turn();
    let mut longer = rollover("v2");
    longer.progress_deadline = Duration::from_secs(900);
    toy.apply(longer);
    toy.turn();
    toy.wait(Duration::from_secs(5_000));
    toy.command(Verb::Resume);
    has_left(&mut toy, 310);
}

#[test]
fn progress_5_an_edit_counts_that_was_seen_before_its_metrics_could_be_found() {
    let mut toy = nearly_late();
    let sources = std::mem::take(&mut toy.resources.metric_sources);
    let mut more = rollover("v2");
    more.replicas *= 3;
    toy.apply(more);
    toy.turn();
    toy.resources.metric_sources = sources;
    has_left(&mut toy, 600);
}

#[test]
fn progress_5_an_edit_starts_no_clock_that_is_not_needed() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    assert_eq!(toy.status.deadline, None, "it waits for people");
    let mut edited = held(spec("v2"), 50);
    edited.progress_deadline = Duration::from_secs(5);
    edited.replicas *= 3;
    toy.apply(edited);
    toy.turns(3);
    assert_eq!(toy.status.deadline, None);
}

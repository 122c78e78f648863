//! Single turns of the reconciler.

use rolloutctl::api::{Duration, PauseReason, Phase, Step, WaitingOn};
use rolloutctl::reconcile::{Mandate, TurnError, Work};

use crate::bench::{Bench, EPOCH};
use crate::neighbour::{Entry, Mood, Neighbour};
use crate::toy::{measured, name, spec, staged};

fn remembered() -> Entry {
    Entry::Remembered { epoch: EPOCH }
}

#[tokio::test]
async fn safety_1_the_status_is_stored_before_its_actions_begin() {
    let mut bench = Bench::new(spec("web:1"));
    bench.turn().await;
    assert_eq!(bench.world.journal(), [remembered(), Entry::Acted]);
}

#[tokio::test]
async fn safety_1_a_look_that_is_older_than_one_before_is_not_acted_on() {
    let mut bench = Bench::new(spec("web:1"));
    bench.until_quiet().await;
    let old = bench.world.says();
    bench.world.apply(spec("web:2"));
    bench.turn().await;
    let new = bench.world.says();
    bench.world.journal();
    bench.world.say(old);
    let turn = bench.try_turn().await;
    assert!(matches!(turn, Err(TurnError::Old)), "{turn:?}");
    assert_eq!(bench.world.journal(), []);
    bench.world.say(new);
    bench.turn().await;
}

#[tokio::test]
async fn safety_1_what_this_controller_has_just_stored_is_not_forgotten() {
    let mut bench = Bench::new(spec("web:1"));
    let old = bench.world.says();
    bench.turn().await;
    bench.world.say(old);
    let turn = bench.try_turn().await;
    assert!(matches!(turn, Err(TurnError::Old)), "{turn:?}");
}

#[tokio::test]
async fn safety_7_what_was_deleted_does_not_come_back_by_an_old_look() {
    let mut bench = Bench::new(spec("web:1"));
    bench.until_quiet().await;
    bench.world.delete();
    let old = bench.world.says();
    let is_gone = |world: &Neighbour| world.says().len() < old.len();
    bench.until("it is forgotten", is_gone).await;
    bench.world.say(old);
    let turn = bench.try_turn().await;
    assert!(matches!(turn, Err(TurnError::Old)), "{turn:?}");
}

#[tokio::test]
async fn a_swarm_that_was_restored_from_a_backup_is_believed_after_a_while() {
    let mut bench = Bench::new(spec("web:1"));
    bench.until_quiet().await;
    let old = bench.world.says();
    bench.world.apply(spec("web:2"));
    bench.turn().await;
    bench.world.say(old);
    let turn = bench.try_turn().await;
    assert!(matches!(turn, Err(TurnError::Old)), "{turn:?}");
    bench.world.wait(Duration::from_secs(31));
    bench.turn().await;
    bench.turn().await;
}

#[tokio::test]
async fn safety_1_what_cannot_be_remembered_is_not_done() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::Overtaking);
    let report = bench.turn().await;
    assert_eq!(bench.world.journal(), []);
    let now = bench.world.now();
    assert_eq!(report.next, Some(now), "it looks again at once");

    bench.world.feel(Mood::Willing);
    bench.turn().await;
    assert_eq!(bench.world.journal(), [remembered(), Entry::Acted]);
}

#[tokio::test]
async fn safety_4_a_back_end_of_a_rollout_that_cannot_be_read_is_not_free() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.spoil(Some("other"));
    for _ in 0..20 {
        bench.turn().await;
    }
    let status = bench.world.status();
    assert_eq!(status.waiting_on, Some(WaitingOn::Spec));
    assert!(status.message.contains("other"), "{}", status.message);
    assert_eq!(bench.world.servers("lb-1"), 0);
    bench.world.spoil(None);
    bench
        .until("healthy", |world| world.status().phase == Phase::Healthy)
        .await;
}

#[tokio::test]
async fn safety_5_a_steady_state_writes_nothing_and_has_no_work() {
    let mut bench = Bench::new(spec("web:1"));
    bench
        .until("healthy", |world| world.status().phase == Phase::Healthy)
        .await;
    bench.until_quiet().await;
    for _ in 0..50 {
        let report = bench.turn().await;
        assert_eq!(report.rollouts[&name("news-web")].work, Work::None);
    }
    assert_eq!(bench.world.journal(), []);
}

#[tokio::test]
async fn safety_6_who_was_deposed_changes_nothing() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.lease_to("them");
    match bench.try_turn().await {
        Err(TurnError::Deposed { holder }) => assert_eq!(holder, "them"),
        other => panic!("it should have noticed: {other:?}"),
    }
    assert_eq!(bench.world.journal(), []);
}

#[tokio::test]
async fn safety_6_who_watches_sees_the_work_and_changes_nothing() {
    let mut bench = Bench::new(spec("web:1"));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let report = bench.reconciler.turn(Mandate::Watch).await.expect("a turn");
        seen.push(report.work());
    }
    assert_eq!(bench.world.journal(), []);
    assert!(!seen[0].is_empty(), "there is work");
    assert_eq!(seen[0], seen[1], "undone work can be told again");
    assert_eq!(seen[1], seen[2], "undone work can be told again");
}

#[tokio::test]
async fn a_refused_action_is_tried_again_after_a_pause() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::Refusing);
    let report = bench.turn().await;
    assert_eq!(bench.world.journal(), [remembered(), Entry::Acted]);
    let problem = report.rollouts[&name("news-web")].problem.clone();
    assert!(problem.is_some_and(|problem| problem.contains("no space left")));

    bench.turn().await;
    assert_eq!(bench.world.journal(), [remembered()], "it is told");
    let waiting = bench.world.status().waiting_on;
    let told = waiting.as_ref().map(ToString::to_string);
    assert!(
        told.is_some_and(|told| told.contains("no space left")),
        "{waiting:?}"
    );
    let resting = bench.turn().await;
    assert_eq!(bench.world.journal(), [], "it rests");
    let rest = Duration::between(bench.world.now(), resting.next.expect("a time"));
    assert!(rest > Duration::ZERO, "{rest}");

    bench.world.feel(Mood::Willing);
    bench.world.wait(Duration::from_secs(60));
    bench.turn().await;
    assert!(
        bench.world.journal().contains(&Entry::Acted),
        "after the pause"
    );
    bench.turn().await;
    let waiting = bench.world.status().waiting_on;
    assert!(
        !matches!(waiting, Some(WaitingOn::Action { .. })),
        "{waiting:?}"
    );
}

#[tokio::test]
async fn abort_1_a_service_that_takes_long_to_make_keeps_nothing_else_from_being_done() {
    let mut bench = Bench::new(spec("web:1"));
    bench
        .until("healthy", |world| world.status().phase == Phase::Healthy)
        .await;
    bench.world.feel(Mood::MakingSlowly);
    bench.world.apply(spec("web:2"));
    bench.turn().await;
    bench.turn().await;
    assert_eq!(bench.world.count(&Entry::Acted), 1, "it is made once");
    let stopped = bench.world.stop_a_task();
    for _ in 0..5 {
        bench.turn().await; // Drain, maintenance, removal.
    }
    assert!(!bench.world.has("lb-1", &stopped), "its server has left");
}

#[tokio::test]
async fn abort_1_a_service_that_takes_long_to_put_back_keeps_nothing_else_from_being_done() {
    let mut bench = Bench::new(spec("web:1"));
    bench.until_quiet().await;
    bench.world.feel(Mood::MakingSlowly);
    bench.world.edit_the_service();
    bench.turn().await;
    bench.turn().await;
    assert_eq!(bench.world.count(&Entry::Acted), 1, "it is put back once");
    let stopped = bench.world.stop_a_task();
    for _ in 0..5 {
        bench.turn().await; // Drain, maintenance, removal.
    }
    assert!(!bench.world.has("lb-1", &stopped), "its server has left");
    bench.world.feel(Mood::Willing);
    bench.until_quiet().await;
}

#[tokio::test]
async fn what_is_tried_again_and_takes_long_is_not_looked_at_all_the_time() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::Refusing);
    bench.turn().await;
    bench.turn().await;
    bench.world.feel(Mood::MakingSlowly);
    bench.world.wait(Duration::from_secs(60));
    bench.world.journal();
    bench.turn().await;
    assert_eq!(bench.world.count(&Entry::Acted), 1, "it is tried again");
    let report = bench.turn().await;
    let next = report.next.expect("a time");
    let rest = Duration::between(bench.world.now(), next);
    assert!(rest >= Duration::from_millis(250), "{rest}");
}

#[tokio::test]
async fn pauses_grow_while_actions_are_refused() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::Refusing);
    for _ in 0..600 {
        bench.turn().await; // A minute, as a turn takes 100 ms in this world.
    }
    let tries = bench
        .world
        .journal()
        .iter()
        .filter(|entry| **entry == Entry::Acted)
        .count();
    assert!((3..60).contains(&tries), "{tries} tries in a minute");
}

#[tokio::test]
async fn what_is_not_yet_possible_is_tried_again_at_once_and_then_after_growing_pauses() {
    let mut bench = Bench::new(spec("web:1"));
    bench.world.feel(Mood::NotYet);
    let report = bench.turn().await;
    assert_eq!(bench.world.journal(), [remembered(), Entry::Acted]);
    let now = bench.world.now();
    assert_eq!(report.next, Some(now), "it looks again at once");
    for _ in 0..50 {
        bench.turn().await; // 5 s, as a turn takes 100 ms in this world.
    }
    let journal = bench.world.journal().into_iter();
    let tries = journal.filter(|entry| *entry == Entry::Acted).count();
    assert!((3..12).contains(&tries), "{tries} tries in 5 s");
    let report = bench.turn().await;
    assert_eq!(
        report.rollouts[&name("news-web")].problem,
        None,
        "that is no failure"
    );
}

#[tokio::test]
async fn abort_1_a_new_decision_does_not_wait_for_the_pause_of_older_actions() {
    let mut bench = Bench::new(spec("web:1"));
    bench
        .until("healthy", |world| world.status().phase == Phase::Healthy)
        .await;
    bench.world.apply(spec("web:2"));
    bench
        .until("a share", |world| world.status().weight > 0)
        .await;
    bench.world.feel(Mood::Refusing);
    for _ in 0..300 {
        bench.turn().await; // The pauses have grown to seconds.
    }
    bench.world.feel(Mood::Willing);
    bench.world.journal();
    bench.world.apply(spec("web:1"));
    bench.turn().await;
    let journal = bench.world.journal();
    assert_eq!(journal.first(), Some(&remembered()), "{journal:?}");
    assert!(journal.contains(&Entry::Acted), "{journal:?}");
    assert_eq!(bench.world.status().weight, 0);
}

#[tokio::test]
async fn traffic_4_a_drain_does_not_wait_for_the_pause_of_what_failed_on_another_proxy() {
    let mut bench = Bench::new(spec("web:1"));
    bench
        .until("healthy", |world| world.status().phase == Phase::Healthy)
        .await;
    bench.world.feel(Mood::RefusingOneProxy);
    let first = bench.world.stop_a_task();
    for _ in 0..300 {
        bench.turn().await; // The pauses have grown to seconds.
    }
    assert!(bench.world.has("lb-1", &first), "that is refused");
    let second = bench.world.stop_a_task();
    for _ in 0..5 {
        bench.turn().await; // Drain, maintenance, removal.
    }
    assert!(!bench.world.has("lb-2", &second), "it leaves at once");
}

#[tokio::test]
async fn analysis_3_a_source_that_does_not_answer_is_asked_once_and_holds_the_stage() {
    let mut bench = Bench::new(measured("web:1"));
    bench
        .until("healthy", |world| world.status().phase == Phase::Healthy)
        .await;
    bench.world.apply(measured("web:2"));
    let mut asked = 0;
    for _ in 0..600 {
        bench.turn().await;
        tokio::task::yield_now().await; // Questions are asked beside the turns.
        let journal = bench.world.journal();
        asked += journal
            .iter()
            .filter(|entry| **entry == Entry::Asked)
            .count();
    }
    assert_eq!(asked, 1);
    let status = bench.world.status();
    assert_eq!((status.phase, status.stage), (Phase::Progressing, 0));
}

/// What came of the last request of a controller that died, after the rollout was forgotten.
#[tokio::test]
async fn analysis_6_a_job_of_a_rollout_that_is_gone_is_removed() {
    let mut bench = Bench::new(spec("web:1"));
    bench.until_quiet().await;
    bench.world.leave_a_job();
    bench.turn().await;
    assert!(!bench.world.has_jobs());
}

/// Its rollout may be among what this release cannot read.
#[tokio::test]
async fn analysis_6_no_job_is_removed_while_something_in_the_store_cannot_be_read() {
    let mut bench = Bench::new(spec("web:1"));
    bench.until_quiet().await;
    bench.world.leave_a_job();
    bench.world.spoil(Some("gone"));
    bench.turn().await;
    assert!(bench.world.has_jobs());
    bench.world.spoil(None);
    bench.turn().await;
    assert!(!bench.world.has_jobs());
}

/// The engine takes no service with such a network: nothing is there of the job, again and again.
#[tokio::test]
async fn analysis_3_a_job_that_the_engine_refuses_pauses_the_rollout_as_inconclusive() {
    let mut bench = Bench::new(spec("web:1"));
    bench.until_quiet().await;
    let job = serde_json::json!({"name": "tests", "consecutiveErrorLimit": 1, "job": {
        "template": {"image": "tests:1", "networks": ["no-such"]}, "timeLimit": "5s"}});
    let stages = serde_json::json!([{"weight": 20, "analysis": {"metrics": [job]}}]);
    bench.world.apply(staged(spec("web:2"), &stages));
    bench
        .until("the stage runs", |world| {
            matches!(world.status().step, Step::Running { .. })
        })
        .await;
    bench.world.feel(Mood::Refusing);
    for _ in 0..600 {
        bench.turn().await;
        bench.world.wait(Duration::from_secs(1));
        let pause = bench.world.status().pause;
        if let Some(pause) = pause {
            assert_eq!(pause.reason, PauseReason::Inconclusive);
            return;
        }
    }
    panic!("for ten minutes: {:#?}", bench.world.status());
}

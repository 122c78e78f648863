//! Commands: whom they are meant for, what is asked in vain, and what comes of them.

use super::console;
use super::fixtures::{at, baking, degraded, healthy, rollout, store, stored};
use super::memory::{Memory, touch};
use crate::api::{
    Actor, AttemptOutcome, CommandOutcome, CommandRecord, Duration, HistoryEntry, Pause,
    PauseReason, Phase, Resource, RolloutStatus, Route, Verb,
};
use crate::cli::exit::Exit;
use crate::cli::target::RolloutRef;
use crate::cli::verb::{Request, run, sensible_verbs};
use crate::world::Stored;

fn request(verb: Verb, wait: Option<Duration>) -> Request {
    Request {
        rollout: RolloutRef("news-web".parse().expect("a name")),
        verb,
        by: Actor("ada@desk".to_owned()),
        now: at(500),
        wait,
    }
}

/// Lets the controller deal with the command at the third look.
fn answer(memory: &Memory, outcome: CommandOutcome) {
    memory.before_load(|_| ());
    memory.before_load(|_| ());
    memory.before_load(move |all| {
        touch(&mut all[0], |draft| {
            let command = draft.command.clone().expect("a command");
            let status = draft.status.as_mut().expect("a status");
            status.last_command = Some(CommandRecord { command, outcome });
        });
    });
}

#[tokio::test]
async fn progress_6_a_command_says_who_when_and_for_which_stage() {
    let memory = store(baking());
    let (mut console, answers, _) = console();
    run(&request(Verb::Promote, None), &memory, &mut console)
        .await
        .expect("asked");
    assert_eq!(answers.text(), "rollout/news-web promote asked\n");
    let command = memory.find("ro/news-web").and_then(|s| s.draft.command);
    let command = command.expect("a command");
    assert_eq!((command.attempt, command.stage), (2, 1));
    assert_eq!((command.by.0.as_str(), command.at), ("ada@desk", at(500)));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_carried_out_is_answered() {
    let memory = store(baking());
    answer(&memory, CommandOutcome::Applied);
    let (mut console, answers, _) = console();
    let wait = Some(Duration::from_secs(10));
    let exit = run(&request(Verb::Abort, wait), &memory, &mut console).await;
    assert_eq!(exit.expect("carried out"), Exit::Done);
    assert_eq!(answers.text(), "rollout/news-web aborted\n");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_refused_tells_why() {
    let memory = store(baking());
    let reason = "it was meant for stage 2 and stage 3 is under way".to_owned();
    answer(&memory, CommandOutcome::Refused(reason));
    let (mut console, _, _) = console();
    let wait = Some(Duration::from_secs(10));
    let failure = run(&request(Verb::Promote, wait), &memory, &mut console)
        .await
        .expect_err("refused");
    assert_eq!(failure.exit(), Exit::No);
    assert!(
        failure.to_string().contains("meant for stage 2"),
        "{failure}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_that_nobody_takes_up_asks_for_the_controller() {
    for (holder, remedy) in [
        ("", "start `rolloutctl controller`"),
        ("node-1:77", "node-1:77"),
    ] {
        let memory = store(baking());
        memory.lease_to(holder);
        let (mut console, _, _) = console();
        let wait = Some(Duration::from_secs(10));
        let failure = run(&request(Verb::Pause, wait), &memory, &mut console)
            .await
            .expect_err("not taken up");
        assert_eq!(failure.exit(), Exit::TimedOut);
        let text = failure.to_string();
        assert!(text.contains("Is a controller running?"), "{text}");
        assert!(text.contains(remedy), "{text}");
    }
}

#[tokio::test]
async fn a_command_is_given_again_when_the_controller_wrote_meanwhile() {
    let memory = store(baking());
    memory.before_write(|all| {
        touch(&mut all[0], |draft| {
            draft.status.as_mut().expect("a status").stage = 2;
        });
    });
    let (mut console, _, _) = console();
    run(&request(Verb::Promote, None), &memory, &mut console)
        .await
        .expect("asked");
    let stored = memory.find("ro/news-web").expect("stored");
    assert_eq!(stored.draft.command.map(|command| command.stage), Some(2));
    assert_eq!(stored.draft.status.map(|status| status.stage), Some(2));
}

#[tokio::test]
async fn a_waiting_command_gives_way_only_to_one_that_stops() {
    let memory = store(baking());
    let (mut console, _, _) = console();
    run(&request(Verb::Promote, None), &memory, &mut console)
        .await
        .expect("asked");
    let again = run(&request(Verb::PromoteFull, None), &memory, &mut console).await;
    assert!(again.is_err());
    run(&request(Verb::Abort, None), &memory, &mut console)
        .await
        .expect("asked");
    let command = memory.find("ro/news-web").and_then(|s| s.draft.command);
    assert_eq!(command.map(|command| command.verb), Some(Verb::Abort));
}

fn paused(reason: PauseReason) -> RolloutStatus {
    RolloutStatus {
        phase: Phase::Paused,
        pause: Some(Pause {
            reason,
            since: at(450),
            message: "why".to_owned(),
            deadline_left_ms: None,
        }),
        ..baking()
    }
}

#[test]
fn only_verbs_that_make_sense_are_offered() {
    use Verb::{Abort, Pause, Promote, PromoteFull, Resume, Retry};
    let with = |status| super::fixtures::with_status(status);
    let cases: Vec<(Stored, &[Verb])> = vec![
        (stored(rollout("web:1")), &[]),
        (with(healthy()), &[]),
        (with(baking()), &[Promote, PromoteFull, Pause, Abort]),
        (with(degraded()), &[Retry]),
        (
            with(paused(PauseReason::User)),
            &[Promote, PromoteFull, Resume, Abort],
        ),
        (
            with(paused(PauseReason::Inconclusive)),
            &[Promote, PromoteFull, Resume, Abort],
        ),
        (
            with(paused(PauseReason::Failure)),
            &[Promote, PromoteFull, Abort, Retry],
        ),
    ];
    for (stored, verbs) in cases {
        assert_eq!(sensible_verbs(&stored), verbs, "{:?}", stored.draft.status);
    }
}

/// A preview that has passed its checks.
fn passed() -> Stored {
    let mut status = healthy();
    status.history.push(HistoryEntry {
        attempt: 2,
        revision: status.stable_revision.clone().expect("it is up"),
        generation: 2,
        commit: None,
        started_at: at(60),
        ended_at: Some(at(90)),
        outcome: AttemptOutcome::Passed,
        message: String::new(),
    });
    let mut stored = super::fixtures::with_status(status);
    let Resource::Rollout(manifest) = &mut stored.draft.resource else {
        panic!("a rollout");
    };
    let preview = serde_json::json!({"preview": {}});
    manifest.spec.strategy = serde_json::from_value(preview).expect("a strategy");
    manifest.spec.traffic = None;
    stored
}

fn with(mut stored: Stored, change: impl Fn(&mut RolloutStatus)) -> Stored {
    change(stored.draft.status.as_mut().expect("a status"));
    stored
}

#[test]
fn progress_10_a_preview_that_has_passed_may_be_kept_and_one_that_is_over_may_come_again() {
    assert_eq!(sensible_verbs(&passed()), [Verb::Pause]);
    let held = with(passed(), |status| {
        status.pause = paused(PauseReason::User).pause;
    });
    assert_eq!(sensible_verbs(&held), [Verb::Resume]);
    let over = with(passed(), |status| status.stable_revision = None);
    assert_eq!(sensible_verbs(&over), [Verb::Retry]);
    // A rollout that serves is no preview, whatever its spec asks for.
    let refused = with(passed(), |status| {
        status.route = Some(Route {
            load_balancer: "edge".parse().expect("a name"),
            backend: "news-web".to_owned(),
        });
    });
    assert_eq!(sensible_verbs(&refused), []);
}

#[tokio::test]
async fn who_is_overtaken_every_time_is_told_to_run_the_command_again() {
    let memory = store(baking());
    for _ in 0..20 {
        memory.before_write(|all| touch(&mut all[0], |_| ()));
    }
    let (mut console, _, _) = console();
    let failure = run(&request(Verb::Abort, None), &memory, &mut console)
        .await
        .expect_err("overtaken");
    assert_eq!(failure.exit(), Exit::No);
    assert_eq!(
        failure.to_string(),
        "replacing: update out of sequence; run the command again"
    );
}

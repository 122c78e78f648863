//! `status`: the exit codes, and what is shown while it waits.

use super::console;
use super::fixtures::{at, baking, degraded, healthy, name, store, with_status};
use super::memory::{Memory, touch};
use crate::api::{
    Actor, Command, Duration, Pause, PauseReason, Phase, RolloutStatus, Verb, WaitingOn,
};
use crate::cli::clock::Patience;
use crate::cli::console::Paint;
use crate::cli::exit::{Exit, Failure};
use crate::cli::status::{drawing, run, wait};
use crate::cli::target::RolloutRef;
use crate::world::Stored;

fn news_web() -> RolloutRef {
    RolloutRef("news-web".parse().expect("a name"))
}

const MINUTE: Patience = Patience::For(Duration::from_secs(60));

/// Not over by any machine's clock.
fn baking_for_long() -> RolloutStatus {
    let until = "2999-01-01T00:00:00Z".parse().expect("an instant");
    RolloutStatus {
        waiting_on: Some(WaitingOn::Bake { until }),
        ..baking()
    }
}

/// Lets the rollout's status become this one at the look that is next in turn.
fn becomes(memory: &Memory, status: RolloutStatus) {
    memory.before_load(move |all| touch(&mut all[0], |draft| *draft = with_status(status).draft));
}

#[tokio::test]
async fn one_line_and_its_exit_code() {
    for (status, exit, line) in [
        (
            healthy(),
            Exit::Done,
            "Healthy: revision 1.4.2 serves with 6 tasks\n",
        ),
        (
            baking_for_long(),
            Exit::Done,
            "Progressing, stage 2/3, weight 33%: stage 2 of 3 bakes; waiting for the stage's \
             bake time, which ends at 2999-01-01T00:00:00Z\n",
        ),
        (
            degraded(),
            Exit::No,
            "Degraded: attempt 2 was taken back; waiting for `rolloutctl retry` or a new spec\n",
        ),
    ] {
        let (mut console, answers, _) = console();
        let result = run(&news_web(), &store(status), &mut console).await;
        assert_eq!(result.expect("told"), exit);
        assert_eq!(answers.text(), line);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_tells_each_change_once_and_ends_healthy() {
    let memory = store(baking_for_long());
    for _ in 0..3 {
        memory.before_load(|_| ());
    }
    let last = RolloutStatus {
        stage: 2,
        weight: 50,
        message: "stage 3 of 3".to_owned(),
        waiting_on: Some(WaitingOn::Approval),
        ..baking()
    };
    becomes(&memory, last);
    memory.before_load(|_| ());
    becomes(&memory, healthy());
    let (mut console, answers, _) = console();
    let exit = wait(&news_web(), MINUTE, &memory, &mut console).await;
    assert_eq!(exit.expect("ends"), Exit::Done);
    insta::assert_snapshot!(answers.text(), @r"
    [0s] Progressing, stage 2/3, weight 33%: stage 2 of 3 bakes; waiting for the stage's bake time, which ends at 2999-01-01T00:00:00Z
    [1s] Progressing, stage 3/3, weight 50%: stage 3 of 3; waiting for approval: `rolloutctl promote`
    rollout/news-web Healthy: revision 1.4.2 serves with 6 tasks
    ");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_degraded_shows_what_was_measured() {
    let memory = store(degraded());
    let (mut console, answers, _) = console();
    let exit = wait(&news_web(), MINUTE, &memory, &mut console).await;
    assert_eq!(exit.expect("ends"), Exit::No);
    insta::assert_snapshot!(answers.text(), @r"
    rollout/news-web Degraded: attempt 2 was taken back
      revision 76139ab293 was taken back in stage 2 of attempt 2 at 2026-03-01T12:07:30Z
      error-ratio failed 2 times, 1 is tolerated
      error-ratio = 0.05, must be <= 0.01 at 2026-03-01T12:07:10Z
      error-ratio = 0.06, must be <= 0.01 at 2026-03-01T12:07:20Z
      try again with `rolloutctl retry news-web`, or apply a new spec
    ");
}

#[tokio::test(start_paused = true)]
async fn a_status_of_an_older_spec_is_not_the_answer() {
    let mut unseen = with_status(healthy());
    unseen.draft.generation = 3;
    let memory = Memory::with([unseen]);
    let (mut console, answers, _) = console();
    let failure = wait(&news_web(), MINUTE, &memory, &mut console)
        .await
        .expect_err("too long");
    assert_eq!(failure.exit(), Exit::TimedOut);
    assert!(failure.to_string().contains("Is a controller running?"));
    assert!(answers.text().contains("has not seen generation 3"));
}

#[tokio::test(start_paused = true)]
async fn degraded_is_no_answer_while_a_retry_waits_for_the_controller() {
    let mut retried = with_status(degraded());
    retried.draft.command = Some(Command {
        id: "1".to_owned(),
        verb: Verb::Retry,
        attempt: 2,
        stage: 1,
        generation: Some(1),
        by: Actor("ada@desk".to_owned()),
        at: at(500),
    });
    let memory = Memory::with([retried]);
    memory.before_load(|_| ());
    becomes(&memory, healthy());
    let (mut console, _, _) = console();
    let exit = wait(&news_web(), MINUTE, &memory, &mut console).await;
    assert_eq!(exit.expect("ends"), Exit::Done);
}

fn paused(reason: PauseReason, message: &str, waiting: WaitingOn) -> RolloutStatus {
    RolloutStatus {
        phase: Phase::Paused,
        message: format!("paused: {message}"),
        waiting_on: Some(waiting),
        pause: Some(Pause {
            reason,
            since: at(450),
            message: message.to_owned(),
            deadline_left_ms: None,
        }),
        ..baking()
    }
}

/// What waits for a decision may do so for days: a pipeline is told, and gives its runner back.
#[tokio::test(start_paused = true)]
async fn a_rollout_that_stopped_by_itself_ends_the_wait_and_says_who_must_decide() {
    for (reason, verbs) in [
        (PauseReason::Failure, "promote, abort or retry"),
        (PauseReason::Inconclusive, "resume, promote or abort"),
    ] {
        let memory = store(paused(
            reason,
            "error-ratio failed 3 times",
            WaitingOn::Decision,
        ));
        let (mut console, answers, _) = console();
        let exit = wait(&news_web(), MINUTE, &memory, &mut console).await;
        assert_eq!(exit.expect("ends"), Exit::No);
        assert_eq!(
            answers.text(),
            format!(
                "rollout/news-web Paused: error-ratio failed 3 times\n  \
                 Somebody must decide: {verbs} news-web; or apply a new spec\n"
            )
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_no_answer_while_a_decision_waits_for_the_controller() {
    let stopped = paused(PauseReason::Failure, "it failed", WaitingOn::Decision);
    let mut decided = with_status(stopped);
    decided.draft.command = Some(Command {
        id: "1".to_owned(),
        verb: Verb::Promote,
        attempt: 2,
        stage: 1,
        generation: Some(1),
        by: Actor("ada@desk".to_owned()),
        at: at(500),
    });
    let memory = Memory::with([decided]);
    memory.before_load(|_| ());
    becomes(&memory, healthy());
    let (mut console, _, _) = console();
    let exit = wait(&news_web(), MINUTE, &memory, &mut console).await;
    assert_eq!(exit.expect("ends"), Exit::Done);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_holds_is_waited_for_and_it_is_said_how() {
    let approval = RolloutStatus {
        phase: Phase::Paused,
        waiting_on: Some(WaitingOn::Approval),
        ..baking()
    };
    let by_user = paused(PauseReason::User, "by ada@desk", WaitingOn::Resume);
    for (status, waits_for) in [
        (by_user, "; waiting for `rolloutctl resume`"),
        (approval, "; waiting for approval: `rolloutctl promote`"),
    ] {
        let memory = store(status);
        let (mut console, answers, _) = console();
        let failure = wait(&news_web(), MINUTE, &memory, &mut console).await;
        assert_eq!(failure.expect_err("waits").exit(), Exit::TimedOut);
        let text = answers.text();
        assert!(text.contains(waits_for), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_spec_ends_the_wait_for_the_one_before_it() {
    let memory = store(baking_for_long());
    memory.before_load(|_| ());
    memory.before_load(|all| touch(&mut all[0], |draft| draft.generation = 3));
    let (mut console, _, _) = console();
    let failure = wait(&news_web(), MINUTE, &memory, &mut console)
        .await
        .expect_err("it is not what is rolled out any more");
    assert_eq!(failure.exit(), Exit::No);
    assert_eq!(
        failure.to_string(),
        "rollout/news-web: another spec was applied (generation 3) before that of generation 2, which was waited for, \
         was done; `rolloutctl status news-web --wait` waits for the new one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_is_waited_for_and_one_that_does_not_is_the_answer() {
    let memory = store(healthy());
    memory.silence(5);
    let (mut console, _, remarks) = console();
    let exit = wait(&news_web(), MINUTE, &memory, &mut console).await;
    assert_eq!(exit.expect("ends"), Exit::Done);
    assert_eq!(remarks.text().matches("no route to host").count(), 1);

    memory.silence(u32::MAX);
    let failure = wait(&news_web(), MINUTE, &memory, &mut console).await;
    assert_eq!(failure.expect_err("waits").exit(), Exit::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_is_not_there_or_goes_away_is_not_waited_for() {
    let (mut console, _, _) = console();
    let missing = RolloutRef("news-wbe".parse().expect("a name"));
    let memory = store(baking());
    let failure = wait(&missing, MINUTE, &memory, &mut console).await;
    assert_eq!(
        failure.expect_err("missing").to_string(),
        "rollout \"news-wbe\" not found; did you mean news-web?"
    );
    memory.before_load(|_| ());
    memory.before_load(Vec::clear);
    let failure = wait(&news_web(), MINUTE, &memory, &mut console).await;
    assert!(matches!(failure, Err(Failure::No(text)) if text.contains("was deleted")));
}

#[test]
fn the_picture_shows_the_stages_and_what_is_measured() {
    let stored: Stored = with_status(baking());
    insta::assert_snapshot!(drawing(&stored, at(460), Paint::Plain), @r"
    rollout/news-web  Progressing
      ✓ 5%  ▶ 33%  · 50%  · 100%   weight now 33%
      stage 2 of 3 bakes
      waiting for the stage's bake time, which ends at 2026-03-01T12:16:40Z
      in this stage for 60s
      error-ratio 0.0021 (must be <= 0.01), 1 of 3 measurements failed
    ");
}

#[tokio::test]
async fn what_was_due_is_told_as_what_is_late_and_never_as_what_is_to_come() {
    let past = at(-600_000_000); // 2007: past by any machine's clock
    for (waiting, told) in [
        (
            WaitingOn::Bake { until: past },
            "the controller to go on: the bake time ended at 2007-02-25T01:20:00Z",
        ),
        (
            WaitingOn::Measurement {
                metric: name("error-ratio"),
                next: past,
            },
            "the measurement of `error-ratio` that was due at 2007-02-25T01:20:00Z",
        ),
        (
            WaitingOn::Drain {
                revision: "0123456789".parse().expect("a revision"),
                until: past,
            },
            "the open requests of 0123456789 to be cut: their time ended at 2007-02-25T01:20:00Z",
        ),
    ] {
        let status = RolloutStatus {
            waiting_on: Some(waiting),
            ..baking()
        };
        let stored = with_status(status.clone());
        let (mut console, answers, _) = console();
        let result = run(&news_web(), &store(status), &mut console).await;
        assert_eq!(result.expect("told"), Exit::Done);
        let line = answers.text();
        assert!(line.ends_with(&format!("; waiting for {told}\n")), "{line}");
        let picture = drawing(&stored, at(2_000), Paint::Plain);
        assert!(
            picture.contains(&format!("waiting for {told}")),
            "{picture}"
        );
    }
}

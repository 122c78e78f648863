//! `undo` where the controller, or another person, writes at the same time.

use super::fixtures::{record, rollout};
use super::memory::{Memory, touch};
use super::past::{asking_for, entry, image, promoted, revision, under_way};
use super::undo::{asked_for, refused, request, undone};
use crate::api::{AttemptOutcome, Revision, RolloutStatus, Step};
use crate::cli::exit::Exit;

#[tokio::test]
async fn it_is_tried_again_when_the_controller_wrote_meanwhile() {
    let memory = Memory::with([asking_for("1.4.2", under_way())]);
    memory.before_write(|all| {
        touch(&mut all[0], |draft| {
            draft.status.as_mut().expect("a status").stage = 2;
        });
    });
    let (_, stored) = undone(&request(None), &memory).await.expect("undone");
    assert_eq!(asked_for(&stored), revision("1.4.1"));
    assert_eq!(stored.draft.status.map(|status| status.stage), Some(2));
}

/// An undo that is repeated at once does not go further back; one that follows a change of something else does go back.
#[tokio::test]
async fn a_spec_that_has_just_gone_back_goes_no_further_by_itself() {
    use AttemptOutcome::{Completed, Running};
    let history = vec![
        entry(1, "1.4.0", Completed),
        entry(2, "1.4.1", Completed),
        entry(3, "1.4.2", Running),
    ];
    let mut tried = RolloutStatus {
        history,
        ..under_way()
    };
    tried.revisions.extend([record(&image("1.4.0"), 0)]);
    let unseen = |version, status| {
        let mut stored = asking_for(version, status);
        stored.draft.generation += 1;
        stored
    };
    let refusal = refused(&request(None), unseen("1.4.1", tried.clone())).await;
    assert!(refusal.contains("went back to"), "{refusal}");
    for (to, stored, target) in [
        (Some(revision("1.4.0")), unseen("1.4.1", tried), "1.4.0"),
        (None, unseen("1.4.2", promoted()), "1.4.1"),
    ] {
        let asked = request(to.as_ref().map(Revision::as_str));
        let (_, stored) = undone(&asked, &Memory::with([stored]))
            .await
            .expect("undone");
        assert_eq!(asked_for(&stored), revision(target));
    }
}

/// Two people who go back at the same time go back once.
#[tokio::test]
async fn who_is_overtaken_by_another_undo_does_not_go_further_back() {
    use AttemptOutcome::{Completed, Running};
    let status = RolloutStatus {
        history: vec![
            entry(1, "1.4.0", Completed),
            entry(2, "1.4.1", Completed),
            entry(3, "1.4.2", Running),
        ],
        ..under_way()
    };
    for is_seen in [false, true] {
        let mut before = asking_for("1.4.2", status.clone());
        let kept = record(&image("1.4.0"), 0);
        let known = before.draft.status.as_mut().expect("a status");
        known.revisions.extend([kept]);
        let memory = Memory::with([before]);
        memory.before_write(move |all| {
            touch(&mut all[0], |draft| {
                draft.resource = rollout(&image("1.4.1"));
                draft.generation += 1;
                if is_seen {
                    let status = draft.status.as_mut().expect("a status");
                    status.observed_generation = draft.generation;
                    status.canary_revision = None;
                    status.step = Step::Idle;
                }
            });
        });
        let failure = undone(&request(None), &memory)
            .await
            .expect_err("overtaken");
        assert_eq!(failure.exit(), Exit::No, "{failure}");
        let stored = memory.find("ro/news-web").expect("stored");
        assert_eq!(asked_for(&stored), revision("1.4.1"));
        assert_eq!(memory.writes(), 0);
    }
}

#[tokio::test]
async fn who_is_overtaken_every_time_is_told_so() {
    let memory = Memory::with([asking_for("1.4.2", promoted())]);
    for _ in 0..20 {
        memory.before_write(|all| touch(&mut all[0], |_| ()));
    }
    let failure = undone(&request(None), &memory)
        .await
        .expect_err("overtaken");
    assert_eq!(failure.exit(), Exit::No);
    assert!(
        failure.to_string().contains("10 times in a row"),
        "{failure}"
    );
}

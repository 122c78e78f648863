//! `undo`: where it goes, what it refuses and what it writes.

use super::console;
use super::fixtures::{at, name, rollout, stored};
use super::memory::Memory;
use super::past::{
    asking_for, at_rest, entry, image, promoted, revision, sourced, taken_back, under_way,
};
use super::source::status_of_news;
use crate::api::{
    Actor, AttemptOutcome, CHANGE_CAUSE_ANNOTATION, Deletion, Dependents, OnDrift, Resource,
    Revision, RolloutStatus, SourceStatus, Step,
};
use crate::cli::apply::Mode;
use crate::cli::exit::{Exit, Failure};
use crate::cli::owner::SourceSay;
use crate::cli::target::{RolloutRef, rollout_spec};
use crate::cli::undo::{Request, on_offer, run};
use crate::world::Stored;

/// What is asked, with a revision or without.
pub fn request(to: Option<&str>) -> Request {
    Request {
        rollout: RolloutRef(name("news-web")),
        to: to.map(|to| to.parse().expect("digits")),
        mode: Mode::Write,
        source: SourceSay::Heeded,
        by: Actor("ana@desk".to_owned()),
        now: at(10_860),
    }
}

/// Undoes, and gives what was answered and what is stored then.
pub async fn undone(request: &Request, memory: &Memory) -> Result<(String, Stored), Failure> {
    let (mut console, answers, _) = console();
    let exit = run(request, memory, &mut console).await?;
    assert_eq!(exit, Exit::Done);
    let stored = memory.find("ro/news-web").expect("stored");
    Ok((answers.text(), stored))
}

/// What is said of a rollout that cannot be undone; nothing is written then.
pub async fn refused(request: &Request, stored: Stored) -> String {
    let memory = Memory::with([stored]);
    let failure = undone(request, &memory).await.expect_err("refused");
    assert_eq!(failure.exit(), Exit::No, "{failure}");
    assert_eq!(memory.writes(), 0);
    failure.to_string()
}

/// The revision that the spec asks for.
pub fn asked_for(stored: &Stored) -> Revision {
    Revision::of(rollout_spec(stored).expect("a rollout"))
}

#[tokio::test]
async fn progress_6_undo_after_a_promotion_asks_for_the_revision_before() {
    let memory = Memory::with([asking_for("1.4.2", promoted())]);
    let (told, stored) = undone(&request(None), &memory).await.expect("undone");
    let first = revision("1.4.1");
    assert_eq!(
        told,
        format!(
            "rollout/news-web goes back to {first} ({}), which was completed 120m ago\n",
            image("1.4.1")
        )
    );
    assert_eq!(asked_for(&stored), first);
    assert_eq!(stored.draft.generation, 3);
    let annotations = &stored.draft.resource.metadata().annotations;
    assert_eq!(
        annotations.get(CHANGE_CAUSE_ANNOTATION),
        Some(&format!("undo to {first} by ana@desk"))
    );
    // What is the controller's stays, and so does all of the spec that makes no revision.
    assert_eq!(
        stored.draft.status.map(|status| status.history.len()),
        Some(2)
    );
    assert_eq!(memory.writes(), 1);
}

#[tokio::test]
async fn what_comes_next_is_told() {
    let (mut console, _, remarks) = console();
    let memory = Memory::with([asking_for("1.4.2", promoted())]);
    run(&request(None), &memory, &mut console)
        .await
        .expect("undone");
    assert_eq!(
        remarks.text(),
        "follow it with: rolloutctl status news-web --wait\n"
    );
}

#[tokio::test]
async fn progress_6_undo_on_the_way_or_after_an_abort_asks_for_the_stable_revision() {
    let unseen = asking_for("1.5.0", promoted());
    for (stored, stable) in [
        (asking_for("1.4.2", under_way()), "1.4.1"),
        (asking_for("1.4.2", taken_back()), "1.4.1"),
        // It was applied just now, and the controller has not seen it yet.
        (unseen, "1.4.2"),
    ] {
        let memory = Memory::with([stored]);
        let (told, stored) = undone(&request(None), &memory).await.expect("undone");
        assert_eq!(asked_for(&stored), revision(stable));
        assert!(told.ends_with(", the stable revision\n"), "{told}");
    }
}

#[tokio::test]
async fn undo_twice_goes_there_and_back() {
    use AttemptOutcome::Completed;
    let mut status = promoted();
    status.history.push(entry(3, "1.4.1", Completed));
    status.stable_revision = Some(revision("1.4.1"));
    let memory = Memory::with([asking_for("1.4.1", status)]);
    let (_, stored) = undone(&request(None), &memory).await.expect("undone");
    assert_eq!(asked_for(&stored), revision("1.4.2"));
}

#[tokio::test]
async fn attempts_that_failed_in_between_are_passed_over() {
    use AttemptOutcome::{Aborted, Completed};
    let history = vec![
        entry(1, "1.4.0", Completed),
        entry(2, "1.4.1", Completed),
        entry(3, "1.4.2", Completed),
        entry(4, "1.5.0", Aborted),
    ];
    let status = at_rest(history, &["1.4.0", "1.4.1", "1.4.2", "1.5.0"]);
    let memory = Memory::with([asking_for("1.4.2", status)]);
    let (_, stored) = undone(&request(None), &memory).await.expect("undone");
    assert_eq!(asked_for(&stored), revision("1.4.1"));
}

#[tokio::test]
async fn a_revision_may_be_named_by_its_first_digits() {
    let first = revision("1.4.1");
    for digits in [2, 5, Revision::LEN] {
        let memory = Memory::with([asking_for("1.4.2", promoted())]);
        let asked = request(Some(&first.as_str()[..digits]));
        let (_, stored) = undone(&asked, &memory).await.expect("undone");
        assert_eq!(asked_for(&stored), first);
    }
}

#[tokio::test]
async fn one_that_was_never_completed_is_gone_to_if_it_is_named_and_that_is_said() {
    let stored = || {
        asking_for(
            "1.4.1",
            RolloutStatus {
                abort: None,
                ..taken_back()
            },
        )
    };
    let refusal = refused(&request(None), stored()).await;
    assert!(
        refusal.contains("name one that is kept by `--to-revision`"),
        "{refusal}"
    );
    let memory = Memory::with([stored()]);
    let bad = revision("1.4.2");
    let (told, after) = undone(&request(Some(bad.as_str())), &memory)
        .await
        .expect("named");
    assert_eq!(asked_for(&after), bad);
    assert!(
        told.ends_with("which was never completed: attempt 2 was aborted: too many errors\n"),
        "{told}"
    );
}

#[tokio::test]
async fn where_it_is_already_nothing_is_done() {
    let memory = Memory::with([asking_for("1.4.2", promoted())]);
    let asked = request(Some(revision("1.4.2").as_str()));
    let (told, _) = undone(&asked, &memory).await.expect("nothing to do");
    assert!(told.starts_with("rollout/news-web unchanged: "), "{told}");
    assert_eq!(memory.writes(), 0);
    // But one that was taken back is not there.
    let refusal = refused(&asked, asking_for("1.4.2", taken_back())).await;
    assert!(refusal.contains("rolloutctl retry"), "{refusal}");
}

#[tokio::test]
async fn what_cannot_be_undone_is_refused_with_a_remedy() {
    use AttemptOutcome::{Completed, Running};
    let alone = || at_rest(vec![entry(1, "1.4.2", Completed)], &["1.4.2"]);
    let first = RolloutStatus {
        step: Step::Initial,
        stable_revision: Some(revision("1.4.2")),
        ..at_rest(vec![entry(1, "1.4.2", Running)], &["1.4.2"])
    };
    let forgetful = RolloutStatus {
        revisions: alone().revisions,
        ..promoted()
    };
    let mut deleted = asking_for("1.4.2", promoted());
    deleted.draft.deletion = Some(Deletion {
        at: at(0),
        dependents: Dependents::Remove,
    });
    let gone = revision("1.4.1");
    let gone = Some(gone.as_str());
    let cases: Vec<(Option<&str>, Stored, &str)> = vec![
        (None, stored(rollout("web:1")), "has not seen it yet"),
        (None, deleted, "it is being deleted"),
        (
            None,
            asking_for("1.4.2", first),
            "its first revision comes up",
        ),
        (
            None,
            asking_for("1.4.2", alone()),
            "apply an earlier manifest",
        ),
        (
            None,
            asking_for("1.4.2", forgetful.clone()),
            "`spec.revisionHistoryLimit` is 5",
        ),
        (
            gone,
            asking_for("1.4.2", forgetful),
            "apply its manifest again",
        ),
        (
            Some("ffffff"),
            asking_for("1.4.2", alone()),
            "there are 76139ab293",
        ),
    ];
    for (to, stored, said) in cases {
        let refusal = refused(&request(to), stored).await;
        assert!(
            refusal.starts_with("rollout/news-web: cannot undo: "),
            "{refusal}"
        );
        assert!(refusal.contains(said), "{refusal}");
    }
}

#[tokio::test]
async fn the_beginning_of_several_revisions_is_refused_with_all_of_them() {
    let versions: Vec<String> = (0..17).map(|minor| format!("1.{minor}")).collect();
    let kept: Vec<&str> = versions.iter().map(String::as_str).collect();
    let status = at_rest(vec![entry(1, "1.0", AttemptOutcome::Completed)], &kept);
    // Of seventeen revisions two begin with the same of sixteen digits.
    let first_digits = |text: &str| text.chars().next().expect("a digit");
    let digits: Vec<char> = status
        .revisions
        .keys()
        .map(|r| first_digits(r.as_str()))
        .collect();
    let twice = digits
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .expect("two");
    let count = digits.iter().filter(|digit| **digit == twice[0]).count();
    let refusal = refused(
        &request(Some(&twice[0].to_string())),
        asking_for("1.0", status),
    )
    .await;
    assert!(
        refusal.contains("write more of the one that is meant"),
        "{refusal}"
    );
    assert_eq!(
        refusal.matches("registry.example/news-web:").count(),
        count,
        "{refusal}"
    );
}

#[tokio::test]
async fn what_comes_from_a_source_is_reverted_there_unless_forced() {
    let sourced = || sourced(asking_for("1.4.2", promoted()));
    assert_eq!(on_offer(&sourced()), None);
    let memory = Memory::with([sourced()]);
    memory.tell(status_of_news());
    let refusal = undone(&request(None), &memory).await.expect_err("refused");
    let refusal = refusal.to_string();
    for word in [
        "source/git-specs (git:https://git.example/news#main, file news.yaml)",
        "revert the commit",
        "--force",
    ] {
        assert!(refusal.contains(word), "{refusal}");
    }
    assert_eq!(memory.writes(), 0);
    let forced = Request {
        source: SourceSay::Overridden,
        ..request(None)
    };
    let (mut console, _, remarks) = console();
    run(&forced, &memory, &mut console).await.expect("forced");
    let stored = memory.find("ro/news-web").expect("stored");
    assert_eq!(asked_for(&stored), revision("1.4.1"));
    assert!(
        remarks.text().contains("revert the commit there too"),
        "{}",
        remarks.text()
    );
}

#[tokio::test]
async fn a_source_that_nobody_reads_or_that_only_reports_holds_no_undo_up() {
    let reporting = SourceStatus {
        on_drift: OnDrift::Report,
        ..status_of_news()
    };
    let given_up = SourceStatus {
        kept: vec!["rollout/news-web: its manifest is gone, and it stays: why".to_owned()],
        ..status_of_news()
    };
    for (status, remark) in [
        (None, ""),
        (Some(given_up), ""),
        (
            Some(reporting),
            "takes it back when the manifest changes: revert",
        ),
    ] {
        let memory = Memory::with([sourced(asking_for("1.4.2", promoted()))]);
        if let Some(status) = status {
            memory.tell(status);
        }
        let (mut console, _, remarks) = console();
        run(&request(None), &memory, &mut console)
            .await
            .expect("undone");
        let stored = memory.find("ro/news-web").expect("stored");
        assert_eq!(asked_for(&stored), revision("1.4.1"));
        let told = remarks.text();
        assert!(told.contains(remark), "{told}");
        assert_eq!(told.contains("it comes from"), !remark.is_empty(), "{told}");
    }
}

#[tokio::test]
async fn a_dry_run_shows_the_change_and_writes_nothing() {
    let memory = Memory::with([asking_for("1.4.2", promoted())]);
    let dry = Request {
        mode: Mode::DryRun,
        ..request(None)
    };
    let (told, _) = undone(&dry, &memory).await.expect("told");
    assert_eq!(memory.writes(), 0);
    insta::assert_snapshot!(told, @r"
    rollout/news-web goes back to afe0bdf087 (registry.example/news-web:1.4.1), which was completed 120m ago (dry run)
    --- stored rollout/news-web
    +++ undone rollout/news-web
    @@ -1,6 +1,8 @@
     apiVersion: rolloutctl.dev/v1alpha1
     kind: Rollout
     metadata:
    +  annotations:
    +    rolloutctl.dev/change-cause: undo to afe0bdf087 by ana@desk
       labels:
         team: news
       name: news-web
    @@ -29,7 +31,7 @@
           - approval: true
             weight: 50
       template:
    -    image: registry.example/news-web:1.4.2
    +    image: registry.example/news-web:1.4.1
         networks:
         - news
       traffic:
    ");
}

#[tokio::test]
async fn what_the_store_cannot_hold_is_refused() {
    let mut stored = asking_for("1.4.2", promoted());
    let Resource::Rollout(manifest) = &mut stored.draft.resource else {
        panic!("a rollout");
    };
    let annotations = &mut manifest.metadata.annotations;
    annotations.insert("team.example/notes".to_owned(), "x".repeat(70 * 1024));
    let refusal = refused(&request(None), stored).await;
    assert!(
        refusal.contains("write rollout/news-web to the store"),
        "{refusal}"
    );
}

/// A rollout that serves, whose spec was made a preview: that is refused, and its template alone leads nowhere.
#[tokio::test]
async fn progress_6_undo_from_another_strategy_says_that_it_cannot() {
    let mut changed = asking_for("1.4.2", promoted());
    let Resource::Rollout(manifest) = &mut changed.draft.resource else {
        panic!("a rollout");
    };
    let preview = serde_json::json!({"preview": {}});
    manifest.spec.strategy = serde_json::from_value(preview).expect("a strategy");
    assert_eq!(on_offer(&changed), None);
    let refusal = refused(&request(None), changed).await;
    assert!(
        refusal.contains("apply the manifest that asked for it again"),
        "{refusal}"
    );
}

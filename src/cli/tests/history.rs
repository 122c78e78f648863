//! `history`: the table, what programs get, and what a revision runs.

use super::console;
use super::fixtures::{rollout, stored};
use super::memory::Memory;
use super::past::{asking_for, at_rest, entry, promoted, revision, sourced, taken_back, under_way};
use crate::api::{AttemptOutcome, CHANGE_CAUSE_ANNOTATION, Resource, Revision, RolloutStatus};
use crate::cli::args::Format;
use crate::cli::console::{Paint, Screen};
use crate::cli::exit::{Exit, Failure};
use crate::cli::history::{content, run};
use crate::cli::target::RolloutRef;
use crate::world::Stored;

fn news_web() -> RolloutRef {
    RolloutRef("news-web".parse().expect("a name"))
}

async fn told_on(screen: Screen, stored: Stored, format: Option<Format>) -> (String, String) {
    let (mut console, answers, remarks) = console();
    console.screen = screen;
    let exit = run(&news_web(), format, &Memory::with([stored]), &mut console).await;
    assert_eq!(exit.expect("told"), Exit::Done);
    (answers.text(), remarks.text())
}

async fn told(stored: Stored, format: Option<Format>) -> (String, String) {
    told_on(Screen::Stream, stored, format).await
}

/// The table without its ages, which count from the present.
fn without_ages(table: &str) -> String {
    let lines = table.lines().map(|line| {
        let words = line.split_whitespace();
        let kept = words.filter(|word| {
            let number = word.strip_suffix('d').unwrap_or_default();
            let is_age = (1..Revision::LEN - 1).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit());
            !is_age && *word != "ago"
        });
        kept.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn annotated(mut stored: Stored, key: &str, value: &str) -> Stored {
    let Resource::Rollout(manifest) = &mut stored.draft.resource else {
        panic!("a rollout");
    };
    manifest
        .metadata
        .annotations
        .insert(key.to_owned(), value.to_owned());
    stored
}

#[tokio::test]
async fn each_attempt_is_a_row_the_latest_last_and_says_what_the_revision_is_now() {
    let (table, remark) = told(asking_for("1.4.2", taken_back()), None).await;
    insta::assert_snapshot!(without_ages(&table), @r"
    REVISION ATTEMPT STARTED TOOK OUTCOME ROLE IMAGE MESSAGE
    afe0bdf087 1 60s Completed stable registry.example/news-web:1.4.1
    76139ab293 2 60s Aborted former registry.example/news-web:1.4.2 too many errors
    ");
    insta::assert_snapshot!(remark, @"`rolloutctl undo news-web` goes back to afe0bdf087 (registry.example/news-web:1.4.1)");
}

#[tokio::test]
async fn what_is_tried_is_the_canary_and_stable_is_the_way_back() {
    let (table, remark) = told(asking_for("1.4.2", under_way()), None).await;
    assert!(
        table.contains("Running") && table.contains("canary"),
        "{table}"
    );
    let way = format!("goes back to {}", revision("1.4.1"));
    assert!(remark.contains(&way), "{remark}");
}

#[tokio::test]
async fn a_revision_that_is_kept_longer_than_its_attempts_comes_first_and_one_that_is_not_is_gone()
{
    use AttemptOutcome::{Aborted, Completed};
    let history = vec![entry(3, "1.3.9", Aborted), entry(4, "1.4.2", Completed)];
    let status = at_rest(history, &["1.4.1", "1.4.2"]);
    let (table, remark) = told(asking_for("1.4.2", status), None).await;
    insta::assert_snapshot!(without_ages(&table), @r"
    REVISION ATTEMPT STARTED TOOK OUTCOME ROLE IMAGE MESSAGE
    afe0bdf087 - - - former registry.example/news-web:1.4.1
    8d36e7bf6d 3 60s Aborted gone -
    76139ab293 4 60s Completed stable registry.example/news-web:1.4.2
    ");
    assert_eq!(remark, "");
}

#[tokio::test]
async fn progress_8_what_is_kept_warm_is_told_apart_from_what_is_kept_without_tasks() {
    let mut stored = asking_for("1.4.2", promoted());
    let status = stored.draft.status.as_mut().expect("a status");
    status
        .warm
        .insert(revision("1.4.1"), super::fixtures::at(600));
    let (table, _) = told(stored, None).await;
    let row = table
        .lines()
        .find(|line| line.contains(revision("1.4.1").as_str()));
    assert!(row.is_some_and(|row| row.contains("warm")), "{table}");
}

#[tokio::test]
async fn who_went_back_is_told_with_the_attempt() {
    let cause = "undo to afe0bdf087 by ana@desk";
    let stored = annotated(
        asking_for("1.4.2", promoted()),
        CHANGE_CAUSE_ANNOTATION,
        cause,
    );
    let (table, _) = told(stored, None).await;
    let last = table.lines().last().expect("a row");
    assert!(last.ends_with(cause), "{table}");
    assert_eq!(table.matches(cause).count(), 1, "{table}");
    let mut back = taken_back();
    let attempt = back.history.last_mut().expect("an attempt");
    attempt.outcome = AttemptOutcome::Reverted;
    attempt.generation = 1;
    let stored = annotated(asking_for("1.4.1", back), CHANGE_CAUSE_ANNOTATION, cause);
    let (table, _) = told(stored, None).await;
    let last = table.lines().last().expect("a row");
    assert!(
        last.ends_with(&format!("too many errors; {cause}")),
        "{table}"
    );
}

#[tokio::test]
async fn a_source_is_where_to_go_back() {
    let stored = sourced(asking_for("1.4.2", promoted()));
    let (_, remark) = told(stored, None).await;
    assert!(
        remark.contains("revert the commit in git:https://git.example/news#main"),
        "{remark}"
    );
    assert!(!remark.contains("rolloutctl undo"), "{remark}");
}

#[tokio::test]
async fn a_narrow_terminal_gets_fewer_columns_and_wide_gets_all() {
    let on = |columns, format| {
        told_on(
            Screen::Terminal { columns },
            asking_for("1.4.2", taken_back()),
            format,
        )
    };
    for columns in [140, 100, 80, 40] {
        let (table, _) = on(columns, None).await;
        let width = table.lines().map(|line| line.chars().count()).max();
        assert!(width <= Some(usize::from(columns)), "{columns}:\n{table}");
        assert!(
            table.starts_with("REVISION") && table.contains("ROLE"),
            "{table}"
        );
    }
    let (wide, _) = on(40, Some(Format::Wide)).await;
    assert!(
        wide.contains("GENERATION") && wide.contains("too many errors"),
        "{wide}"
    );
}

#[tokio::test]
async fn outcomes_and_roles_are_painted_on_a_terminal_alone() {
    let (mut console, answers, _) = console();
    console.paint = Paint::Coloured;
    let memory = Memory::with([asking_for("1.4.2", taken_back())]);
    run(&news_web(), None, &memory, &mut console)
        .await
        .expect("told");
    assert!(answers.text().contains('\u{1b}'), "{}", answers.text());
    let (plain, _) = told(asking_for("1.4.2", taken_back()), None).await;
    assert!(!plain.contains('\u{1b}'), "{plain}");
}

#[tokio::test]
async fn programs_get_the_attempts_with_role_and_image() {
    let stored = || asking_for("1.4.2", taken_back());
    let (json, remark) = told(stored(), Some(Format::Json)).await;
    assert_eq!(remark, "");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    insta::assert_snapshot!(format!("{:#}", json[1]), @r#"
    {
      "attempt": 2,
      "endedAt": "2026-03-01T14:01:00Z",
      "generation": 2,
      "image": "registry.example/news-web:1.4.2",
      "message": "too many errors",
      "outcome": "Aborted",
      "revision": "76139ab293",
      "role": "former",
      "startedAt": "2026-03-01T14:00:00Z"
    }
    "#);
    assert_eq!(json[0]["role"], "stable");
    let (yaml, _) = told(stored(), Some(Format::Yaml)).await;
    assert_eq!(crate::manifest::from_yaml(&yaml), Ok(json));
    let (names, _) = told(stored(), Some(Format::Name)).await;
    let expected = format!("{}\n{}\n", revision("1.4.1"), revision("1.4.2"));
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_rollout_that_no_controller_has_seen_has_no_attempts() {
    let unseen = || stored(rollout("web:1"));
    let (table, remark) = told(unseen(), None).await;
    assert_eq!(table, "");
    assert!(
        remark.contains("the controller has not seen rollout/news-web"),
        "{remark}"
    );
    let (json, _) = told(unseen(), Some(Format::Json)).await;
    assert_eq!(json, "[]\n");
}

async fn content_of(
    asked: &str,
    status: RolloutStatus,
    format: Option<Format>,
) -> Result<String, Failure> {
    let (mut console, answers, _) = console();
    let memory = Memory::with([asking_for("1.4.2", status)]);
    let asked = asked.parse().expect("digits");
    content(&news_web(), &asked, format, &memory, &mut console).await?;
    Ok(answers.text())
}

#[tokio::test]
async fn what_a_revision_runs_is_printed_as_it_stands_in_a_spec() {
    let first = revision("1.4.1");
    let short = &first.as_str()[..3];
    insta::assert_snapshot!(content_of(short, promoted(), None).await.expect("kept"), @r"
    template:
      image: registry.example/news-web:1.4.1
      networks:
      - news
    traffic:
      port: 8080
      reach: network
    ");
    let name = content_of(short, promoted(), Some(Format::Name)).await;
    assert_eq!(name.expect("kept"), format!("{first}\n"));
    let json = content_of(short, promoted(), Some(Format::Json))
        .await
        .expect("kept");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["traffic"]["port"], 8080);
    let wide = content_of(short, promoted(), Some(Format::Wide)).await;
    assert_eq!(wide.expect_err("no table").exit(), Exit::Usage);
}

#[tokio::test]
async fn a_revision_that_is_unknown_or_gone_is_answered_with_those_that_there_are() {
    let gone = RolloutStatus {
        revisions: [super::fixtures::record(&super::past::image("1.4.2"), 0)].into(),
        ..promoted()
    };
    let first = revision("1.4.1");
    let failure = content_of(first.as_str(), gone, None)
        .await
        .expect_err("gone");
    assert_eq!(failure.exit(), Exit::No);
    assert!(
        failure
            .to_string()
            .contains("`spec.revisionHistoryLimit` is 5"),
        "{failure}"
    );
    let failure = content_of("ffffff", promoted(), None)
        .await
        .expect_err("unknown");
    assert_eq!(failure.exit(), Exit::No);
    for version in ["1.4.1", "1.4.2"] {
        assert!(
            failure.to_string().contains(revision(version).as_str()),
            "{failure}"
        );
    }
}

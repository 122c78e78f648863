//! `get`: tables, names, and what programs get.

use super::console;
use super::fixtures::{at, baking, healthy, json_of, load_balancer, store, stored, with_status};
use super::memory::Memory;
use crate::api::{Actor, Command, Deletion, Dependents, RolloutStatus, Verb};
use crate::cli::args::Format;
use crate::cli::console::Screen;
use crate::cli::exit::Exit;
use crate::cli::get::{Selection, run};
use crate::manifest::{Known, Source, parse};
use crate::world::World;

async fn got(memory: &Memory, words: &[&str], format: Option<Format>) -> String {
    got_on(Screen::Stream, memory, words, format).await
}

async fn got_on(screen: Screen, memory: &Memory, words: &[&str], format: Option<Format>) -> String {
    let (mut console, answers, remarks) = console();
    console.screen = screen;
    let selection =
        Selection::read(words.first().copied(), words.get(1).copied()).expect("a selection");
    let exit = run(&selection, format, memory, &mut console).await;
    assert_eq!(exit.expect("told"), Exit::Done);
    // Ages count from the present, so they are different in every run.
    let aged = answers.text();
    aged.split('\n')
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
        + &remarks.text()
}

#[tokio::test]
async fn names_are_kind_and_name() {
    assert_eq!(
        got(&store(healthy()), &[], Some(Format::Name)).await,
        "rollout/news-web\nloadbalancer/edge\nmetricsource/main\n"
    );
}

#[tokio::test]
async fn a_table_of_rollouts_has_their_stage_weight_and_revisions() {
    let text = got(&store(baking()), &["rollouts"], None).await;
    let fields: Vec<_> = text.split_whitespace().collect();
    assert_eq!(
        fields[..12],
        [
            "NAME",
            "PHASE",
            "STAGE",
            "WEIGHT",
            "STABLE",
            "CANARY",
            "AGE",
            "MESSAGE",
            "news-web",
            "Progressing",
            "2/3",
            "33%"
        ]
    );
    assert!(text.trim_end().ends_with("stage 2 of 3 bakes"), "{text}");
}

/// The header of a table and the width of its widest line.
fn shape(table: &str) -> (Vec<&str>, usize) {
    let header = table.lines().next().unwrap_or_default();
    let width = table.lines().map(|line| line.chars().count()).max();
    (header.split_whitespace().collect(), width.unwrap_or(0))
}

#[tokio::test]
async fn a_narrow_terminal_gets_fewer_columns_and_no_broken_line() {
    for (columns, header) in [
        (
            120,
            &[
                "NAME", "PHASE", "STAGE", "WEIGHT", "STABLE", "CANARY", "AGE", "MESSAGE",
            ][..],
        ),
        (
            80,
            &["NAME", "PHASE", "STAGE", "WEIGHT", "CANARY", "MESSAGE"],
        ),
        (60, &["NAME", "PHASE", "STAGE", "WEIGHT", "MESSAGE"]),
        (40, &["NAME", "PHASE", "STAGE", "WEIGHT"]),
    ] {
        let screen = Screen::Terminal { columns };
        let text = got_on(screen, &store(baking()), &["rollouts"], None).await;
        let (names, width) = shape(&text);
        assert_eq!(names, header, "{columns}:\n{text}");
        assert!(width <= usize::from(columns), "{columns}:\n{text}");
    }
}

#[tokio::test]
async fn wide_shows_everything_on_any_terminal() {
    let long = RolloutStatus {
        message: "a long story ".repeat(20),
        ..baking()
    };
    for (columns, words) in [(40, &["rollouts"][..]), (250, &["rollouts"]), (40, &["lb"])] {
        let screen = Screen::Terminal { columns };
        let (memory, format) = (store(long.clone()), Some(Format::Wide));
        assert_eq!(
            got_on(screen, &memory, words, format).await,
            got(&memory, words, format).await
        );
    }
}

#[tokio::test]
async fn nothing_there_is_said_and_is_no_failure() {
    assert_eq!(
        got(&Memory::default(), &[], None).await,
        "\nNo resources found\n".trim_start()
    );
}

#[tokio::test]
async fn programs_get_one_object_or_a_list() {
    let memory = store(baking());
    let one = got(&memory, &["rollout", "news-web"], Some(Format::Json)).await;
    let one: serde_json::Value = serde_json::from_str(&one).expect("JSON");
    assert_eq!(one["kind"], "Rollout");
    assert_eq!(one["metadata"]["generation"], 2);
    assert_eq!(one["status"]["observedGeneration"], 2);
    assert_eq!(one["status"]["waitingOn"]["on"], "Bake");
    let all = got(&memory, &["ro"], Some(Format::Json)).await;
    let all: serde_json::Value = serde_json::from_str(&all).expect("JSON");
    assert_eq!(all["items"][0], one);
}

#[test]
fn a_deletion_shows_in_the_metadata() {
    let mut leaving = with_status(healthy());
    leaving.draft.deletion = Some(Deletion {
        at: at(70),
        dependents: Dependents::Orphan,
    });
    insta::assert_snapshot!(format!("{:#}", json_of(&leaving)["metadata"]), @r#"
    {
      "creationTimestamp": "2026-03-01T12:00:00Z",
      "deletionDependents": "orphan",
      "deletionTimestamp": "2026-03-01T12:01:10Z",
      "generation": 2,
      "labels": {
        "team": "news"
      },
      "name": "news-web",
      "updateTimestamp": "2026-03-01T12:01:00Z"
    }
    "#);
    insta::assert_snapshot!(format!("{:#}", json_of(&stored(load_balancer()))), @r#"
    {
      "apiVersion": "rolloutctl.dev/v1alpha1",
      "kind": "LoadBalancer",
      "metadata": {
        "creationTimestamp": "2026-03-01T12:00:00Z",
        "generation": 1,
        "name": "edge",
        "updateTimestamp": "2026-03-01T12:01:00Z"
      },
      "spec": {
        "haproxy": {
          "instances": [
            {
              "address": "unix:///run/haproxy/admin.sock",
              "name": "lb-1"
            },
            {
              "address": "tcp://10.0.0.12:9999",
              "name": "lb-2"
            }
          ]
        }
      }
    }
    "#);
}

/// What is printed is a backup: applied again, it means what is stored.
#[tokio::test]
async fn what_is_printed_for_programs_can_be_applied_again() {
    let memory = store(baking());
    memory.before_load(|all| {
        all[0].draft.command = Some(Command {
            id: "1".to_owned(),
            verb: Verb::Pause,
            attempt: 2,
            stage: 1,
            generation: Some(1),
            by: Actor("eve@desk".to_owned()),
            at: at(500),
        });
    });
    let mut expected: Vec<_> = memory.load().await.expect("a store");
    expected.sort_by_key(|stored| stored.draft.resource.kind());
    for format in [Format::Yaml, Format::Json] {
        let all = got(&memory, &[], Some(format)).await;
        let one = got(&memory, &["rollout", "news-web"], Some(format)).await;
        assert!(
            all.contains("command") && all.contains("creationTimestamp"),
            "{all}"
        );
        for (text, count) in [(all, 3), (one, 1)] {
            let parsed = parse(&[Source::new("f", &text)], Known::SourcesOnly);
            let found: Vec<_> = parsed
                .diagnostics
                .iter()
                .map(|d| d.problem.as_str())
                .collect();
            // By itself the rollout refers to what is not here.
            let expected_problems = if count == 3 { 0 } else { 2 };
            assert_eq!(found.len(), expected_problems, "{found:?}");
            let resources: Vec<_> = parsed.resources.iter().map(|l| &l.resource).collect();
            let stored: Vec<_> = expected.iter().map(|s| &s.draft.resource).collect();
            assert_eq!(resources, stored[..count]);
        }
    }
}

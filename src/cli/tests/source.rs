//! `get sources`, `describe source/NAME`, and what `apply` says of a resource that comes from a source.

use super::console;
use super::fixtures::{at, name, rollout, stored};
use super::memory::Memory;
use crate::api::{Commit, OnDrift, Origin, Place, Prune, SourceKind, SourcePhase, SourceStatus};
use crate::cli::apply::{Mode, run};
use crate::cli::args::Format;
use crate::cli::exit::{Exit, Failure};
use crate::cli::source::{Chosen, describe, get};

const PLACE: &str = "git:https://git.example/specs.git#main";

/// A source that is read, and puts its own specs back.
pub fn status() -> SourceStatus {
    SourceStatus {
        name: name("git-specs"),
        kind: SourceKind::Git,
        place: Place(PLACE.to_owned()),
        prune: Prune::Delete,
        on_drift: OnDrift::Restore,
        phase: SourcePhase::Invalid,
        message: "1 invalid: shop.yaml:6:3: spec: unknown field".to_owned(),
        commit: Some(Commit(
            "4f0c2e1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        )),
        changed_at: Some(at(0)),
        resources: [("rollout/news-web".to_owned(), "d".to_owned())].into(),
        invalid: 1,
        problems: vec!["shop.yaml:6:3: spec: unknown field".to_owned()],
        drifted: Vec::new(),
        kept: Vec::new(),
        left: Vec::new(),
    }
}

#[tokio::test]
async fn sources_are_told_in_a_table_as_json_by_name_and_in_words() {
    let memory = Memory::default();
    memory.tell(status());
    let (mut console, answers, _) = console();
    let exit = get(&Chosen::All, None, &memory, &mut console).await;
    assert_eq!(exit.expect("told"), Exit::Done);
    let table = answers.text();
    let row = table.lines().nth(1).expect("a row");
    let words: Vec<_> = row.split_whitespace().take(6).collect();
    assert_eq!(words, ["git-specs", "Git", "Invalid", "4f0c2e1", "1", "1"]);

    let (mut console, answers, _) = super::console();
    let one = Chosen::One(name("git-specs"));
    get(&one, Some(Format::Json), &memory, &mut console)
        .await
        .expect("told");
    let json: serde_json::Value = serde_json::from_str(&answers.text()).expect("JSON");
    assert_eq!(
        (&json["kind"], &json["status"]["place"]),
        (&"Source".into(), &PLACE.into())
    );

    let (mut console, answers, _) = super::console();
    get(&Chosen::All, Some(Format::Name), &memory, &mut console)
        .await
        .expect("told");
    assert_eq!(answers.text(), "source/git-specs\n");

    let (mut console, answers, _) = super::console();
    describe(&name("git-specs"), &memory, &mut console)
        .await
        .expect("told");
    let text = answers.text();
    assert!(
        text.contains("Problems\n  shop.yaml:6:3: spec: unknown field"),
        "{text}"
    );

    let missing = Chosen::One(name("git-spec"));
    let (mut console, _, _) = super::console();
    let failure = get(&missing, None, &memory, &mut console)
        .await
        .expect_err("not there");
    assert!(
        matches!(&failure, Failure::No(text) if text.contains("did you mean git-specs?")),
        "{failure}"
    );
}

/// The source of `sourced` in `super::past`.
pub fn status_of_news() -> SourceStatus {
    SourceStatus {
        place: Place("git:https://git.example/news#main".to_owned()),
        ..status()
    }
}

#[tokio::test]
async fn applying_by_hand_what_comes_from_a_source_is_warned_of() {
    let mut owned = stored(rollout("web:1"));
    owned.draft.origin = Some(Origin {
        source: Place(PLACE.to_owned()),
        file: "web.yaml".to_owned(),
        commit: None,
        generation: 1,
        digest: "d".to_owned(),
        yields: std::collections::BTreeMap::new(),
        problem: None,
    });
    let memory = Memory::with([owned]);
    memory.tell(status());
    let (mut console, _, remarks) = console();
    let exit = run(vec![rollout("web:2")], Mode::Write, &memory, &mut console).await;
    assert_eq!(exit.expect("applied"), Exit::Done);
    let remark = remarks.text();
    assert!(
        remark.starts_with("warning: rollout/news-web comes from source/git-specs (git:https://git.example/specs.git#main, file web.yaml), which puts its own spec back"),
        "{remark}"
    );
    let origin = memory
        .find("rollout/news-web")
        .and_then(|stored| stored.draft.origin);
    assert!(origin.is_some(), "the mark stays");
}

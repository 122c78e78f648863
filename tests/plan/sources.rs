//! What a rollout tells of the GitOps source that it comes from.

use rolloutctl::api::{
    Commit, Condition, ConditionType, OriginProblem, OriginProblemKind, Phase, Reason,
};

use crate::toy::{Toy, spec};

fn invalid_source(toy: &Toy) -> Option<&Condition> {
    let mut conditions = toy.status.conditions.iter();
    conditions.find(|condition| condition.kind == ConditionType::InvalidSource)
}

#[test]
fn the_commit_that_asked_for_an_attempt_is_remembered_and_told() {
    let mut toy = Toy::new(spec("web:1"));
    toy.commit = Some(Commit(
        "0123456789abcdef0123456789abcdef01234567".to_owned(),
    ));
    toy.turn();
    let commit = toy
        .status
        .history
        .last()
        .and_then(|entry| entry.commit.clone());
    assert_eq!(commit, toy.commit);
    let told = toy.status.events.iter().map(|event| event.message.as_str());
    assert!(
        told.into_iter()
            .any(|message| message.ends_with("begins (commit 0123456)")),
        "{:?}",
        toy.status.events
    );
}

#[test]
fn an_invalid_manifest_is_told_once_and_changes_nothing_else() {
    let mut toy = Toy::stable(spec("web:1"));
    assert_eq!(invalid_source(&toy), None);
    let events = toy.status.events.len();
    toy.source_problem = Some(OriginProblem {
        kind: OriginProblemKind::Invalid,
        message: "web.yaml:6:3: spec: unknown field".to_owned(),
    });
    let plan = toy.turn();
    assert_eq!((plan.actions.len(), toy.status.phase), (0, Phase::Healthy));
    let condition = invalid_source(&toy).expect("told");
    assert_eq!(
        (condition.reason, condition.message.as_str()),
        (Reason::SourceInvalid, "web.yaml:6:3: spec: unknown field")
    );
    let status = toy.status.clone();
    assert_eq!(status.events.len(), events + 1);
    toy.turn();
    assert_eq!(toy.status, status, "it is told once");
    toy.source_problem = None;
    toy.turn();
    assert_eq!(invalid_source(&toy), None);
    assert_eq!(toy.status.events.len(), events + 2);
}

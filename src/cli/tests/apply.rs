//! `apply`: what is written, what is kept, and what happens when others write as well.

use super::console;
use super::fixtures::{at, baking, load_balancer, rollout, store, stored, with_status};
use super::memory::{Memory, touch};
use crate::api::{Deletion, Dependents, Resource};
use crate::cli::apply::{Mode, run};
use crate::cli::exit::{Exit, Failure};

fn relabelled(mut resource: Resource) -> Resource {
    if let Resource::Rollout(manifest) = &mut resource {
        manifest
            .metadata
            .labels
            .insert("team".to_owned(), "sport".to_owned());
    }
    resource
}

#[tokio::test]
async fn what_is_referred_to_is_created_first() {
    let memory = Memory::default();
    let (mut console, answers, remarks) = console();
    let resources = vec![rollout("web:1"), load_balancer()];
    let exit = run(resources, Mode::Write, &memory, &mut console).await;
    assert_eq!(exit.expect("applied"), Exit::Done);
    assert_eq!(
        answers.text(),
        "loadbalancer/edge created\nrollout/news-web created\n"
    );
    assert_eq!(
        remarks.text(),
        "follow it with: rolloutctl status news-web --wait\n"
    );
    assert_eq!(
        memory.find("ro/news-web").map(|s| s.draft.generation),
        Some(1)
    );
}

#[tokio::test]
async fn several_rollouts_are_followed_by_one_command() {
    let memory = Memory::default();
    let (mut console, _, remarks) = console();
    let mut other = rollout("web:1");
    if let Resource::Rollout(manifest) = &mut other {
        manifest.metadata.name = "shop-web".parse().expect("a name");
    }
    let resources = vec![rollout("web:1"), other];
    let exit = run(resources, Mode::Write, &memory, &mut console).await;
    assert_eq!(exit.expect("applied"), Exit::Done);
    assert_eq!(
        remarks.text(),
        "follow them with: rolloutctl get rollouts --watch\n"
    );
}

#[tokio::test]
async fn the_same_again_writes_nothing() {
    let memory = Memory::with([stored(rollout("web:1"))]);
    let (mut console, answers, _) = console();
    run(vec![rollout("web:1")], Mode::Write, &memory, &mut console)
        .await
        .expect("applied");
    assert_eq!(answers.text(), "rollout/news-web unchanged\n");
    assert_eq!(memory.writes(), 0);
}

#[tokio::test]
async fn a_new_spec_is_a_new_generation_and_keeps_the_status() {
    let memory = store(baking());
    let (mut console, answers, _) = console();
    run(vec![rollout("web:9")], Mode::Write, &memory, &mut console)
        .await
        .expect("applied");
    assert_eq!(answers.text(), "rollout/news-web configured\n");
    let draft = memory.find("ro/news-web").expect("stored").draft;
    assert_eq!((draft.generation, draft.epoch), (3, 3));
    assert_eq!(draft.status.map(|status| status.attempt), Some(2));
}

#[tokio::test]
async fn new_labels_are_no_new_generation() {
    let memory = Memory::with([stored(rollout("web:1"))]);
    let (mut console, answers, _) = console();
    let labelled = relabelled(rollout("web:1"));
    run(vec![labelled.clone()], Mode::Write, &memory, &mut console)
        .await
        .expect("applied");
    assert_eq!(answers.text(), "rollout/news-web configured\n");
    let draft = memory.find("ro/news-web").expect("stored").draft;
    assert_eq!(draft.generation, 1);
    assert_eq!(draft.resource, labelled);
}

#[tokio::test]
async fn a_controller_that_was_quicker_is_not_overwritten() {
    let memory = Memory::with([stored(rollout("web:1"))]);
    memory.before_write(|all| {
        touch(&mut all[0], |draft| {
            draft.status = with_status(baking()).draft.status;
        });
    });
    let (mut console, _, _) = console();
    run(vec![rollout("web:2")], Mode::Write, &memory, &mut console)
        .await
        .expect("applied");
    let draft = memory.find("ro/news-web").expect("stored").draft;
    assert_eq!(draft.generation, 2);
    assert_eq!(draft.status.map(|status| status.weight), Some(33));
}

#[tokio::test]
async fn endless_conflicts_end_in_an_answer() {
    let memory = Memory::with([stored(rollout("web:1"))]);
    for _ in 0..10 {
        memory.before_write(|all| touch(&mut all[0], |_| ()));
    }
    let (mut console, answers, _) = console();
    let failure = run(vec![rollout("web:2")], Mode::Write, &memory, &mut console)
        .await
        .expect_err("conflicts");
    assert_eq!(failure.exit(), Exit::No);
    assert!(failure.to_string().contains("apply again"), "{failure}");
    assert_eq!(answers.text(), "");
}

#[tokio::test]
async fn what_is_being_deleted_stops_everything_before_the_first_write() {
    let mut leaving = stored(rollout("web:1"));
    leaving.draft.deletion = Some(Deletion {
        at: at(10),
        dependents: Dependents::Remove,
    });
    let memory = Memory::with([leaving]);
    let (mut console, _, _) = console();
    let resources = vec![load_balancer(), rollout("web:2")];
    let failure = run(resources, Mode::Write, &memory, &mut console)
        .await
        .expect_err("refused");
    assert!(matches!(failure, Failure::No(_)));
    assert!(failure.to_string().contains("being deleted"), "{failure}");
    assert_eq!(memory.writes(), 0);
}

#[tokio::test]
async fn a_dry_run_tells_and_writes_nothing() {
    let memory = Memory::with([stored(rollout("web:1"))]);
    let (mut console, answers, _) = console();
    let resources = vec![load_balancer(), rollout("web:2")];
    run(resources, Mode::DryRun, &memory, &mut console)
        .await
        .expect("told");
    assert_eq!(
        answers.text(),
        "loadbalancer/edge created (dry run)\nrollout/news-web configured (dry run)\n"
    );
    assert_eq!(memory.writes(), 0);
}

/// Its engine is as it should be: the manifest is not.
#[tokio::test]
async fn what_no_object_can_hold_is_refused_before_it_is_written() {
    let mut large = rollout("web:2");
    if let Resource::Rollout(manifest) = &mut large {
        let labels = &mut manifest.metadata.labels;
        labels.insert("why".to_owned(), "x".repeat(65 * 1024));
    }
    for memory in [Memory::default(), Memory::with([stored(rollout("web:1"))])] {
        for mode in [Mode::Write, Mode::DryRun] {
            let (mut console, _, _) = console();
            let failure = run(vec![large.clone()], mode, &memory, &mut console)
                .await
                .expect_err("too large");
            assert_eq!(failure.exit(), Exit::No);
            assert!(failure.to_string().contains("smaller"), "{failure}");
            assert_eq!(memory.writes(), 0);
        }
    }
}

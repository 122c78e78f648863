//! `delete`: rollouts are marked, the rest goes once nothing refers to it.

use super::console;
use super::fixtures::{at, baking, healthy, load_balancer, name, store, stored, with_status};
use super::memory::{Memory, touch};
use super::past::sourced;
use super::source::status_of_news;
use crate::api::{
    Deletion, Dependents, Duration, OnDrift, Resource, RolloutStatus, Route, SourcePhase,
    SourceStatus,
};
use crate::cli::clock::Patience;
use crate::cli::delete::{Absent, Request, run};
use crate::cli::exit::{Exit, Failure};
use crate::cli::owner::SourceSay;
use crate::cli::target::ResourceRef;

fn request(targets: &[&str], wait: Option<Patience>) -> Request {
    Request {
        targets: targets
            .iter()
            .map(|target| ResourceRef::read(target, None).expect("KIND/NAME"))
            .collect(),
        dependents: Dependents::Remove,
        absent: Absent::Refused,
        source: SourceSay::Heeded,
        wait,
        now: at(100),
    }
}

#[tokio::test]
async fn safety_7_a_rollout_is_marked_and_left_to_the_controller() {
    let memory = store(baking());
    let (mut console, answers, _) = console();
    run(request(&["ro/news-web"], None), &memory, &mut console)
        .await
        .expect("marked");
    assert!(
        answers
            .text()
            .starts_with("rollout/news-web marked for deletion")
    );
    assert_eq!(
        memory.find("ro/news-web").and_then(|s| s.draft.deletion),
        Some(Deletion {
            at: at(100),
            dependents: Dependents::Remove
        })
    );
}

#[tokio::test]
async fn safety_7_orphaning_can_still_be_asked_of_one_that_is_being_deleted() {
    let memory = store(baking());
    let (mut console, _, _) = console();
    run(request(&["ro/news-web"], None), &memory, &mut console)
        .await
        .expect("marked");
    let orphan = Request {
        dependents: Dependents::Orphan,
        now: at(200),
        ..request(&["ro/news-web"], None)
    };
    run(orphan, &memory, &mut console).await.expect("marked");
    let deletion = memory.find("ro/news-web").and_then(|s| s.draft.deletion);
    assert_eq!(
        deletion,
        Some(Deletion {
            at: at(100),
            dependents: Dependents::Orphan
        })
    );
}

#[tokio::test]
async fn what_a_rollout_refers_to_stays() {
    let memory = store(healthy());
    let (mut console, _, _) = console();
    let failure = run(request(&["lb/edge"], None), &memory, &mut console)
        .await
        .expect_err("refused");
    assert!(
        failure.to_string().contains("rollout/news-web"),
        "{failure}"
    );
    assert!(memory.find("lb/edge").is_some());
}

/// The rollout's spec names another load balancer by now; its servers have not moved.
#[tokio::test]
async fn where_a_rollouts_servers_are_stays() {
    let mut moved = with_status(RolloutStatus {
        route: Some(Route {
            load_balancer: name("edge"),
            backend: "news-web".to_owned(),
        }),
        ..healthy()
    });
    if let Resource::Rollout(manifest) = &mut moved.draft.resource {
        let traffic = manifest.spec.traffic.as_mut();
        traffic.expect("a canary has traffic").load_balancer = name("elsewhere");
    }
    let memory = Memory::with([moved, stored(load_balancer())]);
    let (mut console, _, _) = console();
    let failure = run(request(&["lb/edge"], None), &memory, &mut console)
        .await
        .expect_err("refused");
    let said = failure.to_string();
    assert!(said.contains("rollout/news-web; its servers"), "{said}");
    assert!(memory.find("lb/edge").is_some());
}

#[tokio::test]
async fn a_name_that_is_a_kind_or_of_another_kind_is_told_so() {
    for (target, said) in [
        ("lb/metricsource", "write KIND/NAME for each"),
        ("lb/main", "did you mean metricsource/main?"),
    ] {
        let (mut console, _, _) = console();
        let memory = store(healthy());
        let failure = run(request(&[target], None), &memory, &mut console)
            .await
            .expect_err("not found");
        assert!(failure.to_string().contains(said), "{failure}");
    }
}

#[tokio::test]
async fn what_nothing_refers_to_goes_at_once() {
    let memory = Memory::with([stored(load_balancer())]);
    let (mut console, answers, _) = console();
    run(request(&["lb/edge"], None), &memory, &mut console)
        .await
        .expect("deleted");
    assert_eq!(answers.text(), "loadbalancer/edge deleted\n");
    assert!(memory.find("lb/edge").is_none());
}

#[tokio::test(start_paused = true)]
async fn with_wait_a_rollout_and_then_its_load_balancer_go() {
    let memory = store(healthy());
    // The looks: at the beginning, to mark, then while waiting.
    for _ in 0..4 {
        memory.before_load(|_| ());
    }
    memory.before_load(|all| all.retain(|stored| stored.draft.deletion.is_none()));
    let (mut console, answers, _) = console();
    let wait = Some(Patience::For(Duration::from_secs(60)));
    run(
        request(&["lb/edge", "ro/news-web"], wait),
        &memory,
        &mut console,
    )
    .await
    .expect("deleted");
    let text = answers.text();
    assert!(
        text.ends_with("rollout/news-web deleted\nloadbalancer/edge deleted\n"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_takes_too_long_tells_what_it_waits_for() {
    let memory = store(baking());
    let (mut console, _, _) = console();
    let wait = Some(Patience::For(Duration::from_secs(5)));
    let failure = run(request(&["ro/news-web"], wait), &memory, &mut console)
        .await
        .expect_err("too long");
    assert_eq!(failure.exit(), Exit::TimedOut);
    assert!(failure.to_string().contains("bake time"), "{failure}");
}

#[tokio::test]
async fn a_wrong_name_is_guessed_and_nothing_is_deleted() {
    let memory = store(healthy());
    let (mut console, _, _) = console();
    let targets = ["ro/news-web", "lb/egde"];
    let failure = run(request(&targets, None), &memory, &mut console)
        .await
        .expect_err("not found");
    assert!(matches!(failure, Failure::No(_)));
    assert!(
        failure.to_string().contains("did you mean edge?"),
        "{failure}"
    );
    assert_eq!(memory.writes(), 0);
}

#[tokio::test]
async fn a_mark_does_not_overwrite_what_the_controller_writes_meanwhile() {
    let memory = store(baking());
    memory.before_write(|all| touch(&mut all[0], |draft| draft.epoch = 9));
    let (mut console, _, _) = console();
    run(request(&["ro/news-web"], None), &memory, &mut console)
        .await
        .expect("marked");
    let draft = memory.find("ro/news-web").expect("stored").draft;
    assert_eq!(draft.epoch, 9);
    assert!(draft.deletion.is_some());
}

#[tokio::test]
async fn what_is_not_there_is_passed_over_when_that_is_asked_and_the_rest_is_deleted() {
    let targets = ["ro/gone", "ro/news-web", "lb/gone"];
    let memory = store(baking());
    let (mut nowhere, _, _) = console();
    let refused = run(request(&targets, None), &memory, &mut nowhere).await;
    assert!(matches!(refused, Err(Failure::No(_))), "{refused:?}");

    let (mut console, answers, _) = console();
    let ignoring = Request {
        absent: Absent::Ignored,
        ..request(&targets, None)
    };
    let exit = run(ignoring, &memory, &mut console).await.expect("done");
    assert_eq!(exit, Exit::Done);
    assert_eq!(
        answers.text(),
        "rollout/gone is not there: nothing to delete\n\
         loadbalancer/gone is not there: nothing to delete\n\
         rollout/news-web marked for deletion: it is drained, then its services are removed\n"
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_waited_for() {
    let memory = store(baking());
    let (mut console, answers, _) = console();
    let ignoring = Request {
        absent: Absent::Ignored,
        ..request(
            &["ro/gone"],
            Some(Patience::from_option(Duration::from_secs(1))),
        )
    };
    let exit = run(ignoring, &memory, &mut console).await.expect("done");
    assert_eq!(exit, Exit::Done);
    assert_eq!(
        answers.text(),
        "rollout/gone is not there: nothing to delete\n"
    );
}

/// A rollout of a source, and its load balancer, which was applied by hand.
fn owned() -> Memory {
    Memory::with([sourced(with_status(healthy())), stored(load_balancer())])
}

#[tokio::test]
async fn what_a_source_would_create_again_is_not_deleted_unless_forced() {
    for (on_drift, when) in [
        (
            OnDrift::Restore,
            "create it again at once, with all its traffic and without stages",
        ),
        (
            OnDrift::Report,
            "create it again when its manifest changes, with all its traffic",
        ),
    ] {
        let memory = owned();
        memory.tell(SourceStatus {
            on_drift,
            ..status_of_news()
        });
        let (mut console, answers, _) = console();
        let asked = Request {
            absent: Absent::Ignored,
            ..request(&["lb/edge", "ro/news-web"], None)
        };
        let failure = run(asked, &memory, &mut console)
            .await
            .expect_err("refused");
        let Failure::No(said) = failure else {
            panic!("{failure:?}");
        };
        for words in [
            "rollout/news-web: nothing was deleted",
            "source/git-specs",
            "file news.yaml",
            when,
            "--force",
        ] {
            assert!(said.contains(words), "{said}");
        }
        assert_eq!((memory.writes(), answers.text().as_str()), (0, ""));

        let forced = Request {
            source: SourceSay::Overridden,
            ..request(&["ro/news-web"], None)
        };
        run(forced, &memory, &mut console).await.expect("forced");
        assert!(
            memory
                .find("ro/news-web")
                .is_some_and(|s| s.draft.deletion.is_some())
        );
    }
}

#[tokio::test]
async fn what_no_source_says_any_more_is_deleted_as_all_else() {
    let gone = SourceStatus {
        phase: SourcePhase::Gone,
        ..status_of_news()
    };
    let kept = SourceStatus {
        kept: vec!["rollout/news-web: its manifest is gone, and it stays: why".to_owned()],
        ..status_of_news()
    };
    for status in [None, Some(gone), Some(kept)] {
        let memory = owned();
        if let Some(status) = status {
            memory.tell(status);
        }
        let (mut console, _, _) = console();
        run(request(&["ro/news-web"], None), &memory, &mut console)
            .await
            .expect("marked");
    }
    // What is being deleted already may be orphaned instead.
    let mut leaving = sourced(with_status(healthy()));
    leaving.draft.deletion = Some(Deletion {
        at: at(0),
        dependents: Dependents::Remove,
    });
    let memory = Memory::with([leaving]);
    memory.tell(status_of_news());
    let (mut console, _, _) = console();
    let orphan = Request {
        dependents: Dependents::Orphan,
        ..request(&["ro/news-web"], None)
    };
    run(orphan, &memory, &mut console).await.expect("marked");
}

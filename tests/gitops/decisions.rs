//! What becomes of manifests that come, change, go and are wrong.

use rolloutctl::api::{Dependents, OnDrift, Prune, RolloutStatus, Route, SourcePhase};
use rolloutctl::gitops::{Content, Freshness, ManifestFile};

use crate::manifests::{EDGE, listing, listing_at, rollout, with_edge};
use crate::site::{Site, source};

fn pruning() -> Site {
    Site::new(Prune::Delete, OnDrift::Restore)
}

fn images(site: &Site) -> Vec<(String, String)> {
    site.store.images().into_iter().collect()
}

fn pair(name: &str, image: &str) -> (String, String) {
    (name.to_owned(), image.to_owned())
}

#[tokio::test]
async fn what_a_source_says_is_applied_once_and_bears_its_mark() {
    let mut site = pruning();
    site.say(listing_at(
        Some("abc1234def"),
        &with_edge(&[("web", "web:1")]),
    ))
    .await;
    let stored = site.store.find("rollout/web").expect("applied");
    let origin = stored.draft.origin.expect("a mark");
    assert_eq!((origin.file.as_str(), origin.generation), ("a.yaml", 1));
    assert_eq!(origin.commit.map(|c| c.0).as_deref(), Some("abc1234def"));
    assert_eq!(stored.draft.epoch, 4);
    let status = site.store.source().expect("told");
    assert_eq!(
        (status.phase, status.resources.len(), status.invalid),
        (SourcePhase::Synced, 2, 0)
    );
    let writes = site.store.writes();
    site.settle().await;
    assert_eq!(site.store.writes(), writes, "a steady state writes nothing");
}

#[tokio::test]
async fn the_commit_of_a_resource_is_the_one_that_changed_it() {
    let mut site = pruning();
    site.say(listing_at(
        Some("1111111"),
        &with_edge(&[("web", "web:1"), ("shop", "shop:1")]),
    ))
    .await;
    site.say(listing_at(
        Some("2222222"),
        &with_edge(&[("web", "web:2"), ("shop", "shop:1")]),
    ))
    .await;
    let commit = |target: &str| {
        let origin = site.store.find(target).expect("there").draft.origin;
        origin
            .and_then(|origin| origin.commit)
            .map(|commit| commit.0)
    };
    assert_eq!(commit("rollout/web").as_deref(), Some("2222222"));
    assert_eq!(commit("rollout/shop").as_deref(), Some("1111111"));
    assert_eq!(
        site.store
            .source()
            .and_then(|s| s.commit)
            .map(|c| c.0)
            .as_deref(),
        Some("2222222")
    );
}

#[tokio::test]
async fn an_invalid_manifest_stops_no_valid_one_and_is_said_of_its_resource() {
    let mut site = pruning();
    site.say(listing(&with_edge(&[("web", "web:1"), ("shop", "shop:1")])))
        .await;
    let mut files = with_edge(&[("web", "web:2"), ("shop", "shop:2")]);
    files[1].1 = files[1].1.replace("replicas: 2", "replcas: 2");
    site.say(listing(&files)).await;
    assert_eq!(
        images(&site),
        [pair("shop", "shop:2"), pair("web", "web:1")]
    );
    let status = site.store.source().expect("told");
    assert_eq!((status.phase, status.invalid), (SourcePhase::Invalid, 1));
    assert!(
        status.problems[0].starts_with("a.yaml:"),
        "{:?}",
        status.problems
    );
    assert!(
        status
            .problems
            .iter()
            .any(|p| p.contains("did you mean `replicas`?")),
        "{:?}",
        status.problems
    );
    let problem = site
        .store
        .find("rollout/web")
        .and_then(|s| s.draft.origin?.problem)
        .expect("said of it");
    assert!(problem.message.contains("a.yaml:"), "{problem:?}");
    site.say(listing(&with_edge(&[("web", "web:3"), ("shop", "shop:2")])))
        .await;
    let web = site.store.find("rollout/web").expect("there");
    assert_eq!(web.draft.origin.and_then(|origin| origin.problem), None);
    assert_eq!(
        site.store.source().map(|s| s.phase),
        Some(SourcePhase::Synced)
    );
}

#[tokio::test]
async fn safety_7_a_rollout_whose_manifest_is_gone_is_drained_and_its_balancer_goes_after_it() {
    let mut site = pruning();
    let keeper = ("other.yaml", EDGE.replace("name: edge", "name: other"));
    let mut files = with_edge(&[("web", "web:1")]);
    files.push(keeper.clone());
    site.say(listing(&files)).await;
    site.say(listing(&[keeper])).await;
    let web = site.store.find("rollout/web").expect("it is drained first");
    assert_eq!(
        web.draft.deletion.map(|d| d.dependents),
        Some(Dependents::Remove)
    );
    assert!(
        site.store.find("loadbalancer/edge").is_some(),
        "it is still used"
    );
    site.store.take("rollout/web");
    site.settle().await;
    assert_eq!(site.store.find("loadbalancer/edge"), None);
    assert!(site.store.find("loadbalancer/other").is_some());
}

/// What it is called now could have the back end only when nobody serves from it any more.
#[tokio::test]
async fn safety_4_a_rollout_that_serves_stays_while_its_back_end_is_asked_for_under_another_name() {
    let mut site = pruning();
    let file = |name: &str| {
        let own = format!("backend: {name},");
        rollout(name, "web:1").replace(&own, "backend: news-web,")
    };
    site.say(listing(&[
        ("edge.yaml", EDGE.to_owned()),
        ("news-web.yaml", file("news-web")),
    ]))
    .await;
    site.store.touch("rollout/news-web", |draft| {
        draft.status = Some(RolloutStatus {
            route: Some(Route {
                load_balancer: "edge".parse().expect("a name"),
                backend: "news-web".to_owned(),
            }),
            ..RolloutStatus::default()
        });
    });
    let renamed = [("edge.yaml", EDGE.to_owned()), ("news.yaml", file("news"))];
    site.say(listing(&renamed)).await;
    let stored = site.store.find("rollout/news-web").expect("it serves");
    assert_eq!(stored.draft.deletion, None);
    assert_eq!(site.store.find("rollout/news"), None);
    let kept = site.store.source().expect("told").kept;
    assert!(
        kept.iter().any(|kept| kept.starts_with(
            "rollout/news-web: its manifest is gone, and it stays: its back end is asked for by rollout/news; a serving rollout"
        )),
        "{kept:?}"
    );
    // Somebody has decided that the service may end.
    site.say(listing(&renamed[..1])).await;
    let stored = site.store.find("rollout/news-web").expect("it is drained");
    assert!(stored.draft.deletion.is_some());
}

#[tokio::test]
async fn without_prune_what_has_no_manifest_stays_and_is_said() {
    let mut site = Site::new(Prune::Keep, OnDrift::Restore);
    site.say(listing(&with_edge(&[("web", "web:1")]))).await;
    site.say(listing(&with_edge(&[]))).await;
    assert_eq!(images(&site), [pair("web", "web:1")]);
    let kept = site.store.source().expect("told").kept;
    assert!(
        kept[0].starts_with("rollout/web: ") && kept[0].contains("--prune"),
        "{kept:?}"
    );
}

#[tokio::test]
async fn nothing_is_deleted_that_may_be_in_what_cannot_be_read() {
    let valid = with_edge(&[("web", "web:1")]);
    let whole = |text: &str| Content::Whole(text.as_bytes().into());
    let unreadable = Content::Unreadable {
        problem: "permission denied".to_owned(),
        remedy: "see that it may be read".to_owned(),
    };
    for (content, said) in [
        (unreadable, "b.yaml"),
        (Content::too_large(2 << 20), "b.yaml"),
        (Content::Unsettled, ""),
        (whole("kind: [\n"), "b.yaml"),
        (whole("a: b\n"), "b.yaml"),
        (whole(""), "b.yaml"),
        (whole("\n \n"), "b.yaml"),
        (whole("\u{0}\u{1}"), "b.yaml"),
    ] {
        let mut site = pruning();
        site.say(listing(&valid)).await;
        let mut now = listing(&with_edge(&[]));
        now.files.push(ManifestFile {
            path: "b.yaml".to_owned(),
            content: content.clone(),
        });
        site.say(now).await;
        assert_eq!(images(&site), [pair("web", "web:1")], "{content:?}");
        let kept = site.store.source().expect("told").kept;
        assert_eq!(
            kept.iter().any(|k| k.contains("b.yaml")),
            !said.is_empty(),
            "{content:?}: {kept:?}"
        );
    }
}

/// What is missing may be in a file that has changed and of which the listing still has the old content.
#[tokio::test]
async fn nothing_is_deleted_while_a_file_is_not_taken_as_it_stands() {
    let mut site = pruning();
    site.say(listing(&with_edge(&[("web", "web:1"), ("shop", "shop:1")])))
        .await;
    for (freshness, words) in [
        (Freshness::Changing, None),
        (Freshness::Behind("edge.yaml".to_owned()), Some("edge.yaml")),
    ] {
        let mut now = listing(&with_edge(&[("web", "web:2")]));
        now.freshness = freshness;
        site.say(now).await;
        // Nothing else waits for it.
        assert_eq!(
            images(&site),
            [pair("shop", "shop:1"), pair("web", "web:2")]
        );
        let kept = site.store.source().expect("told").kept;
        let told = kept.first().map(String::as_str);
        assert_eq!(kept.len(), usize::from(words.is_some()), "{kept:?}");
        assert!(words.is_none_or(|words| told.is_some_and(|told| told.contains(words))));
    }
    site.say(listing(&with_edge(&[("web", "web:2")]))).await;
    assert_eq!(images(&site), [pair("web", "web:2")]);
}

#[tokio::test]
async fn a_source_that_is_empty_or_cannot_be_read_deletes_nothing() {
    let mut site = pruning();
    site.say(listing(&with_edge(&[("web", "web:1")]))).await;
    site.say(listing(&[])).await;
    assert_eq!(images(&site), [pair("web", "web:1")]);
    let kept = site.store.source().expect("told").kept;
    assert!(
        kept.iter().any(|kept| kept.contains("no manifest at all")),
        "{kept:?}"
    );
    site.desk
        .fail(&crate::manifests::place(), "it is not mounted");
    site.settle().await;
    let status = site.store.source().expect("told");
    assert_eq!(
        (status.phase, status.message.as_str()),
        (SourcePhase::Unreadable, "it is not mounted")
    );
    assert_eq!(images(&site), [pair("web", "web:1")]);
}

#[tokio::test]
async fn a_broken_manifest_that_names_its_resource_keeps_no_other_from_being_deleted() {
    let mut site = pruning();
    site.say(listing(&with_edge(&[("web", "web:1"), ("shop", "shop:1")])))
        .await;
    let mut files = with_edge(&[("web", "web:1")]);
    files[1].1 = files[1].1.replace("replicas: 2", "replicas: many");
    site.say(listing(&files)).await;
    assert_eq!(images(&site), [pair("web", "web:1")]);
}

/// A copy that broke off, or a full disk: what is behind the place where the file ends was in it.
#[tokio::test]
async fn of_half_a_file_nothing_is_deleted_that_came_from_it() {
    let mut site = pruning();
    let all = ["web", "shop", "news"].map(|name| rollout(name, &format!("{name}:1")));
    let files = |text: String| {
        listing(&[
            ("all.yaml", text),
            ("edge.yaml", EDGE.to_owned()),
            ("other.yaml", rollout("other", "other:1")),
        ])
    };
    site.say(files(all.join("---\n"))).await;
    assert_eq!(site.store.images().len(), 4);
    // It ends within the second document, after its name.
    let half = format!(
        "{}---\n{}",
        all[0],
        &all[1][..all[1].find("  traffic").expect("there")]
    );
    let mut halved = files(half);
    // What came from another file has nothing to do with it.
    halved.files.retain(|file| file.path != "other.yaml");
    site.say(halved).await;
    let names: Vec<_> = site.store.images().into_keys().collect();
    assert_eq!(names, ["news", "shop", "web"]);
    let source = site.store.source().expect("told");
    assert_eq!(source.invalid, 1, "{:?}", source.problems);
    assert!(
        source
            .kept
            .iter()
            .any(|kept| kept.starts_with("rollout/news: ") && kept.contains("all.yaml")),
        "{:?}",
        source.kept
    );
}

#[tokio::test]
async fn where_it_is_not_known_from_which_file_something_came_a_broken_one_keeps_it() {
    let mut site = pruning();
    site.say(listing(&with_edge(&[("web", "web:1"), ("shop", "shop:1")])))
        .await;
    site.store.touch("rollout/shop", |draft| {
        draft.origin.as_mut().expect("a mark").file.clear();
    });
    let mut files = with_edge(&[("web", "web:1")]);
    files[1].1 = files[1].1.replace("replicas: 2", "replicas: many");
    site.say(listing(&files)).await;
    let names: Vec<_> = site.store.images().into_keys().collect();
    assert_eq!(names, ["shop", "web"]);
}

#[tokio::test]
async fn of_two_files_with_the_same_resource_the_first_has_it() {
    let mut site = pruning();
    let mut files = with_edge(&[("web", "web:1")]);
    files.push(("z.yaml", rollout("web", "web:2")));
    site.say(listing(&files)).await;
    assert_eq!(images(&site), [pair("web", "web:1")]);
    let status = site.store.source().expect("told");
    assert!(
        status.problems[0].starts_with("z.yaml:") && status.problems[0].contains("a.yaml:3"),
        "{:?}",
        status.problems
    );
}

#[tokio::test]
async fn what_another_source_has_is_left_to_it() {
    let mut second = source(Prune::Delete, OnDrift::Restore);
    second.name = "second".parse().expect("a name");
    second.place.0 = "dir:/second".to_owned();
    let first = source(Prune::Delete, OnDrift::Restore);
    let mut site = Site::begin(std::sync::Arc::default(), vec![first, second]);
    site.say(listing(&with_edge(&[("web", "web:1")]))).await;
    let mut theirs = listing(&[("web.yaml", rollout("web", "web:9"))]);
    theirs.place.0 = "dir:/second".to_owned();
    site.say(theirs).await;
    assert_eq!(images(&site), [pair("web", "web:1")]);
    site.say(listing(&with_edge(&[("web", "web:2")]))).await;
    assert_eq!(images(&site), [pair("web", "web:2")]);
}

#[tokio::test]
async fn safety_6_a_controller_that_was_deposed_writes_nothing() {
    let mut site = pruning();
    site.store.depose();
    site.desk.deliver(
        listing(&with_edge(&[("web", "web:1")])),
        jiff::Timestamp::UNIX_EPOCH,
    );
    site.tend().await;
    assert_eq!(site.store.writes(), 0);
}

#[tokio::test]
async fn a_store_that_refuses_is_asked_again_later() {
    let mut site = pruning();
    site.store.refuse(true);
    site.desk.deliver(
        listing(&with_edge(&[("web", "web:1")])),
        jiff::Timestamp::UNIX_EPOCH,
    );
    assert!(site.try_tend().await.is_err());
    site.store.refuse(false);
    site.until("applied", |store| store.find("rollout/web").is_some())
        .await;
}

#[tokio::test]
async fn a_source_that_is_not_read_any_more_is_not_told_of() {
    let mut site = pruning();
    site.say(listing(&with_edge(&[("web", "web:1")]))).await;
    let store = site.store.clone();
    let mut bare = Site::begin(store.clone(), Vec::new());
    bare.tend().await;
    assert_eq!(store.source(), None);
    assert_eq!(images(&bare), [pair("web", "web:1")]);
}

//! Writes that cannot be done: they keep no other one back, are told, and are not tried without end.

use std::sync::Arc;

use rolloutctl::api::{OnDrift, Place, Prune, SourcePhase, SourceStatus};
use rolloutctl::gitops::Tended;
use rolloutctl::manifest::{Known, Source, parse};
use rolloutctl::world::{Draft, store};

use crate::manifests::{EDGE, listing, rollout, with_edge};
use crate::site::{Site, source};

/// How many turns are looked at: without a pause, each would write.
const TURNS: u64 = 50;

/// A site with two sources, of which the second one has a rollout of its own.
fn two_sources() -> Site {
    let mut second = source(Prune::Delete, OnDrift::Restore);
    second.name = "second".parse().expect("a name");
    second.place = Place("dir:/second".to_owned());
    let first = source(Prune::Delete, OnDrift::Restore);
    let site = Site::begin(Arc::default(), vec![first, second]);
    let mut theirs = listing(&[("news.yaml", rollout("news", "news:1"))]);
    theirs.place = Place("dir:/second".to_owned());
    for listing in [
        listing(&with_edge(&[("web", "web:1"), ("shop", "shop:1")])),
        theirs,
    ] {
        site.desk.deliver(listing, jiff::Timestamp::UNIX_EPOCH);
    }
    site
}

fn told(site: &Site) -> SourceStatus {
    let all = site.store.all_sources();
    let first = all
        .into_iter()
        .find(|source| source.place.0 == "dir:/specs");
    first.expect("told")
}

/// Everything but `web` is written, that is told, and nothing is tried in each turn.
async fn all_but_web(site: &mut Site, said: &str) {
    for _ in 0..TURNS {
        site.tend().await;
    }
    let images = site.store.images();
    let names: Vec<_> = images.keys().map(String::as_str).collect();
    assert_eq!(names, ["news", "shop"]);
    let status = told(site);
    assert_eq!(status.phase, SourcePhase::Invalid, "{status:?}");
    assert!(status.message.contains(said), "{}", status.message);
    assert!(!status.resources.contains_key("rollout/web"));
    assert!(
        site.store.writes() < TURNS,
        "{} writes in {TURNS} turns",
        site.store.writes()
    );
}

#[tokio::test]
async fn a_write_that_is_refused_keeps_no_other_one_back() {
    let mut site = two_sources();
    site.store.bar("rollout/web", true);
    all_but_web(&mut site, "rollout/web could not be written").await;
    // Another manifest is another write, and rests for nothing.
    site.store.bar("rollout/web", false);
    let mut files = with_edge(&[("web", "web:2"), ("shop", "shop:1")]);
    files.push(("x.yaml", EDGE.replace("name: edge", "name: x")));
    site.say(listing(&files)).await;
    assert_eq!(site.store.images()["web"], "web:2");
    assert_eq!(told(&site).phase, SourcePhase::Synced);
}

#[tokio::test]
async fn a_write_that_is_refused_is_tried_again_when_it_has_rested() {
    let mut site = two_sources();
    site.store.bar("rollout/web", true);
    site.settle().await;
    site.store.bar("rollout/web", false);
    site.until("it is written", |store| store.find("rollout/web").is_some())
        .await;
    site.settle().await;
    assert_eq!(told(&site).phase, SourcePhase::Synced);
}

#[tokio::test]
async fn the_same_conflict_again_is_told_and_rests() {
    let mut site = two_sources();
    site.store.occupy("rollout/web");
    all_but_web(&mut site, "rollout/web could not be written").await;
}

#[tokio::test]
async fn what_is_there_and_cannot_be_read_is_told_and_keeps_no_other_one_back() {
    let mut site = two_sources();
    site.store.spoil("rollout/web");
    all_but_web(
        &mut site,
        "metadata.name: rollout/web is in the store, and this release cannot read it",
    )
    .await;
}

#[tokio::test]
async fn nothing_is_pruned_that_something_that_cannot_be_read_may_use() {
    let mut site = Site::new(Prune::Delete, OnDrift::Restore);
    site.say(listing(&with_edge(&[]))).await;
    site.store.spoil("rollout/web");
    let other = [("x.yaml", EDGE.replace("name: edge", "name: x"))];
    site.say(listing(&other)).await;
    assert!(site.store.find("loadbalancer/edge").is_some());
    let kept = told(&site).kept;
    assert!(
        kept.iter()
            .any(|kept| kept.contains("loadbalancer/edge")
                && kept.contains("rolloutctl.rollout.web")),
        "{kept:?}"
    );
}

/// The largest rollout `web` that the store holds as it is: with a mark it is too large.
fn largest() -> String {
    let text = |length: usize| {
        let image = format!(
            "image: 'web:1', environment: {{BIG: '{}'}},",
            "x".repeat(length)
        );
        rollout("web", "web:1").replace("image: 'web:1',", &image)
    };
    let fits = |length: &usize| {
        let sources = [Source::new("m", &format!("{EDGE}---\n{}", text(*length)))];
        let parsed = parse(&sources, Known::SourcesOnly);
        assert!(parsed.broken.is_empty(), "{:?}", parsed.broken);
        let mut all = parsed.resources.into_iter();
        all.all(|located| store::check(&Draft::new(located.resource)).is_ok())
    };
    let length = (0..store::MAX_SPEC).rev().step_by(16).find(fits);
    text(length.expect("an empty one fits"))
}

#[tokio::test]
async fn what_is_too_large_with_its_mark_is_told_at_its_manifest() {
    let mut site = Site::new(Prune::Delete, OnDrift::Restore);
    site.say(listing(&[
        ("edge.yaml", EDGE.to_owned()),
        ("shop.yaml", rollout("shop", "shop:1")),
        ("web.yaml", largest()),
    ]))
    .await;
    let images = site.store.images();
    assert_eq!(images.keys().collect::<Vec<_>>(), ["shop"]);
    let status = told(&site);
    assert!(
        status.message.contains("web.yaml:")
            && status.message.contains(": document: ")
            && status.message.contains("65536 is the most"),
        "{}",
        status.message
    );
    assert!(!status.resources.contains_key("rollout/web"));
    assert_eq!(site.tend().await, Tended::Nothing);
}

#[tokio::test]
async fn safety_6_who_does_not_act_any_more_says_so_and_does_not_try_for_ever() {
    let mut site = Site::new(Prune::Delete, OnDrift::Restore);
    site.say(listing(&with_edge(&[("web", "web:1")]))).await;
    site.store.depose();
    let commit = listing(&with_edge(&[("web", "web:2")]));
    site.desk.deliver(commit, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(site.tend().await, Tended::Deposed);
    assert_eq!(site.store.images()["web"], "web:1", "another one writes it");
}

//! What was changed by hand: it is put back, or reported, as the user chose.

use std::sync::Arc;

use rolloutctl::api::{Deletion, Dependents, OnDrift, OriginProblemKind, Prune, Resource};
use rolloutctl::gitops::Tended;
use rolloutctl::manifest::{Known, Source, parse};
use rolloutctl::world::Draft;

use crate::manifests::{EDGE, listing, listing_at, rollout, with_edge};
use crate::site::{Site, source};

/// As `apply` by hand does.
fn edit(draft: &mut Draft, image: &str) {
    if let Resource::Rollout(manifest) = &mut draft.resource {
        image.clone_into(&mut manifest.spec.template.image);
    }
    draft.generation += 1;
}

fn image(site: &Site) -> Option<String> {
    site.store.images().remove("web")
}

async fn applied(on_drift: OnDrift) -> Site {
    let mut site = Site::new(Prune::Delete, on_drift);
    site.say(listing_at(Some("1111111"), &with_edge(&[("web", "web:1")])))
        .await;
    site
}

#[tokio::test]
async fn safety_3_what_was_changed_by_hand_is_put_back() {
    let mut site = applied(OnDrift::Restore).await;
    site.store
        .touch("rollout/web", |draft| edit(draft, "web:by-hand"));
    site.settle().await;
    assert_eq!(image(&site).as_deref(), Some("web:1"));
    let draft = site.store.find("rollout/web").expect("there").draft;
    let origin = draft.origin.expect("a mark");
    assert_eq!((draft.generation, origin.generation), (3, 3));
    assert_eq!(
        origin.commit.map(|commit| commit.0).as_deref(),
        Some("1111111")
    );
}

#[tokio::test]
async fn safety_3_what_was_changed_by_hand_is_reported_until_its_manifest_changes() {
    let mut site = applied(OnDrift::Report).await;
    site.store
        .touch("rollout/web", |draft| edit(draft, "web:by-hand"));
    site.settle().await;
    assert_eq!(image(&site).as_deref(), Some("web:by-hand"));
    let problem = || {
        site.store
            .find("rollout/web")
            .and_then(|s| s.draft.origin?.problem)
    };
    assert_eq!(
        problem().map(|problem| problem.kind),
        Some(OriginProblemKind::Drifted)
    );
    assert_eq!(site.store.source().map(|s| s.drifted.len()), Some(1));
    site.say(listing_at(Some("2222222"), &with_edge(&[("web", "web:2")])))
        .await;
    assert_eq!(image(&site).as_deref(), Some("web:2"));
    let problem = site
        .store
        .find("rollout/web")
        .and_then(|s| s.draft.origin?.problem);
    assert_eq!(
        (problem, site.store.source().map(|s| s.drifted.len())),
        (None, Some(0))
    );
}

#[tokio::test]
async fn what_was_deleted_by_hand_comes_back_or_is_reported() {
    for (on_drift, back) in [(OnDrift::Restore, true), (OnDrift::Report, false)] {
        let mut site = applied(on_drift).await;
        site.store.take("rollout/web");
        site.settle().await;
        assert_eq!(image(&site).is_some(), back, "{on_drift:?}");
        let drifted = site.store.source().expect("told").drifted;
        assert_eq!(drifted.len(), usize::from(!back), "{drifted:?}");
        // A controller that begins anew knows as much.
        let mut other = Site::begin(site.store.clone(), vec![source(Prune::Delete, on_drift)]);
        other
            .say(listing_at(Some("1111111"), &with_edge(&[("web", "web:1")])))
            .await;
        assert_eq!(image(&other).is_some(), back, "{on_drift:?}");
        other.say(listing(&with_edge(&[("web", "web:2")]))).await;
        assert_eq!(image(&other).as_deref(), Some("web:2"), "{on_drift:?}");
    }
}

#[tokio::test]
async fn a_manifest_that_comes_back_while_its_rollout_is_drained_is_no_deletion_by_hand() {
    for on_drift in [OnDrift::Restore, OnDrift::Report] {
        let mut site = applied(on_drift).await;
        let manifest = || listing_at(Some("1111111"), &with_edge(&[("web", "web:1")]));
        site.say(listing(&with_edge(&[]))).await;
        site.say(manifest()).await;
        assert_eq!(image(&site), None, "it is drained still");
        site.store.take("rollout/web");
        site.settle().await;
        assert_eq!(image(&site).as_deref(), Some("web:1"), "{on_drift:?}");
        let drifted = site.store.source().expect("told").drifted;
        assert!(drifted.is_empty(), "{drifted:?}");
    }
}

/// It comes back so soon that nobody was told yet that it had been given up.
#[tokio::test]
async fn a_manifest_that_comes_back_before_its_absence_was_told_is_no_deletion_by_hand() {
    for (on_drift, later) in [
        (OnDrift::Restore, "web:1"),
        (OnDrift::Report, "web:1"),
        (OnDrift::Report, "web:2"),
    ] {
        let mut site = applied(on_drift).await;
        let now = jiff::Timestamp::UNIX_EPOCH;
        site.desk.deliver(listing(&with_edge(&[])), now);
        assert_eq!(site.tend().await, Tended::Wrote);
        site.say(listing(&with_edge(&[("web", later)]))).await;
        assert_eq!(image(&site), None, "it is drained still");
        site.store.take("rollout/web");
        site.settle().await;
        assert_eq!(image(&site).as_deref(), Some(later), "{on_drift:?}");
    }
}

#[tokio::test]
async fn what_was_deleted_by_hand_comes_back_when_its_manifest_changes_while_it_is_drained() {
    let mut site = applied(OnDrift::Report).await;
    site.store.touch("rollout/web", |draft| {
        draft.deletion = Some(Deletion {
            at: jiff::Timestamp::UNIX_EPOCH,
            dependents: Dependents::Remove,
        });
    });
    site.say(listing(&with_edge(&[("web", "web:2")]))).await;
    site.store.take("rollout/web");
    site.settle().await;
    assert_eq!(image(&site).as_deref(), Some("web:2"));
}

#[tokio::test]
async fn what_was_applied_by_hand_before_is_adopted() {
    let sources = [Source::new(
        "m",
        &format!("{EDGE}---\n{}", rollout("web", "web:0")),
    )];
    let site = Site::new(Prune::Delete, OnDrift::Report);
    for located in parse(&sources, Known::SourcesOnly).resources {
        site.store.put(located.resource);
    }
    let store = Arc::clone(&site.store);
    let mut site = site;
    // A source that says nothing of it does not touch it.
    site.say(listing(&[(
        "x.yaml",
        EDGE.replace("name: edge", "name: x"),
    )]))
    .await;
    assert_eq!(store.find("rollout/web").map(|s| s.version), Some(1));
    site.say(listing(&with_edge(&[("web", "web:1")]))).await;
    assert_eq!(image(&site).as_deref(), Some("web:1"));
    for target in ["rollout/web", "loadbalancer/edge"] {
        let draft = store.find(target).expect("there").draft;
        assert!(draft.origin.is_some(), "{target}");
    }
    let edge = store.find("loadbalancer/edge").map(|s| s.draft.generation);
    assert_eq!(edge, Some(1), "only its mark was written");
}

/// Another release writes a field that this one does not know, or knew nothing of what is written in a manifest.
#[tokio::test]
async fn another_release_undoes_no_change_by_hand_that_is_reported() {
    for kept in [usize::MAX, 32] {
        let mut site = applied(OnDrift::Report).await;
        site.store
            .touch("rollout/web", |draft| edit(draft, "web:by-hand"));
        site.settle().await;
        site.store.touch("rollout/web", |draft| {
            let digest = &mut draft.origin.as_mut().expect("a mark").digest;
            let rest = digest.get(32..kept.min(digest.len())).unwrap_or_default();
            *digest = format!("{}{rest}", "0".repeat(32));
        });
        site.settle().await;
        assert_eq!(image(&site).as_deref(), Some("web:by-hand"));
        assert_eq!(site.store.source().map(|s| s.drifted.len()), Some(1));
        site.say(listing_at(Some("2222222"), &with_edge(&[("web", "web:2")])))
            .await;
        assert_eq!(image(&site).as_deref(), Some("web:2"));
    }
}

//! What befalls branches that nobody has asked for: one cannot be fetched, one comes back with less than it had, and another
//! release reads the marks.

use rolloutctl::api::{Prune, SourcePhase};

use super::Bench;

impl Bench {
    /// Makes a branch with a commit of which one object is lost.
    fn break_branch(&self, branch: &str) {
        self.commit("broken", "web:lost");
        let id = self.repository.git(&["rev-parse", "broken:specs/web.yaml"]);
        self.repository.git(&["checkout", "--quiet", "main"]);
        let (folder, file) = id.split_at(2);
        let object = self.repository.path().join(".git/objects").join(folder);
        std::fs::remove_file(object.join(file)).expect("a loose object");
        // Nobody has seen it when it was whole.
        self.repository.git(&["branch", branch, "broken"]);
    }
}

/// A branch whose commit cannot be handed out, as one is whose push is too large to be fetched in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_cannot_be_fetched_stops_no_other_one() {
    let mut bench = Bench::new(&["main", "test/*"], Prune::Delete);
    bench.until_images(&[("web", "web:1")]).await;
    bench.commit("test/a", "web:2");
    bench
        .until_images(&[("web", "web:1"), ("web-test-a", "web:2")])
        .await;
    bench.break_branch("test/bad");
    bench.commit("test/a", "web:3");
    bench.commit("main", "web:4");
    bench
        .until_images(&[("web", "web:4"), ("web-test-a", "web:3")])
        .await;
    bench
        .until_told("it is told of the branch", |source| {
            source.place.0.contains("#test/bad")
                && source.phase == SourcePhase::Unreadable
                && source.message.contains("fetch test/bad of")
        })
        .await;
    bench.site.settle().await;
    for source in bench.site.store.all_sources() {
        let is_bad = source.place.0.contains("#test/bad");
        assert_eq!(
            source.phase == SourcePhase::Unreadable,
            is_bad,
            "{source:?}"
        );
    }
    // Nor does it while it rests.
    bench.commit("main", "web:5");
    bench
        .until_images(&[("web", "web:5"), ("web-test-a", "web:3")])
        .await;
    // It is tried again.
    bench.drop_branch("test/bad");
    let commit = bench.commit("test/bad", "web:6");
    bench
        .until_told("it is read", |source| {
            source.commit.as_ref().is_some_and(|read| read.0 == commit)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_comes_back_is_not_heard_with_what_it_said_before() {
    let mut bench = Bench::new(&["main", "test/*"], Prune::Delete);
    bench.commit("test/a", "web:2");
    bench
        .until_images(&[("web", "web:1"), ("web-test-a", "web:2")])
        .await;
    bench.drop_branch("test/a");
    bench.until_images(&[("web", "web:1")]).await;
    bench.site.store.take("rollout/web-test-a");
    bench.site.settle().await;
    // It comes back without the folder.
    bench
        .repository
        .git(&["checkout", "--quiet", "--detach", "main"]);
    bench.repository.git(&["mv", "specs", "elsewhere"]);
    bench.repository.commit("moved");
    bench
        .repository
        .git(&["checkout", "--quiet", "-b", "test/a"]);
    bench
        .until_told("there is no folder", |source| {
            source.place.0.contains("#test/a")
                && source.message.contains("there is no folder specs")
        })
        .await;
    bench.site.settle().await;
    assert!(!bench.site.store.images().contains_key("web-test-a"));
}

/// Another release writes a field that this one does not know: its digests of the same manifests are others.
#[tokio::test(flavor = "multi_thread")]
async fn another_release_is_no_change_of_a_manifest() {
    let mut bench = Bench::new(&["main", "rc"], Prune::Delete);
    bench.until_images(&[("web", "web:1")]).await;
    bench.site.settle().await;
    bench.commit("rc", "web:2");
    bench
        .until_told("rc is left behind", |source| !source.left.is_empty())
        .await;
    bench.site.settle().await;
    let marked = bench.site.store.find("rollout/web").expect("applied");
    let marked = marked.draft.origin.expect("a mark");
    // Of the release that does not write down what stands in the manifest, there is its digest of the resource alone.
    for kept in [usize::MAX, 32] {
        let other = |digest: &mut String| {
            let rest = digest.get(32..kept.min(digest.len())).unwrap_or_default();
            *digest = format!("{}{rest}", "0".repeat(32));
        };
        bench.site.store.touch("rollout/web", |draft| {
            let origin = draft.origin.as_mut().expect("a mark");
            other(&mut origin.digest);
            origin.yields.values_mut().for_each(other);
        });
        bench.site.settle().await;
        let web = bench.site.store.find("rollout/web").expect("there").draft;
        assert_eq!(bench.site.store.images()["web"], "web:1");
        assert_eq!(web.origin, Some(marked.clone()), "it is brought up to date");
        assert_eq!(web.generation, 1);
    }
    bench.commit("rc", "web:3");
    bench.until_images(&[("web", "web:3")]).await;
}

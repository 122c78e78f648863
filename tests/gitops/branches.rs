//! Several branches of one repository, really: they come, go, share a service, and are too many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rolloutctl::api::{OnDrift, Origin, Place, Prune, ResourceRef, SourcePhase, SourceStatus};
use rolloutctl::gitops::{GitAccess, GitBranches, MAX_BRANCHES, SourceOptions};
use rolloutctl::manifest::{Known, Source, parse};

use crate::git::Repository;
use crate::manifests::{EDGE, listing, rollout};
use crate::site::Site;
use crate::store::Memory;

mod mishaps;

fn options(repository: &Repository, patterns: &[&str], prune: Prune) -> SourceOptions {
    let path = repository.path().to_str().expect("a path in UTF-8");
    let branches = GitBranches {
        url: path.parse().expect("an address"),
        patterns: patterns
            .iter()
            .map(|pattern| pattern.parse().expect("a pattern"))
            .collect(),
        folder: "specs".parse().expect("a folder"),
        interval: Duration::from_millis(200),
        access: GitAccess::default(),
    };
    SourceOptions::branches(branches, prune, OnDrift::Restore)
}

struct Bench {
    repository: Repository,
    site: Site,
}

const OVERLAYS: &str = "overlays:
  'test/*': {metadata: {name: 'web-{{ branch }}'}, spec: {traffic: {backend: 'shop'}, replicas: 1}}
  test/special: {metadata: {name: special}, spec: {traffic: {backend: special}}}
";

/// A manifest with overlays, whose image is `image`.
fn web(image: &str) -> String {
    rollout("web", image) + OVERLAYS
}

impl Bench {
    /// A repository with the branch `main`, in which these branches are followed.
    fn new(patterns: &[&str], prune: Prune) -> Self {
        let repository = Repository::new();
        repository.write("specs/edge.yaml", EDGE);
        repository.write("specs/web.yaml", &web("web:1"));
        repository.commit("first");
        let source = options(&repository, patterns, prune);
        Self {
            site: Site::reading(Arc::default(), vec![source]),
            repository,
        }
    }

    /// Commits this image to a branch, which is made from `main` if it is not there.
    fn commit(&self, branch: &str, image: &str) -> String {
        let start = self.start(branch);
        self.repository
            .git(&["checkout", "--quiet", "--detach", &start]);
        self.repository.write("specs/web.yaml", &web(image));
        let commit = self.repository.commit(image);
        // At once: nobody sees a new branch with what it was made from.
        self.repository.git(&["checkout", "--quiet", "-B", branch]);
        commit
    }

    fn start(&self, branch: &str) -> String {
        let known = self.repository.git(&["branch", "--list", branch]);
        if known.is_empty() { "main" } else { branch }.to_owned()
    }

    fn drop_branch(&self, branch: &str) {
        self.repository.git(&["checkout", "--quiet", "main"]);
        self.repository.git(&["branch", "--quiet", "-D", branch]);
    }

    async fn until_images(&mut self, wanted: &[(&str, &str)]) {
        let wanted = wanted
            .iter()
            .map(|(name, image)| ((*name).to_owned(), (*image).to_owned()));
        let wanted: std::collections::BTreeMap<_, _> = wanted.collect();
        let what = format!("{wanted:?}");
        self.site
            .until(&what, |store| store.images() == wanted)
            .await;
    }

    async fn until_told(&mut self, what: &str, holds: impl Fn(&SourceStatus) -> bool) {
        let any = |store: &Memory| store.all_sources().iter().any(&holds);
        self.site.until(what, any).await;
    }

    fn owner(&self, target: &str) -> String {
        let origin = self
            .site
            .store
            .find(target)
            .and_then(|stored| stored.draft.origin);
        let place = origin.expect("it has a mark").source.0;
        place.rsplit_once('#').expect("a branch").1.to_owned()
    }

    fn names(&self) -> Vec<String> {
        let sources = self.site.store.all_sources();
        let mut names: Vec<_> = sources.iter().map(|s| s.name.to_string()).collect();
        names.sort();
        names
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_branch_that_matches_is_a_source_with_the_overlay_that_is_for_it() {
    let mut bench = Bench::new(&["main", "test/*"], Prune::Delete);
    bench.until_images(&[("web", "web:1")]).await;
    let commit = bench.commit("test/Login", "web:2");
    bench.commit("other", "web:9");
    bench
        .until_images(&[("web", "web:1"), ("web-test-login", "web:2")])
        .await;
    bench.commit("test/special", "web:3");
    bench
        .until_images(&[
            ("special", "web:3"),
            ("web", "web:1"),
            ("web-test-login", "web:2"),
        ])
        .await;
    bench.site.settle().await;
    assert_eq!(bench.owner("rollout/web-test-login"), "test/Login:specs");
    let sources = bench.site.store.all_sources();
    let login = sources
        .iter()
        .find(|source| source.place.0.contains("#test/Login"))
        .expect("told");
    assert_eq!(login.commit.as_ref().map(|c| c.0.clone()), Some(commit));
    assert_eq!(login.phase, SourcePhase::Synced, "{}", login.message);
    let repository = sources
        .iter()
        .find(|source| source.place.0.contains("test/*"));
    assert_eq!(
        repository.map(|source| source.message.as_str()),
        Some("follows main, test/Login, test/special")
    );
    assert_eq!(sources.len(), 4);
    // Only what moved is another generation.
    bench.commit("test/Login", "web:4");
    bench
        .until_images(&[
            ("special", "web:3"),
            ("web", "web:1"),
            ("web-test-login", "web:4"),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_from_a_branch_that_is_gone_goes_with_it_and_its_source_too() {
    let mut bench = Bench::new(&["main", "test/*"], Prune::Delete);
    bench.commit("test/a", "web:2");
    bench
        .until_images(&[("web", "web:1"), ("web-test-a", "web:2")])
        .await;
    bench.site.settle().await;
    assert_eq!(bench.names().len(), 3);
    bench.drop_branch("test/a");
    bench.until_images(&[("web", "web:1")]).await;
    bench
        .until_told("it goes", |source| {
            source.message.contains("is being deleted")
        })
        .await;
    // It is drained.
    bench.site.store.take("rollout/web-test-a");
    bench.site.settle().await;
    assert_eq!(bench.names().len(), 2, "{:?}", bench.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_prune_it_stays_and_is_told_until_it_is_deleted() {
    let mut bench = Bench::new(&["main", "test/*"], Prune::Keep);
    bench.commit("test/a", "web:2");
    bench
        .until_images(&[("web", "web:1"), ("web-test-a", "web:2")])
        .await;
    bench.drop_branch("test/a");
    bench
        .until_told("it is gone", |source| {
            source.phase == SourcePhase::Gone
                && source.message.contains("rollout/web-test-a")
                && source.message.contains("--prune is not set")
        })
        .await;
    assert_eq!(bench.site.store.images().len(), 2);
    bench.site.store.take("rollout/web-test-a");
    bench.site.settle().await;
    assert_eq!(bench.names().len(), 2, "{:?}", bench.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_named_and_missing_deletes_nothing_and_stops_no_other_one() {
    let mut bench = Bench::new(&["main", "rc", "test/*"], Prune::Delete);
    bench.until_images(&[("web", "web:1")]).await;
    bench
        .until_told("rc is missing", |source| {
            source.phase == SourcePhase::Unreadable
                && source.message.contains("there is no branch rc")
        })
        .await;
    bench.commit("test/a", "web:2");
    bench
        .until_images(&[("web", "web:1"), ("web-test-a", "web:2")])
        .await;
    bench
        .repository
        .git(&["branch", "--quiet", "--move", "main", "away"]);
    bench
        .until_told("main is missing", |source| {
            source.message.contains("there is no branch main")
        })
        .await;
    bench.site.settle().await;
    assert_eq!(bench.site.store.images()["web"], "web:1");
}

/// rc scales in gradually, main rolls over the same service: who changed it last has it, and a revert is a change.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_named_branches_the_one_that_changed_last_has_the_service() {
    let mut bench = Bench::new(&["main", "rc"], Prune::Delete);
    bench.until_images(&[("web", "web:1")]).await;
    bench.site.settle().await;
    // A first sight is no change.
    bench.commit("rc", "web:2");
    bench
        .until_told("rc is left behind", |source| {
            source
                .left
                .iter()
                .any(|text| text.contains("#main:specs has it"))
        })
        .await;
    bench.site.settle().await;
    assert_eq!(
        (
            bench.owner("rollout/web"),
            &*bench.site.store.images()["web"]
        ),
        ("main:specs".to_owned(), "web:1")
    );
    bench.commit("rc", "web:3");
    bench.until_images(&[("web", "web:3")]).await;
    bench.site.settle().await;
    assert_eq!(bench.owner("rollout/web"), "rc:specs");
    bench.commit("main", "web:4");
    bench.until_images(&[("web", "web:4")]).await;
    bench.site.settle().await;
    assert_eq!(bench.owner("rollout/web"), "main:specs");
    bench.commit("rc", "web:2");
    bench.until_images(&[("web", "web:2")]).await;
    bench.site.settle().await;
    // What may be in something broken is not handed over.
    bench.repository.write("specs/web.yaml", "kind: [\n");
    bench.repository.commit("broken");
    bench
        .until_told("it is broken", |source| {
            source.phase == SourcePhase::Invalid && source.place.0.contains("#rc")
        })
        .await;
    bench.site.settle().await;
    assert_eq!(bench.owner("rollout/web"), "rc:specs");
    // What one does not say any more, the other one still does.
    bench.repository.git(&["rm", "--quiet", "specs/web.yaml"]);
    bench.repository.commit("not here");
    bench.until_images(&[("web", "web:4")]).await;
    bench.site.settle().await;
    assert_eq!(bench.owner("rollout/web"), "main:specs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_a_pattern_takes_nothing_from_a_named_one() {
    let mut bench = Bench::new(&["main", "feature/*"], Prune::Delete);
    bench.until_images(&[("web", "web:1")]).await;
    bench.commit("feature/a", "web:2");
    let problem = "rollout/web comes from the source git:";
    bench
        .until_told("it is told", |source| source.message.contains(problem))
        .await;
    bench.commit("feature/a", "web:3");
    bench.site.settle().await;
    assert_eq!(bench.site.store.images()["web"], "web:1");
    // What both say alike is nobody's mistake.
    bench.commit("feature/a", "web:1");
    bench
        .until_told("it is in order", |source| {
            source.place.0.contains("#feature/a") && source.phase == SourcePhase::Synced
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_branches_than_are_followed_are_told() {
    let mut bench = Bench::new(&["main", "test/*"], Prune::Delete);
    bench.until_images(&[("web", "web:1")]).await;
    for number in 0..MAX_BRANCHES {
        bench
            .repository
            .git(&["branch", &format!("test/{number:02}")]);
    }
    bench
        .until_told("too many", |source| {
            source.phase == SourcePhase::Invalid
                && source
                    .message
                    .contains("51 branches match, and 50 is the most; not followed: test/49;")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_controller_told_of_branches_is_kept_until_they_are_read() {
    let mut bench = Bench::new(&["main", "test/*"], Prune::Delete);
    bench.until_images(&[("web", "web:1")]).await;
    bench.site.settle().await;
    let before = bench.names();
    let source = options(&bench.repository, &["main", "test/*"], Prune::Delete);
    let mut other = Site::begin(bench.site.store.clone(), vec![source]);
    other.settle().await;
    assert_eq!(bench.names(), before);
    // One that reads nothing forgets them.
    let mut other = Site::begin(bench.site.store.clone(), Vec::new());
    other.settle().await;
    assert_eq!(bench.names(), Vec::<String>::new());
    assert_eq!(bench.site.store.images()["web"], "web:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_read_with_the_overlay_that_is_named_and_not_at_all_if_there_is_none() {
    let text = rollout("web", "web:1") + "overlays: {big: {spec: {replicas: 9}}}\n";
    let said = listing(&[("edge.yaml", EDGE.to_owned()), ("web.yaml", text)]);
    let with = |overlay: &str| {
        let mut source = crate::site::source(Prune::Delete, OnDrift::Restore);
        source.overlay = Some(overlay.to_owned());
        vec![source]
    };
    let mut site = Site::begin(Arc::default(), with("big"));
    site.say(said.clone()).await;
    let replicas = |site: &Site| {
        let stored = site.store.find("rollout/web").expect("applied");
        stored.draft.resource.to_json()["spec"]["replicas"].clone()
    };
    assert_eq!(replicas(&site), 9);
    // Misspelt: nothing is applied, and nothing is deleted.
    let mut site = Site::begin(site.store.clone(), with("bgi"));
    site.say(said).await;
    assert_eq!(replicas(&site), 9);
    let source = site.store.source().expect("told");
    assert_eq!(source.phase, SourcePhase::Invalid);
    assert!(
        source.message.contains("did you mean `big`?"),
        "{}",
        source.message
    );
}

/// Production as a pipeline has applied it: with the mark of this place, or with none.
fn production(bench: &Bench, mark: Option<&str>) {
    let text = format!("{EDGE}---\n{}", rollout("web", "web:0"));
    for located in parse(&[Source::new("m", &text)], Known::SourcesOnly).resources {
        let target = ResourceRef::of(&located.resource).to_string();
        bench.site.store.put(located.resource);
        bench.site.store.touch(&target, |draft| {
            draft.origin = mark.map(|place| Origin {
                source: Place(place.to_owned()),
                file: "web.yaml".to_owned(),
                commit: None,
                generation: 1,
                digest: "0".to_owned(),
                yields: BTreeMap::new(),
                problem: None,
            });
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_a_pattern_takes_nothing_that_is_not_its_own_and_deletes_nothing_of_it() {
    let elsewhere = "git:https://git.example/other#main:specs";
    for (mark, said) in [
        (None, "rollout/web was applied by hand"),
        (
            Some(elsewhere),
            "rollout/web comes from the source git:https://git.example/other#main:specs",
        ),
    ] {
        let mut bench = Bench::new(&["feature/*"], Prune::Delete);
        production(&bench, mark);
        let before = bench.site.store.stored();
        bench.commit("feature/a", "web:2");
        bench
            .until_told(said, |source| {
                source.phase == SourcePhase::Invalid
                    && source.message.contains(said)
                    && source.resources.is_empty()
            })
            .await;
        // Of the load balancer, which it says alike, nothing is told.
        let told = bench.site.store.all_sources();
        let problems: Vec<_> = told.iter().flat_map(|source| &source.problems).collect();
        assert_eq!(problems.len(), 1, "{problems:?}");
        bench.drop_branch("feature/a");
        bench
            .site
            .until("it is forgotten", |store| store.all_sources().len() == 1)
            .await;
        bench.site.settle().await;
        assert_eq!(bench.site.store.stored(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_branch_adopts_what_was_applied_by_hand() {
    let mut bench = Bench::new(&["main", "feature/*"], Prune::Delete);
    production(&bench, None);
    bench.until_images(&[("web", "web:1")]).await;
    bench.site.settle().await;
    assert_eq!(bench.owner("rollout/web"), "main:specs");
    assert_eq!(bench.owner("loadbalancer/edge"), "main:specs");
}

//! A git repository, really: made by the test, followed by its path and by `file://`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use rolloutctl::api::{OnDrift, Prune, SourcePhase};
use rolloutctl::gitops::{GitAccess, GitSource, MAX_FILE, SourceOptions};
use tempfile::TempDir;

use crate::manifests::{EDGE, rollout};
use crate::site::Site;
use crate::store::Memory;

/// A repository in which somebody works.
pub struct Repository {
    directory: TempDir,
}

impl Repository {
    pub fn new() -> Self {
        let repository = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    fn try_git(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("git");
        command
            .args([
                "-c",
                "user.name=Ana",
                "-c",
                "user.email=ana@example.com",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .current_dir(self.directory.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.output().expect("git is installed")
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output = self.try_git(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.directory.path().join(file);
        fs::create_dir_all(path.parent().expect("below")).expect("a directory");
        fs::write(path, text).expect("written");
    }

    /// Commits all that is there; its hash.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

struct Bench {
    repository: Repository,
    site: Site,
}

/// The branch of the repository, looked at often.
pub fn source(url: &str, branch: &str, folder: &str) -> GitSource {
    GitSource {
        url: url.parse().expect("an address"),
        branch: branch.parse().expect("a branch"),
        folder: folder.parse().expect("a folder"),
        interval: Duration::from_millis(200),
        access: GitAccess::default(),
    }
}

fn following(source: GitSource) -> Site {
    let options = SourceOptions::git(source, Prune::Delete, OnDrift::Restore);
    Site::reading(Arc::default(), vec![options])
}

impl Bench {
    /// Follows the folder `specs` of a repository by its path.
    fn new() -> Self {
        let repository = Repository::new();
        repository.write("specs/edge.yaml", EDGE);
        repository.write("specs/web.yaml", &rollout("web", "web:1"));
        repository.write("README.yaml", "not: a manifest\n");
        repository.commit("first");
        let path = repository.path().to_str().expect("a path in UTF-8");
        Self {
            site: following(source(path, "main", "/specs/")),
            repository,
        }
    }

    async fn until_image(&mut self, name: &str, image: Option<&str>) {
        let what = format!("{name} runs {image:?}");
        self.site
            .until(&what, |store| {
                store.images().get(name).map(String::as_str) == image
            })
            .await;
    }

    async fn until_said(&mut self, words: &str) {
        let says = |store: &Memory| {
            store
                .source()
                .is_some_and(|source| source.message.contains(words))
        };
        self.site.until(words, says).await;
    }

    fn commit_of(&self, target: &str) -> Option<String> {
        let origin = self.site.store.find(target)?.draft.origin?;
        Some(origin.commit?.0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_commit_of_the_branch_is_followed_and_named() {
    let mut bench = Bench::new();
    let first = bench.repository.git(&["rev-parse", "HEAD"]);
    bench.until_image("web", Some("web:1")).await;
    assert_eq!(bench.commit_of("rollout/web"), Some(first));
    bench
        .repository
        .write("specs/web.yaml", &rollout("web", "web:2"));
    bench.repository.write("specs/.hidden/x.yaml", "kind: [");
    bench.repository.write("specs/x.yaml~", "kind: [");
    let second = bench.repository.commit("second");
    bench.until_image("web", Some("web:2")).await;
    assert_eq!(bench.commit_of("rollout/web"), Some(second.clone()));
    bench.site.settle().await;
    let status = bench.site.store.source().expect("told");
    assert_eq!(
        (status.phase, status.commit.map(|commit| commit.0)),
        (SourcePhase::Synced, Some(second))
    );
    bench.repository.git(&["rm", "--quiet", "specs/web.yaml"]);
    bench.repository.commit("third");
    bench.until_image("web", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_rewritten_is_followed() {
    let mut bench = Bench::new();
    bench.until_image("web", Some("web:1")).await;
    bench
        .repository
        .write("specs/web.yaml", &rollout("web", "web:2"));
    bench.repository.commit("second");
    bench.until_image("web", Some("web:2")).await;
    bench
        .repository
        .git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    bench.until_image("web", Some("web:1")).await;
    // Nothing in common with what was there before.
    bench
        .repository
        .git(&["checkout", "--quiet", "--orphan", "other"]);
    bench
        .repository
        .write("specs/web.yaml", &rollout("web", "web:3"));
    let other = bench.repository.commit("anew");
    bench
        .repository
        .git(&["branch", "--quiet", "--force", "main", "other"]);
    bench.until_image("web", Some("web:3")).await;
    assert_eq!(bench.commit_of("rollout/web"), Some(other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_or_a_folder_that_is_gone_deletes_nothing_and_may_come_back() {
    let mut bench = Bench::new();
    bench.until_image("web", Some("web:1")).await;
    bench.repository.git(&["checkout", "--quiet", "-b", "side"]);
    bench.repository.git(&["branch", "--quiet", "-D", "main"]);
    bench.until_said("there is no branch main").await;
    assert_eq!(
        bench.site.store.source().map(|source| source.phase),
        Some(SourcePhase::Unreadable)
    );
    assert_eq!(bench.site.store.images()["web"], "web:1");
    bench.repository.git(&["mv", "specs", "elsewhere"]);
    bench.repository.commit("moved");
    bench.repository.git(&["branch", "--quiet", "main"]);
    bench.until_said("there is no folder specs").await;
    assert_eq!(bench.site.store.images()["web"], "web:1");
    bench.repository.git(&["mv", "elsewhere", "specs"]);
    bench
        .repository
        .write("specs/web.yaml", &rollout("web", "web:2"));
    bench.repository.commit("back");
    bench
        .repository
        .git(&["branch", "--quiet", "--force", "main"]);
    bench.until_image("web", Some("web:2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_invalid_too_large_or_a_link_stops_nothing_else() {
    let mut bench = Bench::new();
    bench.until_image("web", Some("web:1")).await;
    bench.repository.write(
        "specs/web.yaml",
        &rollout("web", "web:2").replace("replicas", "replcas"),
    );
    bench
        .repository
        .write("specs/shop.yaml", &rollout("shop", "shop:1"));
    let size = usize::try_from(MAX_FILE).expect("fits");
    bench
        .repository
        .write("specs/large.yaml", &"# a comment\n".repeat(size / 12 + 1));
    symlink(
        "/etc/passwd",
        bench.repository.path().join("specs/link.yaml"),
    )
    .expect("a link");
    bench.repository.commit("all wrong but one");
    bench.until_image("shop", Some("shop:1")).await;
    bench.site.settle().await;
    assert_eq!(bench.site.store.images()["web"], "web:1");
    let status = bench.site.store.source().expect("told");
    assert_eq!((status.phase, status.invalid), (SourcePhase::Invalid, 3));
    for words in [
        "specs/web.yaml:",
        "did you mean `replicas`?",
        "specs/large.yaml:1:1: document: the file has",
        "specs/link.yaml:1:1: document: it is a symbolic link",
    ] {
        assert!(
            status
                .problems
                .iter()
                .any(|problem| problem.contains(words)),
            "{words}: {:?}",
            status.problems
        );
    }
}

/// What a commit does, and what is said of it.
type Case<'a> = (&'a dyn Fn(&Repository), &'a str);

/// What stands in the place of a folder of manifests may be that folder still.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_whose_folder_has_become_a_link_a_submodule_or_a_name_that_is_not_utf_8()
{
    let become_link = |repository: &Repository| {
        fs::create_dir(repository.path().join("elsewhere")).expect("a directory");
        let team = repository.path().join("specs/team");
        fs::rename(&team, repository.path().join("elsewhere/team")).expect("moved");
        symlink("../elsewhere/team", team).expect("a link");
        repository.commit("a link");
    };
    let become_submodule = |repository: &Repository| {
        let head = repository.git(&["rev-parse", "HEAD"]);
        repository.git(&["rm", "-r", "--quiet", "specs/team"]);
        let entry = format!("160000,{head},specs/team");
        repository.git(&["update-index", "--add", "--cacheinfo", &entry]);
        repository.git(&["commit", "--quiet", "--message", "a submodule"]);
    };
    let misname = |repository: &Repository| {
        let name = OsStr::from_bytes(b"t\xe9am");
        let specs = repository.path().join("specs");
        fs::rename(specs.join("team"), specs.join(name)).expect("renamed");
        repository.commit("Latin-1");
    };
    let cases: [Case<'_>; 3] = [
        (
            &become_link,
            "specs/team:1:1: document: it is a symbolic link",
        ),
        (
            &become_submodule,
            "specs/team:1:1: document: it is a submodule",
        ),
        (
            &misname,
            "specs/t\u{fffd}am/shop.yaml:1:1: document: its path is not UTF-8",
        ),
    ];
    for (change, said) in cases {
        let mut bench = Bench::new();
        let repository = &bench.repository;
        repository.write("specs/team/shop.yaml", &rollout("shop", "shop:1"));
        repository.commit("a team");
        bench.until_image("shop", Some("shop:1")).await;
        change(&bench.repository);
        let web = rollout("web", "web:2");
        fs::write(bench.repository.path().join("specs/web.yaml"), web).expect("written");
        let all = ["commit", "--quiet", "--message", "web", "specs/web.yaml"];
        bench.repository.git(&all);
        bench.until_image("web", Some("web:2")).await;
        bench.site.settle().await;
        let stored = bench.site.store.find("rollout/shop").expect("it is kept");
        assert_eq!(stored.draft.deletion, None, "{said}");
        let status = bench.site.store.source().expect("told");
        let problems = &status.problems;
        assert!(problems.iter().any(|p| p.contains(said)), "{problems:?}");
        let is_kept = |kept: &String| kept.contains("rollout/shop");
        assert!(status.kept.iter().any(is_kept), "{:?}", status.kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_repository_is_followed_by_its_url_and_one_that_is_not_there_is_waited_for() {
    let root = tempfile::tempdir().expect("a directory");
    let bare = root.path().join("specs.git");
    let url = format!("file://{}", bare.display());
    let mut bench = Bench::new();
    bench.site = following(source(&url, "main", "specs"));
    bench.until_said("what it said before stays in force").await;
    let bare = bare.to_str().expect("a path in UTF-8");
    bench
        .repository
        .git(&["clone", "--quiet", "--bare", ".", bare]);
    bench.until_image("web", Some("web:1")).await;
    bench
        .repository
        .write("specs/web.yaml", &rollout("web", "web:2"));
    bench.repository.commit("second");
    bench.repository.git(&["push", "--quiet", bare, "main"]);
    bench.until_image("web", Some("web:2")).await;
    bench.repository.git(&[
        "commit",
        "--quiet",
        "--amend",
        "--allow-empty",
        "--message",
        "rewritten",
    ]);
    let rewritten = bench.repository.git(&["rev-parse", "HEAD"]);
    bench
        .repository
        .git(&["push", "--quiet", "--force", bare, "main"]);
    let is_there = |store: &Memory| {
        let commit = store.source().and_then(|source| source.commit);
        commit.is_some_and(|commit| commit.0 == rewritten)
    };
    bench.site.until("the rewritten commit", is_there).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_is_not_there_is_said_by_its_name() {
    let mut bench = Bench::new();
    let mut source = source("https://git.invalid/specs.git", "main", "");
    source.access.token_file = Some("/nowhere/token".into());
    bench.site = following(source);
    bench.until_said("/nowhere/token").await;
}

//! Hosts of repositories, really: `git http-backend` behind TLS that wants a token, and an `sshd` with a key of its own.
//! What a user reads in `get sources` when one refuses, and that no secret is in it.

mod https;
mod ssh;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rolloutctl::api::{OnDrift, Prune};
use rolloutctl::gitops::{GitAccess, SourceOptions};
use rolloutctl::runtime::{Runtime, Task, Tokio};

use crate::git::{Repository, source};
use crate::manifests::{EDGE, rollout};
use crate::site::Site;

/// A repository that others fetch from, below a directory of its own.
struct Bench {
    root: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let repository = Repository::new();
        repository.write("edge.yaml", EDGE);
        repository.write("web.yaml", &rollout("web", "web:1"));
        repository.commit("first");
        let root = tempfile::tempdir().expect("a directory");
        let bare = root.path().join("specs.git").display().to_string();
        repository.git(&["clone", "--quiet", "--bare", ".", &bare]);
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A file that only its owner reads.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its owner's");
        path
    }
}

/// Runs a program to its end.
fn run(program: &str, arguments: &[&str], directory: &Path) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("{program} is not installed: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
}

fn following(url: &str, access: GitAccess) -> Site {
    let mut git = source(url, "main", "");
    git.access = access;
    let options = SourceOptions::git(git, Prune::Delete, OnDrift::Restore);
    Site::reading(Arc::default(), vec![options])
}

async fn until_applied(url: &str, access: GitAccess) {
    let mut site = following(url, access);
    site.until("the manifests are applied", |store| {
        store.images().get("web").map(String::as_str) == Some("web:1")
    })
    .await;
}

/// What is told of a repository that cannot be read: all of these words, and none of the secrets.
async fn until_refused(url: &str, access: GitAccess, words: &[&str], secrets: &[&str]) {
    let mut site = following(url, access);
    told(&mut site, words, secrets).await;
}

async fn told(site: &mut Site, words: &[&str], secrets: &[&str]) {
    site.until("something is told", |store| {
        store
            .source()
            .is_some_and(|source| !source.message.is_empty())
    })
    .await;
    let source = site.store.source().expect("told");
    for word in words {
        assert!(source.message.contains(word), "{word}: {}", source.message);
    }
    let all = format!("{source:?}");
    for secret in secrets {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

/// A runtime in which a minute is a second: for time limits that nobody wants to wait for.
struct Hurried(Tokio);

impl Runtime for Hurried {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn steady(&self) -> Duration {
        self.0.steady()
    }

    fn sleep(&self, pause: Duration) -> Task {
        self.0.sleep(pause / 60)
    }

    fn spawn(&self, task: Task) {
        self.0.spawn(task);
    }
}

/// A host that takes connections and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_hangs_is_told_after_its_time_limit() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    for url in [
        format!("https://127.0.0.1:{port}/specs.git"),
        format!("ssh://git@127.0.0.1:{port}/specs.git"),
    ] {
        let options = SourceOptions::git(source(&url, "main", ""), Prune::Delete, OnDrift::Restore);
        let hurried = Arc::new(Hurried(Tokio::default()));
        let mut site = Site::reading_by(hurried, Arc::default(), vec![options]);
        told(
            &mut site,
            &[
                "fetch main of",
                "no end within 120s",
                "what it said before stays in force",
            ],
            &[],
        )
        .await;
    }
}

/// The processes whose arguments hold this word.
fn processes(word: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("processes");
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut found = Vec::new();
    for id in ids {
        let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        if arguments.starts_with("ssh ") && arguments.contains(word) {
            found.push(id);
        }
    }
    found
}

/// git is ended when its time is over, and so is the ssh that it has called.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_time_limit_ssh_does_not_live_on() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port().to_string();
    let url = format!("ssh://git@127.0.0.1:{port}/specs.git");
    let options = SourceOptions::git(source(&url, "main", ""), Prune::Delete, OnDrift::Restore);
    let hurried = Arc::new(Hurried(Tokio::default()));
    let mut site = Site::reading_by(hurried, Arc::default(), vec![options]);
    site.until("ssh is called", |_| !processes(&port).is_empty())
        .await;
    let first = processes(&port);
    told(&mut site, &["no end within 120s"], &[]).await;
    // By itself it gives up after 15 s.
    let ended = site.until("it is gone", |_| {
        processes(&port).iter().all(|id| !first.contains(id))
    });
    let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
    assert!(ended.is_ok(), "{first:?} live on");
}

//! A branch of a git repository: fetched at intervals, one commit deep, by the `git` program, and read from its objects.
//! There is no work tree, so nothing is ever half there, and a link leads nowhere: it is told of as what cannot be read, for
//! it may stand in the place of a folder of manifests.
//!
//! How `git` is called is in `program`, what may be asked for in `address`. What the files mean is not read here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};

use super::{
    Content, Desk, Freshness, Listing, MAX_FILE, MAX_FILES, ManifestFile, Presence, is_manifest,
};
use crate::api::{Commit, Place};
use crate::retry::{Backoff, Policy, Spread};
use crate::runtime::Runtime;

mod address;
mod branches;
mod group;
mod objects;
mod program;
mod refusal;
mod settings;
mod suspects;

pub use address::{Branch, BranchPattern, Folder, GitAddressError, Url};
pub use branches::{GitBranches, MAX_BRANCHES};
use objects::{Entry, Form};
use program::{Git, GitError};

/// The most bytes that a source's manifests may have together.
const MAX_TOTAL: u64 = 64 << 20;

/// After so many commits, what is not needed any more is thrown away.
const COMMITS_KEPT: u32 = 50;

/// A branch that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    /// The repository.
    pub url: Url,
    /// The branch.
    pub branch: Branch,
    /// Where in the repository the manifests are.
    pub folder: Folder,
    /// The time between two looks.
    pub interval: Duration,
    /// How to get in.
    pub access: GitAccess,
}

/// How to get into a repository. Secrets are in files, and in nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitAccess {
    /// The user to whom the token belongs, for `https://`.
    pub username: String,
    /// A file with the token or password in its first line. It is read anew each time.
    pub token_file: Option<PathBuf>,
    /// A file with a private key, for ssh.
    pub ssh_key: Option<PathBuf>,
    /// A file with the keys of known hosts, for ssh; the user's own if absent.
    pub known_hosts: Option<PathBuf>,
    /// A file with the certificates of those who vouch for the host, in PEM, for `https://`; the system's if absent.
    pub ca_file: Option<PathBuf>,
}

fn place(url: &Url, branch: &str, folder: &Folder) -> Place {
    let folder = match folder.as_str() {
        "" => String::new(),
        folder => format!(":{folder}"),
    };
    Place(format!("git:{url}#{branch}{folder}"))
}

/// The pauses after a repository that could not be read.
fn pauses(interval: Duration) -> Backoff {
    pauses_between(Duration::from_secs(1).min(interval), interval)
}

fn pauses_between(first: Duration, longest: Duration) -> Backoff {
    Backoff::new(Policy {
        first,
        longest,
        give_up_after: None,
        spread: Spread::Half,
    })
}

fn in_force(problem: &GitError, interval: Duration) -> String {
    format!(
        "{problem}; what it said before stays in force, and it is tried again within {interval:?}"
    )
}

impl GitSource {
    /// Where it is, without credentials.
    pub fn place(&self) -> Place {
        place(&self.url, self.branch.as_str(), &self.folder)
    }

    /// Follows the branch for ever, and lays on the desk what its newest commit says.
    pub(super) async fn read(self, place: Place, desk: Arc<Desk>, runtime: Arc<dyn Runtime>) {
        info!(%place, interval_ms = self.interval.as_millis(), "following");
        let mut backoff = pauses(self.interval);
        let interval = self.interval;
        let mut follower = Follower {
            source: self,
            git: None,
            commit: None,
            commits: 0,
            runtime: runtime.clone(),
        };
        loop {
            let pause = match follower.look().await {
                Ok(Some(listing)) => {
                    let commit = listing.commit.as_ref().map_or("-", Commit::short);
                    info!(%place, commit, files = listing.files.len(), "a commit was read");
                    desk.deliver(listing, runtime.now());
                    backoff.reset();
                    interval
                }
                Ok(None) => {
                    desk.confirm(&place, runtime.now());
                    backoff.reset();
                    interval
                }
                Err(problem) => {
                    desk.fail(&place, &in_force(&problem, interval));
                    // What was fetched may be what is broken.
                    follower.git = None;
                    backoff.next_delay().unwrap_or(interval)
                }
            };
            runtime.sleep(pause).await;
        }
    }
}

struct Follower {
    source: GitSource,
    git: Option<Git>,
    /// The commit that was read last.
    commit: Option<Commit>,
    commits: u32,
    runtime: Arc<dyn Runtime>,
}

impl Follower {
    /// What the branch says now; nothing if it is the commit that was read last.
    async fn look(&mut self) -> Result<Option<Listing>, GitError> {
        let git = match self.git.take() {
            Some(git) => git,
            None => Git::new(&self.source.url, &self.source.access, self.runtime.clone()).await?,
        };
        let branch = std::slice::from_ref(&self.source.branch);
        let fetched = git.fetch(&self.source.url, branch).await?;
        let Some(commit) = fetched.into_iter().next() else {
            self.git = Some(git);
            return Ok(None);
        };
        if self.commit.as_ref() == Some(&commit) {
            self.git = Some(git);
            return Ok(None);
        }
        let files = files(&git, &commit, &self.source.folder).await?;
        debug!(%commit, files = files.len(), "read");
        self.commits += 1;
        // It is made anew now and then: what nobody needs any more goes with it.
        self.git = (!self.commits.is_multiple_of(COMMITS_KEPT)).then_some(git);
        self.commit = Some(commit.clone());
        Ok(Some(Listing {
            place: self.source.place(),
            commit: Some(commit),
            files,
            hollow: Vec::new(),
            freshness: Freshness::Current,
            presence: Presence::There,
        }))
    }
}

/// The manifests of a commit, and what others may stand in.
async fn files(git: &Git, commit: &Commit, folder: &Folder) -> Result<Vec<ManifestFile>, GitError> {
    let entries = git.list(commit, folder).await?;
    let wanted = entries.into_iter().filter(is_wanted);
    let (manifests, hiding): (Vec<Entry>, Vec<Entry>) =
        wanted.partition(|entry| entry.form == Form::File);
    if manifests.len() > MAX_FILES {
        return Err(GitError::TooMuch(format!(
            "{} manifest files, and {MAX_FILES} is the most; split them among several sources",
            manifests.len()
        )));
    }
    let fitting = || manifests.iter().filter(|entry| entry.size <= MAX_FILE);
    let total: u64 = fitting().map(|entry| entry.size).sum();
    if total > MAX_TOTAL {
        return Err(GitError::TooMuch(format!(
            "{total} bytes of manifests, and {MAX_TOTAL} is the most; name their folder by --path"
        )));
    }
    let ids: Vec<&str> = fitting().map(|entry| entry.id.as_str()).collect();
    let mut contents = git.read(&ids).await?.into_iter();
    let mut files = Vec::new();
    // One of a kind is enough: a commit with a million links is not to fill the memory.
    for entry in manifests
        .into_iter()
        .chain(hiding.into_iter().take(MAX_FILES))
    {
        let content = match unreadable(entry.form) {
            Some(unreadable) => unreadable,
            None if entry.size > MAX_FILE => Content::too_large(entry.size),
            None => Content::Whole(contents.next().unwrap_or_default().into()),
        };
        files.push(ManifestFile {
            path: folder.join(&entry.path),
            content,
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// What is said of an entry that is not read, whatever it is called.
fn unreadable(form: Form) -> Option<Content> {
    let (problem, remedy) = match form {
        Form::File => return None,
        Form::Misnamed => ("its path is not UTF-8", "rename it"),
        Form::Link => (
            "it is a symbolic link, which is not followed in a repository",
            "put the file or the folder itself there, or name the folder of the manifests by --path",
        ),
        Form::Submodule => (
            "it is a submodule, which is not read",
            "put its manifests there, or name the folder of the manifests by --path",
        ),
    };
    Some(Content::Unreadable {
        problem: problem.to_owned(),
        remedy: remedy.to_owned(),
    })
}

/// Whether an entry counts: a manifest, or what a folder of them may have become; not hidden, and in no hidden folder.
fn is_wanted(entry: &Entry) -> bool {
    let mut names = entry.path.rsplit('/');
    let is_one = match entry.form {
        Form::File | Form::Misnamed => names.next().is_some_and(is_manifest),
        Form::Link | Form::Submodule => true,
    };
    is_one && !names.any(|name| name.starts_with('.'))
}

//! GitOps: a directory or a branch of a git repository says what the store is to say.
//!
//! A source is read beside the turns, so that a slow one delays none (`directory`, `git`), and what it says is laid on
//! the [`Desk`] as a [`Listing`]. After each turn of the controller that acts, [`decide`] compares it with the store,
//! purely, and `tending` writes what follows. What a source wrote carries its mark ([`crate::api::Origin`]).
//!
//! What a rollout does with a new spec is not decided here.

mod decide;
mod desk;
mod directory;
mod git;
mod holes;
mod listing;
mod telling;
mod tending;
mod verdict;

pub use decide::{Decision, Deed, Question, Write, decide, digest};
pub use desk::{Desk, Look};
pub use directory::DirectorySource;
pub use git::{Branch, Folder, GitAccess, GitAddressError, GitSource, Url};
pub use listing::{Content, Listing, MAX_FILE, MAX_FILES, ManifestFile, is_manifest};
pub use tending::{Gitops, SourceReport, Tended};

use std::path::Path;
use std::sync::Arc;

use crate::api::{Name, OnDrift, Place, Prune, SourceKind};
use crate::runtime::{Runtime, Task};

/// A source as the user asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceOptions {
    /// What it is called in `get sources`.
    pub name: Name,
    /// Where its manifests are; the mark of what it writes.
    pub place: Place,
    /// What becomes of a resource whose manifest is gone.
    pub prune: Prune,
    /// What becomes of a resource that was changed by hand.
    pub on_drift: OnDrift,
    /// How it is read.
    pub reader: Reader,
}

/// A name made of the last word of a place: `dir-specs` of `/srv/specs`. What is told of a source is kept under it in
/// a config, whose name has at most 64 characters.
fn name(kind: &str, place: &str) -> Name {
    const MOST: usize = 40;
    let mut words = place
        .split(['/', '\\', ':'])
        .filter(|word| !word.is_empty());
    let last = words.next_back().unwrap_or_default().to_ascii_lowercase();
    let letters = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let text: String = format!("{kind}-")
        .chars()
        .chain(letters)
        .take(MOST)
        .collect();
    let text = text.trim_end_matches('-');
    text.parse()
        .unwrap_or_else(|_| unreachable!("`{text}` is a DNS label"))
}

/// How a source is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A directory is watched.
    Directory(DirectorySource),
    /// A branch of a repository is followed.
    Git(GitSource),
}

impl SourceOptions {
    /// A watched directory.
    ///
    /// # Errors
    /// When the path is empty.
    pub fn directory(path: &Path, prune: Prune, on_drift: OnDrift) -> std::io::Result<Self> {
        let path = std::path::absolute(path)?;
        Ok(Self {
            name: name("dir", &path.to_string_lossy()),
            place: Place(format!("dir:{}", path.display())),
            prune,
            on_drift,
            reader: Reader::Directory(DirectorySource { path }),
        })
    }

    /// A branch that is followed.
    pub fn git(git: GitSource, prune: Prune, on_drift: OnDrift) -> Self {
        let url = git.url.as_str().trim_end_matches('/');
        Self {
            name: name("git", url.strip_suffix(".git").unwrap_or(url)),
            place: git.place(),
            prune,
            on_drift,
            reader: Reader::Git(git),
        }
    }

    /// What the source is.
    pub const fn kind(&self) -> SourceKind {
        match self.reader {
            Reader::Directory(_) => SourceKind::Directory,
            Reader::Git(_) => SourceKind::Git,
        }
    }

    /// Reads the source for ever, and lays on the desk what it says.
    pub fn read(&self, desk: Arc<Desk>, runtime: Arc<dyn Runtime>) -> Task {
        let place = self.place.clone();
        match &self.reader {
            Reader::Directory(directory) => Box::pin(directory.clone().read(place, desk, runtime)),
            Reader::Git(git) => Box::pin(git.clone().read(place, desk, runtime)),
        }
    }
}

//! GitOps: a directory or a branch of a git repository says what the store is to say.
//!
//! A source is read beside the turns, so that a slow one delays none (`directory`, `git`), and what it says is laid on
//! the [`Desk`] as a [`Listing`]. After each turn of the controller that acts, [`decide`] compares it with the store,
//! purely, and `tending` writes what follows. What a source wrote carries its mark ([`crate::api::Origin`]).
//!
//! A source is a directory, a branch, or several branches of one repository, each of which is a source of its own
//! (`active`); whose a resource is that several of them say is in `sharing`.
//!
//! What a rollout does with a new spec is not decided here.

mod active;
mod asked;
mod decide;
mod desk;
mod directory;
mod epoch;
mod git;
mod holes;
mod listing;
mod parting;
mod played;
mod setbacks;
mod settled;
mod sharing;
mod telling;
mod tending;
mod undone;
mod verdict;

pub use active::{Branches, Followed, Standing};
pub use decide::{Decision, Deed, Question, Write, decide};
pub use desk::{Desk, Look};
pub use directory::DirectorySource;
pub use git::{
    Branch, BranchPattern, Folder, GitAccess, GitAddressError, GitBranches, GitSource,
    MAX_BRANCHES, Url,
};
pub use listing::{
    Content, Freshness, Listing, MAX_FILE, MAX_FILES, ManifestFile, Presence, is_manifest,
};
pub use played::{PlayedSource, Saying};
pub use sharing::{Relation, Unclaimed};
pub use tending::{Gitops, SourceReport, Tended};
pub use undone::Undone;

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

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
    /// The overlay of its manifests, if the user named one. Otherwise a branch has the overlay with its name, if there
    /// is one, and a directory none.
    pub overlay: Option<String>,
    /// How it is read.
    pub reader: Reader,
}

fn repository_name(url: &Url) -> Name {
    let url = url.as_str().trim_end_matches('/');
    name("git", url.strip_suffix(".git").unwrap_or(url))
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

/// The name of one of several branches: that of its repository and the branch, told from others that would come to the
/// same.
fn branch_name(repository: &Name, branch: &Branch) -> Name {
    const MOST: usize = 46;
    const REPOSITORY: usize = 24;
    const DIGITS: usize = 5;
    let repository: String = repository.as_str().chars().take(REPOSITORY).collect();
    let repository = repository.trim_end_matches('-');
    let room = MOST - repository.len() - 1;
    let mut label = crate::manifest::branch_label(branch.as_str(), room);
    if label != branch.as_str() {
        let digest: String = Sha256::digest(branch.as_str())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .take(DIGITS.div_ceil(2))
            .collect();
        label.truncate(room - DIGITS - 1);
        label = format!("{}-{}", label.trim_end_matches('-'), &digest[..DIGITS]);
    }
    let text = format!("{repository}-{}", label.trim_start_matches('-'));
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
    /// Several branches of a repository are followed.
    Branches(GitBranches),
    /// What it says is played.
    Played(PlayedSource),
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
            overlay: None,
            reader: Reader::Directory(DirectorySource { path }),
        })
    }

    /// A branch that is followed.
    pub fn git(git: GitSource, prune: Prune, on_drift: OnDrift) -> Self {
        Self {
            name: repository_name(&git.url),
            place: git.place(),
            prune,
            on_drift,
            overlay: None,
            reader: Reader::Git(git),
        }
    }

    /// Several branches that are followed.
    pub fn branches(branches: GitBranches, prune: Prune, on_drift: OnDrift) -> Self {
        Self {
            name: repository_name(&branches.url),
            place: branches.place(),
            prune,
            on_drift,
            overlay: None,
            reader: Reader::Branches(branches),
        }
    }

    /// A repository that is played.
    pub fn played(source: PlayedSource, prune: Prune, on_drift: OnDrift) -> Self {
        Self {
            name: name("git", "played"),
            place: Place("git:played#main".to_owned()),
            prune,
            on_drift,
            overlay: None,
            reader: Reader::Played(source),
        }
    }

    /// What the source is.
    pub const fn kind(&self) -> SourceKind {
        match self.reader {
            Reader::Directory(_) => SourceKind::Directory,
            Reader::Git(_) | Reader::Branches(_) | Reader::Played(_) => SourceKind::Git,
        }
    }

    /// Reads the source for ever, and lays on the desk what it says.
    pub fn read(&self, desk: Arc<Desk>, runtime: Arc<dyn Runtime>) -> Task {
        let place = self.place.clone();
        match &self.reader {
            Reader::Directory(directory) => Box::pin(directory.clone().read(place, desk, runtime)),
            Reader::Git(git) => Box::pin(git.clone().read(place, desk, runtime)),
            Reader::Branches(branches) => Box::pin(branches.clone().read(place, desk, runtime)),
            Reader::Played(played) => Box::pin(played.clone().read(place, desk, runtime)),
        }
    }
}

//! GitOps: which source a stored resource comes from, and what is told of a source. What a source reads, and how, is
//! not here.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Name;

/// Where a source's manifests are, as `dir:/srv/specs` or `git:https://host/specs.git#main:path`, without credentials.
/// What a source wrote carries this as its mark: another place is another owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(pub String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A commit by its whole hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commit(pub String);

impl Commit {
    /// The first seven digits, as git shows it to people.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The mark of a stored resource that a source has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Whose it is.
    pub source: Place,
    /// The manifest's file, from the source's root.
    pub file: String,
    /// The commit that asked for what the source last wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The generation that the source wrote. Another one was written by hand.
    pub generation: u64,
    /// What the source asked for: the digest of the resource as it wrote it, `-`, and that of what its manifest says,
    /// which no other release changes. The first alone if an older release wrote it.
    pub digest: String,
    /// Other branches of the source's repository that say the resource too and have stepped back, each with
    /// what it asked for then, as in `digest`: one that asks for something else takes it over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub yields: BTreeMap<Place, String>,
    /// What is wrong between the source and the resource, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<OriginProblem>,
}

/// What is wrong between a source and a resource of its.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginProblem {
    /// What, in one word.
    pub kind: OriginProblemKind,
    /// What, in a sentence for people, with the remedy.
    pub message: String,
}

/// What is wrong between a source and a resource of its, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OriginProblemKind {
    /// Its manifest is invalid or cannot be read; the last valid one stays in force.
    Invalid,
    /// It was changed by hand, and stays so.
    Drifted,
}

/// What is told of a source. It is written when it changes and never per look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// What it is called.
    pub name: Name,
    /// What it is.
    pub kind: SourceKind,
    /// Where its manifests are.
    pub place: Place,
    /// What becomes of a resource whose manifest is gone.
    pub prune: Prune,
    /// What becomes of a resource that was changed by hand.
    pub on_drift: OnDrift,
    /// How it is, in one word.
    pub phase: SourcePhase,
    /// How it is, in a sentence, with what is waited for.
    pub message: String,
    /// The commit that is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// When what it says was last seen to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// The resources that are this source's, as `kind/name`, each with the digest of what it last wrote.
    pub resources: BTreeMap<String, String>,
    /// How many manifests are invalid, or cannot be read.
    pub invalid: u32,
    /// What is wrong with them, as `validate` says it: `file:line:column: field: problem; remedy`. Bounded.
    pub problems: Vec<String>,
    /// The resources that were changed by hand and stay so.
    pub drifted: Vec<String>,
    /// Resources whose manifests are gone and that stay, each with the reason.
    pub kept: Vec<String>,
    /// Resources that it says and another branch has, each with what would change that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SourceKind {
    /// A watched directory.
    Directory,
    /// A branch of a git repository.
    Git,
}

impl SourceKind {
    /// The word for it in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "Directory",
            Self::Git => "Git",
        }
    }
}

/// How a source is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SourcePhase {
    /// It has not been read yet.
    Pending,
    /// The store says what it says.
    Synced,
    /// Something in it cannot be applied; what can be is.
    Invalid,
    /// It cannot be read now. What was read before stays in force.
    Unreadable,
    /// Its branch is gone, and something of it is still there.
    Gone,
}

impl SourcePhase {
    /// The phase as it stands in the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Synced => "Synced",
            Self::Invalid => "Invalid",
            Self::Unreadable => "Unreadable",
            Self::Gone => "Gone",
        }
    }
}

/// What becomes of a resource whose manifest is gone from its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Prune {
    /// It stays, and the source says so.
    Keep,
    /// It is deleted; a rollout is drained first.
    Delete,
}

/// What becomes of a resource that was changed by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnDrift {
    /// The source's spec is put back at once.
    Restore,
    /// It stays until its manifest changes, and is reported.
    Report,
}

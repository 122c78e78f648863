//! A listing: what a source says at one time, as plain data. How it is read is not here.

use std::sync::Arc;

use crate::api::{Commit, Place};

/// The largest manifest file, in bytes. A resource has at most 64 KiB.
pub const MAX_FILE: u64 = 1 << 20;

/// The most manifest files that a source may have.
pub const MAX_FILES: usize = 5_000;

/// What a source says at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The source's place.
    pub place: Place,
    /// The commit, if it is a repository's.
    pub commit: Option<Commit>,
    /// Its manifest files, by path.
    pub files: Vec<ManifestFile>,
    /// The directories that are there and hold no manifest, though they may have: not those whose last one was seen to be
    /// removed.
    pub hollow: Vec<String>,
    /// Whether they are in it as they now stand.
    pub freshness: Freshness,
    /// Whether the source is still there.
    pub presence: Presence,
}

/// Whether a listing holds each file as it now stands. One that it does not may say more by now than it did: what is
/// missing may have moved there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// It does.
    #[default]
    Current,
    /// Some file has just come, changed or gone, and is not taken yet.
    Changing,
    /// This file has not been taken for longer than a writer needs.
    Behind(String),
}

/// Whether a source is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It is: one that holds nothing at all is looked at with suspicion.
    #[default]
    There,
    /// It is known to be gone, and all that it said with it.
    Gone,
}

impl Listing {
    /// What a source says that is gone.
    pub fn gone(place: Place) -> Self {
        Self {
            place,
            commit: None,
            files: Vec::new(),
            hollow: Vec::new(),
            freshness: Freshness::Current,
            presence: Presence::Gone,
        }
    }
}

/// A manifest file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its path from the source's root, with `/` between the names.
    pub path: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a manifest file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It was read whole.
    Whole(Arc<[u8]>),
    /// It is being written, and was never read whole before.
    Unsettled,
    /// It cannot be read.
    Unreadable {
        /// Why.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
}

impl Content {
    /// What is said of a file that is too large.
    pub fn too_large(size: u64) -> Self {
        Self::Unreadable {
            problem: format!("the file has {size} bytes, and {MAX_FILE} is the most"),
            remedy: "split it; check that it is a manifest".to_owned(),
        }
    }
}

/// Whether a file of this name is read: `*.yaml`, `*.yml` and `*.json`, unless it is hidden or an editor's own.
pub fn is_manifest(name: &str) -> bool {
    let is_editors = name.starts_with(['.', '#']) || name.ends_with(['~', '#']);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    !is_editors && matches!(extension, Some("yaml" | "yml" | "json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_those_of_editors_are_left_out() {
        for name in ["web.yaml", "a.b.yml", "x.json"] {
            assert!(is_manifest(name), "{name}");
        }
        for name in [
            ".web.yaml.swp",
            ".web.yaml",
            "web.yaml~",
            "#web.yaml#",
            ".#web.yaml",
            "#web.yaml",
            "README.md",
            "yaml",
            "web.yaml.tmp",
        ] {
            assert!(!is_manifest(name), "{name}");
        }
    }
}

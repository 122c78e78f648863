//! Holes: what of a source could not be read. What is missing may be in there, and must not be taken for gone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Content, Freshness, Listing, ManifestFile, Presence};
use crate::api::{ResourceRef, Route};
use crate::manifest::Broken;

/// What of a listing could not be read: a resource that is missing may be in there.
pub(super) struct Holes<'a> {
    listing: &'a Listing,
    /// Files that cannot be read, with what is said of each.
    pub unreadable: BTreeMap<String, String>,
    /// The first file with a document of which it cannot be told which resource it is.
    nameless: Option<&'a str>,
    /// The files with a document that cannot be applied.
    broken: BTreeSet<&'a str>,
    /// The back ends that rollouts ask for which cannot be applied, each with the rollout.
    asked_for: Vec<(&'a Route, &'a ResourceRef)>,
}

/// Whether a missing resource may be somewhere else.
pub(super) enum Doubt {
    /// It is not.
    None,
    /// It may be, in a file that is being written or has just been, and is not taken yet.
    Passing,
    /// Until somebody does something about it: why.
    Lasting(String),
}

impl<'a> Holes<'a> {
    pub fn of(listing: &'a Listing, broken: &'a [Broken]) -> Self {
        let mut unreadable = BTreeMap::new();
        for file in &listing.files {
            if let Content::Unreadable { problem, remedy } = &file.content {
                let text = format!("{}:1:1: document: {problem}; {remedy}", file.path);
                unreadable.insert(file.path.clone(), text);
            }
        }
        let nameless = broken.iter().find(|broken| broken.target.is_none());
        Self {
            listing,
            unreadable,
            nameless: nameless.map(|broken| broken.file.as_str()),
            broken: broken.iter().map(|broken| broken.file.as_str()).collect(),
            asked_for: broken
                .iter()
                .filter_map(|broken| broken.route.as_ref().zip(broken.target.as_ref()))
                .collect(),
        }
    }

    /// The rollout that asks for this back end, and cannot have it or is wrong otherwise.
    pub fn asks_for(&self, route: &Route) -> Option<&'a ResourceRef> {
        let mut asked_for = self.asked_for.iter();
        asked_for
            .find(|(asked, _)| *asked == route)
            .map(|(_, target)| *target)
    }

    /// What is said of them.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        self.unreadable.values().cloned()
    }

    /// Whether a resource that is missing, and that came from `origin`, may be in there.
    pub fn doubt(&self, origin: &str) -> Doubt {
        let is_blank = |content: &Content| match content {
            // A file of a repository is never half written.
            Content::Whole(bytes) => {
                self.listing.commit.is_none() && bytes.iter().all(u8::is_ascii_whitespace)
            }
            Content::Unsettled | Content::Unreadable { .. } => false,
        };
        let files = &self.listing.files;
        let blank = files.iter().find(|file| is_blank(&file.content));
        let unreadable = self.unreadable.keys().next().map(String::as_str);
        if self.listing.presence == Presence::Gone {
            Doubt::None
        } else if files.is_empty() {
            Doubt::Lasting(
                "the source holds no manifest at all, as if it were not mounted".to_owned(),
            )
        } else if let Some(file) = unreadable.or(self.nameless) {
            Doubt::Lasting(format!(
                "it may be in {file}, which cannot be read; put that right or remove it"
            ))
        } else if let Some(file) = blank {
            Doubt::Lasting(format!(
                "it may have been in {}, which is empty; remove the file if that is meant",
                file.path
            ))
        } else if let Some(file) = self.broken_from(origin) {
            Doubt::Lasting(format!(
                "it may have been in {file}, in which something is wrong, as if its end were missing; put that right"
            ))
        } else if let Some(directory) = self.hollow_above(origin) {
            Doubt::Lasting(format!(
                "it may have been in {directory}, which holds no manifest, as if it were not mounted; remove the directory if that is meant"
            ))
        } else {
            self.unread()
        }
    }

    /// A file in which a document is broken, and which may be where a resource came from. A copy that broke off ends
    /// anywhere, also where it can be told which resource the broken document is: what stood behind it is missing then.
    fn broken_from(&self, origin: &str) -> Option<&'a str> {
        let mut broken = self.broken.iter().copied();
        broken.find(|file| origin.is_empty() || *file == origin)
    }

    /// A directory without manifests from which a resource came.
    fn hollow_above(&self, origin: &str) -> Option<&'a str> {
        let is_above = |directory: &&String| {
            let rest = origin.strip_prefix(directory.as_str());
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let found = self.listing.hollow.iter().find(is_above);
        found.map(String::as_str)
    }

    /// What is missing may have moved into a file whose newest content is not in the listing, whether or not an older
    /// one is. That holds for as long as it is so, and holds up nothing but deletions; but nobody waits in silence for a
    /// writer who does not end.
    fn unread(&self) -> Doubt {
        let is_unsettled = |file: &ManifestFile| file.content == Content::Unsettled;
        match &self.listing.freshness {
            Freshness::Behind(file) => Doubt::Lasting(format!(
                "it may be in {file}, which has not stopped changing for a while; see who writes it, and rename the file into its place when it is whole"
            )),
            Freshness::Changing => Doubt::Passing,
            Freshness::Current if self.listing.files.iter().any(is_unsettled) => Doubt::Passing,
            Freshness::Current => Doubt::None,
        }
    }
}

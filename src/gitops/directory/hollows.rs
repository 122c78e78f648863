//! Directories in which manifests are missing: they are there and hold none, as the place of a mount does that is gone, or
//! a checkout that broke off. What it means for what came from there is not decided here.
//!
//! A directory whose last manifest is removed holds none either, and that is meant. It is told by its device, its inode and
//! its birth: it is the one that held them. What held them before this watch began is not known, and then nobody can tell.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{Identity, Scan};

/// The directories that held manifests.
#[derive(Debug, Default)]
pub(super) struct Hollows {
    held: BTreeMap<String, Identity>,
}

impl Hollows {
    /// Notes what a look found; the directories, by path from the root, in which manifests may be missing.
    pub fn look(&mut self, found: &Scan) -> Vec<String> {
        let holding = holding(found);
        self.held
            .retain(|path, _| found.identities.contains_key(path));
        let mut hollow = Vec::new();
        for (path, identity) in &found.identities {
            if holding.contains(path.as_str()) {
                self.held.insert(path.clone(), identity.clone());
            } else if self.held.get(path) != Some(identity) {
                hollow.push(path.clone());
            }
        }
        hollow
    }
}

/// The directories with a manifest, or with something that cannot be read, in them or below them.
fn holding(found: &Scan) -> BTreeSet<&str> {
    let mut holding = BTreeSet::new();
    for path in found.files.keys().chain(found.problems.keys()) {
        let mut path = path.as_str();
        while let Some((directory, _)) = path.rsplit_once('/') {
            if !holding.insert(directory) {
                break;
            }
            path = directory;
        }
    }
    holding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gitops::directory::scan::Stamp;

    fn scan(files: &[&str], directories: &[(&str, u64)]) -> Scan {
        let files = files
            .iter()
            .map(|path| ((*path).to_owned(), Stamp::default()));
        let identity = |inode| Identity {
            device: 1,
            inode,
            born: None,
        };
        let directories = directories.iter();
        Scan {
            files: files.collect(),
            identities: directories
                .map(|(path, inode)| ((*path).to_owned(), identity(*inode)))
                .collect(),
            ..Scan::default()
        }
    }

    #[test]
    fn a_directory_in_the_place_of_one_with_manifests_is_hollow_and_the_same_one_is_not() {
        let mut hollows = Hollows::default();
        let below = [("team", 1), ("team/deep", 2)];
        assert!(
            hollows
                .look(&scan(&["team/deep/a.yaml"], &below))
                .is_empty()
        );
        assert!(hollows.look(&scan(&[], &below)).is_empty());
        assert!(hollows.look(&scan(&[], &[("team", 1)])).is_empty());
        assert!(hollows.look(&scan(&[], &[])).is_empty());
        hollows.look(&scan(&["team/deep/a.yaml"], &below));
        assert_eq!(hollows.look(&scan(&[], &[("team", 9)])), ["team"]);
    }

    #[test]
    fn of_a_directory_that_was_never_seen_with_manifests_nobody_can_tell() {
        let mut hollows = Hollows::default();
        assert_eq!(hollows.look(&scan(&["a.yaml"], &[("team", 1)])), ["team"]);
    }
}

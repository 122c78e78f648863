//! One look at a directory, and reading one file: what blocks. What it means is not known here.
//!
//! Symbolic links are followed as far as they stay within the directory, as those of git-sync (`current -> rev-abc`)
//! and of mounted configs (`..data -> ..2026_01`) do.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::gitops::{Content, MAX_FILE, MAX_FILES, is_manifest};

/// How deep directories are read.
const MAX_DEPTH: usize = 16;

/// What distinguishes a file from what it was or will be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified: i128,
    /// The same, of the last change of content or metadata, which nobody can set back.
    pub changed: i128,
}

/// What distinguishes a directory from another one in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub device: u64,
    pub inode: u64,
    /// When it was made, if the file system knows: an inode that is free is soon given to another directory.
    pub born: Option<SystemTime>,
}

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The directory itself, without links.
    pub root: PathBuf,
    /// The manifest files, by path from the root.
    pub files: BTreeMap<String, Stamp>,
    /// Paths that cannot be read: why, and what to do about it.
    pub problems: BTreeMap<String, (String, String)>,
    /// The directories that were read, without links, with their paths from the root; the root's own is empty.
    pub directories: BTreeMap<PathBuf, Vec<String>>,
    /// Those below the root, by path from it.
    pub identities: BTreeMap<String, Identity>,
}

/// Why the directory itself cannot be looked at.
#[derive(Debug)]
pub(super) struct ScanError {
    pub problem: String,
}

/// Looks at `path` and all below it.
pub(super) fn scan(path: &Path) -> Result<Scan, ScanError> {
    let refused = |error: io::Error| ScanError {
        problem: format!(
            "{}: cannot be read: {error}; see that it is there, mounted and readable",
            path.display()
        ),
    };
    let root = fs::canonicalize(path).map_err(refused)?;
    fs::read_dir(&root).map_err(refused)?;
    let mut scan = Scan {
        root: root.clone(),
        ..Scan::default()
    };
    scan.enter(&root, "", &mut vec![root.clone()]);
    Ok(scan)
}

impl Scan {
    /// `above` are the directories on the way, so that a link that leads back is not followed for ever.
    fn enter(&mut self, directory: &Path, inside: &str, above: &mut Vec<PathBuf>) {
        let paths = self.directories.entry(directory.to_owned()).or_default();
        paths.push(inside.to_owned());
        let listed = fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => return self.problem(inside, &error),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let told = name.to_string_lossy();
            if told.starts_with('.') {
                continue;
            }
            let path = if inside.is_empty() {
                told.to_string()
            } else {
                format!("{inside}/{told}")
            };
            match name.to_str() {
                Some(name) => self.entry(&entry.path(), name, path, above),
                None => self.misnamed(&entry.path(), &told, path),
            }
        }
    }

    fn entry(&mut self, real: &Path, name: &str, path: String, above: &mut Vec<PathBuf>) {
        let target = match fs::canonicalize(real) {
            Ok(target) => target,
            // It went away since, or is a link to nowhere: to a file, or to a directory full of them.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(real).is_ok_and(|metadata| metadata.is_symlink()) {
                    self.refuse(
                        path,
                        "it is a link to nowhere",
                        "see that what it leads to is there and mounted, or remove the link",
                    );
                }
                return;
            }
            Err(error) => return self.problem(&path, &error),
        };
        let metadata = match fs::metadata(&target) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.problem(&path, &error),
        };
        let is_wanted = metadata.is_dir() || is_manifest(name);
        if is_wanted && !target.starts_with(&self.root) {
            self.refuse(
                path,
                "it is a link that leads out of the directory",
                "put the file itself there",
            );
        } else if metadata.is_dir() {
            if above.contains(&target) {
                return;
            }
            if above.len() > MAX_DEPTH {
                let problem = format!("directories are read {MAX_DEPTH} deep");
                return self.refuse(path, &problem, "move its manifests up");
            }
            self.identities
                .insert(path.clone(), Identity::of(&metadata));
            above.push(target.clone());
            self.enter(&target, &path, above);
            above.pop();
        } else if metadata.is_file() && is_manifest(name) {
            self.file(path, &metadata);
        }
    }

    /// Something whose name is not UTF-8: it is not read, and may be a manifest, or hold some.
    fn misnamed(&mut self, real: &Path, told: &str, path: String) {
        if is_manifest(told) || !fs::metadata(real).is_ok_and(|metadata| metadata.is_file()) {
            self.refuse(path, "its name is not UTF-8", "rename it");
        }
    }

    fn file(&mut self, path: String, metadata: &Metadata) {
        if self.files.len() >= MAX_FILES {
            let problem = format!("the directory has more than {MAX_FILES} manifest files");
            return self.refuse(path, &problem, "split it among several sources");
        }
        self.files.insert(path, Stamp::of(metadata));
    }

    fn problem(&mut self, path: &str, error: &io::Error) {
        let problem = format!("cannot be read: {error}");
        self.refuse(
            path.to_owned(),
            &problem,
            "see that the controller may read it",
        );
    }

    fn refuse(&mut self, path: String, problem: &str, remedy: &str) {
        // One of a kind is enough: a directory with a million files is not to fill the memory.
        if self.problems.len() < MAX_FILES {
            self.problems
                .insert(path, (problem.to_owned(), remedy.to_owned()));
        }
    }
}

/// Reads a file whole; nothing if it is not as `stamp` says, before or after.
pub(super) fn read(path: &Path, stamp: &Stamp) -> Option<Content> {
    if stamp.size > MAX_FILE {
        return Some(Content::too_large(stamp.size));
    }
    let refused = |error: &io::Error| Content::Unreadable {
        problem: format!("cannot be read: {error}"),
        remedy: "see that the controller may read it".to_owned(),
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(refused(&error)),
    };
    let is_same = |file: &File| {
        let metadata = file.metadata();
        metadata.is_ok_and(|metadata| Stamp::of(&metadata) == *stamp)
    };
    if !is_same(&file) {
        return None;
    }
    let mut bytes = Vec::new();
    if let Err(error) = file.by_ref().take(MAX_FILE + 1).read_to_end(&mut bytes) {
        return Some(refused(&error));
    }
    // The name must still lead to the file that was read.
    let is_there = fs::metadata(path).is_ok_and(|metadata| Stamp::of(&metadata) == *stamp);
    let is_whole = is_same(&file) && is_there && u64::try_from(bytes.len()) == Ok(stamp.size);
    is_whole.then(|| Content::Whole(bytes.into()))
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        let Stamp { device, inode, .. } = Stamp::of(metadata);
        let born = metadata.created().ok();
        Self {
            device,
            inode,
            born,
        }
    }
}

impl Stamp {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds =
            |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Self {
            size: metadata.len(),
            modified: since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0)),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_was_given_the_inode_of_another_one_is_not_that_one() {
        let root = tempfile::tempdir().expect("a directory");
        let team = root.path().join("team");
        let made = || {
            fs::create_dir(&team).expect("made");
            let found = scan(root.path()).expect("a look");
            found.identities["team"].clone()
        };
        let first = made();
        assert_eq!(scan(root.path()).expect("a look").identities["team"], first);
        if first.born.is_none() {
            return; // Such a file system tells inodes only.
        }
        // The kernel's clock for files stands still for some milliseconds.
        let now_at = |path: PathBuf| fs::metadata(path).expect("a file").created().ok();
        let mut others = 0..;
        let is_later = |number: i32| {
            let path = root.path().join(number.to_string());
            fs::write(&path, "").expect("written");
            now_at(path) > first.born
        };
        assert!(others.any(is_later));
        fs::remove_dir(&team).expect("removed");
        assert_ne!(made(), first);
    }
}

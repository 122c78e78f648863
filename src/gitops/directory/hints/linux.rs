//! inotify: one watch for each directory, and one for the place where the root itself stands.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask, Watches};

use super::Hint;
use crate::gitops::is_manifest;

/// Room for some hundred events at a time.
const BUFFER: usize = 16 * 1024;

/// What comes from inotify.
pub(super) struct Events {
    stream: EventStream<Vec<u8>>,
    watches: Watches,
    /// The directories, each with its paths from the root.
    watched: BTreeMap<PathBuf, Watched>,
    /// The place where the root stands, and the root's name there.
    place: Option<(WatchDescriptor, OsString)>,
}

struct Watched {
    descriptor: WatchDescriptor,
    paths: Vec<String>,
}

impl Events {
    /// Events of what happens to the directory `root`, so far.
    pub fn new(root: &Path) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let mut watches = inotify.watches();
        let whole = std::path::absolute(root)?;
        let place = whole
            .parent()
            .zip(whole.file_name())
            .and_then(|(parent, name)| {
                let mask = WatchMask::CREATE | WatchMask::MOVE | WatchMask::DELETE;
                Some((watches.add(parent, mask).ok()?, name.to_owned()))
            });
        Ok(Self {
            stream: inotify.into_event_stream(vec![0; BUFFER])?,
            watches,
            watched: BTreeMap::new(),
            place,
        })
    }

    /// Watches these directories and no others; says which paths are watched only from here on.
    pub fn watch(&mut self, directories: &BTreeMap<PathBuf, Vec<String>>) -> BTreeSet<String> {
        let mask = WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::MODIFY
            | WatchMask::CLOSE_WRITE
            | WatchMask::ATTRIB
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF;
        let mut before = std::mem::take(&mut self.watched);
        let mut fresh = BTreeSet::new();
        for (directory, paths) in directories {
            // The same directory has the same descriptor again; another one in its place has a new one.
            let Ok(descriptor) = self.watches.add(directory, mask) else {
                continue;
            };
            let known = before.remove(directory);
            if known.is_none_or(|known| known.descriptor != descriptor) {
                fresh.extend(paths.iter().cloned());
            }
            let paths = paths.clone();
            self.watched
                .insert(directory.clone(), Watched { descriptor, paths });
        }
        for gone in before.into_values() {
            let is_used = self
                .watched
                .values()
                .any(|watched| watched.descriptor == gone.descriptor);
            if !is_used {
                // One that went with its directory is gone already.
                drop(self.watches.remove(gone.descriptor));
            }
        }
        fresh
    }

    /// The next event that means something, as hints.
    pub async fn next(&mut self) -> Vec<Hint> {
        loop {
            match self.stream.next().await {
                Some(Ok(event)) => {
                    let hints = self.hints(&event);
                    if !hints.is_empty() {
                        return hints;
                    }
                }
                Some(Err(_)) => return vec![Hint::Other],
                None => std::future::pending().await,
            }
        }
    }

    /// What has come already.
    pub fn ready(&mut self) -> Vec<Hint> {
        let mut hints = Vec::new();
        while let Some(Some(Ok(event))) = self.stream.next().now_or_never() {
            hints.extend(self.hints(&event));
        }
        hints
    }

    fn hints(&self, event: &EventOwned) -> Vec<Hint> {
        if let Some((descriptor, name)) = &self.place
            && *descriptor == event.wd
        {
            let is_root = event.name.as_ref() == Some(name);
            return if is_root {
                vec![Hint::Other]
            } else {
                Vec::new()
            };
        }
        let kind: fn(String) -> Hint = if event.mask.contains(EventMask::MODIFY) {
            Hint::Written
        } else if event.mask.contains(EventMask::CLOSE_WRITE) {
            Hint::Closed
        } else {
            return vec![Hint::Other];
        };
        let name = event.name.as_ref().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| is_manifest(name)) else {
            return Vec::new();
        };
        let mut watched = self.watched.values();
        let paths = watched
            .find(|watched| watched.descriptor == event.wd)
            .map_or(&[][..], |watched| watched.paths.as_slice());
        let inside = |path: &String| match path.as_str() {
            "" => kind(name.to_owned()),
            path => kind(format!("{path}/{name}")),
        };
        paths.iter().map(inside).collect()
    }
}

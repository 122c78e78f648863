//! Hints that something in a directory has changed, from inotify; none where there is no inotify, and then the regular
//! look has to do. Hints get lost, as inotify's queue is bounded: nothing relies on them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::Events;

/// What may have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Somebody has written to this file, and may not be done.
    Written(String),
    /// Who has written to this file has closed it.
    Closed(String),
    /// Something else.
    Other,
}

/// Where hints come from.
pub(super) struct Hints {
    #[cfg(target_os = "linux")]
    events: Option<Events>,
    waiting: Vec<Hint>,
}

impl Hints {
    /// Hints of what happens in and to the directory `path`. Which directories are below it is told by [`Self::watch`].
    pub fn new(path: &Path) -> Self {
        #[cfg(not(target_os = "linux"))]
        let _ = path;
        Self {
            #[cfg(target_os = "linux")]
            events: Events::new(path)
                .inspect_err(|problem| {
                    tracing::warn!(%problem, "no inotify: the directory is looked at every few seconds only");
                })
                .ok(),
            waiting: Vec::new(),
        }
    }

    /// Asks for hints of these directories, each of which has these paths from the root, and of no others. Says which
    /// paths are watched only from here on: what happened there before is not known.
    pub fn watch(&mut self, directories: &BTreeMap<PathBuf, Vec<String>>) -> BTreeSet<String> {
        #[cfg(target_os = "linux")]
        if let Some(events) = &mut self.events {
            let fresh = events.watch(directories);
            if !fresh.is_empty() {
                self.waiting.push(Hint::Other);
            }
            return fresh;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = directories;
        BTreeSet::new()
    }

    /// The next hint. Dropped before it comes, it is not lost.
    pub async fn next(&mut self) -> Hint {
        if let Some(hint) = self.waiting.pop() {
            return hint;
        }
        #[cfg(target_os = "linux")]
        if let Some(events) = &mut self.events {
            self.waiting = events.next().await;
            return self.waiting.pop().unwrap_or(Hint::Other);
        }
        std::future::pending().await
    }

    /// The hints that have come already.
    pub fn waiting(&mut self) -> Vec<Hint> {
        #[cfg(target_os = "linux")]
        if let Some(events) = &mut self.events {
            self.waiting.extend(events.ready());
        }
        std::mem::take(&mut self.waiting)
    }
}

//! A watched directory: looked at when inotify tells of a change, and every few seconds besides.
//!
//! A file is taken once it has not changed for a while and nobody is seen to be writing it; until then, what it said
//! before stays in force ([`settle`]). What the files mean is not read here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tracing::info;

use super::{Content, Desk, Listing, Presence};
use crate::api::Place;
use crate::runtime::Runtime;

mod hints;
mod hollows;
mod scan;
mod settle;

use hints::{Hint, Hints};
use hollows::Hollows;
use scan::{Scan, ScanError, Stamp, scan};
use settle::Settle;

/// How long a file must not have changed before it is taken.
const SETTLE: Duration = Duration::from_millis(250);

/// The time between two looks that no hint asks for.
const PERIOD: Duration = Duration::from_secs(2);

/// What a directory says first waits until all in it has settled, but for no longer: somebody who goes on writing one file
/// is not to hold up the others.
const FIRST: Duration = Duration::from_secs(2);

/// A swarm of hints is served by one look.
const BREATH: Duration = Duration::from_millis(20);

/// After so long, a directory does not answer: as those of a network may.
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySource {
    /// Its path. A symbolic link is followed each time it is looked at.
    pub path: PathBuf,
}

impl DirectorySource {
    /// Watches for ever, and lays on the desk what the files say.
    pub(super) async fn read(self, place: Place, desk: Arc<Desk>, runtime: Arc<dyn Runtime>) {
        info!(%place, "watching");
        let mut watch = Watch {
            hints: Hints::new(&self.path),
            settle: Settle::new(SETTLE),
            hollows: Hollows::default(),
            began: runtime.steady(),
            path: self.path,
            place,
            desk,
            runtime,
        };
        loop {
            watch.look().await;
            watch.rest().await;
        }
    }
}

struct Watch {
    path: PathBuf,
    place: Place,
    hints: Hints,
    settle: Settle,
    hollows: Hollows,
    /// When the watching began.
    began: Duration,
    desk: Arc<Desk>,
    runtime: Arc<dyn Runtime>,
}

impl Watch {
    /// Looks once, reads what has settled, and says what is in force now.
    async fn look(&mut self) {
        let path = self.path.clone();
        let scanned = self
            .patiently(tokio::task::spawn_blocking(move || scan(&path)))
            .await;
        let found = match scanned {
            Ok(Ok(found)) => found,
            Ok(Err(ScanError { problem })) => {
                self.settle.lost();
                return self.desk.fail(&self.place, &problem);
            }
            Err(problem) => return self.fail(&problem),
        };
        let fresh = self.hints.watch(&found.directories);
        let now = self.runtime.steady();
        let due = self.settle.look(&found.files, &fresh, now);
        let root = found.root.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let read = |(path, stamp): (String, Stamp)| {
                let content = scan::read(&root.join(&path), &stamp)?;
                Some((path, stamp, content))
            };
            due.into_iter().filter_map(read).collect::<Vec<_>>()
        });
        match self.patiently(reading).await {
            Ok(read) => {
                for (path, stamp, content) in read {
                    self.settle.take(&path, stamp, content);
                }
                self.tell(&found);
            }
            Err(problem) => self.fail(&problem),
        }
    }

    fn tell(&mut self, found: &Scan) {
        let mut files: BTreeMap<String, Content> = self.settle.contents();
        for (path, (problem, remedy)) in &found.problems {
            let content = Content::Unreadable {
                problem: problem.clone(),
                remedy: remedy.clone(),
            };
            files.insert(path.clone(), content);
        }
        let listing = Listing {
            place: self.place.clone(),
            commit: None,
            files: files
                .into_iter()
                .map(|(path, content)| super::ManifestFile { path, content })
                .collect(),
            hollow: self.hollows.look(found),
            freshness: self.settle.freshness(self.runtime.steady()),
            presence: Presence::There,
        };
        // What was there before the first files have settled says nothing.
        let is_first = self.desk.look(&self.place).listing.is_none();
        let is_early = self.runtime.steady() < self.began + FIRST;
        if !(is_first && is_early && self.settle.is_stirred()) {
            self.desk.deliver(listing, self.runtime.now());
        }
    }

    fn fail(&self, problem: &str) {
        let path = self.path.display();
        let problem = format!("{path}: {problem}; what it said before stays in force");
        self.desk.fail(&self.place, &problem);
    }

    /// Waits for what the disk does, which may never come back; then says so, and waits on: a second look would
    /// hang as well.
    async fn patiently<T>(&self, mut doing: JoinHandle<T>) -> Result<T, String> {
        let broken = |error: JoinError| format!("the look broke off: {error}");
        tokio::select! {
            biased;
            done = &mut doing => return done.map_err(broken),
            () = self.runtime.sleep(PATIENCE) => {}
        }
        self.fail(&format!(
            "it does not answer within {PATIENCE:?}; see the file system"
        ));
        doing.await.map_err(broken)
    }

    /// Rests until a hint comes, something may have settled, or it is time to look anyway.
    async fn rest(&mut self) {
        let now = self.runtime.steady();
        let next = self.settle.next().map(|at| at.saturating_sub(now));
        let pause = next.unwrap_or(PERIOD).clamp(BREATH, PERIOD);
        let runtime = self.runtime.clone();
        tokio::select! {
            hint = self.hints.next() => {
                self.note(&hint);
                runtime.sleep(BREATH).await;
            }
            () = runtime.sleep(pause) => {}
        }
        for hint in self.hints.waiting() {
            self.note(&hint);
        }
    }

    fn note(&mut self, hint: &Hint) {
        let now = self.runtime.steady();
        match hint {
            Hint::Written(path) => self.settle.written(path, now),
            Hint::Closed(path) => self.settle.closed(path, now),
            Hint::Other => {}
        }
    }
}

//! When a file is taken: pure bookkeeping, for which the times are told.
//!
//! A file is taken when two looks, [`Settle`]'s time apart, found it the same (device, inode, size, times of change),
//! and no writer was seen who has not closed it since. Until then its last content stays. The same goes for a file
//! that is gone: editors take one away for an instant when they write another in its place.
//!
//! What cannot be told: a writer who pauses for longer than that, with the file closed or on a file system without
//! inotify, and leaves text that is valid so far. A rename is whole at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::scan::Stamp;
use crate::gitops::{Content, Freshness};

/// A writer who has not closed a file is waited for so long after the last write.
const OPEN_FOR: Duration = Duration::from_secs(10);

/// A writer who began before a directory was watched is waited for so long.
const UNSEEN: Duration = Duration::from_secs(1);

/// A file that has not been taken for so long is not only being written: whoever does it needs not so long, and has not
/// stopped either.
const LONG: Duration = Duration::from_secs(30);

/// All files, as seen and as taken. Instants are those of [`crate::runtime::Runtime::steady`].
#[derive(Debug)]
pub(super) struct Settle {
    time: Duration,
    files: BTreeMap<String, File>,
}

#[derive(Debug)]
struct File {
    /// As it was last seen; none if it was gone.
    seen: Option<Stamp>,
    /// Since when it was seen so.
    since: Duration,
    /// Since when it is not as it was taken, if it is not.
    untaken: Option<Duration>,
    /// The last write that no closing followed.
    written: Option<Duration>,
    /// Since when writers are seen; before, somebody may have begun to write who is not done.
    watched: Option<Duration>,
    /// What is in force, and how the file was when it was read.
    taken: Option<(Stamp, Content)>,
}

impl File {
    /// One that nothing is known of.
    const fn at(now: Duration) -> Self {
        Self {
            seen: None,
            since: now,
            untaken: None,
            written: None,
            watched: None,
            taken: None,
        }
    }

    /// When it may be taken as it is.
    fn settles_at(&self, time: Duration) -> Duration {
        let quiet = self.since + time;
        if self.seen.is_none() {
            return quiet;
        }
        let unseen = self.watched.map(|at| at + UNSEEN);
        let written = self.written.map(|at| at + OPEN_FOR);
        [unseen, written]
            .into_iter()
            .flatten()
            .fold(quiet, Duration::max)
    }

    fn is_taken(&self) -> bool {
        self.seen.as_ref() == self.taken.as_ref().map(|(stamp, _)| stamp)
    }

    /// Notes since when it is not as it was taken.
    fn note_taken(&mut self, now: Duration) {
        if self.is_taken() {
            self.untaken = None;
        } else {
            self.untaken.get_or_insert(now);
        }
    }
}

impl Settle {
    /// Files settle when they have not changed for `time`.
    pub fn new(time: Duration) -> Self {
        Self {
            time,
            files: BTreeMap::new(),
        }
    }

    /// Notes what a look at `now` found, and which directories are watched only since; says which files are to be read.
    pub fn look(
        &mut self,
        found: &BTreeMap<String, Stamp>,
        fresh: &BTreeSet<String>,
        now: Duration,
    ) -> Vec<(String, Stamp)> {
        let known: BTreeSet<&String> = self.files.keys().chain(found.keys()).collect();
        for path in known.into_iter().cloned().collect::<Vec<_>>() {
            let seen = found.get(&path).cloned();
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let is_fresh = fresh.contains(directory);
            let file = self.files.entry(path).or_insert_with(|| File::at(now));
            if is_fresh {
                file.watched = Some(now);
            }
            if file.seen != seen {
                file.seen = seen;
                file.since = now;
            }
            file.note_taken(now);
        }
        let time = self.time;
        self.files.retain(|_, file| {
            let is_gone = file.seen.is_none() && now >= file.settles_at(time);
            if is_gone {
                file.taken = None;
            }
            // That somebody writes to it counts also when it comes back.
            !is_gone || file.written.is_some_and(|at| now < at + OPEN_FOR)
        });
        let is_due = |file: &File| !file.is_taken() && now >= file.settles_at(time);
        let due = self.files.iter().filter(|(_, file)| is_due(file));
        due.filter_map(|(path, file)| Some((path.clone(), file.seen.clone()?)))
            .collect()
    }

    /// A file was read whole, and was as `stamp` says before and after.
    pub fn take(&mut self, path: &str, stamp: Stamp, content: Content) {
        if let Some(file) = self.files.get_mut(path) {
            file.written = None;
            file.untaken = None;
            file.taken = Some((stamp, content));
        }
    }

    /// Somebody has written to a file at `now`, and not closed it yet.
    pub fn written(&mut self, path: &str, now: Duration) {
        let file = self.files.entry(path.to_owned());
        let file = file.or_insert_with(|| File::at(now));
        file.written = Some(now);
        file.since = now;
    }

    /// Who has written to a file has closed it at `now`.
    pub fn closed(&mut self, path: &str, now: Duration) {
        if let Some(file) = self.files.get_mut(path) {
            file.written = None;
            file.watched = None;
            file.since = now;
        }
    }

    /// The directory could not be looked at: what is seen the next time has to settle anew.
    pub fn lost(&mut self) {
        for file in self.files.values_mut().filter(|file| !file.is_taken()) {
            file.seen = None;
        }
        self.files.retain(|_, file| file.taken.is_some());
    }

    /// What each file says.
    pub fn contents(&self) -> BTreeMap<String, Content> {
        let content = |file: &File| match &file.taken {
            Some((_, content)) => Some(content.clone()),
            None => file.seen.as_ref().map(|_| Content::Unsettled),
        };
        let files = self.files.iter();
        files
            .filter_map(|(path, file)| Some((path.clone(), content(file)?)))
            .collect()
    }

    /// Whether [`Self::contents`] are the files as they stand at `now`. They are not, either, where an older content of a
    /// file is still in force.
    pub fn freshness(&self, now: Duration) -> Freshness {
        let mut stirred = self.files.iter().filter(|(_, file)| !file.is_taken());
        let is_behind = |file: &File| file.untaken.is_some_and(|at| now >= at + LONG);
        match stirred.clone().find(|(_, file)| is_behind(file)) {
            Some((path, _)) => Freshness::Behind(path.clone()),
            None if stirred.next().is_some() => Freshness::Changing,
            None => Freshness::Current,
        }
    }

    /// Whether anything has not settled.
    pub fn is_stirred(&self) -> bool {
        self.files.values().any(|file| !file.is_taken())
    }

    /// When the next file may settle.
    pub fn next(&self) -> Option<Duration> {
        let stirred = self.files.values().filter(|file| !file.is_taken());
        stirred.map(|file| file.settles_at(self.time)).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIME: Duration = Duration::from_millis(250);

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn found(files: &[(&str, u64)]) -> BTreeMap<String, Stamp> {
        let stamp = |size: u64| Stamp {
            size,
            ..Stamp::default()
        };
        let files = files.iter();
        files
            .map(|(path, size)| ((*path).to_owned(), stamp(*size)))
            .collect()
    }

    fn whole(size: u64) -> Content {
        Content::Whole(size.to_string().into_bytes().into())
    }

    /// Looks, and takes what is due.
    fn look(settle: &mut Settle, files: &[(&str, u64)], now: Duration) -> Vec<String> {
        let due = settle.look(&found(files), &BTreeSet::new(), now);
        for (path, stamp) in &due {
            settle.take(path, stamp.clone(), whole(stamp.size));
        }
        due.into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn a_file_is_taken_when_two_looks_agree() {
        let mut settle = Settle::new(TIME);
        assert!(look(&mut settle, &[("a", 1)], ms(0)).is_empty());
        assert_eq!(settle.contents()["a"], Content::Unsettled);
        assert!(look(&mut settle, &[("a", 2)], ms(200)).is_empty());
        assert!(look(&mut settle, &[("a", 2)], ms(400)).is_empty());
        assert_eq!(look(&mut settle, &[("a", 2)], ms(450)), ["a"]);
        assert_eq!(
            (settle.contents()["a"].clone(), settle.next()),
            (whole(2), None)
        );
    }

    #[test]
    fn what_was_taken_stays_in_force_while_the_file_is_written_or_away() {
        let mut settle = Settle::new(TIME);
        look(&mut settle, &[("a", 1)], ms(0));
        look(&mut settle, &[("a", 1)], ms(250));
        look(&mut settle, &[("a", 2)], ms(1000));
        assert_eq!(settle.contents()["a"], whole(1));
        look(&mut settle, &[], ms(1100));
        assert_eq!(settle.contents()["a"], whole(1));
        look(&mut settle, &[("a", 3)], ms(1200));
        assert_eq!(look(&mut settle, &[("a", 3)], ms(1450)), ["a"]);
        look(&mut settle, &[], ms(2000));
        look(&mut settle, &[], ms(2249));
        assert_eq!(settle.contents()["a"], whole(3));
        look(&mut settle, &[], ms(2250));
        assert!(settle.contents().is_empty());
    }

    #[test]
    fn a_writer_who_has_not_closed_the_file_is_waited_for() {
        let mut settle = Settle::new(TIME);
        settle.written("a", ms(0));
        look(&mut settle, &[("a", 1)], ms(10));
        assert!(look(&mut settle, &[("a", 1)], ms(5_000)).is_empty());
        settle.closed("a", ms(5_000));
        assert_eq!(look(&mut settle, &[("a", 1)], ms(5_250)), ["a"]);
        settle.written("a", ms(6_000));
        look(&mut settle, &[("a", 2)], ms(6_010));
        assert_eq!(
            look(&mut settle, &[("a", 2)], ms(16_000)),
            ["a"],
            "he is not waited for for ever"
        );
    }

    #[test]
    fn a_writer_is_remembered_while_his_file_is_away() {
        let mut settle = Settle::new(TIME);
        settle.written("a", ms(0));
        look(&mut settle, &[], ms(0));
        look(&mut settle, &[], ms(250));
        look(&mut settle, &[("a", 2)], ms(250));
        assert!(look(&mut settle, &[("a", 2)], ms(500)).is_empty());
        assert_eq!(look(&mut settle, &[("a", 2)], ms(10_000)), ["a"]);
    }

    #[test]
    fn in_a_directory_that_is_watched_only_now_a_writer_may_have_begun_before() {
        let mut settle = Settle::new(TIME);
        let fresh = BTreeSet::from(["team".to_owned()]);
        let files = found(&[("team/a", 1), ("b", 1)]);
        assert!(settle.look(&files, &fresh, ms(0)).is_empty());
        let due = settle.look(&files, &BTreeSet::new(), ms(999));
        assert_eq!(
            due.iter()
                .map(|(path, _)| path.as_str())
                .collect::<Vec<_>>(),
            ["b"]
        );
        settle.closed("team/a", ms(999));
        let due = settle.look(&files, &BTreeSet::new(), ms(1_249));
        assert!(due.iter().any(|(path, _)| path == "team/a"), "{due:?}");
    }

    #[test]
    fn while_a_file_is_not_taken_as_it_stands_the_contents_are_not_current() {
        let mut settle = Settle::new(TIME);
        let at = |settle: &Settle, now: u64| settle.freshness(ms(now));
        look(&mut settle, &[("a", 1), ("b", 1)], ms(0));
        assert_eq!(at(&settle, 0), Freshness::Changing);
        look(&mut settle, &[("a", 1), ("b", 1)], ms(250));
        assert_eq!(at(&settle, 250), Freshness::Current);
        // One is gone and one is changed: what is not in the first any more may be in the second.
        look(&mut settle, &[("b", 2)], ms(1_000));
        settle.written("b", ms(1_000));
        look(&mut settle, &[("b", 2)], ms(1_250));
        assert_eq!(
            settle.contents(),
            BTreeMap::from([("b".to_owned(), whole(1))])
        );
        assert_eq!(at(&settle, 1_250), Freshness::Changing);
        settle.closed("b", ms(1_300));
        look(&mut settle, &[("b", 2)], ms(1_550));
        assert_eq!(at(&settle, 1_550), Freshness::Current);
    }

    #[test]
    fn a_file_that_is_written_without_end_is_named_after_a_while() {
        let mut settle = Settle::new(TIME);
        look(&mut settle, &[("a", 1), ("b", 1)], ms(0));
        look(&mut settle, &[("a", 1), ("b", 1)], ms(250));
        for second in 1..31 {
            settle.written("b", ms(second * 1_000));
            look(
                &mut settle,
                &[("a", 1), ("b", 1 + second)],
                ms(second * 1_000),
            );
            assert_eq!(settle.freshness(ms(second * 1_000)), Freshness::Changing);
        }
        let behind = Freshness::Behind("b".to_owned());
        assert_eq!(settle.freshness(ms(31_000)), behind);
        // Others are taken meanwhile.
        look(&mut settle, &[("a", 2), ("b", 31)], ms(31_000));
        assert_eq!(look(&mut settle, &[("a", 2), ("b", 31)], ms(31_250)), ["a"]);
        settle.closed("b", ms(32_000));
        assert_eq!(look(&mut settle, &[("a", 2), ("b", 31)], ms(32_250)), ["b"]);
        assert_eq!(settle.freshness(ms(32_250)), Freshness::Current);
    }

    #[test]
    fn what_could_not_be_looked_at_settles_anew_and_keeps_what_it_said() {
        let mut settle = Settle::new(TIME);
        look(&mut settle, &[("a", 1)], ms(0));
        look(&mut settle, &[("a", 1)], ms(250));
        settle.lost();
        assert_eq!(settle.contents()["a"], whole(1));
        look(&mut settle, &[("a", 1)], ms(9_000));
        assert!(!settle.is_stirred());
    }

    proptest! {
        /// Whatever happens to a file: what is in force was its whole content for the settling time, at some time.
        #[test]
        fn nothing_is_in_force_that_did_not_last(
            steps in proptest::collection::vec((0_u64..4, 1_u64..400, 0_u8..4), 1..60),
        ) {
            let mut settle = Settle::new(TIME);
            let (mut now, mut lasted) = (0, BTreeSet::new());
            let (mut state, mut since, mut open) = (0, 0, false);
            for (next, wait, event) in steps {
                if !open && now - since >= 250 {
                    lasted.insert(state);
                }
                if next != state {
                    (state, since) = (next, now);
                }
                match event {
                    0 => { settle.written("a", ms(now)); (since, open) = (now, true); }
                    1 => { settle.closed("a", ms(now)); (since, open) = (now, false); }
                    _ => {}
                }
                let files: &[(&str, u64)] = if state == 0 { &[] } else { &[("a", state)] };
                look(&mut settle, files, ms(now));
                now += wait;
                if now - since >= 250 && (!open || now - since >= 10_000) {
                    lasted.insert(state);
                }
                look(&mut settle, files, ms(now));
                if let Some(Content::Whole(bytes)) = settle.contents().get("a") {
                    let size: u64 = String::from_utf8_lossy(bytes).parse().expect("a size");
                    prop_assert!(lasted.contains(&size), "{size} of {lasted:?} at {now}");
                }
            }
        }
    }
}

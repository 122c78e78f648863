//! Brings together what clients counted and what the rollout's status said at that time.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::load::{Counts, Slice};
use crate::watch::{Look, Running};

/// How much of the past the live shares are taken from, in slices of a quarter of a second.
const RECENT: usize = 8;

/// How long requests that were routed before a stage began may take to end.
const SETTLED: SignedDuration = SignedDuration::from_millis(300);

/// What was counted in one stage, between its begin and the last look that still showed it.
pub struct StageCount {
    /// The share that the stage wants for the canary, in percent.
    pub wanted: u8,
    /// What ended, by HAProxy.
    pub proxies: BTreeMap<String, Counts>,
}

/// When a version answered.
#[derive(Clone, Copy)]
pub struct Seen {
    /// The first answer came after this.
    pub first: Timestamp,
    /// The first answer came before this.
    pub first_by: Timestamp,
    /// The last answer came before this.
    pub last: Timestamp,
}

/// What was counted over a time, over all instances.
#[derive(Default)]
pub struct Page {
    /// All.
    pub total: Counts,
    /// By version.
    pub seen: BTreeMap<String, Seen>,
}

impl Page {
    fn take(&mut self, slice: &Slice) {
        for counts in slice.proxies.values() {
            self.total.add(counts);
            for version in counts.versions.keys().chain(counts.app_errors.keys()) {
                let seen = self.seen.entry(version.clone()).or_insert(Seen {
                    first: slice.from,
                    first_by: slice.to,
                    last: slice.to,
                });
                seen.last = slice.to;
            }
        }
    }
}

/// All that was counted.
#[derive(Default)]
pub struct Account {
    /// From the beginning.
    pub all: Page,
    /// Since a new page was begun.
    page: Page,
    /// Of late, by HAProxy.
    recent: VecDeque<Slice>,
    /// What no look has spoken of yet.
    open: VecDeque<Slice>,
    /// By attempt and stage.
    pub stages: BTreeMap<(u32, u32), StageCount>,
}

impl Account {
    /// Takes in what clients counted.
    pub fn take(&mut self, slice: Slice) {
        self.all.take(&slice);
        self.page.take(&slice);
        self.recent.push_back(slice.clone());
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        self.open.push_back(slice);
    }

    /// Begins a new page; what the old one has.
    pub fn turn_page(&mut self) -> Page {
        std::mem::take(&mut self.page)
    }

    /// Books the slices before this look. A slice counts for a stage only if the stage had begun before it and the
    /// look, which is later, still shows the stage: weights change after the status that announces it.
    pub fn look(&mut self, look: &Look) {
        let stage = look.main.running();
        while let Some(slice) = self.open.pop_front() {
            if slice.to > look.at {
                self.open.push_front(slice);
                return;
            }
            let Some(Running { key, since, wanted }) = stage else {
                continue;
            };
            if slice.from < since + SETTLED {
                continue;
            }
            let stage = self.stages.entry(key).or_insert_with(|| StageCount {
                wanted,
                proxies: BTreeMap::new(),
            });
            for (proxy, counts) in &slice.proxies {
                stage.proxies.entry(proxy.clone()).or_default().add(counts);
            }
        }
    }

    /// What ended at one HAProxy in the last two seconds.
    pub fn lately(&self, proxy: &str) -> Counts {
        let mut sum = Counts::default();
        for slice in &self.recent {
            if let Some(counts) = slice.proxies.get(proxy) {
                sum.add(counts);
            }
        }
        sum
    }
}

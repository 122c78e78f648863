//! A stream: the requests of one server to one task, of which some are open.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::setup::App;
use super::super::swarm::TaskKey;
use super::super::time::{Micros, Time, micros, seconds};
use crate::api::Revision;

/// The requests of one server to one task.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Stream {
    pub task: TaskKey,
    pub revision: Revision,
    pub app: Arc<App>,
    /// Since when requests come at which rate, as far back as one of them may be open.
    steps: VecDeque<(Time, f64)>,
    counted: Time,
}

impl Stream {
    pub fn new(task: TaskKey, revision: Revision, app: Arc<App>, now: Time) -> Self {
        Self {
            task,
            revision,
            app,
            steps: VecDeque::from([(now, 0.0)]),
            counted: now,
        }
    }

    /// The rate at which requests come now.
    pub fn rate(&self) -> f64 {
        self.steps.back().map_or(0.0, |(_, rate)| *rate)
    }

    /// From now on the task behaves like this.
    pub fn play(&mut self, app: &Arc<App>) {
        if !Arc::ptr_eq(&self.app, app) {
            self.app = app.clone();
        }
    }

    /// What came since this was asked the last time: requests, and those that were answered with an error.
    pub fn counted(&mut self, now: Time) -> (f64, f64) {
        let requests = self.uncounted(now);
        self.counted = now;
        (requests, requests * self.app.error_rate)
    }

    /// What came since it was counted the last time.
    pub fn uncounted(&self, now: Time) -> f64 {
        self.rate() * now.seconds_since(self.counted)
    }

    pub fn set(&mut self, rate: f64, now: Time) {
        if let Some((since, known)) = self.steps.back_mut() {
            #[expect(clippy::float_cmp, reason = "the same weights make the same rate")]
            if *known == rate {
                return;
            }
            if *since == now {
                *known = rate;
                return;
            }
        }
        self.steps.push_back((now, rate));
        let oldest = now.minus(self.longest());
        while self.steps.get(1).is_some_and(|(until, _)| *until <= oldest) {
            self.steps.pop_front();
        }
    }

    /// How long the longest request takes.
    fn longest(&self) -> Micros {
        let classes = self.app.requests.iter();
        classes.map(|class| micros(class.takes)).max().unwrap_or(0)
    }

    /// How many requests are open, on average.
    pub fn open(&self, now: Time) -> f64 {
        let classes = self.app.requests.iter();
        classes
            .map(|class| class.part * self.came(now.minus(micros(class.takes)), now))
            .sum()
    }

    /// How many requests came from `from` to `until`.
    fn came(&self, from: Time, until: Time) -> f64 {
        let ends = self.steps.iter().skip(1).map(|(since, _)| *since);
        let ends = ends.chain([until]);
        let steps = self.steps.iter().zip(ends);
        steps
            .map(|((since, rate), end)| {
                let overlap = end.min(until).since((*since).max(from));
                rate * seconds(overlap.max(0))
            })
            .sum()
    }

    /// When the last request that has come so far will have been answered.
    pub fn last_answer(&self) -> Time {
        let longest = self.longest();
        let mut last = self.steps.front().map_or(self.counted, |(since, _)| *since);
        let ends = self.steps.iter().skip(1).map(|(since, _)| *since);
        for ((_, rate), end) in self.steps.iter().zip(ends.chain([self.counted])) {
            if *rate > 0.0 {
                last = last.max(end.plus(longest));
            }
        }
        last
    }

    /// Ends all that is open, and says how much that was.
    pub fn cut(&mut self, now: Time) -> f64 {
        let open = self.open(now);
        let rate = self.rate();
        self.steps.clear();
        self.steps.push_back((now, rate));
        open
    }

    /// Whether requests come or are open.
    pub fn is_of_use(&self, now: Time) -> bool {
        self.rate() > 0.0 || self.open(now) > 0.0
    }
}

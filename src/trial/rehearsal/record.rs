//! The record of a run: what happened when, as whoever follows the rollout would see it, and what reached the canary.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::api::{Event, Name, Phase, Revision, RolloutStatus};
use crate::plan::Resolved;
use crate::sim::{Answered, Loss, Observer, Outcome, View, What, Who};
use crate::snapshot::{SampleKey, SampleOutcome, TaskId};
use crate::trial::check::Watch;

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub message: String,
}

/// Whether a timeline is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeline {
    /// It is.
    Written,
    /// Only the end of the run matters.
    Left,
}

/// What was noted so far. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Record(Arc<Mutex<Notes>>);

#[derive(Default)]
pub(super) struct Notes {
    pub lines: Vec<Line>,
    /// Since when the rollout is in the phase that it is in.
    pub phase_since: Option<Timestamp>,
    /// What had reached the canary when it became stable.
    pub until_stable: Option<Answered>,
    /// The status as it was stored last.
    pub status: RolloutStatus,
    /// The requests that were lost with processes, since somebody has asked last.
    pub killed: Vec<Killed>,
    /// Those of the process that is ending.
    ending: f64,
    phase: Option<Phase>,
    last_event: Option<Event>,
    readings: BTreeMap<(u32, Name), Readings>,
}

/// Requests that were lost because the process that had them ended or was killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Killed {
    pub at: Timestamp,
    /// The number of the node that it was on.
    pub node: Option<usize>,
    pub requests: f64,
}

/// What a metric measured in a stage.
#[derive(Default)]
struct Readings {
    values: u32,
    without: u32,
    least: f64,
    most: f64,
    last: f64,
    /// How many of the values have a line of their own.
    told: u32,
}

impl Record {
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches one run.
pub(super) struct Recorder {
    pub watch: Watch,
    pub record: Record,
    pub rollout: Name,
    pub canary: Revision,
    pub resolved: Arc<Resolved>,
    pub timeline: Timeline,
}

impl Observer for Recorder {
    fn changed(&mut self, view: &View<'_>, who: Who, what: &What) {
        match what {
            What::Stored {
                title,
                outcome: Outcome::Done,
                ..
            } if title.strip_prefix("rollout/") == Some(self.rollout.as_str()) => {
                if let Some(status) = view.status(&self.rollout) {
                    self.stored(*view, status);
                }
            }
            What::Answered(key, outcome) if self.timeline == Timeline::Written => {
                self.answered(view.now(), key, outcome);
            }
            What::Lost {
                loss: Loss::Killed,
                requests,
                ..
            } => self.record.notes().ending += requests,
            What::Ended(task) => self.record.notes().bury(*view, task),
            _ => {}
        }
        self.watch.changed(view, who, what);
    }
}

impl Recorder {
    fn stored(&self, view: View<'_>, status: &RolloutStatus) {
        let now = view.now();
        let mut notes = self.record.notes();
        notes.status = status.clone();
        if notes.phase != Some(status.phase) {
            notes.phase = Some(status.phase);
            notes.phase_since = Some(now);
        }
        if notes.until_stable.is_none() && status.stable_revision.as_ref() == Some(&self.canary) {
            notes.until_stable = Some(view.answered(&self.canary));
        }
        if self.timeline == Timeline::Written {
            notes.follow(status);
        }
    }

    fn answered(&self, now: Timestamp, key: &SampleKey, outcome: &SampleOutcome) {
        let mut notes = self.record.notes();
        let readings = (key.stage, key.metric.clone());
        let readings = notes.readings.entry(readings).or_default();
        let value = match outcome {
            SampleOutcome::Value(value) => *value,
            SampleOutcome::NoData => {
                readings.without += 1;
                return;
            }
            SampleOutcome::Error(problem) => {
                let message = format!("{}: no answer: {problem}", key.metric);
                notes.say(now, message);
                return;
            }
            SampleOutcome::Ran { .. } => return, // No source says that.
        };
        readings.add(value);
        let metrics = self.resolved.metrics_of(key.stage).iter();
        let mut found = metrics.filter(|metric| metric.metric.name == key.metric);
        let Some(metric) = found.next() else { return };
        let query = metric.metric.query();
        if query.is_some_and(|query| !query.admits(value)) {
            readings.told += 1;
            let bounds = metric.bounds();
            notes.say(
                now,
                format!("{} measured {}, wanted {bounds}", key.metric, short(value)),
            );
        }
    }
}

impl Notes {
    pub fn say(&mut self, at: Timestamp, message: String) {
        self.lines.push(Line { at, message });
    }

    /// Forgets how the old version came up.
    pub fn forget(&mut self) {
        self.lines.clear();
        self.killed.clear();
    }

    /// A task's process has ended; what it had open was told before.
    fn bury(&mut self, view: View<'_>, ended: &TaskId) {
        let requests = std::mem::take(&mut self.ending);
        if requests > 0.0 {
            let task = view.tasks().find(|task| task.id == ended);
            self.killed.push(Killed {
                at: view.now(),
                node: task.and_then(|task| task.node),
                requests,
            });
        }
    }

    /// Tells what the status says that it did not say before.
    fn follow(&mut self, status: &RolloutStatus) {
        let last = self.last_event.take();
        let events = status.events.iter().rev();
        let mut fresh: Vec<&Event> = events
            .take_while(|event| Some(*event) != last.as_ref())
            .collect();
        fresh.reverse();
        if let Some(first) = fresh.first() {
            self.sum_up(first.at);
        }
        for event in fresh {
            self.say(event.at, told(event));
        }
        self.last_event = status.events.last().cloned();
    }

    /// Tells what was measured since the last time, in a line for each metric.
    pub fn sum_up(&mut self, now: Timestamp) {
        for ((_, metric), readings) in std::mem::take(&mut self.readings) {
            if readings.told < readings.values || readings.without > 0 {
                self.say(now, format!("{metric}: {readings}"));
            }
        }
    }
}

/// What an event says. Nobody sits at the desk here but the option that approves.
fn told(event: &Event) -> String {
    event.by.as_ref().map_or_else(
        || event.message.clone(),
        |by| event.message.replace(&by.0, "`--approve`"),
    )
}

impl Readings {
    fn add(&mut self, value: f64) {
        self.least = if self.values == 0 {
            value
        } else {
            self.least.min(value)
        };
        self.most = if self.values == 0 {
            value
        } else {
            self.most.max(value)
        };
        self.last = value;
        self.values += 1;
    }
}

impl fmt::Display for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.values {
            0 => {}
            1 => write!(f, "measured once: {}", short(self.last))?,
            times => write!(
                f,
                "measured {times} times: {} to {}, at last {}",
                short(self.least),
                short(self.most),
                short(self.last)
            )?,
        }
        match (self.values, self.without) {
            (_, 0) => Ok(()),
            (0, without) => write!(f, "asked {without} times: no data"),
            (_, without) => write!(f, "; {without} times without data"),
        }
    }
}

/// A number with at most four decimals that matter.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        1.0.. => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

//! Measurements: what was asked and answered (ANALYSIS-2, ANALYSIS-5).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Event;
use crate::api::{Duration, MetricQuery, Name, NoData, RolloutStatus, Step};
use crate::sim::{ControllerId, JobChange, Outcome, What};
use crate::snapshot::{SampleKey, SampleOutcome};

/// How long before a question its controller may have looked, when nothing goes wrong.
const LOOK: Duration = Duration::from_millis(200);

/// The answers to a rollout's questions.
#[derive(Default)]
pub(super) struct Measuring {
    /// What was answered about each metric of a stage, by the number of the sample. One that is asked twice has two answers.
    answers: BTreeMap<(Stage, Name), BTreeMap<u32, Vec<SampleOutcome>>>,
    /// The metrics of a stage that had a job that passed.
    passed: BTreeSet<(Stage, Name)>,
    /// The spec with which the stage at hand began.
    generation: u64,
    /// When something else than a rollout was last applied.
    edited_at: Option<Timestamp>,
    ended: Option<Ended>,
}

/// The stage that ended last.
struct Ended {
    stage: Stage,
    at: Timestamp,
    by: Option<ControllerId>,
}

/// What a stage is told apart by: the attempt, its number, and since when it runs.
pub(super) type Stage = (u32, u32, Timestamp);

impl Measuring {
    pub fn check(&mut self, event: &Event) {
        if let Some(stage) = event.before.and_then(running)
            && running(event.status) != Some(stage)
        {
            self.ended = Some(Ended {
                stage,
                at: event.now,
                by: event.controller(),
            });
        }
        let now_on = running(event.status);
        let begins = |before| now_on.is_some() && running(before) != now_on;
        if event.before.is_some_and(begins) {
            self.generation = event.status.observed_generation;
        }
        match event.what {
            What::Asked(key, window) if key.rollout == *event.rollout => {
                // Its end is a matter of the controller's clock, which may be wrong.
                if window.start < key.since || window.end <= window.start {
                    event.broken(
                        "ANALYSIS-2",
                        format!(
                            "{} was measured over {window:?}, beyond its stage",
                            key.metric
                        ),
                    );
                }
                self.is_in_its_stage(key, event);
            }
            What::Job(key, JobChange::Started) if key.rollout == *event.rollout => {
                self.is_in_its_stage(key, event);
            }
            What::Answered(key, outcome) if key.rollout == *event.rollout => {
                let answers = self.answers.entry(metric_of(key)).or_default();
                answers.entry(key.number).or_default().push(outcome.clone());
            }
            What::Job(key, JobChange::Ended(0)) if key.rollout == *event.rollout => {
                self.passed.insert(metric_of(key));
            }
            What::Stored {
                title,
                outcome: Outcome::Done,
                ..
            } if !title.starts_with("rollout/") => self.edited_at = Some(event.now),
            _ => {}
        }
    }

    fn is_in_its_stage(&self, key: &SampleKey, event: &Event) {
        let stage = (key.attempt, key.stage, key.since);
        let is_on = running(event.status) == Some(stage) || self.ends_now(stage, event);
        // One that is asked by a controller that was told something old is void later.
        if !is_on && event.terms.calls == super::Calls::Sound {
            event.broken(
                "ANALYSIS-2",
                format!("{} was measured outside of its stage", key.metric),
            );
        }
    }

    /// Whether another controller has just ended the stage: its successor looked before that, asks once more, and
    /// voids the answer.
    fn ends_now(&self, stage: Stage, event: &Event) -> bool {
        self.ended.as_ref().is_some_and(|ended| {
            let is_foreign = ended.by != event.controller();
            ended.stage == stage && is_foreign && event.now <= LOOK.after(ended.at)
        })
    }

    /// Whether a metric ever had a value in a stage, since that began, or a job that ended with 0.
    pub fn has_value(&self, stage: Stage, metric: &Name) -> bool {
        let metric = (stage, metric.clone());
        let answers = self.answers.get(&metric).into_iter();
        let mut answers = answers.flat_map(BTreeMap::values).flatten();
        let has_value = answers.any(|answer| matches!(answer, SampleOutcome::Value(_)));
        has_value || self.passed.contains(&metric)
    }

    /// How many samples of a metric in a stage failed, whichever of their answers was taken in.
    pub fn failures(&self, stage: Stage, metric: &Name, query: &MetricQuery) -> usize {
        let fails = |answer: &SampleOutcome| match answer {
            SampleOutcome::Value(value) => !query.admits(*value),
            SampleOutcome::NoData => query.no_data == NoData::Fail,
            SampleOutcome::Error(_) | SampleOutcome::Ran { .. } => false,
        };
        let answers = self.answers.get(&(stage, metric.clone())).into_iter();
        let samples = answers.flat_map(BTreeMap::values);
        samples.filter(|sample| sample.iter().all(fails)).count()
    }

    /// Whether what is measured in the stage of `before` was the same all the time.
    pub fn is_as_it_began(&self, before: &RolloutStatus) -> bool {
        let is_edited = match (running(before), self.edited_at) {
            (Some((_, _, since)), Some(at)) => at >= LOOK.before(since),
            (None, _) | (Some(_), None) => false,
        };
        self.generation == before.observed_generation && !is_edited
    }
}

fn metric_of(key: &SampleKey) -> (Stage, Name) {
    ((key.attempt, key.stage, key.since), key.metric.clone())
}

/// The stage whose samples are being taken.
pub(super) fn running(status: &RolloutStatus) -> Option<Stage> {
    match status.step {
        Step::Running { since } => Some((status.attempt, status.stage, since)),
        _ => None,
    }
}

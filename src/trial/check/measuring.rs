//! Measurements: what was asked and answered (ANALYSIS-2, ANALYSIS-5).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Event;
use crate::api::{Duration, Name, RolloutStatus, Step};
use crate::sim::{ControllerId, JobChange, What};
use crate::snapshot::{SampleKey, SampleOutcome};

/// How long before a question its controller may have looked, when nothing goes wrong.
const LOOK: Duration = Duration::from_millis(200);

/// The answers to a rollout's questions: how many values, or jobs that passed, each metric has, by attempt and stage.
#[derive(Default)]
pub(super) struct Measuring {
    values: BTreeMap<(u32, u32, Name), u32>,
    ended: Option<Ended>,
}

/// The stage that ended last.
struct Ended {
    stage: Stage,
    at: Timestamp,
    by: Option<ControllerId>,
}

/// What a stage is told apart by: the attempt, its number, and since when it runs.
type Stage = (u32, u32, Timestamp);

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
            What::Answered(key, SampleOutcome::Value(_)) | What::Job(key, JobChange::Ended(0))
                if key.rollout == *event.rollout =>
            {
                let metric = (key.attempt, key.stage, key.metric.clone());
                *self.values.entry(metric).or_insert(0) += 1;
            }
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

    /// Whether a metric ever had a value in a stage, or a job that ended with 0.
    pub fn has_value(&self, attempt: u32, stage: u32, metric: &Name) -> bool {
        self.values.contains_key(&(attempt, stage, metric.clone()))
    }
}

/// The stage whose samples are being taken.
fn running(status: &RolloutStatus) -> Option<Stage> {
    match status.step {
        Step::Running { since } => Some((status.attempt, status.stage, since)),
        _ => None,
    }
}

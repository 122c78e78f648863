//! Measurements: what was asked and answered (ANALYSIS-2, ANALYSIS-5).

use std::collections::BTreeMap;

use super::Event;
use crate::api::{Name, Step};
use crate::sim::What;
use crate::snapshot::SampleOutcome;

/// The answers to a rollout's questions: how many values each metric has, by attempt and stage.
#[derive(Default)]
pub(super) struct Measuring {
    values: BTreeMap<(u32, u32, Name), u32>,
}

impl Measuring {
    pub fn check(&mut self, event: &Event) {
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
                let running = event.status.step == Step::Running { since: key.since };
                let here = (key.attempt, key.stage) == (event.status.attempt, event.status.stage);
                // One that is asked by a controller that was told something old is void later.
                if !(running && here) && event.terms.calls == super::Calls::Sound {
                    event.broken(
                        "ANALYSIS-2",
                        format!("{} was measured outside of its stage", key.metric),
                    );
                }
            }
            What::Answered(key, SampleOutcome::Value(_)) if key.rollout == *event.rollout => {
                let metric = (key.attempt, key.stage, key.metric.clone());
                *self.values.entry(metric).or_insert(0) += 1;
            }
            _ => {}
        }
    }

    /// Whether a metric ever had a value in a stage.
    pub fn has_value(&self, attempt: u32, stage: u32, metric: &Name) -> bool {
        self.values.contains_key(&(attempt, stage, metric.clone()))
    }
}

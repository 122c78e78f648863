//! Causes: why a run ended as it did, from the status that it left.

use super::Rehearsal;
use super::run::Ending;
use crate::api::{AbortCause, MeasurementPhase, Name, Phase, RolloutStatus, WaitingOn};

/// What stops a new version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopper {
    /// A metric that failed.
    Metric(Name),
    /// The progress deadline; of a preview: the end of its time.
    Deadline,
}

/// Why a run ended as it did.
pub(super) struct Cause {
    pub why: String,
    pub message: String,
    pub stopper: Option<Stopper>,
}

impl Cause {
    pub fn of(ending: Ending, status: &RolloutStatus) -> Self {
        let label = || {
            let waits = status.waiting_on.as_ref();
            waits.map_or("on its way", WaitingOn::label).to_owned()
        };
        let mut failed = status.measurements.iter();
        let failed = failed.find(|record| record.phase == MeasurementPhase::Failed);
        match ending {
            Ending::Healthy => Self {
                why: String::new(),
                message: status.message.clone(),
                stopper: None,
            },
            Ending::Degraded => Self::of_abort(status),
            Ending::Paused => Self {
                why: failed.map_or_else(label, |record| format!("`{}` failed", record.metric)),
                message: match &status.pause {
                    Some(pause) => pause.message.clone(),
                    None => waits(status),
                },
                stopper: failed.map(|record| Stopper::Metric(record.metric.clone())),
            },
            Ending::Unended => Self {
                why: match status.phase {
                    Phase::Progressing | Phase::Paused => format!("waits for {}", label()),
                    Phase::Healthy | Phase::Degraded => "not yet at rest".to_owned(),
                },
                message: waits(status),
                stopper: None,
            },
        }
    }

    /// Why the new version was not even applied.
    pub fn of_overture(script: &Rehearsal, status: &RolloutStatus) -> Self {
        let image = script.before().spec.template.image;
        Self {
            why: "waits for the old version".to_owned(),
            message: format!(
                "{image}, which is to be replaced, was not up by then: {}; `--limit` says how long it may take",
                waits(status)
            ),
            stopper: None,
        }
    }

    fn of_abort(status: &RolloutStatus) -> Self {
        let Some(abort) = &status.abort else {
            return Self {
                why: "the spec".to_owned(),
                message: status.message.clone(),
                stopper: None,
            };
        };
        let (why, stopper) = match &abort.cause {
            AbortCause::Analysis { metric, .. } => {
                let stopper = Stopper::Metric(metric.clone());
                (format!("`{metric}` failed"), Some(stopper))
            }
            AbortCause::Deadline => ("progress deadline".to_owned(), Some(Stopper::Deadline)),
            AbortCause::User { .. } => ("aborted by hand".to_owned(), None),
        };
        Self {
            why,
            message: abort.message.clone(),
            stopper,
        }
    }
}

/// What a rollout waits for, as a sentence.
fn waits(status: &RolloutStatus) -> String {
    let waits = status.waiting_on.as_ref();
    waits.map_or_else(
        || status.message.clone(),
        |waits| format!("it waits for {waits}"),
    )
}

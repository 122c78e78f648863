//! Samples fetched beside the turns: a slow source, or a log that does not come, must not delay a drain or an abort.

use super::Reconciler;
use crate::action::{Measure, ReadLog};
use crate::plan::Resources;
use crate::snapshot::{Sample, SampleOutcome};

impl Reconciler {
    /// Asks a metric source.
    pub(super) fn ask(&self, question: &Measure, resources: &Resources) {
        let Some(source) = resources.metric_sources.get(&question.source).cloned() else {
            return;
        };
        if !self.inbox.expect(&question.key) {
            return; // It is on its way already.
        }
        let (world, inbox) = (self.world.clone(), self.inbox.clone());
        let (runtime, question) = (self.runtime.clone(), question.clone());
        self.runtime.spawn(Box::pin(async move {
            let outcome = world.measure(&question, &source).await;
            inbox.deliver(Sample {
                key: question.key,
                window: question.window,
                at: runtime.now(),
                outcome,
            });
        }));
    }

    /// Reads the log of a job that is over. Its verdict is known: that its log cannot be had does not change it.
    pub(super) fn read_log(&self, over: &ReadLog) {
        if !self.inbox.expect(&over.job.key) {
            return; // It is on its way already.
        }
        let (world, inbox) = (self.world.clone(), self.inbox.clone());
        let (runtime, over) = (self.runtime.clone(), over.clone());
        self.runtime.spawn(Box::pin(async move {
            let log = world.read_log(&over.job).await;
            let log = log.unwrap_or_else(|error| vec![format!("(no log: {error})")]);
            inbox.deliver(Sample {
                key: over.job.key,
                window: over.window,
                at: runtime.now(),
                outcome: SampleOutcome::Ran { end: over.end, log },
            });
        }));
    }
}

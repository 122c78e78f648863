//! Jobs: one at a time for each metric (ANALYSIS-6). That no stage is passed without an exit code 0 is held with the
//! values of queries, in `decisions`; that none is left is held in the end.

use super::{Calls, Event};
use crate::sim::{JobChange, What};

/// Holds what happens to a rollout's jobs to the rule.
pub(super) fn check(event: &Event) {
    let What::Job(key, JobChange::Started | JobChange::Runs) = event.what else {
        return;
    };
    // A request that comes long after it was sent may be void by then; what it makes is removed again.
    if key.rollout != *event.rollout || event.terms.calls != Calls::Sound {
        return;
    }
    let jobs = event.view.jobs();
    let same = jobs.filter(|job| job.key.rollout == key.rollout && job.key.metric == key.metric);
    if same.count() > 1 {
        event.broken(
            "ANALYSIS-6",
            format!("there are two jobs of {} at once", key.metric),
        );
    }
}

//! What is kept warm: it has its tasks until its time is over, and none of the traffic (PROGRESS-8).

use super::{Calls, Event};
use crate::action::{ServerChange, ServerVerb};
use crate::api::Revision;
use crate::sim::{Outcome, ServiceChange, What};

/// Holds what controllers do to warm revisions to the rule.
pub(super) fn check(event: &Event) {
    if event.terms.calls != Calls::Sound || event.controller().is_none() {
        return;
    }
    match event.what {
        What::Servers { changes, .. } => {
            let gives = |change: &&ServerChange| match &change.verb {
                ServerVerb::Weigh(weight) => !weight.is_zero(),
                _ => false,
            };
            let mut weighed = changes.changes.iter().filter(gives);
            if let Some(change) =
                weighed.find(|change| is_only_warm(event, change.server.revision()))
            {
                let server = &change.server;
                let what = format!("{server} got a weight, and is only kept warm");
                event.broken("PROGRESS-8", what);
            }
        }
        What::Service {
            service,
            change: ServiceChange::Scale { from, to },
            outcome: Outcome::Done,
        } if to < from => {
            let mut services = event.view.services();
            let found = services.find(|known| known.name == service);
            if let Some(found) = found.filter(|found| is_only_warm(event, found.revision)) {
                stays(event, found.revision, *to);
            }
        }
        _ => {}
    }
}

fn is_only_warm(event: &Event, revision: &Revision) -> bool {
    let status = event.status;
    let serves = [&status.stable_revision, &status.canary_revision];
    status.is_warm(revision) && !serves.contains(&&Some(revision.clone()))
}

/// A warm revision has as many tasks as the rollout wants, and so takes everything at once.
fn stays(event: &Event, revision: &Revision, tasks: u32) {
    let stored = event.view.rollout(event.rollout);
    let is_known =
        stored.is_some_and(|stored| stored.draft.generation == event.status.observed_generation);
    let wanted = event.spec().map_or(0, |spec| spec.replicas);
    if is_known && tasks < wanted && !super::shares::is_deleted(event) {
        event.broken(
            "PROGRESS-8",
            format!("{revision} is kept warm, and has {tasks} of {wanted} tasks from here on"),
        );
    }
}

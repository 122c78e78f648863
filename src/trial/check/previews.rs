//! Previews: one at a time, and no part in the traffic (PROGRESS-9).

use super::services::is_of;
use super::{Calls, Event};
use crate::action::ServerChanges;
use crate::sim::{Outcome, ServiceChange, TaskView, What};

pub(super) fn check(event: &Event) {
    if event
        .spec()
        .is_none_or(|spec| spec.strategy.preview().is_none())
    {
        return;
    }
    if event.controller().is_none() {
        return;
    }
    if let What::Servers { changes, .. } = event.what
        && has_ours(event, changes)
    {
        event.broken("PROGRESS-9", "a preview was given servers".to_owned());
    }
    if let What::Service {
        service,
        change: ServiceChange::Create(_) | ServiceChange::Scale { from: 0, .. },
        outcome: Outcome::Done,
    } = event.what
        && is_of(event.rollout, service)
    {
        is_alone(event, service);
    }
}

/// Whether a server of one of its revisions is among those that are changed.
fn has_ours(event: &Event, changes: &ServerChanges) -> bool {
    let mut changes = changes.changes.iter();
    changes.any(|change| event.revisions.contains(change.server.revision()))
}

/// Nothing of an earlier preview runs when the next one is made, as far as who makes it can know.
fn is_alone(event: &Event, created: &str) {
    if event.terms.calls == Calls::Faulty {
        return;
    }
    let tasks = event.view.tasks();
    let mut tasks = tasks.filter(|task| task.is_alive && event.view.is_heard_of(task));
    // Tasks whose service another hand has removed are nobody's, also where one of its name was made anew.
    let has_service = |task: &TaskView| {
        let mut services = event.view.services();
        services.any(|known| known.id == task.service && known.name != created)
    };
    let left = tasks.find(|task| event.revisions.contains(task.revision) && has_service(task));
    if let Some(left) = left {
        event.broken(
            "PROGRESS-9",
            format!(
                "{created} was made while {} of an earlier preview was alive",
                left.id
            ),
        );
    }
}

//! Previews: one at a time, and no part in the traffic (PROGRESS-9).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::services::is_of;
use super::{Calls, Event};
use crate::action::ServerChanges;
use crate::sim::{NodeChange, Outcome, ServiceChange, TaskView, What};

/// What is known of the nodes that earlier previews may still run on.
#[derive(Default)]
pub(super) struct Previews {
    /// When a node, by its number, was last heard again: before that the tasks on it counted as gone.
    back_at: BTreeMap<usize, Timestamp>,
}

impl Previews {
    pub fn check(&mut self, event: &Event) {
        if let What::Node(node, NodeChange::Back) = event.what {
            self.back_at.insert(*node, event.now);
        }
        let has_previews = event
            .spec()
            .is_some_and(|spec| spec.strategy.preview().is_some());
        if !has_previews || event.controller().is_none() {
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
            self.is_alone(event, service);
        }
    }

    /// Nothing of an earlier preview runs when the next one is made, as far as who makes it can know.
    fn is_alone(&self, event: &Event, created: &str) {
        if event.terms.calls == Calls::Faulty {
            return;
        }
        let tasks = event.view.tasks();
        let mut tasks = tasks.filter(|task| task.is_alive && self.is_known(event, task));
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

    /// Whether who acts here can know of a task: its node is heard of, and that is no news.
    fn is_known(&self, event: &Event, task: &TaskView) -> bool {
        let back_at = task.node.and_then(|node| self.back_at.get(&node));
        event.view.is_heard_of(task) && back_at.is_none_or(|at| !event.is_news(*at))
    }
}

/// Whether a server of one of its revisions is among those that are changed.
fn has_ours(event: &Event, changes: &ServerChanges) -> bool {
    let mut changes = changes.changes.iter();
    changes.any(|change| event.revisions.contains(change.server.revision()))
}

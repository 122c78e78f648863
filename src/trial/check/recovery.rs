//! A proxy that has forgotten everything serves again at once (TRAFFIC-6).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::shares::{answers, is_deleted};
use super::{Calls, Event};
use crate::api::Name;
use crate::sim::{ControllerId, InstanceView, What};

/// Instances that were restarted or reloaded, and have no servers yet.
#[derive(Default)]
pub(super) struct Recovery {
    empty: BTreeSet<Name>,
    /// Those of them at which a controller has begun to look since, and which one.
    seen: BTreeSet<(ControllerId, Name)>,
    /// When stable last had no ready task: who looked then could add nothing.
    unready_at: Option<Timestamp>,
}

impl Recovery {
    pub fn check(&mut self, event: &Event) {
        if event.terms.calls == Calls::Faulty {
            return;
        }
        self.note_readiness(event);
        match event.what {
            What::Proxy(instance, _) => {
                if is_empty(event, instance) {
                    self.empty.insert(instance.clone());
                }
                self.seen.retain(|(_, seen)| seen != instance);
            }
            What::Looked => self.look(event),
            What::Servers { changes, .. } if changes.backend == event.route.backend => {
                let instance = &changes.instance;
                self.empty.remove(instance);
                let by = event.controller().map(|by| (by, instance.clone()));
                let was_seen = by.is_some_and(|by| self.seen.contains(&by));
                self.seen.retain(|(_, seen)| seen != instance);
                if was_seen {
                    self.serves(event, instance);
                }
            }
            _ => {}
        }
    }

    fn look(&mut self, event: &Event) {
        let Some(by) = event.controller() else {
            return;
        };
        self.seen.retain(|(seen_by, _)| *seen_by != by);
        let empty = self.empty.iter();
        self.seen
            .extend(empty.map(|instance| (by, instance.clone())));
    }

    fn note_readiness(&mut self, event: &Event) {
        let may_change = matches!(
            event.what,
            What::Task { .. }
                | What::Listens(_)
                | What::Ended(_)
                | What::Signalled(_)
                | What::Node(..)
                | What::Lent(_)
        ) || event.before.is_some();
        let stable = event.status.stable_revision.as_ref();
        if may_change && stable.is_none_or(|stable| event.view.ready_tasks(stable) == 0) {
            self.unready_at = Some(event.now);
        }
    }

    /// TRAFFIC-6: whatever it is given first is all that it needs.
    fn serves(&self, event: &Event, instance: &Name) {
        let stable = event.status.stable_revision.as_ref();
        let is_ready = stable.is_some_and(|stable| event.view.ready_tasks(stable) > 0);
        let was_ready = self.unready_at.is_none_or(|at| !event.is_recent(at));
        let could = is_ready && was_ready && answers(event, instance) && !is_deleted(event);
        let mut servers = event.view.servers(instance, &event.route.backend);
        if could && !servers.any(|server| server.takes_requests) {
            event.broken(
                "TRAFFIC-6",
                format!(
                    "{instance}, which had forgotten everything, was written to and serves nothing"
                ),
            );
        }
    }
}

fn is_empty(event: &Event, instance: &Name) -> bool {
    let is_it = |known: &InstanceView| known.name == instance;
    event.instances().any(|known| is_it(&known))
        && event
            .view
            .servers(instance, &event.route.backend)
            .next()
            .is_none()
}

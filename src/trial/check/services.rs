//! What is done to services (TRAFFIC-4, SAFETY-1 to SAFETY-4, SAFETY-7).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::shares::{Shares, is_deleted, sized_for};
use super::{Calls, Event};
use crate::api::{Name, Revision, Step};
use crate::sim::{Outcome, ServiceChange, ServiceView, What};

/// What happened to the services of a rollout.
#[derive(Default)]
pub(super) struct Services {
    /// The services as they were before the last change.
    known: Vec<Known>,
    /// The hazards since a controller last looked.
    hazards: u32,
    /// Whether a larger share for the canary is among them, on however many instances.
    has_raised: bool,
    /// When each revision last was in the book of what leaves.
    left_at: BTreeMap<Revision, Timestamp>,
}

struct Known {
    name: String,
    revision: Revision,
    replicas: u32,
}

impl Services {
    pub fn check(&mut self, event: &Event, shares: &Shares) {
        let books = event.before.into_iter().chain([event.status]);
        for revision in books.flat_map(|status| status.leaving.keys()) {
            self.left_at.insert(revision.clone(), event.now);
        }
        match event.what {
            What::Looked => (self.hazards, self.has_raised) = (0, false),
            What::Servers { .. } if shares.was_raised() && !self.has_raised => {
                self.has_raised = true;
                self.hazard(event);
            }
            What::Service {
                service,
                change,
                outcome: Outcome::Done,
            } if event.controller().is_some() && is_of(event.rollout, service) => {
                self.changed(event, service, *change);
            }
            What::Service {
                service,
                outcome: Outcome::Done,
                ..
            } if event.controller().is_some() => stranger(event, service),
            _ => {}
        }
        if matches!(event.what, What::Service { .. }) {
            self.known = known(event);
        }
    }

    fn changed(&mut self, event: &Event, service: &str, change: ServiceChange) {
        let revision = self.revision_of(event, service);
        let Some(revision) = revision else { return };
        match change {
            ServiceChange::Create(_) => was_stored(event, &revision),
            ServiceChange::Scale { from, to } if to < from => {
                self.hazard(event);
                keeps_its_size(event, &revision, to);
                if to == 0 && !self.has_come_back(event, &revision) {
                    is_drained(event, &revision, "its service was scaled to 0");
                }
            }
            ServiceChange::Remove => {
                self.hazard(event);
                let replicas = self.known.iter().find(|known| known.name == service);
                let was_asked_for = replicas.is_some_and(|known| known.replicas > 0);
                if was_asked_for && !self.has_come_back(event, &revision) {
                    is_drained(event, &revision, "its service was removed");
                }
            }
            ServiceChange::Restore(_) => self.hazard(event),
            ServiceChange::Scale { .. } | ServiceChange::Edit | ServiceChange::Bump => {}
        }
    }

    /// SAFETY-2: at most one hazard per turn.
    fn hazard(&mut self, event: &Event) {
        self.hazards += 1;
        if self.hazards > 1 && event.terms.calls == Calls::Sound {
            event.broken(
                "SAFETY-2",
                "a second hazardous change was made in one turn".to_owned(),
            );
        }
    }

    /// Whether a revision that left is kept again, and what is done to it may have been asked for before that.
    fn has_come_back(&self, event: &Event, revision: &Revision) -> bool {
        let left_at = self.left_at.get(revision);
        event.terms.calls == Calls::Faulty
            && !event.status.leaving.contains_key(revision)
            && left_at.is_some_and(|at| event.is_recent(*at))
    }

    fn revision_of(&self, event: &Event, service: &str) -> Option<Revision> {
        let now = event.view.services().find(|known| known.name == service);
        let before = self.known.iter().find(|known| known.name == service);
        now.map(|known| known.revision.clone())
            .or_else(|| before.map(|known| known.revision.clone()))
    }
}

/// TRAFFIC-1: a canary that has a share keeps the tasks that it was sized for, whatever its stages say by now.
fn keeps_its_size(event: &Event, revision: &Revision, tasks: u32) {
    let status = event.status;
    let stored = event.view.rollout(event.rollout);
    let is_known =
        stored.is_some_and(|stored| stored.draft.generation == status.observed_generation);
    let is_tried = status.canary_revision.as_ref() == Some(revision)
        && status.weight > 0
        && !status.leaving.contains_key(revision);
    let Some(spec) = event.spec() else { return };
    let stage = spec.strategy.stage(status.stage as usize);
    let is_at_hand = matches!(status.step, Step::Running { .. })
        && stage.map_or(100, |stage| stage.weight) == status.weight;
    let least = if is_at_hand {
        sized_for(status, Some(spec))
    } else {
        status.sized_for.min(spec.replicas)
    };
    if is_known && is_tried && tasks < least && event.terms.calls == Calls::Sound {
        event.broken(
            "TRAFFIC-1",
            format!(
                "{revision} has {} % and was sized for {least} tasks, and has {tasks} from here on",
                status.weight
            ),
        );
    }
}

/// SAFETY-1: what is made was decided and stored before.
fn was_stored(event: &Event, revision: &Revision) {
    if !event.revisions.contains(revision) && !is_confused(event) {
        event.broken(
            "SAFETY-1",
            format!("the service of {revision} was created before that was stored"),
        );
    }
}

fn known(event: &Event) -> Vec<Known> {
    let services = event.view.services();
    services
        .filter(|service: &ServiceView| service.rollout == event.rollout)
        .map(|service| Known {
            name: service.name.to_owned(),
            revision: service.revision.clone(),
            replicas: service.replicas,
        })
        .collect()
}

pub(super) fn is_of(rollout: &Name, service: &str) -> bool {
    let rest = service
        .strip_prefix(rollout.as_str())
        .and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|revision| revision.len() == Revision::LEN)
}

/// SAFETY-3: what no rollout owns is not touched.
fn stranger(event: &Event, service: &str) {
    let mut rollouts = event
        .view
        .stored()
        .map(|stored| stored.draft.resource.name());
    if !rollouts.any(|name| is_of(name, service)) {
        event.broken(
            "SAFETY-3",
            format!("service {service}, which no rollout owns, was changed"),
        );
    }
}

/// TRAFFIC-4: what is stopped takes no requests any more and has none, or its time for that is over.
fn is_drained(event: &Event, revision: &Revision, done: &str) {
    let takes = |instance: &Name| {
        let mut servers = event.view.servers(instance, &event.route.backend);
        servers.any(|server| {
            server.revision == Some(revision) && server.takes_requests && server.task.is_some()
        })
    };
    for instance in event.instances() {
        if takes(instance.name) {
            event.broken(
                "TRAFFIC-4",
                format!("{done} while {} gave {revision} requests", instance.name),
            );
        }
        let open = event
            .view
            .open_sessions(instance.name, &event.route.backend, revision);
        if open > 0.5 && !had_its_time(event, revision) {
            event.broken(
                "TRAFFIC-4",
                format!(
                    "{done} while it had {open:.1} open requests on {}",
                    instance.name
                ),
            );
        }
    }
    if revision_serves(event, revision) {
        event.broken(
            "TRAFFIC-4",
            format!("{done}, which is what serves: {revision}"),
        );
    }
}

/// Whether the drain timeout of a revision that leaves is over.
fn had_its_time(event: &Event, revision: &Revision) -> bool {
    let Some(spec) = event.spec() else {
        return true;
    };
    let since: Option<Timestamp> = event.status.leaving.get(revision).copied();
    // A change that comes late may find the book closed already.
    let is_late = event.terms.calls == Calls::Faulty;
    since.map_or(is_late, |since| {
        event.now >= spec.drain_timeout().after(since)
    })
}

/// Whether who acts may have looked before the last rollout of that name was gone, and takes this one for it.
fn is_confused(event: &Event) -> bool {
    event.terms.calls == Calls::Faulty && event.forgotten_at.is_some_and(|at| event.is_recent(at))
}

/// Whether a revision is what serves, or is tried just now, by what is stored.
fn revision_serves(event: &Event, revision: &Revision) -> bool {
    let status = event.status;
    let is_stable = status.stable_revision.as_ref() == Some(revision);
    let is_tried = status.canary_revision.as_ref() == Some(revision) && status.step != Step::Idle;
    !is_deleted(event)
        && !is_confused(event)
        && (is_stable || is_tried)
        && !status.leaving.contains_key(revision)
}

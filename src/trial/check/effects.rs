//! What users feel: requests that are lost, and traffic that is taken back too late (ABORT-1, TRAFFIC-5).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::shares::{Shares, answers, is_deleted};
use super::{Calls, Event};
use crate::api::{Duration, Name, Revision};
use crate::sim::{ControllerId, Loss, What};
use crate::snapshot::{AdminState, CheckState, TaskId, TaskState};

/// How soon after the decision the traffic must be back, when nothing goes wrong on the way.
const SOON: Duration = Duration::from_millis(500);

/// What is to be seen soon.
#[derive(Default)]
pub(super) struct Effects {
    owed: Vec<Owed>,
    /// The instances that have lost requests, and lose none any more.
    serving: BTreeSet<Name>,
}

/// Traffic that is to be taken back from a revision on an instance.
struct Owed {
    /// None for as long as stable cannot take it.
    until: Option<Timestamp>,
    /// Who decided it. Whoever comes after one that died has its own time.
    by: ControllerId,
    instance: Name,
    revision: Revision,
}

impl Effects {
    pub fn check(&mut self, event: &Event, shares: &Shares) {
        if event.terms.calls == Calls::Faulty {
            return;
        }
        if let Some(before) = event.before
            && let (None, Some(abort)) = (&before.abort, &event.status.abort)
            && let Some(by) = event.controller()
        {
            let revision = abort.revision.clone();
            let until = soon(event);
            self.owed.extend(event.instances().map(|instance| Owed {
                until: can_be_taken_back(event, instance.name).then_some(until),
                by,
                instance: instance.name.clone(),
                revision: revision.clone(),
            }));
        }
        // A controller that dies, or a deed of another hand, puts off what was due.
        if matches!(event.what, What::Crashed | What::Lent(_) | What::Proxy(..)) {
            self.owed.clear();
        }
        if event.before.is_some() && event.status.abort.is_none() {
            self.owed.clear();
        }
        self.owed.retain(|owed| !event.view.is_dead(owed.by));
        for owed in &mut self.owed {
            owed.until = can_be_taken_back(event, &owed.instance)
                .then(|| owed.until.unwrap_or_else(|| soon(event)));
        }
        let is_due = |until: Timestamp| until < event.now;
        let due = self
            .owed
            .extract_if(.., |owed| owed.until.is_some_and(is_due));
        for owed in due.collect::<Vec<_>>() {
            is_taken_back(event, &owed);
        }
        self.lost_by_us(event, shares);
    }

    /// An instance that served and has no server, although nobody else did anything to it (TRAFFIC-5).
    fn lost_by_us(&mut self, event: &Event, shares: &Shares) {
        let What::Losing {
            instance,
            backend,
            loss,
        } = event.what
        else {
            return;
        };
        if *backend != event.route.backend {
            return;
        }
        let Some(loss) = loss else {
            self.serving.insert(instance.clone());
            return;
        };
        // Until a first version is ready nobody was served, however long that takes.
        let served = self.serving.remove(instance);
        let is_wanted = !is_deleted(event);
        if served && is_wanted && *loss == Loss::NoServer && !shares.was_hurt(event, instance) {
            event.broken(
                "TRAFFIC-5",
                format!("{instance} has no server although stable has a ready task"),
            );
        }
    }
}

/// Until when a controller has seen what is so from now on, and has acted.
fn soon(event: &Event) -> Timestamp {
    SOON.after(event.now)
}

/// Whether stable has a server there that takes requests, of a task that is meant to stay: one that has not passed its
/// checks might refuse all of them, and one whose service is gone is about to end.
fn can_be_taken_back(event: &Event, instance: &Name) -> bool {
    let stable = event.status.stable_revision.as_ref();
    let stays = |server: &TaskId| {
        let mut tasks = event.view.tasks();
        tasks.any(|task| task.id == server && task.desired == TaskState::Running)
    };
    let mut servers = event.view.servers(instance, &event.route.backend);
    let is_up = servers.any(|server| {
        let takes = server.admin == AdminState::Ready && server.check == CheckState::Passed;
        server.revision == stable && server.task.is_some_and(stays) && takes
    });
    is_up && answers(event, instance)
}

/// ABORT-1.
fn is_taken_back(event: &Event, owed: &Owed) {
    let share = event
        .view
        .share(&owed.instance, &event.route.backend, &owed.revision);
    if share > 0.0 {
        event.broken(
            "ABORT-1",
            format!(
                "{} still gives {} {:.1} % half a second after its abort, or after stable could take it",
                owed.instance,
                owed.revision,
                share * 100.0
            ),
        );
    }
}

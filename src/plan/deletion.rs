//! Deletion: what the rollout owns is drained, then removed, then the rollout is forgotten
//! (SAFETY-7).

use std::collections::BTreeSet;

use super::scene::Scene;
use super::{Input, Plan, conditions, leaving, services};
use crate::action::Action;
use crate::api::{ConditionStatus, ConditionType, Name, Phase, Reason, Revision, WaitingOn};
use crate::api::{Deletion, Dependents};

/// The plan for a rollout that is being deleted.
pub(super) fn plan(input: &Input, deletion: Deletion) -> Plan {
    match deletion.dependents {
        Dependents::Orphan => forget(input),
        Dependents::Remove => remove(input),
    }
}

fn forget(input: &Input) -> Plan {
    Plan {
        status: input.status.clone(),
        actions: vec![Action::Forget],
        waiting_on: None,
        requeue_at: None,
    }
}

fn remove(input: &Input) -> Plan {
    let services: BTreeSet<Revision> = input
        .snapshot
        .services_of(input.name)
        .map(|s| s.revision.clone())
        .collect();
    // A rollout that was never carried out has no route, and no servers.
    let seen = input
        .status
        .route
        .as_ref()
        .and_then(|route| input.snapshot.load_balancers.get(&route.load_balancer));
    let instances: BTreeSet<Name> = seen
        .map(|instances| instances.keys().cloned().collect())
        .unwrap_or_default();
    let mut status = input.status.clone();
    let drained = {
        let scene = Scene::of_deletion(&status, input, &instances);
        instances.is_empty()
            || scene.wherever_it_is(|picture| picture.servers.iter().all(|s| s.seen.is_none()))
    };
    if drained && services.is_empty() {
        return forget(input);
    }
    let known = status
        .stable_revision
        .take()
        .into_iter()
        .chain(status.canary_revision.take());
    for revision in known.chain(services) {
        status.leaving.entry(revision).or_insert(input.now);
    }
    let scene = Scene::of_deletion(&status, input, &instances);
    leaving::restart_clocks(&mut status, input, &scene);
    let mut actions = scene.server_changes();
    if drained {
        // One at a time (SAFETY-2).
        let first = input.snapshot.services_of(input.name).next();
        actions.extend(first.map(|service| Action::RemoveService {
            service: services::target(service),
        }));
    }
    status.phase = Phase::Progressing;
    status.message = "it is being deleted: draining, then removing its services".into();
    let waiting_on = status
        .leaving
        .first_key_value()
        .map(|(revision, since)| WaitingOn::Drain {
            revision: revision.clone(),
            until: input.spec.traffic.drain_timeout.after(*since),
        });
    status.waiting_on.clone_from(&waiting_on);
    let message = status.message.clone();
    conditions::set(
        &mut status,
        input.now,
        ConditionType::Progressing,
        ConditionStatus::True,
        Reason::Deleting,
        message,
    );
    let requeue_at = super::pace::requeue_at(&status, input, waiting_on.as_ref());
    Plan {
        status,
        actions,
        waiting_on,
        requeue_at,
    }
}

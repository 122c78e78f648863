//! Services: one per revision, with as many tasks as its role wants.

use super::scene::Scene;
use super::traffic::Role;
use super::{Input, fewest, hands, leaving, preview, stages};
use crate::action::{Action, NewService, ServiceTarget};
use crate::api::{Access, AttemptOutcome, Duration, HistoryEntry, Revision, RolloutStatus};
use crate::snapshot::{ServiceFact, TaskState};

/// How long the Swarm may take until it has told tasks to stop that their service asks for no more.
const STOPPING: Duration = Duration::from_secs(20);

/// What to change of the rollout's services; all of it, in the order of urgency. How much of it
/// may be done in one turn is a matter of [`super::safety`].
pub(super) fn changes(status: &RolloutStatus, input: &Input, scene: &Scene) -> Vec<Action> {
    let mut actions = Vec::new();
    for (revision, replicas) in kept(status, input) {
        actions.extend(keep(status, input, scene, revision, replicas));
    }
    for service in input.snapshot.services_of(input.name) {
        if leaving::is_kept(status, &service.revision) {
            continue;
        }
        let is_asked_for = service.replicas > 0;
        // TRAFFIC-4: only after its servers are gone everywhere.
        let is_out = is_asked_for && !scene.may_serve(&service.revision);
        if is_out || !is_asked_for && is_overlooked(service, input) {
            actions.push(scale(service, 0));
        }
    }
    actions.extend(surplus(status, input).map(|service| Action::RemoveService {
        service: target(service),
    }));
    actions
}

/// Whether a service has more tasks than it asks for, and nobody has told them to stop: the Swarm has missed that it was asked for
/// fewer (seen when that came two seconds after its first task). It looks again when the service is written again, as it is.
fn is_overlooked(service: &ServiceFact, input: &Input) -> bool {
    let is_over = meant_to_run(service, input) > service.replicas;
    is_over && input.now >= STOPPING.after(service.changed_at)
}

/// What serves, what is tried and what is kept warm, each with the number of tasks that it should have. A spec that is
/// refused because it is of another kind says nothing of how many that are.
pub(super) fn kept<'a>(
    status: &'a RolloutStatus,
    input: &Input<'a>,
) -> impl Iterator<Item = (&'a Revision, u32)> {
    let input = *input;
    let as_it_is = move |revision: &Revision, wanted: u32| {
        let seen = input.snapshot.service(input.name, revision);
        seen.filter(|_| input.is_of_another_kind())
            .map_or(wanted, |service| service.replicas)
    };
    let all = move |revision: &'a Revision| {
        let known = input.upkeep().map(|known| known.replicas);
        let replicas = known.unwrap_or_else(|| as_it_is(revision, input.spec.replicas));
        (revision, replicas)
    };
    let canary_size = stages::canary_size(&input, status);
    let stable = status.stable_revision.iter().map(all);
    let canary = status.canary_revision.iter();
    let canary = canary.map(move |revision| (revision, as_it_is(revision, canary_size)));
    let warm = status.warm.keys();
    let warm = warm.filter(|revision| status.is_warm(revision)).map(all);
    stable.chain(canary).chain(warm)
}

/// A revision that serves or is tried: its service exists, is as it was made, and has `replicas` tasks.
fn keep(
    status: &RolloutStatus,
    input: &Input,
    scene: &Scene,
    revision: &Revision,
    replicas: u32,
) -> Option<Action> {
    let record = status.revisions.get(revision)?;
    let seen = input.snapshot.service(input.name, revision);
    let replicas = seen.map_or(replicas, |service| {
        fewest(status, input, scene, service, replicas)
    });
    let wanted = NewService {
        rollout: input.name.clone(),
        revision: revision.clone(),
        template: record.template.clone(),
        access: record.access,
        replicas,
    };
    if preview::must_wait(status, input, revision) {
        return None;
    }
    let Some(service) = seen else {
        return Some(Action::CreateService(wanted));
    };
    if service.drift.is_some() {
        // SAFETY-3; how often is a matter of `hands`. Nothing else is written to it meanwhile.
        return hands::may_restore(status, service).then(|| Action::RestoreService {
            service: target(service),
            spec: wanted,
        });
    }
    if service.replicas == replicas {
        return is_overlooked(service, input).then(|| scale(service, replicas));
    }
    Some(scale(service, replicas))
}

/// How many tasks are asked for where `wanted` are: more, as long as it has more and the Swarm could stop all that serve.
pub(super) fn fewest(
    status: &RolloutStatus,
    input: &Input,
    scene: &Scene,
    service: &ServiceFact,
    wanted: u32,
) -> u32 {
    if service.replicas <= wanted {
        return wanted;
    }
    let role = role(status, &service.revision);
    fewest::of(input, scene, service, role).max(wanted)
}

/// What a revision that is kept does for the rollout.
fn role(status: &RolloutStatus, revision: &Revision) -> Role {
    if status.stable_revision.as_ref() == Some(revision) {
        Role::Stable
    } else if status.canary_revision.as_ref() == Some(revision) {
        Role::Canary
    } else {
        Role::Warm
    }
}

/// How many tasks the Swarm means to run.
pub(super) fn meant_to_run(service: &ServiceFact, input: &Input) -> u32 {
    let tasks = input.snapshot.living_tasks_of(&service.id);
    let count = tasks
        .filter(|task| task.desired == TaskState::Running)
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn scale(service: &ServiceFact, replicas: u32) -> Action {
    Action::ScaleService {
        service: target(service),
        replicas,
    }
}

pub(super) fn target(service: &ServiceFact) -> ServiceTarget {
    ServiceTarget {
        id: service.id.clone(),
        name: service.name.clone(),
        version: service.version,
    }
}

/// Former revisions beyond `revisionHistoryLimit`, once none of their tasks is left: first those that were never stable, to which nobody
/// goes back, and the oldest first.
fn surplus<'a>(status: &RolloutStatus, input: &Input<'a>) -> impl Iterator<Item = &'a ServiceFact> {
    let snapshot = input.snapshot;
    let mut former: Vec<&ServiceFact> = snapshot
        .services_of(input.name)
        .filter(|service| {
            !leaving::is_kept(status, &service.revision)
                && !status.leaving.contains_key(&service.revision)
        })
        .collect();
    former.sort_by_key(|service| (last_use(status, &service.revision), service.created_at));
    let limit = match preview::terms(status, input) {
        Some(_) => 0, // Nobody goes back to a preview; what it ran may be forgotten already.
        None => usize::try_from(input.spec.revision_history_limit).unwrap_or(usize::MAX),
    };
    let (previews, mut former): (Vec<_>, Vec<_>) = former
        .into_iter()
        .partition(|service| was_preview(status, &service.revision));
    let surplus = former.len().saturating_sub(limit);
    former.truncate(surplus);
    previews.into_iter().chain(former)
}

/// Whether a revision was shown as a preview, before the rollout became a release: nobody goes back to it.
fn was_preview(status: &RolloutStatus, revision: &Revision) -> bool {
    let record = status.revisions.get(revision);
    record.is_some_and(|record| match record.access {
        Access::Proxied { .. } => false,
        Access::Published { .. } | Access::Named {} => true,
    })
}

/// By this the first one to be forgotten comes first: those that were never stable, then the oldest.
pub(super) fn last_use(status: &RolloutStatus, revision: &Revision) -> (u32, u32) {
    (last_stable(status, revision), last_used(status, revision))
}

/// The number of the last attempt that made a revision stable, 0 if none is remembered.
fn last_stable(status: &RolloutStatus, revision: &Revision) -> u32 {
    let attempts = attempts_of(status, revision);
    let completed = attempts.filter(|entry| entry.outcome == AttemptOutcome::Completed);
    completed.map(|entry| entry.attempt).max().unwrap_or(0)
}

/// The number of the last attempt of a revision, 0 if none is remembered.
fn last_used(status: &RolloutStatus, revision: &Revision) -> u32 {
    let attempts = attempts_of(status, revision);
    attempts.map(|entry| entry.attempt).max().unwrap_or(0)
}

fn attempts_of<'a>(
    status: &'a RolloutStatus,
    revision: &'a Revision,
) -> impl Iterator<Item = &'a HistoryEntry> {
    let history = status.history.iter();
    history.filter(move |entry| entry.revision == *revision)
}

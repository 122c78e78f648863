//! Deletion: what the rollout owns is drained, then removed, then the rollout is forgotten
//! (SAFETY-7).

use std::collections::BTreeSet;

use super::scene::Scene;
use super::{Input, Outstanding, Plan, conditions, jobs, leaving, services};
use crate::action::Action;
use crate::api::{
    ConditionStatus, ConditionType, Deletion, Dependents, Name, Phase, Reason, Revision,
    RolloutStatus, Step, WaitingOn,
};

/// The plan for a rollout that is being deleted.
pub(super) fn plan(input: &Input, deletion: Deletion) -> Plan {
    match deletion.dependents {
        Dependents::Orphan => forget(input),
        Dependents::Remove => remove(input),
    }
}

/// The last step. A job is nothing that anybody would want to keep, whatever becomes of the services.
fn forget(input: &Input) -> Plan {
    let jobs = jobs::all(input);
    Plan {
        status: input.status.clone(),
        deletion: input.deletion,
        actions: if jobs.is_empty() {
            vec![Action::Forget]
        } else {
            jobs
        },
        waiting_on: None,
        requeue_at: None,
    }
}

/// The proxies that the rollout's servers are in, as far as they are known.
enum Proxies<'a> {
    /// It was never carried out: it has no route, and no servers.
    Never,
    /// Their load balancer is gone, or has no instances: nobody can see what they still serve.
    Gone(&'a Name),
    /// These.
    Known(BTreeSet<Name>),
}

impl<'a> Proxies<'a> {
    fn of(input: &Input<'a>) -> Self {
        let Some(route) = &input.status.route else {
            return Self::Never;
        };
        let name = &route.load_balancer;
        match input.snapshot.load_balancers.get(name) {
            Some(instances) if !instances.is_empty() => {
                Self::Known(instances.keys().cloned().collect())
            }
            Some(_) | None => Self::Gone(name),
        }
    }

    fn scene(&self, status: &RolloutStatus, input: &Input<'a>) -> Scene<'a> {
        let none = BTreeSet::new();
        let instances = match self {
            Self::Never | Self::Gone(_) => &none,
            Self::Known(instances) => instances,
        };
        Scene::of_deletion(status, input, instances)
    }

    /// Whether none of them has a server of the rollout any more.
    fn are_drained(&self, scene: &Scene) -> bool {
        match self {
            Self::Never => true,
            Self::Gone(_) => false,
            Self::Known(_) => {
                scene.wherever_it_is(|picture| picture.servers.iter().all(|s| s.seen.is_none()))
            }
        }
    }
}

fn remove(input: &Input) -> Plan {
    let proxies = Proxies::of(input);
    let services: BTreeSet<Revision> = input
        .snapshot
        .services_of(input.name)
        .map(|s| s.revision.clone())
        .collect();
    let mut status = input.status.clone();
    let drained = proxies.are_drained(&proxies.scene(&status, input));
    if drained && services.is_empty() && input.outstanding == Outstanding::Nothing {
        return forget(input);
    }
    let known = status
        .stable_revision
        .take()
        .into_iter()
        .chain(status.canary_revision.take());
    status.warm.clear();
    // No attempt is under way any more.
    (status.step, status.weight, status.pause) = (Step::Idle, 0, None);
    for revision in known.chain(services) {
        status.leaving.entry(revision).or_insert(input.now);
    }
    let scene = proxies.scene(&status, input);
    leaving::restart_clocks(&mut status, input, &scene);
    let mut actions = scene.server_changes();
    actions.extend(jobs::all(input));
    if drained {
        // One at a time (SAFETY-2).
        let mut services = input.snapshot.services_of(input.name);
        let first = services.find(|service| !scene.may_serve(&service.revision));
        actions.extend(first.map(|service| Action::RemoveService {
            service: services::target(service),
        }));
    }
    let waiting_on = waiting_on(&status, input, &proxies, &scene);
    say(&mut status, input, &proxies, waiting_on.as_ref());
    let requeue_at = super::pace::requeue_at(&status, input, waiting_on.as_ref());
    Plan {
        status,
        deletion: input.deletion,
        actions,
        waiting_on,
        requeue_at,
    }
}

fn waiting_on(
    status: &RolloutStatus,
    input: &Input,
    proxies: &Proxies,
    scene: &Scene,
) -> Option<WaitingOn> {
    if let Proxies::Gone(load_balancer) = proxies {
        return Some(WaitingOn::LoadBalancer {
            load_balancer: (*load_balancer).clone(),
        });
    }
    if let Some((instance, problem)) = scene.silent_instance() {
        return Some(WaitingOn::Instance {
            instance: instance.clone(),
            problem: problem.to_owned(),
        });
    }
    let is_left = |revision: &Revision| {
        scene.may_serve(revision) || input.snapshot.service(input.name, revision).is_some()
    };
    let mut leaving = status.leaving.iter();
    let (revision, since) = leaving.find(|(revision, _)| is_left(revision))?;
    Some(WaitingOn::Drain {
        revision: revision.clone(),
        until: input.drain_timeout().after(*since),
    })
}

fn say(
    status: &mut RolloutStatus,
    input: &Input,
    proxies: &Proxies,
    waiting_on: Option<&WaitingOn>,
) {
    let nothing_left =
        waiting_on.is_none() && input.snapshot.services_of(input.name).next().is_none();
    let message = match proxies {
        _ if nothing_left => {
            "it is being deleted: nothing is left of it; what was asked for without an answer may still come, for up to 30 s"
                .to_owned()
        }
        Proxies::Never | Proxies::Known(_) => {
            "it is being deleted: draining, then removing its services".to_owned()
        }
        Proxies::Gone(load_balancer) => format!(
            "it is being deleted, and LoadBalancer `{load_balancer}`, which its servers are in, is gone or has no \
             instances: apply it again, so that they are drained, or leave its services and servers as they are \
             with `rolloutctl delete rollout/{} --orphan`",
            input.name
        ),
    };
    status.phase = Phase::Progressing;
    status.message.clone_from(&message);
    status.waiting_on = waiting_on.cloned();
    conditions::set(
        status,
        input.now,
        ConditionType::Progressing,
        ConditionStatus::True,
        Reason::Deleting,
        message,
    );
}

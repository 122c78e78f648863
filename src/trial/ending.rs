//! The right end: what must be so once nothing goes wrong any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::api::{
    AttemptOutcome, ConditionStatus, ConditionType, Kind, Name, Phase, Resource, Revision,
    RolloutSpec, RolloutStatus, Route, ServiceRecord, Step, WaitingOn,
};
use crate::sim::View;
use crate::snapshot::{AdminState, CheckState};

/// How a rollout came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The spec's revision serves.
    Healthy,
    /// The last attempt was taken back; stable serves.
    Degraded,
    /// Somebody must decide.
    Paused,
    /// It was deleted, and nothing of it is left.
    Gone,
}

/// What is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrest(pub String);

impl fmt::Display for Unrest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a rollout rests, or what it has still to do.
///
/// # Errors
/// When anything is not as status and spec say that it is.
pub fn at_rest(view: &View<'_>, rollout: &Name, route: &Route) -> Result<End, Unrest> {
    let Some(stored) = view.rollout(rollout) else {
        return nothing_left(*view, rollout, route);
    };
    let Resource::Rollout(manifest) = &stored.draft.resource else {
        return Err(Unrest(format!("{} is no {:?}", rollout, Kind::Rollout)));
    };
    let none = RolloutStatus::default();
    let status = stored.draft.status.as_ref().unwrap_or(&none);
    if stored.draft.deletion.is_some() {
        return Err(Unrest("it is still being deleted".to_owned()));
    }
    if status.observed_generation != stored.draft.generation {
        return Err(Unrest("its newest spec was not looked at".to_owned()));
    }
    let taken = status.last_command.as_ref().map(|record| &record.command);
    if stored.draft.command.as_ref() != taken && stored.draft.command.is_some() {
        return Err(Unrest("the last command was not looked at".to_owned()));
    }
    let mut leaving = status.leaving.keys();
    if let Some(revision) = leaving.find(|it| !stands_for_stable(*view, it, route, status)) {
        return Err(Unrest(format!("{revision} is still leaving")));
    }
    if let Some((revision, _)) = status.warm.first_key_value() {
        return Err(Unrest(format!("{revision} is still kept warm")));
    }
    let is_known = |revision: &Revision| {
        let roles = [&status.stable_revision, &status.canary_revision];
        let has_role = roles.into_iter().flatten().any(|kept| kept == revision);
        let mut services = view.services();
        has_role || services.any(|known| known.rollout == rollout && known.revision == revision)
    };
    if let Some(job) = view.jobs().find(|job| job.key.rollout == *rollout) {
        return Err(Unrest(format!("the job {} is left", job.name)));
    }
    if let Some(revision) = status.revisions.keys().find(|it| !is_known(it)) {
        return Err(Unrest(format!("{revision} is gone, and remembered still")));
    }
    // For a while after it was put back, a service is watched; the end of that is written down.
    let watched = |record: &ServiceRecord| record.restore.is_some();
    if status.services.values().any(watched) {
        return Err(Unrest("a service was put back lately".to_owned()));
    }
    if let Some(WaitingOn::Instance { instance, .. }) = &status.waiting_on {
        return Err(Unrest(format!(
            "it says that {instance} does not answer, and it does"
        )));
    }
    let end = match status.phase {
        Phase::Progressing => {
            let waits = status.waiting_on.as_ref();
            return Err(Unrest(format!("it is still on its way: {waits:?}")));
        }
        Phase::Healthy => End::Healthy,
        Phase::Degraded => End::Degraded,
        Phase::Paused => End::Paused,
    };
    is_told_as_it_is(end, &manifest.spec, status)?;
    if end == End::Degraded && is_in_vain(*view, status) {
        // A first revision that does not come up has nothing to go back to; or another hand had made something of it that
        // did, so that it became stable, and it was put back.
        return Ok(end);
    }
    services_fit(*view, rollout, &manifest.spec, status)?;
    if status.route.is_none() {
        return Ok(end); // A preview has no servers.
    }
    let sized = super::check::sized_for(status, Some(&manifest.spec));
    servers_fit(*view, rollout, route, sized, status)?;
    Ok(end)
}

/// Whether what leaves is the last that serves, and stays so: it had not been seen to come up when a newer first revision took its
/// place, which never does (TRAFFIC-5).
fn stands_for_stable(
    view: View<'_>,
    revision: &Revision,
    route: &Route,
    status: &RolloutStatus,
) -> bool {
    let serves = view.instances().any(|instance| {
        let mut servers = view.servers(instance.name, &route.backend);
        servers.any(|server| server.revision == Some(revision) && server.takes_requests)
    });
    serves && status.phase == Phase::Degraded && is_in_vain(view, status)
}

/// Whether stable never comes up.
fn is_in_vain(view: View<'_>, status: &RolloutStatus) -> bool {
    status.step == Step::Initial || !stable_comes_up(view, status)
}

fn stable_comes_up(view: View<'_>, status: &RolloutStatus) -> bool {
    let stable = status.stable_revision.as_ref();
    let record = stable.and_then(|stable| status.revisions.get(stable));
    record.is_none_or(|record| view.comes_up(&record.template.image))
}

fn nothing_left(view: View<'_>, rollout: &Name, route: &Route) -> Result<End, Unrest> {
    if view.services().any(|service| service.rollout == rollout) {
        return Err(Unrest("it is gone, and a service of it is left".to_owned()));
    }
    if view.jobs().any(|job| job.key.rollout == *rollout) {
        return Err(Unrest("it is gone, and a job of it is left".to_owned()));
    }
    for instance in view.instances() {
        let left = view.servers(instance.name, &route.backend).count();
        if left > 0 {
            return Err(Unrest(format!(
                "it is gone, and {left} servers are left on {}",
                instance.name
            )));
        }
    }
    Ok(End::Gone)
}

fn is_told_as_it_is(end: End, spec: &RolloutSpec, status: &RolloutStatus) -> Result<(), Unrest> {
    let wanted = Revision::of(spec);
    let is_stable = status.stable_revision.as_ref() == Some(&wanted);
    match end {
        End::Healthy if !is_stable && !is_over(spec, status, &wanted) => Err(Unrest(format!(
            "it is called healthy, and {wanted} is not stable"
        ))),
        End::Healthy if status.step != Step::Idle => {
            Err(Unrest("it is called healthy on its way".to_owned()))
        }
        End::Degraded
            if status.abort.is_none() && !is_invalid(status) && status.step != Step::Initial =>
        {
            Err(Unrest("it is called degraded without a reason".to_owned()))
        }
        End::Healthy | End::Degraded | End::Paused | End::Gone => Ok(()),
    }
}

/// Whether it is a preview that has passed and had its time; one that a source asks for stays so.
fn is_over(spec: &RolloutSpec, status: &RolloutStatus, wanted: &Revision) -> bool {
    let last = status.history.last();
    let has_passed =
        last.is_some_and(|last| last.revision == *wanted && last.outcome == AttemptOutcome::Passed);
    let is_up = status.stable_revision.is_some() || status.canary_revision.is_some();
    spec.strategy.preview().is_some() && has_passed && !is_up
}

fn is_invalid(status: &RolloutStatus) -> bool {
    status.conditions.iter().any(|condition| {
        condition.kind == ConditionType::InvalidSpec && condition.status == ConditionStatus::True
    })
}

/// Stable has the tasks that the spec asks for, and what is not used has none.
fn services_fit(
    view: View<'_>,
    rollout: &Name,
    spec: &RolloutSpec,
    status: &RolloutStatus,
) -> Result<(), Unrest> {
    for service in view.services().filter(|known| known.rollout == rollout) {
        let is_stable = status.stable_revision.as_ref() == Some(service.revision);
        let is_canary = status.canary_revision.as_ref() == Some(service.revision);
        // One that nobody uses is put back when it is used again.
        if let Some(drift) = service.drift.filter(|_| is_stable || is_canary) {
            return Err(Unrest(format!(
                "{} was changed by another hand ({drift}) and not put back",
                service.name
            )));
        }
        let fits = if is_stable {
            service.replicas == spec.replicas
        } else {
            is_canary || service.replicas == 0
        };
        if !fits {
            return Err(Unrest(format!(
                "{} asks for {} tasks",
                service.name, service.replicas
            )));
        }
    }
    let ready = |revision: &Revision| view.ready_tasks(revision);
    match &status.stable_revision {
        Some(stable) if ready(stable) < spec.replicas => Err(Unrest(format!(
            "stable has {} of {} tasks ready",
            ready(stable),
            spec.replicas
        ))),
        Some(_) | None => Ok(()),
    }
}

/// On each instance, exactly the ready tasks have servers, which take requests, and the canary has its
/// share.
fn servers_fit(
    view: View<'_>,
    rollout: &Name,
    route: &Route,
    sized: u32,
    status: &RolloutStatus,
) -> Result<(), Unrest> {
    let serving: Vec<&Revision> = [&status.stable_revision, &status.canary_revision]
        .into_iter()
        .flatten()
        .collect();
    let ready: u32 = {
        let distinct: BTreeSet<&Revision> = serving.iter().copied().collect();
        distinct
            .into_iter()
            .map(|revision| view.ready_tasks(revision))
            .sum()
    };
    let instances = view.instances();
    for instance in instances.filter(|known| *known.load_balancer == route.load_balancer) {
        let mut count = 0;
        for server in view.servers(instance.name, &route.backend) {
            count += 1;
            let is_known = server
                .revision
                .is_some_and(|revision| serving.contains(&revision));
            let is_up = server.admin == AdminState::Ready && server.check == CheckState::Passed;
            if !is_known || !is_up || server.task.is_none() {
                return Err(Unrest(format!(
                    "{} has the server {} ({:?}, {:?})",
                    instance.name, server.name, server.admin, server.check
                )));
            }
        }
        if count != ready {
            return Err(Unrest(format!(
                "{} has {count} servers of {rollout} for {ready} ready tasks",
                instance.name
            )));
        }
        shares_fit(view, route, sized, status, instance.name)?;
    }
    Ok(())
}

/// The servers of a revision have one weight, and the canary has its share: as much of what is intended as it
/// has of the tasks for that.
fn shares_fit(
    view: View<'_>,
    route: &Route,
    sized: u32,
    status: &RolloutStatus,
    instance: &Name,
) -> Result<(), Unrest> {
    let mut weights = BTreeMap::new();
    for server in view.servers(instance, &route.backend) {
        let others = *weights.entry(server.revision).or_insert(server.weight);
        if others != server.weight {
            return Err(Unrest(format!(
                "{instance} gives {} the weight {}, and {others} to another one of its revision",
                server.name, server.weight
            )));
        }
    }
    let Some(canary) = &status.canary_revision else {
        return Ok(());
    };
    if status.stable_revision.as_ref() == Some(canary) {
        return Ok(());
    }
    let share = view.share(instance, &route.backend, canary);
    let ready = f64::from(view.ready_tasks(canary)) / f64::from(sized);
    let intended = f64::from(status.weight) / 100.0 * ready.min(1.0);
    if (share - intended).abs() > super::check::NEAR {
        return Err(Unrest(format!(
            "{instance} gives the canary {:.1} % and not {:.1} %",
            share * 100.0,
            intended * 100.0
        )));
    }
    Ok(())
}

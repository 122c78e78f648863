//! What a turn waits for: the first obstacle on the way, in the order in which they are met.

use super::progress::last_problem;
use super::scene::{Scene, View};
use super::stages::{self, Gate};
use super::traffic::{Picture, Role};
use super::{Input, Resolved, conditions, jobs, leaving, services};
use crate::api::{
    MeasurementPhase, MeasurementStatus, MetricBy, NoData, PauseReason, Revision, RolloutStatus,
    Step, WaitingOn, brief,
};

/// What the rollout waits for; nothing when it is at rest and whole.
pub(super) fn on(
    status: &RolloutStatus,
    input: &Input,
    resolved: &Resolved,
    scene: &Scene,
) -> Option<WaitingOn> {
    if resolved.metrics.is_err() {
        return Some(WaitingOn::Spec);
    }
    if let Some(pause) = &status.pause {
        return Some(match pause.reason {
            PauseReason::User => WaitingOn::Resume,
            PauseReason::Inconclusive | PauseReason::Failure => WaitingOn::Decision,
        });
    }
    let waiting = at_step(status, input, resolved, scene)?;
    Some(obstacle(&waiting, input).unwrap_or(waiting))
}

/// What was tried and failed, where something is waited for that follows from it.
fn obstacle(waiting: &WaitingOn, input: &Input) -> Option<WaitingOn> {
    let problem = input.obstacle?.to_owned();
    match waiting {
        WaitingOn::Tasks { .. }
        | WaitingOn::Servers { .. }
        | WaitingOn::Weights { .. }
        | WaitingOn::Drain { .. }
        | WaitingOn::Service { .. }
        | WaitingOn::Surplus { .. }
        | WaitingOn::Job { until: None, .. }
        | WaitingOn::Observation => Some(WaitingOn::Action { problem }),
        WaitingOn::Instance { .. }
        | WaitingOn::Backend { .. }
        | WaitingOn::LoadBalancer { .. }
        | WaitingOn::Action { .. }
        | WaitingOn::Bake { .. }
        | WaitingOn::Measurement { .. }
        | WaitingOn::Data { .. }
        | WaitingOn::Source { .. }
        | WaitingOn::Job { .. }
        | WaitingOn::Approval
        | WaitingOn::Resume
        | WaitingOn::Decision
        | WaitingOn::Retry
        | WaitingOn::Spec => None,
    }
}

fn at_step(
    status: &RolloutStatus,
    input: &Input,
    resolved: &Resolved,
    scene: &Scene,
) -> Option<WaitingOn> {
    match status.step {
        Step::Running { since } => Some(stage(status, input, resolved, scene, since)),
        Step::Initial | Step::Scaling | Step::Shifting => {
            Some(readiness(status, input, scene).unwrap_or(WaitingOn::Observation))
        }
        Step::Idle => relief(status, input, scene)
            .or_else(|| departure(status, input, scene))
            .or_else(|| readiness(status, input, scene))
            .or_else(|| surplus(status, input, scene))
            .or_else(|| status.abort.is_some().then_some(WaitingOn::Retry)),
    }
}

/// What leaves and serves on waits for stable, not for the end of its requests.
fn relief(status: &RolloutStatus, input: &Input, scene: &Scene) -> Option<WaitingOn> {
    if !conditions::needs_what_leaves(status, scene) {
        return None;
    }
    readiness(status, input, scene)
}

/// In a stage: time, measurements, approval.
fn stage(
    status: &RolloutStatus,
    input: &Input,
    resolved: &Resolved,
    scene: &Scene,
    since: jiff::Timestamp,
) -> WaitingOn {
    let stage = stages::stage(input.spec, status.stage);
    if let Some(waiting) = status
        .measurements
        .iter()
        .find_map(|record| source(record, input, resolved, status))
    {
        return waiting;
    }
    let until = stage.bake.after(since);
    if input.now < until {
        return WaitingOn::Bake { until };
    }
    // Who is asked to approve is not told otherwise for the moment of each further sample.
    let holds = |record: &&MeasurementStatus| {
        record.phase == MeasurementPhase::Pending
            || (stage.gate == Gate::Open && record.next_at.is_some_and(|next| next <= input.now))
    };
    if let Some(record) = status.measurements.iter().find(holds) {
        return measurement(record, input, resolved, since);
    }
    // In the turn in which a stage begins there are no records yet.
    let metrics = resolved.metrics_of(status.stage);
    if stage.gate == Gate::Approval && status.measurements.len() >= metrics.len() {
        return WaitingOn::Approval;
    }
    readiness(status, input, scene).unwrap_or(WaitingOn::Observation)
}

/// A measurement that is not there, or not yet there again.
fn measurement(
    record: &MeasurementStatus,
    input: &Input,
    resolved: &Resolved,
    since: jiff::Timestamp,
) -> WaitingOn {
    match resolved.metric(record).map(|metric| &metric.metric.by) {
        Some(MetricBy::Job(job)) => jobs::waiting(record, job, input, since),
        Some(MetricBy::Query(_)) | None => WaitingOn::Measurement {
            metric: record.metric.clone(),
            next: record.next_at.unwrap_or(input.now),
        },
    }
}

/// A source that fails, or finds nothing although that is not waived.
fn source(
    record: &MeasurementStatus,
    input: &Input,
    resolved: &Resolved,
    status: &RolloutStatus,
) -> Option<WaitingOn> {
    let problem = record
        .recent
        .last()
        .and_then(|sample| sample.problem.clone());
    let by = resolved.metric(record).map(|metric| &metric.metric.by);
    if record.errors_in_row > 0 {
        return Some(match (by, status.step) {
            (Some(MetricBy::Job(job)), Step::Running { since }) => {
                jobs::waiting(record, job, input, since)
            }
            (Some(_) | None, _) => WaitingOn::Source {
                metric: record.metric.clone(),
                problem: problem.unwrap_or_default(),
            },
        });
    }
    let waits = match by {
        Some(MetricBy::Query(query)) => query.no_data == NoData::Wait,
        Some(MetricBy::Job(_)) | None => false,
    };
    let is_empty = record.phase == MeasurementPhase::Pending && problem.is_some();
    (waits && is_empty).then(|| WaitingOn::Data {
        metric: record.metric.clone(),
    })
}

/// Tasks, proxies, servers, weights: in this order. What holds back an attempt is told before what only stable lacks.
fn readiness(status: &RolloutStatus, input: &Input, scene: &Scene) -> Option<WaitingOn> {
    let stable = status
        .stable_revision
        .as_ref()
        .map(|revision| (revision, input.replicas()));
    let canary = status
        .canary_revision
        .as_ref()
        .map(|revision| (revision, stages::canary_size(input, status)));
    // To go on takes checks that have passed; to be whole again, servers that serve are enough.
    let counted = |picture: &Picture, role, up| match status.step {
        Step::Initial | Step::Scaling | Step::Shifting => picture.checked_up(role),
        Step::Idle | Step::Running { .. } => up,
    };
    let missing = |(revision, wanted): (&Revision, u32)| {
        let ready = scene.ready_of(revision);
        (ready < wanted).then(|| WaitingOn::Tasks {
            revision: revision.clone(),
            ready,
            wanted,
            problem: last_problem(Some(revision), input),
        })
    };
    let canary_servers = || {
        canary.and_then(|(revision, wanted)| {
            servers(scene, revision, wanted, |p| {
                counted(p, Role::Canary, p.canaries_up)
            })
        })
    };
    let stable_servers = || {
        stable.and_then(|(revision, wanted)| {
            servers(scene, revision, wanted, |p| {
                counted(p, Role::Stable, p.stables_up)
            })
        })
    };
    let stable_tasks = || stable.and_then(missing);
    if canary.is_none() {
        return stable_tasks()
            .or_else(|| proxies(scene))
            .or_else(stable_servers)
            .or_else(|| weights(scene));
    }
    // An attempt goes on without what stable lacks, but not before it is known that it does.
    let unchecked = scene.pictures().any(|(_, picture)| picture.awaits_stable());
    canary
        .and_then(missing)
        .or_else(|| proxies(scene))
        .or_else(canary_servers)
        .or_else(|| stable_servers().filter(|_| unchecked))
        .or_else(|| weights(scene))
        .or_else(stable_tasks)
        .or_else(stable_servers)
}

fn proxies(scene: &Scene) -> Option<WaitingOn> {
    if let Some((instance, problem)) = scene.silent_instance() {
        return Some(WaitingOn::Instance {
            instance: instance.clone(),
            problem: brief(problem),
        });
    }
    scene
        .instances
        .iter()
        .find(|(_, view)| matches!(view, View::NoBackend))
        .map(|(instance, _)| WaitingOn::Backend {
            instance: instance.clone(),
            backend: scene.backend().to_owned(),
        })
}

fn servers(
    scene: &Scene,
    revision: &Revision,
    wanted: u32,
    up: impl Fn(&Picture) -> u32,
) -> Option<WaitingOn> {
    scene
        .pictures()
        .find(|(_, picture)| up(picture) < wanted)
        .map(|(instance, picture)| WaitingOn::Servers {
            instance: instance.clone(),
            revision: revision.clone(),
            ready: up(picture),
            wanted,
        })
}

fn weights(scene: &Scene) -> Option<WaitingOn> {
    let (instance, _) = scene
        .pictures()
        .find(|(_, picture)| !picture.is_settled())?;
    Some(WaitingOn::Weights {
        instance: instance.clone(),
    })
}

/// Tasks to spare that are still asked for.
fn surplus(status: &RolloutStatus, input: &Input, scene: &Scene) -> Option<WaitingOn> {
    services::kept(status, input).find_map(|(revision, wanted)| {
        let service = input.snapshot.service(input.name, revision)?;
        let asked = services::fewest(status, input, scene, service, wanted);
        (asked > wanted).then(|| WaitingOn::Surplus {
            revision: revision.clone(),
            asked,
            wanted,
        })
    })
}

/// What leaves: its open requests, then its service.
fn departure(status: &RolloutStatus, input: &Input, scene: &Scene) -> Option<WaitingOn> {
    let (revision, since) = status.leaving.first_key_value()?;
    if let Some(waiting) = proxies(scene) {
        return Some(waiting);
    }
    if scene.may_serve(revision) {
        let until = input.drain_timeout().after(*since);
        return Some(WaitingOn::Drain {
            revision: revision.clone(),
            until,
        });
    }
    debug_assert!(
        !leaving::is_kept(status, revision),
        "what leaves is not kept"
    );
    Some(WaitingOn::Service {
        service: revision.service_name(input.name),
    })
}

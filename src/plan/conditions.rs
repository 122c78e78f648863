//! Conditions, phase and message: what people and programs are told. Derived last, from all else.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::scene::Scene;
use super::traffic::{Picture, achieved};
use super::{Input, preview, stages};
use crate::api::{
    Condition, ConditionStatus, ConditionType, PauseReason, Phase, Reason, Revision, RolloutStatus,
    Step, TrafficStatus, WaitingOn,
};

/// Writes everything that follows from what was decided and seen.
pub(super) fn write(
    status: &mut RolloutStatus,
    input: &Input,
    scene: &Scene,
    waiting_on: Option<&WaitingOn>,
) {
    status.waiting_on = waiting_on.cloned();
    status.traffic = traffic(status, input, scene);
    let availability = availability(status, input, scene);
    let (phase, mut message) = phase(status, input, availability);
    if status.abort.is_some() && needs_what_leaves(status, scene) {
        message.push_str("; what leaves serves on, as nothing of stable is up");
    }
    status.phase = phase;
    status.message = message;
    available(status, input, availability);
    progressing(status, input);
    paused(status, input);
    completed(status, input);
    set(
        status,
        input.now,
        ConditionType::InvalidSpec,
        ConditionStatus::False,
        Reason::SpecValid,
        String::new(),
    );
}

/// Whether a revision that should leave serves on, as nothing else does (TRAFFIC-5).
pub(super) fn needs_what_leaves(status: &RolloutStatus, scene: &Scene) -> bool {
    let mut leaving = status.leaving.keys();
    leaving.any(|revision| scene.needs(revision))
}

/// Sets one condition; its transition time moves only with its status.
pub(super) fn set(
    status: &mut RolloutStatus,
    now: Timestamp,
    kind: ConditionType,
    value: ConditionStatus,
    reason: Reason,
    message: String,
) {
    let old = status
        .conditions
        .iter()
        .find(|condition| condition.kind == kind);
    let since = old
        .filter(|old| old.status == value)
        .map_or(now, |old| old.last_transition_time);
    let new = Condition {
        kind,
        status: value,
        reason,
        message,
        last_transition_time: since,
    };
    status.conditions.retain(|condition| condition.kind != kind);
    status.conditions.push(new);
    status.conditions.sort_by_key(|condition| condition.kind);
}

/// Whether stable serves with as many tasks as are wanted, on every instance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Availability {
    Whole,
    /// An instance says nothing; all others, and the Swarm, show all of them.
    Unknown,
    Short,
}

fn availability(status: &RolloutStatus, input: &Input, scene: &Scene) -> Availability {
    let serves = |picture: &Picture| picture.stables_up >= input.replicas();
    let is_ready = status
        .stable_revision
        .as_ref()
        .is_some_and(|stable| scene.ready_of(stable) >= input.replicas());
    if is_ready && scene.everywhere(serves) {
        Availability::Whole
    } else if is_ready && scene.silent_instance().is_some() && scene.wherever_it_answers(serves) {
        Availability::Unknown
    } else {
        Availability::Short
    }
}

fn phase(status: &RolloutStatus, input: &Input, availability: Availability) -> (Phase, String) {
    if let Some(abort) = &status.abort {
        let message = format!(
            "attempt {} of {} was aborted: {}",
            abort.attempt, abort.revision, abort.message
        );
        return (Phase::Degraded, message);
    }
    if let Some(pause) = &status.pause {
        return (Phase::Paused, format!("paused: {}", pause.message));
    }
    if preview::terms(status, input).is_some() {
        if status.waiting_on == Some(WaitingOn::Approval) {
            return (Phase::Paused, "its checks are held for approval".into());
        }
        let (phase, message) = preview::phase(status, availability == Availability::Whole);
        return (phase, message.into());
    }
    let message = match status.step {
        Step::Idle if availability == Availability::Unknown => {
            "a HAProxy does not answer; what it does is not known".into()
        }
        Step::Idle if availability == Availability::Short => {
            "fewer tasks serve than are wanted".into()
        }
        Step::Idle if status.is_clearing() => "a former revision is drained and stopped".into(),
        Step::Idle => {
            return (
                Phase::Healthy,
                "the spec's revision is stable and serves".into(),
            );
        }
        Step::Initial if is_late(status, input) => {
            return (
                Phase::Degraded,
                "the first revision is not ready within its deadline".into(),
            );
        }
        Step::Initial => "the first revision comes up".into(),
        Step::Scaling | Step::Shifting | Step::Running { .. } => {
            if status.waiting_on == Some(WaitingOn::Approval) {
                return (Phase::Paused, "the stage is held for approval".into());
            }
            under_way(status, input).into()
        }
    };
    (Phase::Progressing, message)
}

/// What is being done in an attempt, in a few words.
fn under_way(status: &RolloutStatus, input: &Input) -> &'static str {
    let is_last = status.stage >= stages::count(input.spec);
    let is_measured =
        (input.references).is_ok_and(|resolved| !resolved.metrics_of(status.stage).is_empty());
    match (status.step, is_last) {
        (Step::Scaling, false) => "the stage's tasks come up",
        (Step::Shifting, false) => "the stage's share is set",
        (Step::Scaling, true) => "all of the new revision's tasks come up",
        (Step::Shifting, true) => "the new revision takes all the traffic",
        (Step::Running { .. } | Step::Idle | Step::Initial, _) if is_measured => {
            "the stage bakes and is measured"
        }
        (Step::Running { .. } | Step::Idle | Step::Initial, _) => "the stage bakes",
    }
}

fn is_late(status: &RolloutStatus, input: &Input) -> bool {
    status
        .deadline
        .is_some_and(|deadline| input.now >= deadline)
}

fn available(status: &mut RolloutStatus, input: &Input, availability: Availability) {
    let (value, reason, message) = match availability {
        Availability::Whole => (
            ConditionStatus::True,
            Reason::AvailableReason,
            String::new(),
        ),
        Availability::Unknown => {
            let message = "a HAProxy does not answer; on all others stable serves".to_owned();
            (ConditionStatus::Unknown, Reason::InstanceSilent, message)
        }
        Availability::Short if preview::is_over(status, input) => {
            let message = "the preview is over".to_owned();
            (ConditionStatus::False, Reason::PreviewOver, message)
        }
        Availability::Short => {
            let message = format!(
                "fewer than {} tasks of the stable revision serve",
                input.replicas()
            );
            (ConditionStatus::False, Reason::ReplicasNotReady, message)
        }
    };
    set(
        status,
        input.now,
        ConditionType::Available,
        value,
        reason,
        message,
    );
}

fn progressing(status: &mut RolloutStatus, input: &Input) {
    let message = status.message.clone();
    let (value, reason) = match status.step {
        _ if status.abort.is_some() => (ConditionStatus::False, Reason::RolloutAborted),
        Step::Initial if is_late(status, input) => {
            (ConditionStatus::False, Reason::ProgressDeadlineExceeded)
        }
        Step::Initial | Step::Scaling | Step::Shifting => {
            (ConditionStatus::True, Reason::NewRevisionProgressing)
        }
        Step::Running { .. } => (ConditionStatus::True, Reason::StageBaking),
        Step::Idle if status.is_clearing() => (ConditionStatus::True, Reason::OldRevisionLeaving),
        Step::Idle => (ConditionStatus::False, Reason::RolloutCompleted),
    };
    set(
        status,
        input.now,
        ConditionType::Progressing,
        value,
        reason,
        message,
    );
}

fn paused(status: &mut RolloutStatus, input: &Input) {
    let (value, reason, message) = match &status.pause {
        Some(pause) => {
            let reason = match pause.reason {
                PauseReason::User => Reason::PausedByUser,
                PauseReason::Inconclusive => Reason::PausedInconclusive,
                PauseReason::Failure => Reason::PausedOnFailure,
            };
            (ConditionStatus::True, reason, pause.message.clone())
        }
        None if status.waiting_on == Some(WaitingOn::Approval) => (
            ConditionStatus::True,
            Reason::PausedForApproval,
            format!(
                "{} asks for `promote`",
                stages::name(input.spec, status.stage)
            ),
        ),
        None => (ConditionStatus::False, Reason::NotPaused, String::new()),
    };
    set(
        status,
        input.now,
        ConditionType::Paused,
        value,
        reason,
        message,
    );
}

fn completed(status: &mut RolloutStatus, input: &Input) {
    let at_rest = status.step == Step::Idle && !status.is_clearing();
    let is_stable = status.stable_revision.as_ref() == Some(&Revision::of(input.spec))
        || preview::is_over(status, input);
    let (value, reason) = match (at_rest && is_stable, status.abort.is_some()) {
        (true, _) => (ConditionStatus::True, Reason::RolloutCompleted),
        (false, true) => (ConditionStatus::False, Reason::RolloutAborted),
        (false, false) => (ConditionStatus::False, Reason::NewRevisionProgressing),
    };
    set(
        status,
        input.now,
        ConditionType::Completed,
        value,
        reason,
        String::new(),
    );
}

/// What the proxies were seen to do while a canary is tried; nothing at rest, so that the status
/// of a rollout at rest never changes.
fn traffic(status: &RolloutStatus, input: &Input, scene: &Scene) -> Option<TrafficStatus> {
    status.canary_revision.as_ref()?;
    let mut observed = BTreeMap::new();
    let mut worst = None;
    for (name, picture) in scene.pictures() {
        observed.insert(name.clone(), rounded(picture.observed_share().as_percent()));
        let given = achieved(picture.weights, picture.stables_up, picture.canaries_up);
        worst = worst.max(Some(given));
    }
    Some(TrafficStatus {
        desired_percent: stages::in_force(input, status).share.as_percent(),
        achieved_percent: rounded(worst.map_or(0.0, crate::api::Share::as_percent)),
        observed_percent: observed,
    })
}

/// Three decimals are enough for people, and for a comparison that does not flicker.
pub(super) fn rounded(percent: f64) -> f64 {
    (percent * 1000.0).round() / 1000.0
}

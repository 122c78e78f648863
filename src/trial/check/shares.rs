//! What each instance does with a rollout's requests, and how that came about: the shares, and what
//! has hurt it (TRAFFIC-1, TRAFFIC-5, TRAFFIC-7).

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::{Calls, Event};
use crate::action::{ServerChanges, ServerVerb};
use crate::api::{Name, Resource, Revision, RolloutSpec, RolloutStatus};
use crate::sim::{Condition, Hand, InstanceView, ServerView, What};
use crate::snapshot::{AdminState, CheckState, TaskState};

/// Shares within this of each other are the same: no integer weights hit every share.
pub const NEAR: f64 = 0.025;

/// What is known of each instance, and of the canary's tasks.
#[derive(Default)]
pub(super) struct Shares {
    instances: BTreeMap<Name, Record>,
    /// How many tasks of the canary were ready lately, or looked so, with since when.
    ready: VecDeque<(Timestamp, u32)>,
    canary: Option<Revision>,
    /// Whether the last change was a controller's, and gave the canary a larger share by weights.
    raised: bool,
}

/// What is known of one instance.
#[derive(Clone, Default)]
struct Record {
    /// The canary's share.
    share: f64,
    /// Until when its share was what the status says.
    right_until: Option<Timestamp>,
    /// Whether any request is answered.
    serves: bool,
    /// When something other than a controller last made it worse.
    hurt_at: Option<Timestamp>,
    /// When another hand last set a weight or a state.
    handled_at: Option<Timestamp>,
}

impl Shares {
    pub fn check(&mut self, event: &Event) {
        if let What::Servers { changes, .. } = event.what
            && event.controller().is_some()
        {
            only_ours(event, changes);
        }
        self.raised = false;
        if !concerns(event) {
            return;
        }
        self.note_ready(event);
        for instance in event.instances() {
            self.note_instance(event, instance.name);
        }
    }

    /// Whether an instance's share was what the status says when the controller that acts here looked.
    pub fn was_right(&self, event: &Event, instance: &Name) -> bool {
        let record = self.instances.get(instance);
        let until = record.and_then(|record| record.right_until);
        until.is_some_and(|until| event.is_news(until))
    }

    /// Whether something other than a controller has lately hurt an instance.
    pub fn was_hurt(&self, event: &Event, instance: &Name) -> bool {
        let record = self.instances.get(instance);
        let hurt = record.and_then(|record| record.hurt_at);
        hurt.is_some_and(|at| event.is_recent(at))
    }

    /// Whether the last change was a controller's, and gave the canary a larger share by weights.
    pub const fn was_raised(&self) -> bool {
        self.raised
    }

    fn note_ready(&mut self, event: &Event) {
        if self.canary != event.status.canary_revision {
            self.canary.clone_from(&event.status.canary_revision);
            self.ready.clear();
        }
        let Some(canary) = &self.canary else { return };
        // A proxy, and whoever asks it, learns late that a task is gone.
        let passed = |instance: InstanceView| {
            let servers = event.view.servers(instance.name, &event.route.backend);
            let passed = servers.filter(|server| {
                server.revision == Some(canary) && server.check == CheckState::Passed
            });
            u32::try_from(passed.count()).unwrap_or(u32::MAX)
        };
        let seen = event.instances().map(passed).max().unwrap_or(0);
        let ready = event.view.ready_tasks(canary).max(seen);
        if self.ready.back().is_none_or(|(_, last)| *last != ready) {
            self.ready.push_back((event.now, ready));
        }
        // What was before the slack began lasted until the next entry.
        while self
            .ready
            .get(1)
            .is_some_and(|(since, _)| !event.is_recent(*since))
        {
            self.ready.pop_front();
        }
    }

    /// The most that may have been seen to be ready by who acts here.
    fn most_ready(&self, event: &Event) -> u32 {
        let latest_first = self.ready.iter().rev();
        // What was before the last look lasted until the next entry.
        let mut is_over = false;
        let seen = latest_first.take_while(|(since, _)| {
            let was_over = is_over;
            is_over = !event.is_news(*since);
            !was_over
        });
        seen.map(|(_, ready)| *ready).max().unwrap_or(0)
    }

    fn note_instance(&mut self, event: &Event, name: &Name) {
        let most_ready = self.most_ready(event);
        let (share, serves) = look(event, name, self.canary.as_ref());
        let is_alone = stable_is_down(event, name);
        let record = self.instances.entry(name.clone()).or_default();
        let before = record.clone();
        let intended = f64::from(event.status.weight) / 100.0;
        if event
            .before
            .is_some_and(|old| old.weight != event.status.weight)
        {
            record.right_until = None;
        }
        let is_right = |share: f64| (share - intended).abs() <= NEAR;
        if is_right(share) || is_alone || (is_right(before.share) && record.right_until.is_some()) {
            record.right_until = Some(event.now);
        }
        record.share = share;
        record.serves = serves;
        let by_controller = is_write_to(event, name);
        if by_controller {
            if share > before.share + NEAR {
                self.raised |= weighs_only(event);
                if !before.handled_at.is_some_and(|at| event.is_news(at)) {
                    not_above_size(event, name, share, most_ready);
                }
            }
            let is_hurt = before.hurt_at.is_some_and(|at| event.is_recent(at));
            if before.serves && !serves && !is_hurt && !is_deleted(event) {
                event.broken(
                    "TRAFFIC-5",
                    format!("a controller took the last serving server of {name} away"),
                );
            }
        } else if hurts(event, name) {
            record.hurt_at = Some(event.now);
        }
        if is_handled(event, name) {
            record.handled_at = Some(event.now);
        }
    }
}

/// Whether nothing of the rollout is to stay.
pub(super) fn is_deleted(event: &Event) -> bool {
    let stored = event.view.rollout(event.rollout);
    stored.is_none_or(|stored| stored.draft.deletion.is_some())
}

/// Whether anything may have changed that is kept here.
fn concerns(event: &Event) -> bool {
    match event.what {
        What::Servers { .. }
        | What::Checked { .. }
        | What::Proxy(..)
        | What::Task { .. }
        | What::Listens(_)
        | What::Ended(_)
        | What::Node(..)
        | What::Signalled(_)
        | What::Lent(_) => true,
        What::Stored { .. } => event.before.is_some(),
        What::Leased { .. }
        | What::Told { .. }
        | What::Service { .. }
        | What::Job(..)
        | What::Asked(..)
        | What::Answered(..)
        | What::Crashed
        | What::Looked
        | What::Lost { .. }
        | What::Losing { .. } => false,
    }
}

/// The canary's share on an instance, and whether any request is answered there.
fn look(event: &Event, instance: &Name, canary: Option<&Revision>) -> (f64, bool) {
    let (mut mine, mut all, mut serves) = (0_u32, 0_u32, false);
    for server in event.view.servers(instance, &event.route.backend) {
        if !server.takes_requests {
            continue;
        }
        let weight = u32::from(server.weight.get());
        all += weight;
        let is_canary = canary.is_some() && server.revision == canary;
        if is_canary {
            mine += weight;
        }
        // A canary that is trusted unchecked may be found to fail on another instance, and loses its weight for that (TRAFFIC-1).
        let is_trusted = !is_canary || server.check != CheckState::Pending;
        serves |= is_trusted && server.task.is_some();
    }
    let share = if all == 0 {
        0.0
    } else {
        f64::from(mine) / f64::from(all)
    };
    (share, serves)
}

fn is_write_to(event: &Event, name: &Name) -> bool {
    event.controller().is_some()
        && matches!(event.what, What::Servers { changes, .. } if changes.instance == *name)
}

/// Whether another hand sets a weight or a state there.
fn is_handled(event: &Event, name: &Name) -> bool {
    let What::Lent(hand) = event.what else {
        return false;
    };
    let (Hand::Weigh(which, _) | Hand::SetState(which, _)) = hand.as_ref() else {
        return false;
    };
    let there = event.view.instances().nth(which.instance);
    there.is_some_and(|instance| instance.name == name)
}

/// Whether nothing is done but that weights are set: a share that grows as a server of stable leaves is no raise.
fn weighs_only(event: &Event) -> bool {
    let What::Servers { changes, .. } = event.what else {
        return false;
    };
    let mut verbs = changes.changes.iter().map(|change| &change.verb);
    verbs.all(|verb| matches!(verb, ServerVerb::Weigh(_)))
}

/// Whether this makes an instance worse without a controller's doing.
fn hurts(event: &Event, name: &Name) -> bool {
    match event.what {
        What::Ended(_) | What::Signalled(_) | What::Node(..) => true,
        What::Lent(hand) => does_harm(hand),
        What::Checked {
            instance, check, ..
        } => instance == name && *check != CheckState::Passed,
        What::Proxy(instance, _) => instance == name,
        What::Servers { changes, .. } => event.controller().is_none() && changes.instance == *name,
        What::Task { .. }
        | What::Listens(_)
        | What::Stored { .. }
        | What::Leased { .. }
        | What::Told { .. }
        | What::Service { .. }
        | What::Job(..)
        | What::Asked(..)
        | What::Answered(..)
        | What::Crashed
        | What::Looked
        | What::Lost { .. }
        | What::Losing { .. } => false,
    }
}

/// Whether a hand may take something away from what serves. What it asks of the controller is the controller's affair.
const fn does_harm(hand: &Hand) -> bool {
    match hand {
        Hand::Scale(..)
        | Hand::Edit(..)
        | Hand::RemoveService(_)
        | Hand::KillTask(_)
        | Hand::Weigh(..)
        | Hand::SetState(..)
        | Hand::CrashNode(_)
        | Hand::CutNode(_)
        | Hand::DrainNode(_)
        | Hand::Reload(_)
        | Hand::Restart(..)
        | Hand::Condition(..)
        | Hand::App(..) => true,
        Hand::Apply(_)
        | Hand::Command(..)
        | Hand::LateCommand(..)
        | Hand::Delete(..)
        | Hand::StackDeploy(_)
        | Hand::TakeName(_)
        | Hand::ReturnNode(_)
        | Hand::ActivateNode(_)
        | Hand::Load(..) => false,
    }
}

/// TRAFFIC-1: what is given to the canary is no more than its ready tasks were sized for.
fn not_above_size(event: &Event, instance: &Name, share: f64, most_ready: u32) {
    let status = event.status;
    let sized = sized_for(status, event.spec());
    let size = (f64::from(most_ready) / f64::from(sized)).min(1.0);
    let bound = f64::from(status.weight) / 100.0 * size;
    // Servers of stable that are still to be checked take no part yet.
    let could_take = if status.weight == 100 {
        stable_could_take_all(event, instance)
    } else {
        stable_is_whole(event, instance)
    };
    let all_there = could_take && !is_cold(event, instance);
    if share > bound + NEAR && all_there && event.terms.calls == Calls::Sound {
        event.broken(
            "TRAFFIC-1",
            format!(
                "{instance} gives the canary {:.1} %, which is above {:.1} % ({} of {} tasks were ready)",
                share * 100.0,
                bound * 100.0,
                most_ready, sized
            ),
        );
    }
}

/// Whether no check of an instance has passed yet: it has forgotten everything, and whatever runs is trusted (TRAFFIC-6).
fn is_cold(event: &Event, instance: &Name) -> bool {
    let mut servers = event.view.servers(instance, &event.route.backend);
    servers.all(|server| server.check == CheckState::Pending)
}

/// How many tasks the canary's share needs: as many as when it was raised, or fewer if `replicas` was lowered since.
pub fn sized_for(status: &RolloutStatus, spec: Option<&RolloutSpec>) -> u32 {
    let then = status.sized_for;
    let now = spec.map_or(then, |spec| {
        let stage = status.stage as usize;
        if stage >= spec.strategy.stage_count() {
            return spec.replicas;
        }
        let passed = spec.strategy.stages().take(stage + 1);
        let sizes = passed.map(|stage| stage.sized(spec.replicas));
        sizes.max().unwrap_or(then)
    });
    then.min(now).max(1)
}

/// Whether there is nobody of the stable revision on an instance who could take the rest of the requests.
fn stable_is_down(event: &Event, instance: &Name) -> bool {
    let Some(stable) = &event.status.stable_revision else {
        return true;
    };
    let all = event.view.servers(instance, &event.route.backend);
    let mut servers = all
        .filter(|server| server.revision == Some(stable) && !is_stopping(event, server))
        .peekable();
    if servers.peek().is_none() {
        return event.view.ready_tasks(stable) == 0;
    }
    servers.all(|server| server.check == CheckState::Failed)
}

/// Whether the task behind a server is about to be stopped: whatever its checks say, it is on its way out.
fn is_stopping(event: &Event, server: &ServerView) -> bool {
    let mut tasks = event.view.tasks();
    let id = server.task;
    id.is_some() && tasks.any(|task| Some(task.id) == id && task.desired != TaskState::Running)
}

/// Whether every server of the stable revision on an instance takes requests.
pub(super) fn stable_is_whole(event: &Event, instance: &Name) -> bool {
    let stable = event.status.stable_revision.as_ref();
    let mut servers = event
        .view
        .servers(instance, &event.route.backend)
        .filter(|server| server.revision == stable)
        .peekable();
    servers.peek().is_some() && servers.all(|server| server.takes_requests)
}

/// Whether the stable revision could have all the requests of an instance back by weights alone: what it is to have at the
/// end of a release is none, and so it takes none by then.
fn stable_could_take_all(event: &Event, instance: &Name) -> bool {
    let stable = event.status.stable_revision.as_ref();
    let mut servers = event
        .view
        .servers(instance, &event.route.backend)
        .filter(|server| server.revision == stable)
        .peekable();
    let is_up = |server: ServerView| {
        let is_up = server.admin == AdminState::Ready && server.check == CheckState::Passed;
        is_up && server.task.is_some()
    };
    servers.peek().is_some() && servers.all(is_up)
}

/// TRAFFIC-7: what is added belongs to a revision that was decided.
fn only_ours(event: &Event, changes: &ServerChanges) {
    if changes.backend != event.route.backend || changes.load_balancer != event.route.load_balancer
    {
        return;
    }
    for change in &changes.changes {
        let known = event.revisions.contains(change.server.revision());
        let adds = matches!(change.verb, ServerVerb::Add(_));
        if adds && !known {
            let rule = if is_rivals(event, change.server.revision()) {
                "SAFETY-4"
            } else {
                "TRAFFIC-7"
            };
            let server = &change.server;
            let what = format!("a server of another revision than ours was added: {server}");
            event.broken(rule, what);
        }
    }
}

/// Whether another rollout asks for that revision.
fn is_rivals(event: &Event, revision: &Revision) -> bool {
    let mut all = event.view.stored().map(|stored| &stored.draft.resource);
    all.any(|resource| match resource {
        Resource::Rollout(other) => {
            other.metadata.name != *event.rollout && Revision::of(&other.spec) == *revision
        }
        Resource::LoadBalancer(_) | Resource::MetricSource(_) | Resource::AnalysisTemplate(_) => {
            false
        }
    })
}

/// Whether an instance's runtime API can be talked to.
pub(super) fn answers(event: &Event, instance: &Name) -> bool {
    event
        .view
        .instances()
        .any(|known| known.name == instance && known.condition == Condition::Answers)
}

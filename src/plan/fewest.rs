//! How few tasks may be asked for, so that one that serves is left whichever Swarm stops (TRAFFIC-5).
//!
//! It chooses by the balance of its nodes first (swarmkit, `manager/orchestrator/replicated`), and knows nothing of what the
//! proxies find out.

use std::collections::BTreeSet;

use super::Input;
use super::scene::Scene;
use super::services::meant_to_run;
use super::traffic::{Picture, Role};
use crate::api::Duration;
use crate::snapshot::{ServiceFact, TaskFact, TaskState};

/// How long a task may take to become ready before nobody waits for it.
const STARTING: Duration = Duration::from_secs(30);

/// Within how many seconds the Swarm notices that a node has died. Three of its beats are missed first, of five seconds each; if it was
/// the leader, another one is elected, within twenty seconds, and gives all nodes twice that time (swarmkit,
/// `manager/dispatcher` and `manager/state/raft`).
const NOTICING_SECS: u32 = 60;

/// For how long a task's failure says something of those that come after it.
const RECENTLY: Duration = Duration::from_secs(5 * 60);

/// The fewest tasks that may be asked for of a service in that role. Fewer than that are asked for once others serve, or
/// nobody knows when they will.
pub(super) fn of(input: &Input, scene: &Scene, service: &ServiceFact, role: Role) -> u32 {
    if !is_last(scene, role) {
        return 0;
    }
    if is_hidden(scene) {
        return service.replicas;
    }
    if !is_settling(input, scene, service) {
        return 0;
    }
    let up = scene
        .pictures()
        .map(|(_, picture)| picture.checked_up(role));
    let serving = up.min().unwrap_or(0);
    // What was asked for just now may still have to stop some.
    let at_work = service.replicas.max(meant_to_run(service, input));
    let fewest = at_work.saturating_sub(serving.saturating_sub(1));
    fewest.min(service.replicas)
}

/// Whether nobody else serves when what is in that role does not.
fn is_last(scene: &Scene, role: Role) -> bool {
    let alone = |picture: &Picture| picture.checked_up(Role::Stable) == 0;
    match role {
        Role::Stable => true,
        Role::Canary => scene.pictures().any(|(_, picture)| alone(picture)),
        Role::Warm | Role::Leaving => false,
    }
}

/// Whether there are proxies that may serve, and none of them answers.
fn is_hidden(scene: &Scene) -> bool {
    scene.pictures().next().is_none() && !scene.wherever_it_is(|_| true)
}

/// Whether tasks are about to serve: one has just started, or is asked for and was not seen yet, or is down and may be replaced;
/// and none fails again and again. One failure in a slot may be that of its node.
fn is_settling(input: &Input, scene: &Scene, service: &ServiceFact) -> bool {
    let mut failed_slots = BTreeSet::new();
    let is_new = input.now < STARTING.after(service.changed_at);
    let mut starting = is_new && meant_to_run(service, input) < service.replicas;
    let mut failing = false;
    for task in input.snapshot.tasks_of(&service.id) {
        match task.state {
            // One that runs may still have to begin to listen.
            TaskState::Waiting | TaskState::Running => {
                starting |= input.now < STARTING.after(task.since) || is_unnoticed(scene, task);
            }
            TaskState::Failed | TaskState::Rejected => {
                failing |=
                    input.now < RECENTLY.after(task.since) && !failed_slots.insert(task.slot);
            }
            TaskState::Complete | TaskState::Shutdown | TaskState::Orphaned | TaskState::Remove => {
            }
        }
    }
    starting && !failing
}

/// Whether a proxy may know that a task does not answer, and the Swarm not yet.
fn is_unnoticed(scene: &Scene, task: &TaskFact) -> bool {
    let mut servers = scene.pictures().flat_map(|(_, picture)| {
        let of_it = |server: &&_| picture.has_news_of(server, NOTICING_SECS);
        picture.servers.iter().filter(of_it)
    });
    task.desired == TaskState::Running && servers.any(|server| server.name.is_of(&task.id))
}

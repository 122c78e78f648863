//! The book of what leaves: revisions that are neither stable nor canary and still have servers or
//! tasks, each with the instant since when it drains.

use std::collections::BTreeSet;

use super::scene::{JUMP, Scene};
use super::{Input, Resolved, attempt, services};
use crate::api::{Duration, Revision, RevisionRecord, RolloutStatus};

/// Enters what leaves and strikes out what is gone; forgets the templates of revisions that are
/// no longer kept. Gives the scene as the books have it then.
pub(super) fn keep_books<'a>(
    status: &mut RolloutStatus,
    input: &Input<'a>,
    resolved: &Resolved,
) -> Scene<'a> {
    attempt::let_cool(status, input.now);
    let scene = Scene::of(status, input, resolved);
    let before = status.leaving.clone();
    let present = present(status, input, &scene);
    for revision in &present {
        if !status.leaving.contains_key(revision) {
            status.leaving.insert(revision.clone(), input.now);
        }
    }
    let gone: Vec<Revision> = status
        .leaving
        .keys()
        .filter(|r| !present.contains(*r) && !scene.may_serve(r))
        .cloned()
        .collect();
    for revision in gone {
        status.leaving.remove(&revision);
        status.warm.remove(&revision);
        attempt::note(status, input.now, None, format!("{revision} has left"));
    }
    restart_clocks(status, input, &scene);
    forget_templates(status, input);
    if status.leaving == before {
        scene
    } else {
        Scene::of(status, input, resolved)
    }
}

/// A server that begins to drain late (its proxy did not answer, or it was the last one) has its
/// time to drain all the same (TRAFFIC-4). Up to a tenth of it may be short: a proxy that refuses to let a
/// server drain would otherwise have the status written in every turn.
pub(super) fn restart_clocks(status: &mut RolloutStatus, input: &Input, scene: &Scene) {
    let young = Duration::from_millis(input.drain_timeout().as_millis() / 10);
    for (revision, since) in &mut status.leaving {
        let drains_now = scene.pictures().any(|(_, picture)| {
            let serves = picture
                .servers
                .iter()
                .any(|s| s.name.revision() == revision && s.takes_requests());
            serves && picture.is_relieved()
        });
        // What is not seen to drain may serve until long after; an old process may have its requests then (see `scene`).
        let long = JUMP.after(input.drain_timeout().after(*since));
        let may_serve_on = scene.needs(revision) || scene.silent_instance().is_some();
        if drains_now && input.now > young.after(*since) || may_serve_on && input.now > long {
            *since = input.now;
        }
    }
}

/// Revisions that should leave and of which something is left: tasks asked for, tasks not over, or
/// servers.
fn present(status: &RolloutStatus, input: &Input, scene: &Scene) -> BTreeSet<Revision> {
    let mut present = BTreeSet::new();
    for service in input.snapshot.services_of(input.name) {
        let mut living = input.snapshot.living_tasks_of(&service.id);
        if service.replicas > 0 || living.next().is_some() {
            present.insert(service.revision.clone());
        }
    }
    for (_, picture) in scene.pictures() {
        let seen = picture
            .servers
            .iter()
            .filter(|server| server.seen.is_some());
        present.extend(seen.map(|server| server.name.revision().clone()));
    }
    present.retain(|revision| !is_kept(status, revision));
    present
}

/// Whether `revision` serves, is being tried, or is kept warm.
pub(super) fn is_kept(status: &RolloutStatus, revision: &Revision) -> bool {
    status.stable_revision.as_ref() == Some(revision)
        || status.canary_revision.as_ref() == Some(revision)
        || status.is_warm(revision)
}

/// Templates are kept for what serves, for what leaves and for what has a service still.
fn forget_templates(status: &mut RolloutStatus, input: &Input) {
    let has_service: BTreeSet<&Revision> = input
        .snapshot
        .services_of(input.name)
        .map(|s| &s.revision)
        .collect();
    let mut revisions = std::mem::take(&mut status.revisions);
    revisions.retain(|revision, _| {
        is_kept(status, revision)
            || status.leaving.contains_key(revision)
            || has_service.contains(revision)
    });
    let is_new = revisions
        .keys()
        .any(|revision| !input.status.revisions.contains_key(revision));
    status.revisions = revisions;
    if is_new {
        make_room(status);
    }
}

/// How many bytes all templates may have together. With them a status has room enough in its object (`world::store::MAX_OBJECT`)
/// that it can be written whatever happens.
const ROOM: usize = 256 * 1024;

/// Forgets as many former templates as there is no room for, in the order in which their services go.
fn make_room(status: &mut RolloutStatus) {
    let size = |record: &RevisionRecord| serde_json::to_vec(record).map_or(0, |text| text.len());
    let mut used: usize = status.revisions.values().map(size).sum();
    let is_former = |revision: &&Revision| {
        !is_kept(status, revision) && !status.leaving.contains_key(*revision)
    };
    let mut former: Vec<Revision> = status.revisions.keys().filter(is_former).cloned().collect();
    former.sort_by_key(|revision| services::last_use(status, revision));
    for revision in former {
        if used <= ROOM {
            return;
        }
        let forgotten = status.revisions.remove(&revision);
        used -= forgotten.as_ref().map_or(0, size);
    }
}

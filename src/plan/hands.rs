//! Other hands: what somebody else changed in a rollout's services and servers is said, and put
//! back (SAFETY-3).
//!
//! The putting back itself is done by [`super::services`] and [`super::traffic`], which know only
//! what should be. This module tells another hand's change from a change of our own that is not yet
//! done, and sees to it that a service that does not stay as it was made is not written in every turn.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::scene::Scene;
use super::traffic::Picture;
use super::{Input, attempt, conditions, services};
use crate::api::{Duration, Name, Restore, Revision, RolloutStatus, ServiceRecord};
use crate::snapshot::{ServerName, ServiceFact};

/// The pause after the first time that a service was put back, which doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause; a service that was as it was made for so long starts afresh.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How many times in vain until it is said that putting back does not help.
const IN_VAIN: u32 = 4;

/// Looks for changes by other hands, and notes each once.
pub(super) fn mind(status: &mut RolloutStatus, input: &Input, scene: &Scene) {
    let kept: BTreeMap<Revision, u32> = services::kept(status, input)
        .map(|(revision, replicas)| (revision.clone(), replicas))
        .collect();
    let mut records = std::mem::take(&mut status.services);
    records.retain(|revision, _| kept.contains_key(revision));
    for (revision, replicas) in kept {
        match input.snapshot.service(input.name, &revision) {
            Some(service) => {
                let record = records.entry(revision).or_default();
                drifted(status, input.now, service, record);
                scaled(status, input.now, service, record, replicas);
            }
            None if records.remove(&revision).is_some() => {
                let name = revision.service_name(input.name);
                let message =
                    format!("another hand removed the service {name}; it is created again");
                say(status, input.now, message);
            }
            None => {}
        }
    }
    status.services = records;
    for message in reweighed(input, scene) {
        say(status, input.now, message);
    }
}

/// Whether a service that has drifted may be put back in this turn.
pub(super) fn may_restore(status: &RolloutStatus, service: &ServiceFact) -> bool {
    let record = status.services.get(&service.revision);
    record
        .and_then(|record| record.restore.as_ref())
        .is_some_and(|restore| restore.version == service.version)
}

/// When the next service may be put back that has drifted and has to wait. What is decided already waits for no time: it is
/// done, or the shell tries it again.
pub(super) fn next_restore(status: &RolloutStatus, input: &Input) -> Option<Timestamp> {
    let due = |service: &ServiceFact| {
        let restore = status.services.get(&service.revision)?.restore.as_ref()?;
        service.drift.as_ref()?;
        if may_restore(status, service) {
            return None;
        }
        Some(pause_after(restore.tries).after(restore.at))
    };
    input.snapshot.services_of(input.name).filter_map(due).min()
}

/// Decides anew when the service has drifted (again), and the last decision was carried out.
fn drifted(
    status: &mut RolloutStatus,
    now: Timestamp,
    service: &ServiceFact,
    record: &mut ServiceRecord,
) {
    let last = record.restore.as_ref();
    let Some(drift) = &service.drift else {
        if last.is_some_and(|last| now >= LONGEST_PAUSE.after(last.at)) {
            record.restore = None;
        }
        return;
    };
    let again = last.filter(|last| last.drift == *drift);
    let rests = again.is_some_and(|last| {
        last.version == service.version || now < pause_after(last.tries).after(last.at)
    });
    if rests {
        return;
    }
    let tries = again.map_or(1, |last| last.tries.saturating_add(1));
    let name = &service.name;
    if tries == 1 {
        let message = format!("another hand changed the service {name}: {drift}; it is put back");
        say(status, now, message);
    } else if tries == IN_VAIN {
        let message = format!(
            "the service {name} was put back {} times and is changed again: {drift}; find out what changes it",
            tries - 1
        );
        say(status, now, message);
    }
    record.restore = Some(Restore {
        drift: drift.clone(),
        version: service.version,
        tries,
        at: now,
    });
}

fn pause_after(tries: u32) -> Duration {
    let doubled = FIRST_PAUSE.as_millis() << tries.saturating_sub(1).min(16);
    Duration::from_millis(doubled.min(LONGEST_PAUSE.as_millis()))
}

/// A number of tasks that was as wanted, and is not any more, although the same is wanted.
fn scaled(
    status: &mut RolloutStatus,
    now: Timestamp,
    service: &ServiceFact,
    record: &mut ServiceRecord,
    wanted: u32,
) {
    if service.replicas == wanted {
        record.replicas = Some(wanted);
    } else if record.replicas.take() == Some(wanted) {
        let message = format!(
            "another hand scaled the service {} from {wanted} to {} tasks; it is scaled back",
            service.name, service.replicas
        );
        say(status, now, message);
    }
}

/// Servers whose weight or state we have not set.
fn reweighed(input: &Input, scene: &Scene) -> Vec<String> {
    let before = input.status.traffic.as_ref();
    let of_one = |(instance, picture): (&Name, &Picture)| {
        let had = before.and_then(|traffic| traffic.observed_percent.get(instance));
        let wanted = conditions::rounded(picture.wanted_share().as_percent());
        let mut odd = picture.out_of_line();
        if had == Some(&wanted) {
            odd.extend(picture.only_one_off());
        }
        let say = |server: &ServerName| {
            format!("another hand changed the server {server} on {instance}; it is put back")
        };
        odd.into_iter().map(say).collect::<Vec<_>>()
    };
    scene.pictures().flat_map(of_one).collect()
}

/// Notes it, unless it is what was noted last: a fight between two hands must not push everything
/// else out of the book.
fn say(status: &mut RolloutStatus, now: Timestamp, message: String) {
    let is_news = status
        .events
        .last()
        .is_none_or(|event| event.message != message);
    if is_news {
        attempt::note(status, now, None, message);
    }
}

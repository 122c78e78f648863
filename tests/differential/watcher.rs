//! Looks at the lab all the time, by the trait by which the controller does, and tells what it sees.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rolloutctl::api::{LoadBalancerSpec, Name, Resource, Revision};
use rolloutctl::snapshot::{
    AdminState, CheckState, InstanceFact, ServerName, ServiceId, Snapshot, TaskState,
};
use rolloutctl::world::docker::Settings;
use rolloutctl::world::{RealWorld, Stored, World};
use tokio::runtime::Runtime;

use crate::lab::Lab;
use crate::sight::Sight;
use crate::telling::Teller;

/// The pause between two looks: shorter than the turns of a controller.
const PAUSE: Duration = Duration::from_millis(10);

/// What the watcher and the player both know.
#[derive(Debug, Default)]
pub struct Notes {
    pub teller: Teller,
    pub sight: Sight,
    /// How many times all was looked at.
    pub looks: u64,
}

/// Looks until it is dropped.
pub struct Watcher {
    notes: Arc<Mutex<Notes>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub fn start(lab: &Lab, rollout: &str) -> Self {
        let rollout: Name = rollout.parse().expect("a name");
        let instances = serde_json::json!({"haproxy": {"instances": lab.instances}});
        let edge: LoadBalancerSpec = serde_json::from_value(instances).expect("a spec");
        let balancers = BTreeMap::from([("edge".parse().expect("a name"), edge)]);
        let (notes, ended) = (Arc::<Mutex<Notes>>::default(), Arc::<AtomicBool>::default());
        let thread = {
            let (notes, ended) = (Arc::clone(&notes), Arc::clone(&ended));
            std::thread::spawn(move || {
                let look = look_on(&rollout, &balancers, &notes, &ended);
                Runtime::new().expect("a runtime").block_on(look);
            })
        };
        Self {
            notes,
            ended,
            thread: Some(thread),
        }
    }

    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test polls what it watches")]
async fn look_on(
    rollout: &Name,
    balancers: &BTreeMap<Name, LoadBalancerSpec>,
    notes: &Mutex<Notes>,
    ended: &AtomicBool,
) {
    let world = RealWorld::connect(&Settings::from_env())
        .await
        .expect("the lab's engine");
    let mut made = BTreeMap::new();
    while !ended.load(Ordering::Relaxed) {
        // What cannot be read just now is read the next time.
        if let Ok(stored) = world.load().await {
            see(notes, |sight| look_at_status(sight, &stored, rollout));
        }
        if let Ok(snapshot) = world.observe(balancers).await {
            for revision in made_anew(&mut made, &snapshot, rollout) {
                see(notes, |sight| {
                    sight.services.remove(&revision);
                });
            }
            see(notes, |sight| look_at_traffic(sight, &snapshot, rollout));
            notes.lock().unwrap_or_else(PoisonError::into_inner).looks += 1;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn see(notes: &Mutex<Notes>, look: impl FnOnce(&mut Sight)) {
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    let Notes { teller, sight, .. } = &mut *notes;
    look(sight);
    teller.see(sight);
}

fn look_at_status(sight: &mut Sight, stored: &[Stored], rollout: &Name) {
    let draft = stored.iter().map(|stored| &stored.draft).find(|draft| {
        matches!(&draft.resource, Resource::Rollout(_)) && draft.resource.name() == rollout
    });
    sight.look_at_status(draft);
}

/// The revisions whose service is another one than before: they had none for a moment, however short.
fn made_anew(
    known: &mut BTreeMap<Revision, ServiceId>,
    snapshot: &Snapshot,
    rollout: &Name,
) -> Vec<Revision> {
    let services = snapshot.services_of(rollout);
    let of_another_id = services.filter(|service| {
        let before = known.insert(service.revision.clone(), service.id.clone());
        before.is_some_and(|id| id != service.id)
    });
    of_another_id
        .map(|service| service.revision.clone())
        .collect()
}

fn look_at_traffic(sight: &mut Sight, snapshot: &Snapshot, rollout: &Name) {
    let services = snapshot.services_of(rollout);
    sight.services = services
        .map(|service| (service.revision.clone(), service.replicas))
        .collect();
    let ready = snapshot.services_of(rollout).map(|service| {
        let tasks = snapshot.tasks_of(&service.id);
        let runs = TaskState::Running;
        let ready = tasks.filter(|task| task.state == runs && task.desired == runs);
        let count = u32::try_from(ready.count()).unwrap_or(u32::MAX);
        (service.revision.clone(), count)
    });
    sight.ready = ready.collect();
    let instances = snapshot.load_balancers.values().flatten();
    sight.shares = instances
        .map(|(name, fact)| (name.clone(), shares(fact, rollout)))
        .collect();
}

/// What an instance gives each revision; nothing to anybody while it does not answer.
fn shares(fact: &InstanceFact, rollout: &Name) -> BTreeMap<Revision, f64> {
    let InstanceFact::Reachable(fact) = fact else {
        return BTreeMap::new();
    };
    let mut weights = BTreeMap::<Revision, u32>::new();
    for (name, server) in fact.backends.get(rollout.as_str()).into_iter().flatten() {
        let Ok(name) = name.parse::<ServerName>() else {
            continue;
        };
        if server.admin == AdminState::Ready && server.check == CheckState::Passed {
            *weights.entry(name.revision().clone()).or_default() += u32::from(server.weight.get());
        }
    }
    let all = f64::from(weights.values().sum::<u32>().max(1));
    let share = |(revision, weight): (Revision, u32)| (revision, f64::from(weight) / all);
    weights.into_iter().map(share).collect()
}

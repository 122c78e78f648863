//! The toy world behind the trait that the loops know: it keeps a journal, and says no when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::Timestamp;
use rolloutctl::action::{Action, Measure};
use rolloutctl::api::{
    Deletion, Dependents, Duration, LoadBalancerSpec, Manifest, MetricSourceSpec, Name, Resource,
    RolloutSpec, RolloutStatus,
};
use rolloutctl::runtime::{Runtime, Task};
use rolloutctl::snapshot::{InstanceFact, SampleOutcome, Snapshot, TaskId};
use rolloutctl::world::{Contents, Draft, Lease, StoreId, Stored, Unreadable, World, WorldError};
use serde_json::json;
use tokio::sync::Notify;

use crate::toy::{Toy, resources};

mod hands;
mod jobs;
mod mood;

pub use mood::Mood;

/// One call that changes something, or asks a metric source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A status was stored, by the controller of this epoch.
    Remembered { epoch: u64 },
    /// An action was begun, whatever became of it.
    Acted,
    /// A metric source was asked.
    Asked,
    /// The lease was taken.
    Leased { holder: String },
}

/// The toy world, with a store.
pub struct Neighbour {
    inner: Mutex<Inner>,
    mood_changed: Notify,
}

struct Inner {
    toy: Toy,
    stored: Vec<Stored>,
    unreadable: Vec<Unreadable>,
    lease: Option<Lease>,
    journal: Vec<Entry>,
    mood: Mood,
    /// What is still to be done.
    unheard: Vec<Action>,
    /// How many calls have met with silence.
    unanswered: u32,
}

impl Neighbour {
    /// A world with the rollout `news-web` and what it refers to; nothing of it runs yet.
    pub fn new(spec: RolloutSpec) -> Arc<Self> {
        let toy = Toy::new(spec);
        let known = resources();
        let all = [
            Resource::LoadBalancer(manifest("edge", &known.load_balancers["edge"])),
            Resource::MetricSource(manifest("main", &known.metric_sources["main"])),
            Resource::Rollout(manifest("news-web", &toy.spec)),
        ];
        let stored = all
            .into_iter()
            .zip(1..)
            .map(|(resource, id)| stored(resource, id));
        let inner = Inner {
            stored: stored.collect(),
            unreadable: Vec::new(),
            toy,
            lease: None,
            journal: Vec::new(),
            mood: Mood::Willing,
            unheard: Vec::new(),
            unanswered: 0,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            mood_changed: Notify::new(),
        })
    }

    /// The time in this world.
    pub fn now(&self) -> Timestamp {
        self.lock().toy.now
    }

    pub fn wait(&self, duration: Duration) {
        self.lock().toy.wait(duration);
    }

    /// Whether `instance` has a server of `task`.
    pub fn has(&self, instance: &str, task: &TaskId) -> bool {
        let servers = self.server_names(instance);
        servers.iter().any(|name| name.ends_with(&task.0[..12]))
    }

    /// How many servers `instance` has.
    pub fn servers(&self, instance: &str) -> usize {
        self.server_names(instance).len()
    }

    fn server_names(&self, instance: &str) -> Vec<String> {
        let inner = self.lock();
        let InstanceFact::Reachable(proxy) = &inner.toy.snapshot.load_balancers["edge"][instance]
        else {
            panic!("it answers");
        };
        proxy.backends[crate::toy::BACKEND]
            .keys()
            .cloned()
            .collect()
    }

    /// Comes back only if the world answers.
    async fn answers(&self) {
        let mood = self.lock().mood;
        if mood == Mood::Silent {
            self.lock().unanswered += 1;
            std::future::pending::<()>().await;
        }
    }

    /// How many calls have met with silence.
    pub fn unanswered(&self) -> u32 {
        self.lock().unanswered
    }

    pub fn feel(&self, mood: Mood) {
        let mut inner = self.lock();
        inner.mood = mood;
        for action in std::mem::take(&mut inner.unheard) {
            inner.toy.act(&action);
        }
        drop(inner);
        self.mood_changed.notify_waiters();
    }

    /// The services that there are.
    pub fn services(&self) -> Vec<String> {
        self.lock().toy.snapshot.services.keys().cloned().collect()
    }

    /// How often something was done; the journal goes on.
    pub fn count(&self, what: &Entry) -> usize {
        let inner = self.lock();
        inner.journal.iter().filter(|entry| *entry == what).count()
    }

    /// What was done since this was asked the last time.
    pub fn journal(&self) -> Vec<Entry> {
        std::mem::take(&mut self.lock().journal)
    }

    /// Stores another spec of the rollout, as `rolloutctl apply` does.
    pub fn apply(&self, spec: RolloutSpec) {
        let mut inner = self.lock();
        let rollout = inner.rollout();
        if let Resource::Rollout(manifest) = &mut rollout.draft.resource {
            manifest.spec = spec;
        }
        rollout.draft.generation += 1;
        rollout.version += 1;
    }

    /// Marks the rollout for deletion, as `rolloutctl delete` does.
    pub fn delete(&self) {
        self.delete_with(Dependents::Remove);
    }

    /// Likewise, with what becomes of its services and servers.
    pub fn delete_with(&self, dependents: Dependents) {
        let mut inner = self.lock();
        let at = inner.toy.now;
        let rollout = inner.rollout();
        rollout.draft.deletion = Some(Deletion { at, dependents });
        rollout.version += 1;
    }

    /// Everything that the store says.
    pub fn says(&self) -> Vec<Stored> {
        self.lock().stored.clone()
    }

    /// Whether the rollout is in the store.
    pub fn remembers(&self) -> bool {
        let is_one = |stored: &Stored| matches!(stored.draft.resource, Resource::Rollout(_));
        self.lock().stored.iter().any(is_one)
    }

    /// Has the store say something else, such as what it said before.
    pub fn say(&self, stored: Vec<Stored>) {
        self.lock().stored = stored;
    }

    /// What is remembered of the rollout.
    pub fn status(&self) -> RolloutStatus {
        self.lock()
            .rollout()
            .draft
            .status
            .clone()
            .unwrap_or_default()
    }

    /// Who holds the lease: nobody ever did, or a holder's name, which is empty once it gave it back.
    pub fn holder(&self) -> Option<String> {
        self.lock().lease.as_ref().map(|lease| lease.holder.clone())
    }

    /// Makes `holder` the holder.
    pub fn lease_to(&self, holder: &str) -> Lease {
        self.lock().lease_to(holder)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while it was held")
    }
}

impl Inner {
    fn rollout(&mut self) -> &mut Stored {
        let mut rollouts = self.stored.iter_mut();
        rollouts
            .find(|stored| matches!(stored.draft.resource, Resource::Rollout(_)))
            .expect("the rollout")
    }

    fn lease_to(&mut self, holder: &str) -> Lease {
        let epoch = self.lease.as_ref().map_or(1, |lease| lease.epoch + 1);
        let lease = Lease {
            id: StoreId("lease".into()),
            version: epoch,
            epoch,
            holder: holder.to_owned(),
        };
        self.lease = Some(lease.clone());
        lease
    }
}

fn manifest<S: Clone>(name: &str, spec: &S) -> Manifest<S> {
    let metadata = serde_json::from_value(json!({"name": name})).expect("metadata");
    Manifest {
        metadata,
        spec: spec.clone(),
    }
}

fn stored(resource: Resource, id: u64) -> Stored {
    let draft = Draft {
        resource,
        generation: 1,
        status: None,
        command: None,
        deletion: None,
        origin: None,
        epoch: 0,
    };
    Stored {
        id: StoreId(id.to_string()),
        version: 1,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        draft,
    }
}

/// The time of a world, and tokio for what is done beside the turns.
pub struct Time(pub Arc<Neighbour>);

impl Runtime for Time {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn steady(&self) -> std::time::Duration {
        let since = self.0.now().duration_since(Timestamp::UNIX_EPOCH);
        since.try_into().expect("after 1970")
    }

    fn sleep(&self, _: std::time::Duration) -> Task {
        unreachable!("only a whole controller pauses")
    }

    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }
}

fn conflict() -> WorldError {
    WorldError::Conflict {
        what: "storing".into(),
        reason: "update out of sequence".into(),
    }
}

#[async_trait]
impl World for Neighbour {
    async fn observe(&self, _: &BTreeMap<Name, LoadBalancerSpec>) -> Result<Snapshot, WorldError> {
        self.answers().await;
        let mut inner = self.lock();
        inner.toy.swarm_moves();
        inner.toy.wait(Duration::from_millis(100));
        let taken_at = inner.toy.now;
        let answered = inner.toy.snapshot.load_balancers.clone();
        if inner.mood == Mood::HidingOneProxy {
            inner.toy.cut_off("lb-1");
        }
        let seen = inner.toy.snapshot.clone();
        inner.toy.snapshot.load_balancers = answered;
        Ok(Snapshot { taken_at, ..seen })
    }

    async fn act(
        &self,
        action: &Action,
        _: &BTreeMap<Name, LoadBalancerSpec>,
    ) -> Result<(), WorldError> {
        self.answers().await;
        let mood = self.lock().mood;
        self.lock().journal.push(Entry::Acted);
        if mood.tarries(action) {
            self.mood_changed.notified().await;
        }
        let is_unheard = mood.loses(action);
        if is_unheard {
            tokio::task::yield_now().await; // As nothing is heard at once over a network.
        }
        let mut inner = self.lock();
        let refused = match inner.mood {
            Mood::NotYet => return Err(conflict()),
            Mood::MakingUnheard | Mood::EnteringUnheard if is_unheard => {
                inner.unheard.push(action.clone());
                return Err(WorldError::Unreachable {
                    what: "acting".into(),
                    reason: "timed out".into(),
                });
            }
            Mood::Willing
            | Mood::Silent
            | Mood::Overtaking
            | Mood::HidingOneProxy
            | Mood::MakingSlowly
            | Mood::MakingUnheard
            | Mood::EnteringUnheard => false,
            Mood::Refusing => true,
            Mood::RefusingOneProxy => matches!(
                action,
                Action::ChangeServers(changes) if changes.instance.as_str() == "lb-1"
            ),
        };
        if refused {
            return Err(WorldError::Refused {
                what: "acting".into(),
                reason: "no space left".into(),
            });
        }
        inner.toy.act(action);
        Ok(())
    }

    /// Never answers.
    async fn measure(&self, _: &Measure, _: &MetricSourceSpec) -> SampleOutcome {
        self.lock().journal.push(Entry::Asked);
        std::future::pending().await
    }

    async fn load(&self) -> Result<Vec<Stored>, WorldError> {
        Ok(self.lock().stored.clone())
    }

    async fn contents(&self) -> Result<Contents, WorldError> {
        let inner = self.lock();
        Ok(Contents {
            resources: inner.stored.clone(),
            unreadable: inner.unreadable.clone(),
        })
    }

    async fn create(&self, _: &Draft) -> Result<(), WorldError> {
        panic!("a controller creates no resources")
    }

    async fn replace(&self, id: &StoreId, version: u64, draft: &Draft) -> Result<(), WorldError> {
        let mut inner = self.lock();
        if inner.mood == Mood::Overtaking {
            return Err(conflict());
        }
        let mut all = inner.stored.iter_mut();
        let found = all
            .find(|stored| stored.id == *id && stored.version == version)
            .ok_or_else(conflict)?;
        found.draft = draft.clone();
        found.version += 1;
        inner.journal.push(Entry::Remembered { epoch: draft.epoch });
        Ok(())
    }

    async fn remove(&self, id: &StoreId) -> Result<(), WorldError> {
        self.lock().stored.retain(|stored| stored.id != *id);
        Ok(())
    }

    async fn lease(&self) -> Result<Option<Lease>, WorldError> {
        Ok(self.lock().lease.clone())
    }

    async fn take_lease(&self, seen: Option<&Lease>, holder: &str) -> Result<Lease, WorldError> {
        self.answers().await;
        let mut inner = self.lock();
        if inner.lease.as_ref() != seen {
            return Err(conflict());
        }
        let holder = holder.to_owned();
        let lease = inner.lease_to(&holder);
        inner.journal.push(Entry::Leased { holder });
        Ok(lease)
    }

    async fn hint(&self) {
        std::future::pending::<()>().await;
    }
}

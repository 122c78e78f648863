//! A store in memory: names are unique, versions are compared before they are swapped.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::action::{Action, Measure};
use crate::api::{LoadBalancerSpec, MetricSourceSpec, Name, SourceStatus};
use crate::cli::target::ResourceRef;
use crate::snapshot::{SampleOutcome, Snapshot};
use crate::world::{Draft, Lease, StoreId, Stored, StoredSource, World, WorldError};

/// Something that happens to the store just before it is asked the next time.
pub type Happening = Box<dyn FnOnce(&mut Vec<Stored>) + Send>;

/// The store.
#[derive(Default)]
pub struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    stored: Vec<Stored>,
    writes: u64,
    before_write: VecDeque<Happening>,
    before_load: VecDeque<Happening>,
    silent_loads: u32,
    lease: Option<Lease>,
    sources: Vec<StoredSource>,
}

impl Memory {
    /// A store that holds these.
    pub fn with(stored: impl IntoIterator<Item = Stored>) -> Self {
        let memory = Self::default();
        memory.lock().stored = stored.into_iter().collect();
        memory
    }

    /// Lets something happen just before a write that is to come, in the order given.
    pub fn before_write(&self, happening: impl FnOnce(&mut Vec<Stored>) + Send + 'static) {
        self.lock().before_write.push_back(Box::new(happening));
    }

    /// Lets something happen just before a look that is to come, in the order given.
    pub fn before_load(&self, happening: impl FnOnce(&mut Vec<Stored>) + Send + 'static) {
        self.lock().before_load.push_back(Box::new(happening));
    }

    /// Lets the next `count` looks fail.
    pub fn silence(&self, count: u32) {
        self.lock().silent_loads = count;
    }

    /// Lets this be told of a source.
    pub fn tell(&self, status: SourceStatus) {
        self.lock().sources.push(StoredSource {
            id: StoreId(format!("source/{}", status.name)),
            version: 1,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            status,
        });
    }

    /// Gives the lease to `holder`.
    pub fn lease_to(&self, holder: &str) {
        self.lock().lease = Some(Lease {
            id: StoreId("lease".to_owned()),
            version: 1,
            epoch: 1,
            holder: holder.to_owned(),
        });
    }

    /// How many writes were accepted.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// What is stored of `kind/name`.
    pub fn find(&self, target: &str) -> Option<Stored> {
        let target = ResourceRef::read(target, None).expect("KIND/NAME");
        target.look_up(&self.lock().stored).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic")
    }
}

/// Writes as another hand would: the version goes up.
pub fn touch(stored: &mut Stored, change: impl FnOnce(&mut Draft)) {
    change(&mut stored.draft);
    stored.version += 1;
}

fn conflict(what: &str) -> WorldError {
    WorldError::Conflict {
        what: what.to_owned(),
        reason: "update out of sequence".to_owned(),
    }
}

impl Inner {
    fn about_to_write(&mut self) {
        if let Some(happening) = self.before_write.pop_front() {
            happening(&mut self.stored);
        }
    }
}

#[async_trait]
impl World for Memory {
    async fn observe(&self, _: &BTreeMap<Name, LoadBalancerSpec>) -> Result<Snapshot, WorldError> {
        Ok(Snapshot::default())
    }

    async fn act(
        &self,
        _: &Action,
        _: &BTreeMap<Name, LoadBalancerSpec>,
    ) -> Result<(), WorldError> {
        Err(conflict("acting"))
    }

    async fn measure(&self, _: &Measure, _: &MetricSourceSpec) -> SampleOutcome {
        SampleOutcome::NoData
    }

    async fn load(&self) -> Result<Vec<Stored>, WorldError> {
        let mut inner = self.lock();
        if inner.silent_loads > 0 {
            inner.silent_loads -= 1;
            return Err(WorldError::Unreachable {
                what: "listing the store".to_owned(),
                reason: "no route to host".to_owned(),
            });
        }
        if let Some(happening) = inner.before_load.pop_front() {
            happening(&mut inner.stored);
        }
        Ok(inner.stored.clone())
    }

    async fn create(&self, draft: &Draft) -> Result<(), WorldError> {
        let mut inner = self.lock();
        inner.about_to_write();
        let target = ResourceRef::of(&draft.resource);
        if target.look_up(&inner.stored).is_some() {
            return Err(conflict("creating"));
        }
        inner.writes += 1;
        let id = StoreId(target.to_string());
        inner.stored.push(Stored {
            id,
            version: 1,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            draft: draft.clone(),
        });
        Ok(())
    }

    async fn replace(&self, id: &StoreId, version: u64, draft: &Draft) -> Result<(), WorldError> {
        let mut inner = self.lock();
        inner.about_to_write();
        let found = inner
            .stored
            .iter_mut()
            .find(|stored| stored.id == *id && stored.version == version)
            .ok_or_else(|| conflict("replacing"))?;
        touch(found, |old| *old = draft.clone());
        inner.writes += 1;
        Ok(())
    }

    async fn remove(&self, id: &StoreId) -> Result<(), WorldError> {
        let mut inner = self.lock();
        inner.stored.retain(|stored| stored.id != *id);
        inner.writes += 1;
        Ok(())
    }

    async fn sources(&self) -> Result<Vec<StoredSource>, WorldError> {
        Ok(self.lock().sources.clone())
    }

    async fn lease(&self) -> Result<Option<Lease>, WorldError> {
        Ok(self.lock().lease.clone())
    }

    async fn take_lease(&self, _: Option<&Lease>, _: &str) -> Result<Lease, WorldError> {
        Err(conflict("taking the lease"))
    }

    async fn hint(&self) {
        std::future::pending::<()>().await;
    }
}

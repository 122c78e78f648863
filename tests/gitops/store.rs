//! A store in memory: names are unique, versions are compared before they are swapped. It counts its writes and keeps
//! every spec that a rollout ever had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use rolloutctl::action::{Action, Measure};
use rolloutctl::api::{
    LoadBalancerSpec, MetricSourceSpec, Name, Resource, ResourceRef, SourceStatus,
};
use rolloutctl::snapshot::{SampleOutcome, Snapshot};
use rolloutctl::world::{
    Contents, Draft, Lease, StoreId, Stored, StoredSource, Unreadable, World, WorldError,
};

/// The store.
#[derive(Default)]
pub struct Memory(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    stored: Vec<Stored>,
    sources: Vec<StoredSource>,
    lease: Option<Lease>,
    writes: u64,
    /// Every image that a rollout of a name was ever to run.
    images: BTreeMap<String, Vec<String>>,
    refuses: bool,
    /// What cannot be written, as `kind/name`.
    barred: BTreeSet<String>,
    /// Names that are taken by nothing that is ever seen.
    occupied: BTreeSet<String>,
    unreadable: Vec<Unreadable>,
    /// Every resource that was ever put here.
    ever: Vec<Resource>,
}

/// The image that a resource is to run, if it is a rollout.
pub fn image(resource: &Resource) -> Option<String> {
    match resource {
        Resource::Rollout(manifest) => Some(manifest.spec.template.image.clone()),
        Resource::LoadBalancer(_) | Resource::MetricSource(_) | Resource::AnalysisTemplate(_) => {
            None
        }
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn stored(&self) -> Vec<Stored> {
        self.lock().stored.clone()
    }

    /// All that is in the store.
    pub fn all(&self) -> Contents {
        let inner = self.lock();
        Contents {
            resources: inner.stored.clone(),
            unreadable: inner.unreadable.clone(),
        }
    }

    /// What is stored of `kind/name`.
    pub fn find(&self, target: &str) -> Option<Stored> {
        let is_it =
            |stored: &&Stored| ResourceRef::of(&stored.draft.resource).to_string() == target;
        self.lock().stored.iter().find(is_it).cloned()
    }

    /// The rollouts and the images that they are to run.
    pub fn images(&self) -> BTreeMap<String, String> {
        let stored = self.stored();
        let live = stored
            .iter()
            .filter(|stored| stored.draft.deletion.is_none());
        let image = |stored: &Stored| {
            let resource = &stored.draft.resource;
            Some((resource.name().to_string(), image(resource)?))
        };
        live.filter_map(image).collect()
    }

    /// Every image that a rollout of a name was ever to run.
    pub fn all_images(&self) -> BTreeMap<String, Vec<String>> {
        self.lock().images.clone()
    }

    /// Every resource that was ever put here.
    pub fn ever(&self) -> Vec<Resource> {
        self.lock().ever.clone()
    }

    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    pub fn source(&self) -> Option<SourceStatus> {
        let inner = self.lock();
        inner.sources.first().map(|source| source.status.clone())
    }

    /// What is told of all sources.
    pub fn all_sources(&self) -> Vec<SourceStatus> {
        let inner = self.lock();
        inner
            .sources
            .iter()
            .map(|source| source.status.clone())
            .collect()
    }

    pub fn lease(&self) -> Lease {
        let lease = Lease {
            id: StoreId("lease".to_owned()),
            version: 1,
            epoch: 4,
            holder: "us".to_owned(),
        };
        self.lock().lease = Some(lease.clone());
        lease
    }

    /// Another controller takes over.
    pub fn depose(&self) {
        if let Some(lease) = &mut self.lock().lease {
            lease.epoch += 1;
        }
    }

    /// From here on writes are refused, or not.
    pub fn refuse(&self, refuses: bool) {
        self.lock().refuses = refuses;
    }

    /// From here on writes of `kind/name` are refused, or not.
    pub fn bar(&self, target: &str, is_barred: bool) {
        let mut inner = self.lock();
        inner.barred.remove(target);
        inner.barred.extend(is_barred.then(|| target.to_owned()));
    }

    /// Something has the name `kind/name`, and no look shows it.
    pub fn occupy(&self, target: &str) {
        self.lock().occupied.insert(target.to_owned());
    }

    /// Puts in something of the name `kind/name` that this release cannot read.
    pub fn spoil(&self, target: &str) {
        self.occupy(target);
        self.lock().unreadable.push(Unreadable {
            id: StoreId(target.to_owned()),
            name: format!("rolloutctl.{}", target.replace('/', ".")),
            problem: "it is of a newer release; use that".to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
            route: None,
        });
    }

    /// Changes a stored object as another hand would.
    pub fn touch(&self, target: &str, change: impl FnOnce(&mut Draft)) {
        let mut inner = self.lock();
        let mut stored = inner.stored.iter_mut();
        let is_it =
            |stored: &&mut Stored| ResourceRef::of(&stored.draft.resource).to_string() == target;
        let stored = stored.find(is_it).expect("it is there");
        change(&mut stored.draft);
        stored.version += 1;
    }

    /// Takes an object out, as the controller does with a rollout that is drained.
    pub fn take(&self, target: &str) {
        let is_it = |stored: &Stored| ResourceRef::of(&stored.draft.resource).to_string() == target;
        self.lock().stored.retain(|stored| !is_it(stored));
    }

    /// Puts one in, as `apply` does.
    pub fn put(&self, resource: Resource) {
        let mut inner = self.lock();
        inner.keep(&Draft::new(resource), None);
    }
}

fn conflict() -> WorldError {
    WorldError::Conflict {
        what: "storing".to_owned(),
        reason: "update out of sequence".to_owned(),
    }
}

impl Inner {
    fn may_write(&mut self) -> Result<(), WorldError> {
        if self.refuses {
            return Err(WorldError::Refused {
                what: "storing".to_owned(),
                reason: "no space".to_owned(),
            });
        }
        self.writes += 1;
        Ok(())
    }

    fn may_write_resource(&mut self, draft: &Draft) -> Result<(), WorldError> {
        self.may_write()?;
        if !self
            .barred
            .contains(&ResourceRef::of(&draft.resource).to_string())
        {
            return Ok(());
        }
        Err(WorldError::Refused {
            what: "storing".to_owned(),
            reason: "not this one".to_owned(),
        })
    }

    fn keep(&mut self, draft: &Draft, place: Option<usize>) {
        if let Some(image) = image(&draft.resource) {
            let name = draft.resource.name().to_string();
            let images = self.images.entry(name).or_default();
            if images.last() != Some(&image) {
                images.push(image);
            }
        }
        self.ever.push(draft.resource.clone());
        match place {
            Some(place) => {
                self.stored[place].draft = draft.clone();
                self.stored[place].version += 1;
            }
            None => self.stored.push(Stored {
                id: StoreId(ResourceRef::of(&draft.resource).to_string()),
                version: 1,
                created_at: Timestamp::UNIX_EPOCH,
                updated_at: Timestamp::UNIX_EPOCH,
                draft: draft.clone(),
            }),
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
        Ok(())
    }

    async fn measure(&self, _: &Measure, _: &MetricSourceSpec) -> SampleOutcome {
        SampleOutcome::NoData
    }

    async fn load(&self) -> Result<Vec<Stored>, WorldError> {
        Ok(self.stored())
    }

    async fn create(&self, draft: &Draft) -> Result<(), WorldError> {
        let mut inner = self.lock();
        inner.may_write_resource(draft)?;
        let target = ResourceRef::of(&draft.resource);
        let is_occupied = inner.occupied.contains(&target.to_string());
        if is_occupied || target.look_up(&inner.stored).is_some() {
            return Err(conflict());
        }
        inner.keep(draft, None);
        Ok(())
    }

    async fn replace(&self, id: &StoreId, version: u64, draft: &Draft) -> Result<(), WorldError> {
        let mut inner = self.lock();
        inner.may_write_resource(draft)?;
        let is_it = |stored: &Stored| stored.id == *id && stored.version == version;
        let place = inner.stored.iter().position(is_it).ok_or_else(conflict)?;
        inner.keep(draft, Some(place));
        Ok(())
    }

    async fn remove(&self, id: &StoreId) -> Result<(), WorldError> {
        let mut inner = self.lock();
        inner.may_write()?;
        inner.stored.retain(|stored| stored.id != *id);
        inner.sources.retain(|source| source.id != *id);
        Ok(())
    }

    async fn sources(&self) -> Result<Vec<StoredSource>, WorldError> {
        Ok(self.lock().sources.clone())
    }

    async fn tell_source(
        &self,
        seen: Option<&StoredSource>,
        status: &SourceStatus,
    ) -> Result<(), WorldError> {
        let mut inner = self.lock();
        inner.may_write()?;
        let id = StoreId(format!("source/{}", status.name));
        let place = inner.sources.iter().position(|source| source.id == id);
        match (seen, place) {
            (None, None) => inner.sources.push(StoredSource {
                id,
                version: 1,
                created_at: Timestamp::UNIX_EPOCH,
                updated_at: Timestamp::UNIX_EPOCH,
                status: status.clone(),
            }),
            (Some(seen), Some(place)) if inner.sources[place].version == seen.version => {
                inner.sources[place].status = status.clone();
                inner.sources[place].version += 1;
            }
            _ => return Err(conflict()),
        }
        Ok(())
    }

    async fn lease(&self) -> Result<Option<Lease>, WorldError> {
        Ok(self.lock().lease.clone())
    }

    async fn take_lease(&self, _: Option<&Lease>, _: &str) -> Result<Lease, WorldError> {
        Ok(Memory::lease(self))
    }

    async fn hint(&self) {
        std::future::pending::<()>().await;
    }
}

//! The simulated store: resources and the lease, with versions and compare-and-swap.

use std::collections::VecDeque;
use std::sync::Arc;

use super::faults::Rates;
use super::journal::{ControllerId, Outcome, What, Who, Write};
use super::setup::Form;
use super::state::State;
use super::time::{Time, micros};
use crate::api::SourceStatus;
use crate::world::store::MAX_OBJECT;
use crate::world::{Draft, Lease, StoreId, Stored, StoredSource, WorldError};

/// Everything in the store at one time. Objects that did not change are shared.
type Contents = Vec<Arc<Stored>>;

/// The store.
pub(super) struct Store {
    /// By the names of their configs.
    pub contents: Arc<Contents>,
    pub lease: Option<Lease>,
    /// What was last told of each GitOps source.
    pub told: Vec<StoredSource>,
    past: VecDeque<(Time, Arc<Contents>)>,
    past_leases: VecDeque<(Time, Option<Lease>)>,
    form: Form,
    ids: u64,
}

impl Store {
    pub fn new(form: Form) -> Self {
        Self {
            contents: Arc::default(),
            lease: None,
            told: Vec::new(),
            past: VecDeque::new(),
            past_leases: VecDeque::new(),
            form,
            ids: 0,
        }
    }

    pub fn find(&self, id: &StoreId) -> Option<&Arc<Stored>> {
        self.contents.iter().find(|stored| stored.id == *id)
    }

    fn next_id(&mut self) -> StoreId {
        self.ids += 1;
        StoreId(format!("config{:019}", self.ids))
    }

    /// A draft as it comes back from the form in which it is kept.
    fn kept(&self, what: &str, draft: &Draft) -> Result<Draft, WorldError> {
        if self.form == Form::Plain {
            return Ok(draft.clone());
        }
        let status = serde_json::to_string(&draft.status).unwrap_or_default();
        let size = status.len() + draft.resource.spec_json().to_string().len();
        if size > MAX_OBJECT {
            return Err(WorldError::Refused {
                what: what.to_owned(),
                reason: format!("it has {size} bytes, and {MAX_OBJECT} is the most"),
            });
        }
        let status = serde_json::from_str(&status).map_err(|error| WorldError::Refused {
            what: what.to_owned(),
            reason: format!("its status cannot be read back: {error}"),
        })?;
        Ok(Draft {
            status,
            ..draft.clone()
        })
    }
}

/// How a resource is called: `rollout/news-web`. The store is sorted by this, as by its configs' names.
pub(super) fn title(draft: &Draft) -> String {
    let kind = draft.resource.kind().singular();
    format!("{kind}/{}", draft.resource.name())
}

fn key(stored: &Stored) -> (&'static str, &str) {
    let resource = &stored.draft.resource;
    (resource.kind().singular(), resource.name().as_str())
}

fn conflict(what: String, reason: &str) -> WorldError {
    WorldError::Conflict {
        what,
        reason: reason.to_owned(),
    }
}

/// What became of it, for the journal.
pub(super) fn outcome<T>(result: &Result<T, WorldError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(WorldError::Conflict { .. }) => Outcome::Conflict,
        Err(WorldError::Refused { .. }) => Outcome::Refused,
        Err(WorldError::Unreachable { .. }) => Outcome::Unreachable,
    }
}

impl State {
    /// Some instant up to [`super::faults::FaultPlan::stale_for`] ago, if the answer is to be stale.
    pub(super) fn stale_since(&mut self, rates: &Rates) -> Option<Time> {
        if !self.random.chance(rates.stale) {
            return None;
        }
        let most = u64::try_from(micros(self.faults.stale_for)).unwrap_or(0);
        let ago = i64::try_from(self.random.below(most)).unwrap_or(0);
        Some(self.now.minus(ago))
    }

    pub(super) fn load(&mut self, rates: &Rates) -> Vec<Stored> {
        let contents = match self.stale_since(rates) {
            None => &self.store.contents,
            Some(then) => as_of(&self.store.past, then).unwrap_or(&self.store.contents),
        };
        contents
            .iter()
            .map(|stored| Stored::clone(stored))
            .collect()
    }

    pub(super) fn create_stored(
        &mut self,
        who: ControllerId,
        draft: &Draft,
    ) -> Result<(), WorldError> {
        let result = self.try_create(draft);
        self.tell_stored(Who::Controller(who), draft, Write::Create, &result);
        result
    }

    pub(super) fn try_create(&mut self, draft: &Draft) -> Result<(), WorldError> {
        let what = || format!("create {} in the store", title(draft));
        let kept = self.store.kept("create", draft)?;
        let stored = Stored {
            id: self.store.next_id(),
            version: self.next_index(),
            created_at: self.now.stamp(),
            updated_at: self.now.stamp(),
            draft: kept,
        };
        let place = self
            .store
            .contents
            .binary_search_by(|known| key(known).cmp(&key(&stored)));
        let Err(place) = place else {
            return Err(conflict(what(), "one of that name exists already"));
        };
        self.change_store(|contents| contents.insert(place, Arc::new(stored)));
        Ok(())
    }

    pub(super) fn replace_stored(
        &mut self,
        who: ControllerId,
        id: &StoreId,
        version: u64,
        draft: &Draft,
        rates: &Rates,
    ) -> Result<(), WorldError> {
        if self.random.chance(rates.conflict) {
            self.bump_stored(id);
        }
        let result = self.try_replace(id, version, draft);
        self.tell_stored(Who::Controller(who), draft, Write::Replace, &result);
        result
    }

    pub(super) fn try_replace(
        &mut self,
        id: &StoreId,
        version: u64,
        draft: &Draft,
    ) -> Result<(), WorldError> {
        let what = || format!("write {} to the store", title(draft));
        let place = self.store.contents.iter().position(|s| s.id == *id);
        let Some(place) = place else {
            return Err(conflict(what(), "it is gone"));
        };
        let known = &self.store.contents[place];
        if known.version != version {
            return Err(conflict(what(), "update out of sequence"));
        }
        let created_at = known.created_at;
        let stored = Stored {
            id: id.clone(),
            version: self.index + 1,
            created_at,
            updated_at: self.now.stamp(),
            draft: self.store.kept("write", draft)?,
        };
        self.next_index();
        self.change_store(|contents| contents[place] = Arc::new(stored));
        Ok(())
    }

    /// Somebody else writes to an object, and changes nothing but its version.
    fn bump_stored(&mut self, id: &StoreId) {
        let version = self.next_index();
        self.change_store(|contents| {
            for stored in contents.iter_mut().filter(|stored| stored.id == *id) {
                Arc::make_mut(stored).version = version;
            }
        });
    }

    pub(super) fn remove_stored(&mut self, who: Who, id: &StoreId) {
        self.store.told.retain(|told| told.id != *id);
        let Some(stored) = self.store.find(id).cloned() else {
            return;
        };
        self.next_index();
        self.change_store(|contents| contents.retain(|stored| stored.id != *id));
        self.tell_stored(who, &stored.draft, Write::Remove, &Ok(()));
    }

    /// Tells of a GitOps source, in place of what was `seen`.
    pub(super) fn tell_source(
        &mut self,
        who: ControllerId,
        seen: Option<&StoredSource>,
        status: &SourceStatus,
    ) -> Result<(), WorldError> {
        let mut told = self.store.told.iter();
        let known = told.find(|told| told.status.name == status.name).cloned();
        let version = |told: &StoredSource| (told.id.clone(), told.version);
        let result = if known.as_ref().map(version) == seen.map(version) {
            let new = StoredSource {
                id: known.map_or_else(|| self.store.next_id(), |known| known.id),
                version: self.next_index(),
                created_at: seen.map_or(self.now.stamp(), |seen| seen.created_at),
                updated_at: self.now.stamp(),
                status: status.clone(),
            };
            self.store.told.retain(|told| told.id != new.id);
            self.store.told.push(new);
            self.hint_all();
            Ok(())
        } else {
            let what = format!("tell of source/{}", status.name);
            Err(conflict(what, "update out of sequence"))
        };
        let name = status.name.clone();
        self.journal.note(Who::Controller(who), || What::Told {
            source: name,
            outcome: outcome(&result),
        });
        result
    }

    pub(super) fn change_store(&mut self, change: impl FnOnce(&mut Contents)) {
        if self.faults.keeps_past() {
            keep(&mut self.store.past, self.now, self.store.contents.clone());
        }
        change(Arc::make_mut(&mut self.store.contents));
        // What counts as the stable revision may have changed with a status.
        self.traffic.touch_causes();
        self.hint_all();
    }

    pub(super) fn tell_stored(
        &mut self,
        who: Who,
        draft: &Draft,
        write: Write,
        result: &Result<(), WorldError>,
    ) {
        self.journal.note(who, || What::Stored {
            title: title(draft),
            write,
            epoch: draft.epoch,
            outcome: outcome(result),
        });
    }

    pub(super) fn read_lease(&mut self, rates: &Rates) -> Option<Lease> {
        match self.stale_since(rates) {
            None => self.store.lease.clone(),
            Some(then) => as_of(&self.store.past_leases, then)
                .unwrap_or(&self.store.lease)
                .clone(),
        }
    }

    pub(super) fn write_lease(
        &mut self,
        who: ControllerId,
        seen: Option<&Lease>,
        holder: &str,
        rates: &Rates,
    ) -> Result<Lease, WorldError> {
        let is_overtaken = self.random.chance(rates.conflict);
        let result = if is_overtaken {
            Err(conflict("take the lease".into(), "update out of sequence"))
        } else {
            self.try_lease(seen, holder)
        };
        let epoch = seen.map_or(1, |lease| lease.epoch + 1);
        self.journal.note(Who::Controller(who), || What::Leased {
            epoch,
            holder: holder.to_owned(),
            outcome: outcome(&result),
        });
        result
    }

    fn try_lease(&mut self, seen: Option<&Lease>, holder: &str) -> Result<Lease, WorldError> {
        let known = |lease: &Lease| (lease.id.clone(), lease.version);
        if self.store.lease.as_ref().map(known) != seen.map(known) {
            let what = "take the lease".to_owned();
            return Err(conflict(what, "update out of sequence"));
        }
        let lease = Lease {
            id: StoreId("lease".into()),
            version: self.next_index(),
            epoch: seen.map_or(1, |lease| lease.epoch + 1),
            holder: holder.to_owned(),
        };
        if self.faults.keeps_past() {
            let before = self.store.lease.clone();
            keep(&mut self.store.past_leases, self.now, before);
        }
        self.store.lease = Some(lease.clone());
        self.hint_all();
        Ok(lease)
    }
}

/// Remembers what was so until `now`.
pub(super) fn keep<T>(past: &mut VecDeque<(Time, T)>, now: Time, before: T) {
    const OLDEST: super::time::Micros = 60 * super::time::SECOND;
    past.push_back((now, before));
    while past
        .front()
        .is_some_and(|(until, _)| now.since(*until) > OLDEST)
    {
        past.pop_front();
    }
}

/// What was so at `then`; none if it still is.
pub(super) fn as_of<T>(past: &VecDeque<(Time, T)>, then: Time) -> Option<&T> {
    past.iter()
        .find(|(until, _)| *until > then)
        .map(|(_, value)| value)
}

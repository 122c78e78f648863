//! The world: all input and output, behind one trait.
//!
//! [`World`] is what the loops know of Swarm, HAProxy, InfluxDB and the store. A simulated world
//! implements the same trait.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::action::{Action, JobTarget, Measure};
use crate::api::{
    Command, Commit, Deletion, LoadBalancerSpec, MetricSourceSpec, Name, Origin, OriginProblem,
    Resource, ResourceRef, RolloutStatus, SourceStatus,
};
use crate::snapshot::{SampleOutcome, Snapshot};

pub mod applying;
pub mod docker;
pub mod haproxy;
pub mod http;
pub mod influxdb;
mod real;
pub mod referrers;
pub mod store;
pub mod swarm;

pub use real::RealWorld;
pub use store::{Contents, Unreadable};

/// What the world can be asked and told.
///
/// # Guarantees
/// Every call ends within a time limit of its own. No call is repeated inside: whether to try
/// again is decided by the loops.
#[async_trait]
pub trait World: Send + Sync {
    /// Looks at the Swarm and at every instance of `load_balancers`, once.
    ///
    /// An instance that does not answer is a fact of the snapshot, not an error.
    ///
    /// # Errors
    /// When the Swarm cannot be listed.
    async fn observe(
        &self,
        load_balancers: &BTreeMap<Name, LoadBalancerSpec>,
    ) -> Result<Snapshot, WorldError>;

    /// Does one thing, other than [`Action::Measure`], [`Action::ReadLog`] and [`Action::Forget`].
    ///
    /// # Errors
    /// When it was refused, or when it is not known whether it was done. Either way the next
    /// snapshot tells what is.
    async fn act(
        &self,
        action: &Action,
        load_balancers: &BTreeMap<Name, LoadBalancerSpec>,
    ) -> Result<(), WorldError>;

    /// Asks a metric source. A failure is an outcome, not an error (ANALYSIS-3).
    async fn measure(&self, question: &Measure, source: &MetricSourceSpec) -> SampleOutcome;

    /// The last lines that a job wrote, as `api::log_end` makes them. A world without jobs has no logs.
    ///
    /// # Errors
    /// When they cannot be had in time.
    async fn read_log(&self, job: &JobTarget) -> Result<Vec<String>, WorldError> {
        Err(WorldError::Refused {
            what: format!("read the log of the job {}", job.name),
            reason: "no jobs are run here".to_owned(),
        })
    }

    /// All resources in the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn load(&self) -> Result<Vec<Stored>, WorldError>;

    /// The same, and what is there and cannot be read: by who deletes what nobody seems to need. A world of which
    /// everything can be read has no such thing.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn contents(&self) -> Result<Contents, WorldError> {
        Ok(Contents {
            resources: self.load().await?,
            unreadable: Vec::new(),
        })
    }

    /// Puts a new resource into the store.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when one of that kind and name is there.
    async fn create(&self, draft: &Draft) -> Result<(), WorldError>;

    /// Replaces a stored resource if nobody else has changed it since it was loaded.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when somebody has.
    async fn replace(&self, id: &StoreId, version: u64, draft: &Draft) -> Result<(), WorldError>;

    /// Removes a stored resource.
    ///
    /// # Errors
    /// When the store refuses or cannot be reached. That it was not there is not an error.
    async fn remove(&self, id: &StoreId) -> Result<(), WorldError>;

    /// What was last told of each GitOps source. A world that keeps none has none.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn sources(&self) -> Result<Vec<StoredSource>, WorldError> {
        Ok(Vec::new())
    }

    /// Tells of a source: in place of what was `seen`, which must not have changed since. [`Self::remove`] forgets it.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when somebody else has told of it.
    async fn tell_source(
        &self,
        seen: Option<&StoredSource>,
        status: &SourceStatus,
    ) -> Result<(), WorldError> {
        let _ = seen;
        Err(WorldError::Refused {
            what: format!("tell of source/{}", status.name),
            reason: "nothing is told of sources here".to_owned(),
        })
    }

    /// The lease, if anybody ever took it (SAFETY-6).
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn lease(&self) -> Result<Option<Lease>, WorldError>;

    /// Writes the lease: `epoch` one above the one that was read, which must not have changed since.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when somebody else was quicker.
    async fn take_lease(&self, seen: Option<&Lease>, holder: &str) -> Result<Lease, WorldError>;

    /// Waits until something may have changed. Hints get lost: who waits must look now and then
    /// without one.
    async fn hint(&self);
}

/// Why the world did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The world has moved on: a version, a name or a precondition no longer fits. Who reads it
    /// again may ask again.
    #[error("{what}: {reason}")]
    Conflict {
        /// What was being done.
        what: String,
        /// What the world said.
        reason: String,
    },
    /// The world said no.
    #[error("{what}: {reason}")]
    Refused {
        /// What was being done.
        what: String,
        /// What the world said, and what to do about it.
        reason: String,
    },
    /// No answer, or half of one. What was to be changed may or may not have been: the reason
    /// says so ([`IN_DOUBT`]) unless nothing was asked to change or nothing was sent.
    #[error("{what}: {reason}")]
    Unreachable {
        /// What was being done.
        what: String,
        /// What went wrong, and what is not known because of that.
        reason: String,
    },
}

/// What is added to a reason when the answer to a change was lost.
const IN_DOUBT: &str = "; whether it was done is not known";

/// The store's own id of a stored resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub String);

/// A resource in the store, as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The store's id.
    pub id: StoreId,
    /// The store's version, for compare-and-swap.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// What it says.
    pub draft: Draft,
}

impl Stored {
    /// The commit that asked for the spec; none if that was written by hand.
    pub fn commit(&self) -> Option<&Commit> {
        let origin = self.draft.origin.as_ref()?;
        let is_its = origin.generation == self.draft.generation;
        origin.commit.as_ref().filter(|_| is_its)
    }

    /// What is wrong between the resource and the source that it comes from.
    pub fn source_problem(&self) -> Option<&OriginProblem> {
        self.draft.origin.as_ref()?.problem.as_ref()
    }
}

impl ResourceRef {
    /// Finds the resource in the store, if it is there.
    pub fn look_up<'a>(&self, store: &'a [Stored]) -> Option<&'a Stored> {
        store.iter().find(|stored| {
            stored.draft.resource.kind() == self.kind && *stored.draft.resource.name() == self.name
        })
    }
}

/// A resource as it is written to the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Name, labels and spec.
    pub resource: Resource,
    /// Counts changes of the spec, from 1.
    pub generation: u64,
    /// What the controller remembers; only rollouts have it.
    pub status: Option<RolloutStatus>,
    /// The last command that was given; only rollouts have it.
    pub command: Option<Command>,
    /// Set once the resource is to be deleted.
    pub deletion: Option<Deletion>,
    /// The GitOps source that it comes from, if one has it.
    pub origin: Option<Origin>,
    /// The epoch of the controller that wrote last.
    pub epoch: u64,
}

impl Draft {
    /// A resource that nobody has seen yet.
    pub const fn new(resource: Resource) -> Self {
        Self {
            resource,
            generation: 1,
            status: None,
            command: None,
            deletion: None,
            origin: None,
            epoch: 0,
        }
    }
}

/// What is told of a GitOps source, as read.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSource {
    /// The store's id.
    pub id: StoreId,
    /// The store's version, for compare-and-swap.
    pub version: u64,
    /// When it was first told of.
    pub created_at: Timestamp,
    /// When it was last told of.
    pub updated_at: Timestamp,
    /// What is told.
    pub status: SourceStatus,
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The store's id.
    pub id: StoreId,
    /// The store's version, for compare-and-swap.
    pub version: u64,
    /// Counts the holders, from 1.
    pub epoch: u64,
    /// Who holds it: a host name and process id; empty when it was given back.
    pub holder: String,
}

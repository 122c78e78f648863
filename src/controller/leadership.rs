//! Who acts (SAFETY-6): a lease in the Swarm that costs no write while nothing is to be done.
//!
//! A controller that starts takes the lease and so raises the epoch; whoever held it finds out
//! before its next batch and stands by. A standby plans as the holder does. It takes over when the
//! same work has lain undone for longer than its patience: a holder that lives would have done it.
//! So there are no heartbeats, and a steady state makes no writes (SAFETY-5). Work that it could
//! not get done itself while it held the lease is waited for much longer: two controllers would
//! take the lease from each other without end. What a GitOps source asks for is work as well; since
//! each controller reads the sources by itself, it has to be undone still in a later reading.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{info, warn};

use crate::api::Name;
use crate::gitops::Undone;
use crate::reconcile::TurnReport;
use crate::world::{Lease, World, WorldError};

/// How many times its patience a standby has with work that it tried in vain.
const IN_VAIN: u32 = 20;

/// Whether this controller acts.
pub(super) struct Leadership {
    identity: String,
    patience: Duration,
    state: State,
}

/// How a standby came to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handover {
    /// Whoever acted before has ended in good order.
    GivenBack,
    /// It did nothing any more; what it asked for last may still be on its way.
    Seized,
}

enum State {
    /// It has just started and will take the lease.
    Candidate,
    /// It acts; and the work that it did not get done.
    Holder(Lease, Fingerprints),
    /// Another one acts.
    Standby {
        /// What lies undone, and since when it was seen to.
        undone: BTreeMap<Owner, (u64, Duration)>,
        /// What this one did not get done when it acted.
        in_vain: Fingerprints,
    },
}

/// Whose work it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A rollout's.
    Rollout(Name),
    /// A GitOps source's.
    Source(Name),
}

/// The work that lies undone, by its fingerprint (see [`crate::reconcile::Work`] and [`Undone`]).
type Fingerprints = BTreeMap<Owner, u64>;

/// The same, each with the time for which it may look undone though whoever acts is at work: the age of the reading that asks
/// for it, or how long a rollout's work may lie on purpose.
pub(super) type Work = BTreeMap<Owner, (u64, Duration)>;

/// All the work that lies undone.
pub(super) fn work(report: &TurnReport, undone: BTreeMap<Name, Undone>) -> Work {
    let rollouts = report.work();
    let sources = undone.into_iter();
    let sources = sources.map(|(name, it)| (name, (it.fingerprint, it.read_ago)));
    owned(rollouts, sources)
}

/// What rollouts have and what sources have.
fn owned<T>(
    rollouts: impl IntoIterator<Item = (Name, T)>,
    sources: impl IntoIterator<Item = (Name, T)>,
) -> BTreeMap<Owner, T> {
    let rollouts = rollouts.into_iter();
    let rollouts = rollouts.map(|(name, it)| (Owner::Rollout(name), it));
    let sources = sources.into_iter();
    let sources = sources.map(|(name, it)| (Owner::Source(name), it));
    rollouts.chain(sources).collect()
}

impl Leadership {
    pub fn new(identity: String, patience: Duration) -> Self {
        Self {
            identity,
            patience,
            state: State::Candidate,
        }
    }

    /// The lease, while this controller holds it.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Holder(lease, _) => Some(lease),
            State::Candidate | State::Standby { .. } => None,
        }
    }

    /// Takes the lease, if this controller has just started.
    pub async fn start(&mut self, world: &dyn World) -> Result<(), WorldError> {
        match self.state {
            State::Candidate => self.take(world).await,
            State::Holder(..) | State::Standby { .. } => Ok(()),
        }
    }

    /// Notes what the holder did not get done, of rollouts and of `sources`.
    pub fn note(&mut self, report: &TurnReport, sources: &BTreeMap<Name, u64>) {
        if let State::Holder(_, in_vain) = &mut self.state {
            *in_vain = owned(report.in_vain.clone(), sources.clone());
        }
    }

    /// Another controller has taken over.
    pub fn step_down(&mut self) {
        let in_vain = match &mut self.state {
            State::Holder(_, in_vain) => std::mem::take(in_vain),
            State::Candidate | State::Standby { .. } => Fingerprints::new(),
        };
        self.state = State::Standby {
            undone: BTreeMap::new(),
            in_vain,
        };
    }

    /// Notes the `work` that lies undone at `now`, and takes over when the holder has let it lie for too long
    /// or has given the lease back. Says how it took over, if it did.
    pub async fn watch(
        &mut self,
        world: &dyn World,
        work: Work,
        now: Duration,
    ) -> Result<Option<Handover>, WorldError> {
        let State::Standby { undone, in_vain } = &mut self.state else {
            return Ok(None);
        };
        undone.retain(|owner, (known, _)| work.get(owner).is_some_and(|(now, _)| now == known));
        for (owner, (fingerprint, _)) in &work {
            undone.entry(owner.clone()).or_insert((*fingerprint, now));
        }
        let patience = |owner: &Owner, fingerprint: u64| match in_vain.get(owner) {
            Some(tried) if *tried == fingerprint => self.patience * IN_VAIN,
            Some(_) | None => self.patience,
        };
        let is_overdue = undone.iter().any(|(owner, (fingerprint, since))| {
            let age = work.get(owner).map_or(Duration::ZERO, |(_, age)| *age);
            now.saturating_sub(*since) >= patience(owner, *fingerprint).saturating_add(age)
        });
        if is_overdue {
            warn!(
                "work has lain undone for {:?} or more; taking over",
                self.patience
            );
            self.take(world).await?;
            return Ok(Some(Handover::Seized));
        }
        match world.lease().await? {
            Some(lease) if !lease.holder.is_empty() => Ok(None),
            Some(_) | None => {
                self.take(world).await?;
                Ok(Some(Handover::GivenBack))
            }
        }
    }

    async fn take(&mut self, world: &dyn World) -> Result<(), WorldError> {
        let seen = world.lease().await?;
        let former = seen
            .as_ref()
            .map(|lease| lease.holder.clone())
            .unwrap_or_default();
        let lease = world.take_lease(seen.as_ref(), &self.identity).await?;
        info!(epoch = lease.epoch, former, "this controller acts");
        self.state = State::Holder(lease, Fingerprints::new());
        Ok(())
    }

    /// Gives the lease back, so that a standby need not wait. Best effort: a lease that was not
    /// given back is only taken later.
    pub async fn give_back(&self, world: &dyn World) {
        let State::Holder(lease, _) = &self.state else {
            return;
        };
        if let Err(problem) = world.take_lease(Some(lease), "").await {
            warn!(%problem, "the lease was not given back; a standby will take it in time");
        }
    }
}

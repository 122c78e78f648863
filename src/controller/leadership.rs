//! Who acts (SAFETY-6): a lease in the Swarm that costs no write while nothing is to be done.
//!
//! A controller that starts takes the lease and so raises the epoch; whoever held it finds out
//! before its next batch and stands by. A standby plans as the holder does. It takes over when the
//! same work has lain undone for longer than its patience: a holder that lives would have done it.
//! So there are no heartbeats, and a steady state makes no writes (SAFETY-5).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::api::Name;
use crate::reconcile::TurnReport;
use crate::world::{Lease, World, WorldError};

/// Whether this controller acts.
pub(super) struct Leadership {
    identity: String,
    patience: Duration,
    state: State,
}

enum State {
    /// It has just started and will take the lease.
    Candidate,
    /// It acts.
    Holder(Lease),
    /// Another one acts; what lies undone, since when.
    Standby(BTreeMap<Name, (u64, Instant)>),
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
            State::Holder(lease) => Some(lease),
            State::Candidate | State::Standby(_) => None,
        }
    }

    /// Takes the lease, if this controller has just started.
    pub async fn start(&mut self, world: &dyn World) -> Result<(), WorldError> {
        match self.state {
            State::Candidate => self.take(world).await,
            State::Holder(_) | State::Standby(_) => Ok(()),
        }
    }

    /// Another controller has taken over.
    pub fn step_down(&mut self) {
        self.state = State::Standby(BTreeMap::new());
    }

    /// Notes what lies undone, and takes over when the holder has let it lie for too long or has
    /// given the lease back.
    pub async fn watch(
        &mut self,
        world: &dyn World,
        report: &TurnReport,
    ) -> Result<(), WorldError> {
        let State::Standby(undone) = &mut self.state else {
            return Ok(());
        };
        let work = report.work();
        undone.retain(|name, (fingerprint, _)| work.get(name) == Some(fingerprint));
        for (name, fingerprint) in work {
            undone
                .entry(name)
                .or_insert_with(|| (fingerprint, Instant::now()));
        }
        let is_overdue = undone
            .values()
            .any(|(_, since)| since.elapsed() >= self.patience);
        if is_overdue {
            warn!("work has lain undone for {:?}; taking over", self.patience);
            return self.take(world).await;
        }
        match world.lease().await? {
            Some(lease) if !lease.holder.is_empty() => Ok(()),
            Some(_) | None => self.take(world).await,
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
        self.state = State::Holder(lease);
        Ok(())
    }

    /// Gives the lease back, so that a standby need not wait. Best effort: a lease that was not
    /// given back is only taken later.
    pub async fn give_back(&self, world: &dyn World) {
        let State::Holder(lease) = &self.state else {
            return;
        };
        if let Err(problem) = world.take_lease(Some(lease), "").await {
            warn!(%problem, "the lease was not given back; a standby will take it in time");
        }
    }
}

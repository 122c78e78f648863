//! A reconciler that acts in the toy world, turn by turn.

use std::sync::Arc;

use rolloutctl::api::RolloutSpec;
use rolloutctl::reconcile::{Inbox, Mandate, Reconciler, TurnError, TurnReport};
use rolloutctl::world::Lease;

use crate::neighbour::{Neighbour, Time};

pub const EPOCH: u64 = 1;

/// For how long a turn is waited for. None of these takes a tenth of a second.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// A reconciler that holds the lease.
pub struct Bench {
    pub world: Arc<Neighbour>,
    pub reconciler: Reconciler,
    pub lease: Lease,
}

impl Bench {
    pub fn new(spec: RolloutSpec) -> Self {
        let world = Neighbour::new(spec);
        Self {
            lease: world.lease_to("us"),
            reconciler: reconciler(&world),
            world,
        }
    }

    /// Another one in the same world, which stands by.
    pub fn standby(&self) -> Reconciler {
        reconciler(&self.world)
    }

    pub async fn try_turn(&mut self) -> Result<TurnReport, TurnError> {
        let turn = self.reconciler.turn(Mandate::Act(&self.lease));
        let turn = tokio::time::timeout(PATIENCE, turn).await;
        let turn = turn.expect("nothing holds up a turn");
        tokio::task::yield_now().await; // To what is done beside the turns.
        turn
    }

    pub async fn turn(&mut self) -> TurnReport {
        self.try_turn().await.expect("a turn")
    }

    /// Turns until the rollout is as wanted; the journal starts anew there.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Neighbour) -> bool) {
        for _ in 0..500 {
            if holds(&self.world) {
                self.world.journal();
                return;
            }
            self.turn().await;
        }
        panic!("never: {what}; status: {:#?}", self.world.status());
    }

    /// Turns until two in a row have found nothing to do.
    pub async fn until_quiet(&mut self) {
        for _ in 0..500 {
            self.world.journal();
            self.turn().await;
            self.turn().await;
            if self.world.journal().is_empty() {
                return;
            }
        }
        panic!("it never comes to rest; status: {:#?}", self.world.status());
    }
}

fn reconciler(world: &Arc<Neighbour>) -> Reconciler {
    let time = Arc::new(Time(world.clone()));
    Reconciler::new(world.clone(), time, Arc::new(Inbox::default()))
}

//! One life of a controller: the real loop, on virtual time, until it ends or dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::Seat;
use super::pool::{Pool, Spawner};
use crate::controller::{Options, run};
use crate::gitops::SourceOptions;
use crate::runtime::{Runtime, Task};
use crate::sim::{ControllerId, SimWorld};

/// How the controllers of a trial are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// The time between two looks when nothing is to be done.
    pub resync: Duration,
    /// How long work may lie undone until a standby takes over.
    pub patience: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            resync: Duration::from_secs(1),
            patience: Duration::from_secs(15),
        }
    }
}

pub(super) struct Life {
    pub id: ControllerId,
    pool: Pool,
    clock: Arc<Virtual>,
    stop: Arc<Notify>,
    ending: bool,
}

impl Life {
    pub fn new(
        world: &SimWorld,
        id: ControllerId,
        seat: Seat,
        habits: &Habits,
        sources: Vec<SourceOptions>,
    ) -> Self {
        let seen = world.seen_by(id);
        let spawner = Spawner::default();
        let clock = Arc::new(Virtual {
            world: seen.clone(),
            skew: AtomicI64::new(0),
            spawner: spawner.clone(),
        });
        let options = Options {
            listen: None,
            resync: habits.resync,
            identity: format!("{seat}"),
            patience: habits.patience,
            sources,
        };
        let stop = Arc::new(Notify::new());
        let (runtime, stopped) = (clock.clone(), stop.clone());
        spawner.spawn(Box::pin(async move {
            let stopped = async move { stopped.notified().await };
            let world = Arc::new(seen);
            run(world, runtime, options, stopped)
                .await
                .expect("it listens nowhere");
        }));
        Self {
            id,
            pool: Pool::new(spawner),
            clock,
            stop,
            ending: false,
        }
    }

    /// Ends it in good order.
    pub fn stop(&mut self) {
        self.ending = true;
        self.stop.notify_one();
    }

    /// Whether it was asked to end; that may take a while.
    pub const fn is_ending(&self) -> bool {
        self.ending
    }

    /// Its clock is wrong from here on, by so much more than it was.
    pub fn jump(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(0);
        self.clock.skew.fetch_add(by, Ordering::Relaxed);
    }

    pub fn go_on(&mut self) {
        self.pool.run_until_stalled();
    }

    pub fn has_ended(&self) -> bool {
        self.pool.is_empty()
    }
}

/// The time of a simulated world, as one controller tells it.
struct Virtual {
    world: SimWorld,
    /// By how many microseconds its time of day is wrong.
    skew: AtomicI64,
    spawner: Spawner,
}

impl Runtime for Virtual {
    fn now(&self) -> Timestamp {
        let skew = SignedDuration::from_micros(self.skew.load(Ordering::Relaxed));
        let now = self.world.now();
        now.checked_add(skew).unwrap_or(now)
    }

    fn steady(&self) -> Duration {
        let since = self.world.now().duration_since(Timestamp::UNIX_EPOCH);
        since.try_into().unwrap_or_default()
    }

    fn sleep(&self, pause: Duration) -> Task {
        let world = self.world.clone();
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let pause = crate::api::Duration::from_millis(millis);
        Box::pin(async move { world.pass(pause).await })
    }

    fn spawn(&self, task: Task) {
        self.spawner.spawn(task);
    }
}

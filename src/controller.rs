//! The loop around the turns: when to look, who acts, when to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::gitops::{Gitops, SourceOptions, Tended};
use crate::reconcile::{Inbox, Mandate, Reconciler, TurnError, TurnReport};
use crate::retry::{Backoff, Policy, Spread};
use crate::runtime::Runtime;
use crate::world::{Contents, Lease, World, WorldError};

mod health;
mod leadership;
mod metrics;
mod server;

pub use health::Health;
use leadership::{Handover, Leadership};
pub use metrics::Metrics;

/// The shortest time between two turns: a turn that asks for another one at once must not spin.
const BREATH: Duration = Duration::from_millis(20);

/// The pauses while the Swarm cannot be read.
const UNREADABLE: Policy = Policy {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(5),
    give_up_after: None,
    spread: Spread::Nothing,
};

/// How long the turn at hand may go on once the controller is to end. It may wait for a neighbour that is slow to
/// answer; what it leaves undone is done by the next turn of whoever acts then (SAFETY-1).
const LAST_TURN: Duration = Duration::from_secs(6);

/// How long giving the lease back may take. With [`LAST_TURN`] it stays below the 10 s after which `docker stop` and
/// Swarm kill.
const LONGEST_FAREWELL: Duration = Duration::from_secs(3);

/// How a controller runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where `/healthz`, `/readyz` and `/metrics` are served; nowhere if absent.
    pub listen: Option<SocketAddr>,
    /// The time between two looks when nothing hints at a change and nothing is under way.
    ///
    /// Swarm tells nobody of tasks that it is about to stop, and signals them 1 s to 3 s later: with more
    /// than about 1 s between two looks, their last requests may be lost.
    pub resync: Duration,
    /// Who this controller is, in the lease.
    pub identity: String,
    /// How long work may lie undone until a standby takes over.
    pub patience: Duration,
    /// Where manifests come from besides `apply`.
    pub sources: Vec<SourceOptions>,
}

/// Why a controller stopped.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The address of `--listen` cannot be had.
    #[error("cannot listen on {address}: {reason}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        reason: std::io::Error,
    },
}

/// Runs until `shutdown`: the turn at hand is finished if it does not take long, then the lease is given back.
///
/// # Guarantees
/// It ends within 9 s after `shutdown`, whoever does not answer.
///
/// # Errors
/// When the address to listen on cannot be had. A world that cannot be reached is waited for.
pub async fn run(
    world: Arc<dyn World>,
    runtime: Arc<dyn Runtime>,
    options: Options,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ControllerError> {
    let health = Arc::new(Health::new(options.resync));
    let metrics = Arc::new(Metrics::new());
    if let Some(address) = options.listen {
        server::serve(address, health.clone(), metrics.clone())
            .await
            .map_err(|reason| ControllerError::Listen { address, reason })?;
    }
    let inbox = Arc::new(Inbox::default());
    let mut controller = Controller {
        gitops: Gitops::start(options.sources, inbox.clone(), runtime.clone()),
        reconciler: Reconciler::new(world.clone(), runtime.clone(), inbox.clone()),
        leadership: Leadership::new(options.identity.clone(), options.patience),
        unreadable: Backoff::new(UNREADABLE),
        world,
        runtime,
        inbox,
        health,
        metrics,
        resync: options.resync,
    };
    info!(
        identity = options.identity,
        resync_ms = options.resync.as_millis(),
        "controller started"
    );
    tokio::pin!(shutdown);
    while controller.turn_and_rest(shutdown.as_mut()).await == Rest::Over {}
    controller.give_back().await;
    info!("controller stopped");
    Ok(())
}

struct Controller {
    world: Arc<dyn World>,
    runtime: Arc<dyn Runtime>,
    reconciler: Reconciler,
    gitops: Gitops,
    leadership: Leadership,
    inbox: Arc<Inbox>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    unreadable: Backoff,
    resync: Duration,
}

/// How a rest ended.
#[derive(PartialEq, Eq)]
enum Rest {
    Over,
    Stopped,
}

/// How a turn ended.
enum Turned {
    /// It is over; so long it rests.
    Over(Duration),
    /// The controller is to end.
    Stopped,
}

impl Controller {
    async fn turn_and_rest(
        &mut self,
        mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Rest {
        match self.turn_or_last_turn(shutdown.as_mut()).await {
            Turned::Over(pause) => self.rest(pause, shutdown).await,
            Turned::Stopped => Rest::Stopped,
        }
    }

    /// One turn; no longer than [`LAST_TURN`] once the controller is to end.
    async fn turn_or_last_turn(&mut self, shutdown: impl Future<Output = ()>) -> Turned {
        let runtime = self.runtime.clone();
        let mut turn = pin!(self.turn());
        tokio::select! {
            biased;
            pause = &mut turn => return Turned::Over(pause),
            () = shutdown => info!("the turn at hand is finished before the end"),
        }
        tokio::select! {
            biased;
            _ = turn => {}
            () = runtime.sleep(LAST_TURN) => {
                warn!("the turn at hand was cut short: a neighbour did not answer within {LAST_TURN:?}");
            }
        }
        Turned::Stopped
    }

    /// Gives the lease back, if this controller holds it and the store answers in time. As long as something is on its way
    /// for it, it still acts: whoever takes over must not do so before its patience is over (SAFETY-6).
    async fn give_back(&self) {
        let farewell = async {
            while self.reconciler.is_awaited() {
                self.runtime.sleep(BREATH).await;
            }
            self.leadership.give_back(self.world.as_ref()).await;
        };
        tokio::select! {
            biased;
            () = farewell => {}
            () = self.runtime.sleep(LONGEST_FAREWELL) => {
                warn!("the lease was not given back within {LONGEST_FAREWELL:?}; a standby will take it in time");
            }
        }
    }

    /// One turn, and how long to rest after it.
    async fn turn(&mut self) -> Duration {
        let began = self.runtime.steady();
        let outcome = self.act_or_watch().await;
        let took = self.runtime.steady().saturating_sub(began);
        match &outcome {
            Ok(_) => self.metrics.turn_done(took),
            Err(_) => self.metrics.turn_failed(took),
        }
        match outcome {
            Ok(report) => {
                self.unreadable.reset();
                self.health.turned();
                self.metrics.rollouts(&report);
                self.pause_after(&report)
            }
            Err(TurnError::Deposed { holder }) => {
                warn!(holder, "another controller has taken over; standing by");
                self.leadership.step_down();
                self.metrics.stands_by();
                self.resync
            }
            Err(problem @ TurnError::Old) => {
                warn!(%problem, "the turn was not carried out");
                self.unreadable.next_delay().unwrap_or(UNREADABLE.longest)
            }
            Err(TurnError::World(problem)) => {
                error!(%problem, "the turn was not carried out");
                self.health.failed(&problem);
                self.unreadable.next_delay().unwrap_or(UNREADABLE.longest)
            }
        }
    }

    async fn act_or_watch(&mut self) -> Result<TurnReport, TurnError> {
        self.leadership.start(self.world.as_ref()).await?;
        if let Some(lease) = self.leadership.lease() {
            self.metrics.leads();
            let lease = lease.clone();
            if self.gitops.has_news() {
                let contents = self.world.contents().await?;
                self.tend(&lease, &contents).await?;
            }
            let mut report = self.reconciler.turn(Mandate::Act(&lease)).await?;
            let tended = self.tend(&lease, &report.contents).await?;
            self.leadership.note(&report, self.gitops.in_vain());
            if tended == Tended::Wrote {
                report.look_again(self.runtime.now());
            }
            return Ok(report);
        }
        self.gitops.stand_by();
        self.metrics.sources(&self.gitops.report());
        let report = self.reconciler.turn(Mandate::Watch).await?;
        let now = self.runtime.steady();
        let world = self.world.as_ref();
        let undone = self.gitops.undone(world, &report.contents).await?;
        let work = leadership::work(&report, undone);
        if self.leadership.watch(world, work, now).await? == Some(Handover::Seized) {
            self.reconciler.succeed();
        }
        Ok(report)
    }

    /// Writes what the sources ask for. What fails there keeps no turn back, unless another controller has taken over.
    async fn tend(&mut self, lease: &Lease, contents: &Contents) -> Result<Tended, TurnError> {
        let tended = self.gitops.tend(self.world.as_ref(), lease, contents).await;
        self.metrics.sources(&self.gitops.report());
        match tended {
            Ok(Tended::Deposed) => {
                let current = self.world.lease().await?;
                let holder = current.map_or_else(|| "nobody".to_owned(), |lease| lease.holder);
                Err(TurnError::Deposed { holder })
            }
            Ok(tended @ (Tended::Nothing | Tended::Wrote)) => Ok(tended),
            Err(problem) => {
                warn!(%problem, "what a source asks for was not written; trying again");
                Ok(Tended::Nothing)
            }
        }
    }

    fn pause_after(&self, report: &TurnReport) -> Duration {
        if self.leadership.lease().is_none() {
            return self.resync;
        }
        let now = self.runtime.now();
        let wanted = report.next.map_or(self.resync, |next| {
            Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO)
        });
        wanted.clamp(BREATH, self.resync.max(BREATH))
    }

    /// Rests for `pause`, or shorter if a hint, a sample or the end of the controller comes.
    async fn rest(&self, pause: Duration, shutdown: impl Future<Output = ()>) -> Rest {
        let hinted = async {
            tokio::select! {
                biased;
                () = self.world.hint() => {}
                () = self.inbox.news() => {}
            }
            // Hints come in swarms; one turn serves them all.
            self.runtime.sleep(BREATH).await;
        };
        tokio::select! {
            biased;
            () = shutdown => Rest::Stopped,
            () = hinted => Rest::Over,
            () = self.runtime.sleep(pause) => Rest::Over,
        }
    }
}

impl From<&WorldError> for health::Problem {
    fn from(error: &WorldError) -> Self {
        Self(error.to_string())
    }
}

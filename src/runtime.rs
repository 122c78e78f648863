//! What the loops stand on: the clock, pauses and work in the background.
//!
//! [`Tokio`] is the real one. A simulation has another one, whose time passes when nothing else is
//! left to do.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A future that can be handed over.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The clock, pauses and work in the background.
pub trait Runtime: Send + Sync {
    /// The time of day, by which deadlines and windows are told. It may jump.
    fn now(&self) -> Timestamp;

    /// The time since some instant, which neither jumps nor goes back.
    fn steady(&self) -> Duration;

    /// Lets `pause` pass.
    fn sleep(&self, pause: Duration) -> Task;

    /// Carries out `task` beside whatever else is done. It ends with the runtime.
    fn spawn(&self, task: Task);
}

/// The real clock, and the tokio runtime that the caller is in.
#[derive(Clone, Copy, Debug)]
pub struct Tokio {
    began: Instant,
}

impl Default for Tokio {
    fn default() -> Self {
        Self {
            began: Instant::now(),
        }
    }
}

impl Runtime for Tokio {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the loops read the clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn steady(&self) -> Duration {
        self.began.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the loops pause")]
    fn sleep(&self, pause: Duration) -> Task {
        Box::pin(tokio::time::sleep(pause))
    }

    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }
}

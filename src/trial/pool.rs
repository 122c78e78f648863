//! The futures of one controller, polled where they are wanted: no threads, no wall clock, and the same
//! order each time.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::stream::{FuturesUnordered, Stream};

use crate::runtime::Task;

/// Futures that belong together, and end together.
pub(super) struct Pool {
    tasks: FuturesUnordered<Task>,
    fresh: Spawner,
    bell: Arc<Bell>,
}

/// Puts futures into a pool, from inside of one of them too.
#[derive(Clone, Default)]
pub(super) struct Spawner(Arc<Mutex<Vec<Task>>>);

impl Spawner {
    pub fn spawn(&self, task: Task) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(task);
    }

    fn take(&self) -> Vec<Task> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pool {
    pub fn new(fresh: Spawner) -> Self {
        let bell = Arc::new(Bell(AtomicBool::new(true)));
        Self {
            tasks: FuturesUnordered::new(),
            fresh,
            bell,
        }
    }

    /// Whether every future has ended.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Polls what was woken, until nothing is left that would go on without time passing.
    pub fn run_until_stalled(&mut self) {
        if !self.bell.has_rung() {
            return;
        }
        let waker = Waker::from(self.bell.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            self.bell.0.store(false, Ordering::Relaxed);
            self.tasks.extend(self.fresh.take());
            match Pin::new(&mut self.tasks).poll_next(&mut context) {
                Poll::Ready(Some(())) => self.bell.wake_by_ref(),
                Poll::Ready(None) | Poll::Pending => {}
            }
            let fresh = self.fresh.take();
            let is_over = fresh.is_empty() && !self.bell.has_rung();
            self.tasks.extend(fresh);
            if is_over {
                return;
            }
        }
    }
}

/// Rings when a future can go on.
struct Bell(AtomicBool);

impl Bell {
    fn has_rung(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

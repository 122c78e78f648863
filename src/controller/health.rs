//! Whether the controller is alive and ready, for `/healthz` and `/readyz`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Turns may take a few neighbours' time limits; after this many looks without one, something hangs.
const LATE_AFTER: Duration = Duration::from_secs(60);

/// Whether the controller is alive and ready.
#[derive(Debug)]
pub struct Health {
    resync: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last_try: Instant,
    last_success: Option<Instant>,
    problem: Option<String>,
}

/// Why the last turn was not carried out.
pub struct Problem(pub String);

impl Health {
    /// A controller that looks every `resync` and has not looked yet.
    pub fn new(resync: Duration) -> Self {
        let state = State {
            last_try: Instant::now(),
            last_success: None,
            problem: None,
        };
        Self {
            resync,
            state: Mutex::new(state),
        }
    }

    /// A turn was carried out.
    pub fn turned(&self) {
        let now = Instant::now();
        *self.lock() = State {
            last_try: now,
            last_success: Some(now),
            problem: None,
        };
    }

    /// A turn was tried and not carried out.
    pub fn failed(&self, problem: impl Into<Problem>) {
        let mut state = self.lock();
        state.last_try = Instant::now();
        state.problem = Some(problem.into().0);
    }

    /// Alive: turns are being tried, whether or not the world answers.
    ///
    /// # Errors
    /// What is wrong.
    pub fn alive(&self) -> Result<(), String> {
        let silence = self.lock().last_try.elapsed();
        if silence > LATE_AFTER + self.resync {
            return Err(format!("no turn was tried for {silence:?}"));
        }
        Ok(())
    }

    /// Ready: the last turn was carried out.
    ///
    /// # Errors
    /// What is wrong.
    pub fn ready(&self) -> Result<(), String> {
        self.alive()?;
        let state = self.lock();
        match (&state.problem, state.last_success) {
            (Some(problem), _) => Err(problem.clone()),
            (None, None) => Err("the first turn is not over".into()),
            (None, Some(_)) => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is written whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Trying again: growing pauses between attempts.
//!
//! The only module that knows the `backoff` crate, so that another one can take its place. What is
//! worth another attempt is decided by the caller; nothing here knows Docker, HTTP or databases.

use std::future::Future;
use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// How long the pauses between attempts are.
///
/// Each pause is half as long again as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The first pause, before the spread.
    pub first: Duration,
    /// The longest pause, before the spread.
    pub longest: Duration,
    /// After how long no further attempt is made; without it, attempts never end.
    pub give_up_after: Option<Duration>,
    /// How far a pause may be from what it is meant to be.
    pub spread: Spread,
}

/// How far a pause may be from what it is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// By ±50 %, so that many who lost the same neighbour do not come back at the same instant.
    Half,
    /// Not at all, where one alone comes back: what it does is then the same each time.
    Nothing,
}

impl Policy {
    /// For a neighbour that is expected to come back: from 200 ms to 10 s, for ever.
    pub const UNTIL_IT_COMES_BACK: Self = Self {
        first: Duration::from_millis(200),
        longest: Duration::from_secs(10),
        give_up_after: None,
        spread: Spread::Half,
    };

    fn start(self) -> ExponentialBackoff {
        let spread = match self.spread {
            Spread::Half => 0.5,
            Spread::Nothing => 0.0,
        };
        ExponentialBackoffBuilder::new()
            .with_randomization_factor(spread)
            .with_initial_interval(self.first)
            .with_max_interval(self.longest)
            .with_max_elapsed_time(self.give_up_after)
            .build()
    }
}

/// Why an attempt failed, as far as the next one is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// It may pass: try again.
    Passing(E),
    /// It will not: give up at once.
    Lasting(E),
}

/// Calls `attempt` until it succeeds, fails for good, or the policy's time is up.
///
/// # Errors
/// The error of the last attempt.
pub async fn with_backoff<T, E, A, F>(policy: Policy, mut attempt: A) -> Result<T, E>
where
    A: FnMut() -> F,
    F: Future<Output = Result<T, Failure<E>>>,
{
    backoff::future::retry(policy.start(), || {
        let outcome = attempt();
        async {
            outcome.await.map_err(|failure| match failure {
                Failure::Passing(err) => backoff::Error::transient(err),
                Failure::Lasting(err) => backoff::Error::permanent(err),
            })
        }
    })
    .await
}

/// The pauses of one policy, for loops that [`with_backoff`] does not fit.
#[derive(Debug)]
pub struct Backoff(ExponentialBackoff);

impl Backoff {
    /// At the first pause.
    pub fn new(policy: Policy) -> Self {
        Self(policy.start())
    }

    /// The next pause; none once the policy's time is up.
    pub fn next_delay(&mut self) -> Option<Duration> {
        self.0.next_backoff()
    }

    /// Back to the first pause: call it after a success.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// Waits for the next pause to pass; says whether another attempt is to follow.
    #[expect(
        clippy::disallowed_methods,
        reason = "a pause between attempts is this module's business"
    )]
    pub async fn pause(&mut self) -> Next {
        match self.next_delay() {
            Some(delay) => {
                tokio::time::sleep(delay).await;
                Next::TryAgain
            }
            None => Next::GiveUp,
        }
    }
}

/// What to do after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make another attempt.
    TryAgain,
    /// The policy's time is up.
    GiveUp,
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const QUICK: Policy = Policy {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(4),
        give_up_after: None,
        spread: Spread::Half,
    };

    #[tokio::test]
    async fn a_passing_failure_is_tried_again_and_a_lasting_one_is_not() {
        let calls = Cell::new(0);
        let outcome: Result<u32, &str> = with_backoff(QUICK, || {
            calls.set(calls.get() + 1);
            let call = calls.get();
            async move {
                match call {
                    1 | 2 => Err(Failure::Passing("not yet")),
                    _ => Err(Failure::Lasting("never")),
                }
            }
        })
        .await;
        assert_eq!((outcome, calls.get()), (Err("never"), 3));
    }

    #[test]
    fn pauses_grow_to_the_longest_and_start_over_after_a_reset() {
        let mut backoff = Backoff::new(QUICK);
        let delays: Vec<_> = (0..20).filter_map(|_| backoff.next_delay()).collect();
        assert_eq!(delays.len(), 20, "it gave up without a limit");
        // The spread is ±50 %, so that only bounds can be told.
        assert!(delays[0] <= Duration::from_micros(1_500), "{delays:?}");
        assert!(delays[19] >= Duration::from_millis(2), "{delays:?}");
        assert!(delays.iter().all(|d| *d <= Duration::from_millis(6)));
        backoff.reset();
        let first = backoff.next_delay().expect("no limit");
        assert!(first <= Duration::from_micros(1_500), "{first:?}");
    }

    #[test]
    fn pauses_without_a_spread_are_the_same_each_time() {
        let policy = Policy {
            spread: Spread::Nothing,
            ..QUICK
        };
        let delays = || {
            let mut backoff = Backoff::new(policy);
            (0..5)
                .filter_map(|_| backoff.next_delay())
                .collect::<Vec<_>>()
        };
        assert_eq!(delays()[0], QUICK.first);
        assert_eq!(delays(), delays());
    }

    #[tokio::test]
    async fn no_attempt_follows_when_the_time_is_up() {
        let policy = Policy {
            give_up_after: Some(Duration::ZERO),
            ..QUICK
        };
        assert_eq!(Backoff::new(policy).pause().await, Next::GiveUp);
    }
}

//! Virtual time: instants in whole microseconds, and lengths of time that are drawn.

use jiff::Timestamp;

use crate::api::Duration;

/// An instant, in microseconds since 1970 (UTC). Cheaper to add to and to compare than a [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time(i64);

/// A length of time, in microseconds.
pub(super) type Micros = i64;

/// Microseconds in a second.
pub(super) const SECOND: Micros = 1_000_000;

impl Time {
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_microsecond())
    }

    pub fn of_second(second: i64) -> Self {
        Self(second.saturating_mul(SECOND))
    }

    pub fn stamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::MAX)
    }

    /// The whole second that this instant lies in.
    pub const fn second(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    pub const fn plus(self, micros: Micros) -> Self {
        Self(self.0.saturating_add(micros))
    }

    pub const fn minus(self, micros: Micros) -> Self {
        Self(self.0.saturating_sub(micros))
    }

    /// The time since `earlier`; negative if that is the later one.
    pub const fn since(self, earlier: Self) -> Micros {
        self.0.saturating_sub(earlier.0)
    }

    /// The seconds since `earlier`, 0 if that is the later one.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        seconds(self.since(earlier).max(0))
    }
}

/// A length of time in seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "below 2^52 microseconds, which is 142 years"
)]
pub(super) fn seconds(micros: Micros) -> f64 {
    micros as f64 / 1e6
}

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> Micros {
    i64::try_from(duration.as_millis())
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000)
}

/// A length of time that is drawn anew each time, evenly between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
}

impl Span {
    /// From `least` to `most` milliseconds.
    pub const fn millis(least: u64, most: u64) -> Self {
        Self {
            least: Duration::from_millis(least),
            most: Duration::from_millis(most),
        }
    }

    /// From `least` to `most` seconds.
    pub const fn secs(least: u64, most: u64) -> Self {
        Self::millis(least * 1_000, most * 1_000)
    }

    /// Always the same.
    pub const fn just(duration: Duration) -> Self {
        Self {
            least: duration,
            most: duration,
        }
    }
}

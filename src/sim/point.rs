//! Points: what the collector would have written of the simulated requests (`haproxy` in InfluxDB).
//!
//! What names their fields have, and what a query makes of them, is in `query`.

use crate::api::Revision;

/// One point of the measurement `haproxy`: one second of one back end, revision and class of answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The second, since 1970 (UTC), in which the requests ended.
    pub second: i64,
    /// The back end.
    pub backend: String,
    /// The revision that was asked.
    pub revision: Revision,
    /// The class of the answers.
    pub code: Code,
    /// How many requests there were.
    pub requests: u64,
    /// How many of them failed: 5xx and no answer.
    pub errors: u64,
    /// The time that half of them took at most, in milliseconds.
    pub p50: f64,
    /// The time that 90 % of them took at most, in milliseconds.
    pub p90: f64,
    /// The time that 99 % of them took at most, in milliseconds.
    pub p99: f64,
    /// The longest time, in milliseconds.
    pub max: f64,
    /// Bytes sent to clients.
    pub bytes: u64,
    /// The most requests that were open at once.
    pub active: u64,
    /// What of these times the server took to respond; none when it did not.
    pub response: Option<Latency>,
}

/// Times of requests, by four of their percentiles, in milliseconds and in ascending order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// The time that half of them took at most.
    pub p50: f64,
    /// The time that 90 % of them took at most.
    pub p90: f64,
    /// The time that 99 % of them took at most.
    pub p99: f64,
    /// The longest time.
    pub max: f64,
}

/// A class of answers, the tag `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// `2xx`
    Success,
    /// `3xx`
    Redirect,
    /// `4xx`
    Refusal,
    /// `5xx`
    Failure,
    /// `none`: there was no answer.
    None,
}

impl Code {
    /// The tag's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::Redirect => "3xx",
            Self::Refusal => "4xx",
            Self::Failure => "5xx",
            Self::None => "none",
        }
    }

    /// Whether its requests count as errors.
    pub const fn is_error(self) -> bool {
        match self {
            Self::Failure | Self::None => true,
            Self::Success | Self::Redirect | Self::Refusal => false,
        }
    }
}

//! Shares of the traffic and the weights of servers, as numbers with their ranges.

use std::cmp::Ordering;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest weight that a HAProxy server takes (HAProxy manual, section 5.2, `weight`).
pub const MAX_WEIGHT: u16 = 256;

/// A HAProxy server's weight, 0 to [`MAX_WEIGHT`]; 0 takes no new requests.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct ServerWeight(u16);

impl ServerWeight {
    /// The weight that takes nothing.
    pub const ZERO: Self = Self(0);
    /// The weight of all servers of a back end that serves one revision only.
    pub const EVEN: Self = Self(100);

    /// The weight `value`, cut to [`MAX_WEIGHT`].
    pub const fn new(value: u16) -> Self {
        if value > MAX_WEIGHT {
            Self(MAX_WEIGHT)
        } else {
            Self(value)
        }
    }

    /// The weight as a number, 0 to 256.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether the weight takes nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ServerWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A part of a whole as an exact fraction, from nothing to everything.
///
/// Exact, because a share that is compared with what was observed must not depend on rounding.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    /// Nothing.
    pub const NONE: Self = Self { part: 0, whole: 1 };
    /// Everything.
    pub const ALL: Self = Self { part: 1, whole: 1 };

    /// The fraction `part / whole`, cut to everything; nothing when `whole` is 0.
    pub const fn new(part: u64, whole: u64) -> Self {
        if whole == 0 {
            Self::NONE
        } else if part > whole {
            Self::ALL
        } else {
            Self { part, whole }
        }
    }

    /// So many hundredths, cut to everything.
    pub const fn percent(percent: u8) -> Self {
        Self::new(percent as u64, 100)
    }

    /// The numerator; never above [`Self::whole`].
    pub const fn part(self) -> u64 {
        self.part
    }

    /// The denominator; never 0.
    pub const fn whole(self) -> u64 {
        self.whole
    }

    /// Whether this is nothing.
    pub const fn is_none(self) -> bool {
        self.part == 0
    }

    /// Whether this is everything.
    pub const fn is_all(self) -> bool {
        self.part == self.whole
    }

    /// This share scaled down to `ready` of `sized` parts; unchanged when all are ready.
    #[must_use]
    pub const fn scaled(self, ready: u32, sized: u32) -> Self {
        if ready >= sized {
            self
        } else {
            Self::new(self.part * ready as u64, self.whole * sized as u64)
        }
    }

    /// The share as a number from 0 to 100.
    #[expect(
        clippy::cast_precision_loss,
        reason = "for display; both numbers are far below 2^52"
    )]
    pub fn as_percent(self) -> f64 {
        100.0 * self.part as f64 / self.whole as f64
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = u128::from(self.part) * u128::from(other.whole);
        let right = u128::from(other.part) * u128::from(self.whole);
        left.cmp(&right)
    }
}

//! Weights that realise a share exactly, or as near as any integers do (TRAFFIC-2).
//!
//! With `S` stable servers of weight `s` and `C` canary servers of weight `c`, the canary's share
//! is `C·c / (C·c + S·s)`. It depends on `c/s` only and rises with it, so the best pair is one of
//! the two fractions next to the wanted ratio among all fractions with both parts in 1..=256. The
//! Stern–Brocot tree finds them (Graham, Knuth, Patashnik: Concrete Mathematics, section 4.5).

use crate::api::{MAX_WEIGHT, ServerWeight, Share};

/// The weight of every server of each of the two revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Of every stable server.
    pub stable: ServerWeight,
    /// Of every canary server.
    pub canary: ServerWeight,
}

impl Weights {
    /// Of a canary that serves alone: its share is too small, never too large, when stable comes back.
    pub const ALONE: Self = Self {
        stable: ServerWeight::new(MAX_WEIGHT),
        canary: ServerWeight::new(1),
    };
}

/// A fraction of positive integers, not above [`MAX_WEIGHT`] each.
#[derive(Clone, Copy)]
struct Ratio {
    canary: u64,
    stable: u64,
}

/// The weights that give `canaries` servers the share `share` beside `stables` servers.
///
/// Where stable has no servers, the canary takes everything whatever its weight is; it gets the
/// smallest one ([`Weights::ALONE`]). Where the canary has none, or no share, its weight is 0. Ties go to the smaller share.
pub fn apportion(share: Share, stables: u32, canaries: u32) -> Weights {
    if canaries == 0 || share.is_none() {
        return Weights {
            stable: ServerWeight::EVEN,
            canary: ServerWeight::ZERO,
        };
    }
    if share.is_all() {
        return Weights {
            stable: ServerWeight::ZERO,
            canary: ServerWeight::EVEN,
        };
    }
    if stables == 0 {
        return Weights::ALONE;
    }
    let (below, above) = neighbours(
        u128::from(share.part()) * u128::from(stables),
        u128::from(share.whole() - share.part()) * u128::from(canaries),
    );
    let best = match (below, above) {
        (Some(below), Some(above)) => nearer(share, stables, canaries, below, above),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => Ratio {
            canary: 1,
            stable: 1,
        },
    };
    Weights {
        stable: weight(best.stable),
        canary: weight(best.canary),
    }
}

/// The share that `weights` give to `canaries` servers beside `stables` servers.
pub fn achieved(weights: Weights, stables: u32, canaries: u32) -> Share {
    let canary = u64::from(weights.canary.get()) * u64::from(canaries);
    let stable = u64::from(weights.stable.get()) * u64::from(stables);
    Share::new(canary, canary + stable)
}

fn weight(value: u64) -> ServerWeight {
    ServerWeight::new(u16::try_from(value).unwrap_or(MAX_WEIGHT))
}

/// The largest fraction not above `numerator / denominator` and the smallest not below it, with
/// both parts in 1..=256; none where there is no such fraction.
fn neighbours(numerator: u128, denominator: u128) -> (Option<Ratio>, Option<Ratio>) {
    let limit = u64::from(MAX_WEIGHT);
    let mut below = Ratio {
        canary: 0,
        stable: 1,
    };
    let mut above = Ratio {
        canary: 1,
        stable: 0,
    };
    loop {
        let middle = Ratio {
            canary: below.canary + above.canary,
            stable: below.stable + above.stable,
        };
        if middle.canary > limit || middle.stable > limit {
            break;
        }
        let left = u128::from(middle.canary) * denominator;
        let right = u128::from(middle.stable) * numerator;
        match left.cmp(&right) {
            std::cmp::Ordering::Equal => return (Some(middle), Some(middle)),
            std::cmp::Ordering::Less => below = middle,
            std::cmp::Ordering::Greater => above = middle,
        }
    }
    let usable = |ratio: Ratio| (ratio.canary > 0 && ratio.stable > 0).then_some(ratio);
    (usable(below), usable(above))
}

/// Whichever of `below` and `above` gives the share that is nearer to `share`.
fn nearer(share: Share, stables: u32, canaries: u32, below: Ratio, above: Ratio) -> Ratio {
    let given = |ratio: Ratio| {
        let canary = u128::from(ratio.canary) * u128::from(canaries);
        (
            canary,
            canary + u128::from(ratio.stable) * u128::from(stables),
        )
    };
    let ((low_part, low_whole), (high_part, high_whole)) = (given(below), given(above));
    let (part, whole) = (u128::from(share.part()), u128::from(share.whole()));
    // share − low ≤ high − share, each brought to the common denominator whole·low_whole·high_whole.
    let short = (part * low_whole - low_part * whole) * high_whole;
    let over = (high_part * whole - part * high_whole) * low_whole;
    if short <= over { below } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(percent: u8, stables: u32, canaries: u32, expected: (u16, u16)) {
        let weights = apportion(Share::percent(percent), stables, canaries);
        assert_eq!(
            (weights.stable.get(), weights.canary.get()),
            expected,
            "{percent} % of {stables}+{canaries}"
        );
    }

    #[test]
    fn traffic_2_the_designs_example_is_exact() {
        check(5, 6, 1, (19, 6));
        check(50, 6, 3, (1, 2));
        check(50, 1, 1, (1, 1));
    }

    #[test]
    fn traffic_2_the_ends_are_ends() {
        check(0, 6, 1, (100, 0));
        check(100, 6, 6, (0, 100));
        check(5, 6, 0, (100, 0));
        check(5, 0, 2, (256, 1));
    }

    #[test]
    fn traffic_2_beyond_the_range_the_nearest_end_is_taken() {
        check(1, 1, 1000, (256, 1));
        check(99, 1000, 1, (1, 256));
    }
}

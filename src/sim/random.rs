//! Chance: one generator, seeded, from which everything in a simulated world is drawn in the order in
//! which it happens.
//!
//! The stream is PCG's (`XSL RR 128/64 (MCG)`, O'Neill 2014), whose values do not change between
//! releases of the crate or between machines.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::time::{Micros, Span, micros};

/// A generator of chance.
#[derive(Clone, Debug)]
pub struct Random(Pcg64Mcg);

impl Random {
    /// The generator that begins at `seed`.
    pub fn of_seed(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// Any number.
    pub(super) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to below `end`; 0 if there is none. The bias is below `end / 2^64`.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A place in a list of `len`.
    pub fn index(&mut self, len: usize) -> usize {
        let end = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or(0)
    }

    /// A number from 0 to below 1, in steps of 2^-53.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of probability `rate` happens. What never happens draws nothing.
    pub fn chance(&mut self, rate: f64) -> bool {
        rate > 0.0 && self.unit() < rate
    }

    pub(super) fn within(&mut self, span: Span) -> Micros {
        let (least, most) = (micros(span.least), micros(span.most));
        let width = u64::try_from(most.saturating_sub(least)).unwrap_or(0);
        if width == 0 {
            return least;
        }
        least + i64::try_from(self.below(width + 1)).unwrap_or(0)
    }

    /// A length of time from an exponential distribution with mean `mean`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a length of time, saturating"
    )]
    pub(super) fn exponential(&mut self, mean: Micros) -> Micros {
        let unit = 1.0 - self.unit();
        (-unit.ln() * mean as f64) as i64
    }

    /// Small letters and digits, as in the engine's ids.
    pub(super) fn letters(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count);
        let mut bits = 0;
        for position in 0..count {
            // Twelve letters take less than 63 bits.
            if position % 12 == 0 {
                bits = self.next();
            }
            text.push(letter(bits % 36));
            bits /= 36;
        }
        text
    }

    /// How many of `count` independent events of probability `rate` happen.
    pub fn binomial(&mut self, count: u64, rate: f64) -> u64 {
        const FEW: u64 = 64;
        if rate <= 0.0 || count == 0 {
            return 0;
        }
        if rate >= 1.0 {
            return count;
        }
        if count <= FEW {
            return (0..count).map(|_| u64::from(self.unit() < rate)).sum();
        }
        let mean = float(count) * rate;
        if mean < 20.0 {
            return self.poisson(mean).min(count);
        }
        let spread = (mean * (1.0 - rate)).sqrt();
        rounded(mean + spread * self.normal()).min(count)
    }

    /// How many events happen of which `mean` are expected.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 30.0 {
            return rounded(mean + mean.sqrt() * self.normal());
        }
        // Knuth: multiply until the product falls below e^-mean.
        let floor = (-mean).exp();
        let mut product = self.unit();
        let mut count = 0;
        while product > floor {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// From a normal distribution (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// The digit `value` of base 36.
pub(super) fn letter(value: u64) -> char {
    let value = u32::try_from(value % 36).unwrap_or(0);
    char::from_digit(value, 36).unwrap_or('0')
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, saturating"
)]
fn rounded(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_same_on_every_build() {
        let mut random = Random::of_seed(42);
        assert_eq!([0; 3].map(|_| random.below(1_000)), [573, 133, 355]);
        assert_ne!(Random::of_seed(43).next(), Random::of_seed(42).next());
    }

    #[test]
    fn counts_are_near_what_is_expected() {
        let mut random = Random::of_seed(7);
        for mean in [0.5, 5.0, 500.0] {
            let total: u64 = (0..2_000).map(|_| random.poisson(mean)).sum();
            let expected = mean * 2_000.0;
            assert!(
                (float(total) - expected).abs() < 5.0 * expected.sqrt(),
                "{total} of {expected}"
            );
        }
        for (count, rate) in [(50, 0.1), (1_000, 0.01), (1_000, 0.3)] {
            let total: u64 = (0..500).map(|_| random.binomial(count, rate)).sum();
            let expected = float(count) * rate * 500.0;
            assert!(
                (float(total) - expected).abs() < 5.0 * expected.sqrt(),
                "{total} of {expected}"
            );
        }
    }
}

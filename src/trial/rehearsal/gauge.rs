//! Gauges: what a metric measures where the user says so instead of the simulated requests.

use std::fmt;
use std::str::FromStr;

use crate::api::Name;
use crate::sim::{Answer, Random};
use crate::snapshot::SampleKey;

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gauge {
    /// A number, scattered about `mean` with this standard deviation, which may be 0.
    Value {
        /// The middle.
        mean: f64,
        /// The standard deviation.
        spread: f64,
    },
    /// Nothing: the query finds no points.
    NoData,
}

/// Why a text is no [`Gauge`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not what a metric can measure; write a number, as in `0.003`, one that scatters, as in `0.003±0.001` or `0.003+-0.001`, or `no-data`"
)]
pub struct GaugeError(String);

impl FromStr for Gauge {
    type Err = GaugeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "no-data" {
            return Ok(Self::NoData);
        }
        let parts = text.split_once('±').or_else(|| text.split_once("+-"));
        let (mean, spread) = parts.unwrap_or((text, "0"));
        let number = |text: &str| {
            let number: Option<f64> = text.trim().parse().ok();
            number.filter(|number| number.is_finite())
        };
        match (number(mean), number(spread)) {
            (Some(mean), Some(spread)) if spread >= 0.0 => Ok(Self::Value { mean, spread }),
            _ => Err(GaugeError(text.to_owned())),
        }
    }
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { mean, spread } if *spread == 0.0 => write!(f, "{mean}"),
            Self::Value { mean, spread } => write!(f, "{mean}±{spread}"),
            Self::NoData => f.write_str("no data"),
        }
    }
}

impl Gauge {
    /// The measurement of that key in the world of that seed: always the same.
    pub fn read(self, seed: u64, key: &SampleKey) -> Answer {
        match self {
            Self::Value { mean, spread } => {
                let number = u64::from(key.number) | u64::from(key.stage) << 32;
                let since = key.since.as_microsecond().unsigned_abs();
                let mut random =
                    Random::of_seed(seed ^ mixed(number ^ mixed(since) ^ hash(&key.metric)));
                Answer::Value(mean + spread * normal(&mut random))
            }
            Self::NoData => Answer::NoData,
        }
    }
}

/// From a normal distribution (Box and Muller).
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

fn hash(name: &Name) -> u64 {
    let bytes = name.as_str().bytes();
    bytes.fold(0, |hash, byte| mixed(hash ^ u64::from(byte)))
}

/// A number that differs in every bit from those of its neighbours (`SplitMix64`, Steele and others 2014).
pub(super) fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_read_as_they_are_written() {
        for (text, gauge) in [
            ("0.003", Some((0.003, 0.0))),
            ("0.003±0.001", Some((0.003, 0.001))),
            ("12 +- 3", Some((12.0, 3.0))),
            ("-1e3", Some((-1_000.0, 0.0))),
            ("", None),
            ("x", None),
            ("1±-1", None),
            ("NaN", None),
            ("1±", None),
        ] {
            let wanted = gauge.map(|(mean, spread)| Gauge::Value { mean, spread });
            assert_eq!(text.parse::<Gauge>().ok(), wanted, "{text:?}");
        }
        assert_eq!("no-data".parse(), Ok(Gauge::NoData));
    }
}

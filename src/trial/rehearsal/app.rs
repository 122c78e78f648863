//! How the two versions behave: how often they fail, how long they take, and what they are called.

use std::fmt;
use std::str::FromStr;

use crate::api::Duration;
use crate::sim::{App, RequestClass};

/// How long requests take: half of them at most so long, and 99 of 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The time that half of them take at most.
    pub p50: Duration,
    /// The time that 99 of 100 take at most.
    pub p99: Duration,
}

/// Why a text is no [`Latency`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no latency; write a duration from 1ms, as in `80ms`, or the median and the 99th percentile, as in `30ms/150ms`"
)]
pub struct LatencyError(String);

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (p50, p99) = text.split_once('/').unwrap_or((text, text));
        let read = |part: &str| part.trim().parse::<Duration>().ok();
        match (read(p50), read(p99)) {
            (Some(p50), Some(p99)) if !p50.is_zero() && p50 <= p99 => Ok(Self { p50, p99 }),
            _ => Err(LatencyError(text.to_owned())),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.p50 == self.p99 {
            write!(f, "{}", self.p50)
        } else {
            write!(f, "{}/{}", self.p50, self.p99)
        }
    }
}

/// Parts of the requests, each with the normal deviate of the middle of its part: a log-normal
/// distribution in eight steps. The middle of the third is the median, that of the last the 99th percentile.
const STEPS: [(f64, f64); 8] = [
    (0.2, -1.281_6),
    (0.2, -0.524_4),
    (0.2, 0.0),
    (0.2, 0.524_4),
    (0.1, 1.036_4),
    (0.05, 1.439_5),
    (0.03, 1.811_9),
    (0.02, 2.326_3),
];

/// The deviate of the 99th percentile.
const P99: f64 = 2.326_3;

impl Latency {
    /// The same as parts of the requests.
    pub fn classes(self) -> Vec<RequestClass> {
        if self.p50 == self.p99 {
            return vec![RequestClass {
                part: 1.0,
                takes: self.p50,
            }];
        }
        let (p50, p99) = (millis(self.p50), millis(self.p99));
        let spread = (p99 / p50).ln() / P99;
        let class = |(part, deviate): (f64, f64)| RequestClass {
            part,
            takes: whole_millis(p50 * (spread * deviate).exp()),
        };
        STEPS.map(class).to_vec()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a length of time")]
fn millis(duration: Duration) -> f64 {
    duration.as_millis() as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, saturating"
)]
fn whole_millis(millis: f64) -> Duration {
    Duration::from_millis(millis.round().max(1.0) as u64)
}

/// How one version behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Version {
    /// The part of its requests that it answers with 5xx, from 0 to 1.
    pub error_rate: f64,
    /// How long its requests take.
    pub latency: Latency,
}

impl Version {
    /// Its application. It starts as fast as the simulated world's usual one.
    pub fn app(&self) -> App {
        App {
            error_rate: self.error_rate,
            requests: self.latency.classes(),
            ..App::default()
        }
    }
}

/// A made-up name for what ran before `image`.
pub fn previous(image: &str) -> String {
    let bare = image.split('@').next().unwrap_or(image);
    let name = bare.rfind('/').map_or(0, |slash| slash + 1);
    let end = bare[name..].rfind(':').map_or(bare.len(), |at| name + at);
    let before = format!("{}:before", &bare[..end]);
    if before == image {
        return format!("{before}-that");
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_read_as_they_are_written() {
        for text in ["80ms", "30ms/150ms", "1s500ms"] {
            let latency: Latency = text.parse().expect(text);
            assert_eq!(latency.to_string(), text);
        }
        for text in ["", "0", "30", "150ms/30ms", "30ms/", "30ms/1s/2s"] {
            assert!(text.parse::<Latency>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn the_parts_make_one_and_hold_both_percentiles() {
        let latency: Latency = "30ms/150ms".parse().expect("a latency");
        let classes = latency.classes();
        let all: f64 = classes.iter().map(|class| class.part).sum();
        assert!((all - 1.0).abs() < 1e-9, "{all}");
        assert!(classes.is_sorted_by_key(|class| class.takes));
        assert_eq!(classes[2].takes, Duration::from_millis(30));
        assert_eq!(classes[7].takes, Duration::from_millis(150));
    }

    #[test]
    fn what_ran_before_is_another_image() {
        for (image, before) in [
            ("demo-app:v2", "demo-app:before"),
            ("demo-app", "demo-app:before"),
            ("host:5000/a/web:1.4", "host:5000/a/web:before"),
            ("host:5000/a/web", "host:5000/a/web:before"),
            ("host/api@sha256:9f86", "host/api:before"),
            ("web:before", "web:before-that"),
        ] {
            assert_eq!(previous(image), before, "{image}");
        }
    }
}

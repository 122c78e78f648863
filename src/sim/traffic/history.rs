//! The rates of the past, from which points are drawn when a query needs them.
//!
//! A draw depends on the world's seed and on what it is a draw of, and on nothing else: two windows
//! that overlap agree on what they share, whoever asks first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::point::{Code, Latency, Point};
use super::super::random::Random;
use super::super::setup::{App, RequestClass};
use super::super::time::{Micros, SECOND, Time, micros, seconds};
use super::Stream;
use crate::api::Revision;

/// Since when requests come at which rate, and how they are answered.
struct Segment {
    since: Time,
    rate: f64,
    app: Arc<App>,
}

/// The rates of each revision in each back end of each instance.
#[derive(Default)]
pub(in crate::sim) struct History(BTreeMap<(usize, String), BTreeMap<Revision, Vec<Segment>>>);

/// What is drawn: the requests of one second, of one class of durations.
#[derive(Clone, Copy)]
struct Cell<'a> {
    seed: u64,
    instance: usize,
    backend: &'a str,
    revision: &'a Revision,
    second: i64,
}

impl History {
    /// From now on these are the streams of a back end on an instance.
    pub fn note<'a>(
        &mut self,
        instance: usize,
        backend: &str,
        streams: impl Iterator<Item = &'a Stream>,
        now: Time,
    ) {
        let mut totals: BTreeMap<&Revision, (f64, &Arc<App>)> = BTreeMap::new();
        for stream in streams {
            let total = totals.entry(&stream.revision);
            total.or_insert((0.0, &stream.app)).0 += stream.rate();
        }
        let known = self.0.entry((instance, backend.to_owned())).or_default();
        for (revision, segments) in known.iter_mut() {
            if !totals.contains_key(revision) {
                end(segments, now);
            }
        }
        for (revision, (rate, app)) in totals {
            let segments = known.entry(revision.clone()).or_default();
            segments.push(Segment {
                since: now,
                rate,
                app: app.clone(),
            });
        }
    }

    /// The points of the whole seconds from `from` to before `until`.
    pub fn points(&self, seed: u64, from: i64, until: i64) -> Vec<Point> {
        let mut points = Vec::new();
        for second in from..until {
            let mut tallies: BTreeMap<(&str, &Revision, Code), Tally> = BTreeMap::new();
            for ((instance, backend), revisions) in &self.0 {
                for (revision, segments) in revisions {
                    let cell = Cell {
                        seed,
                        instance: *instance,
                        backend,
                        revision,
                        second,
                    };
                    draw(&cell, segments, &mut |code, takes, count| {
                        let key = (backend.as_str(), revision, code);
                        tallies.entry(key).or_default().add(takes, count);
                    });
                }
            }
            points.extend(
                tallies
                    .into_iter()
                    .map(|((backend, revision, code), tally)| {
                        tally.point(second, backend, revision, code)
                    }),
            );
        }
        points
    }
}

fn end(segments: &mut Vec<Segment>, now: Time) {
    if let Some(last) = segments.last()
        && last.rate > 0.0
    {
        let app = last.app.clone();
        segments.push(Segment {
            since: now,
            rate: 0.0,
            app,
        });
    }
}

/// Draws the requests that ended in the cell's second, class by class, each with how long it took.
fn draw(cell: &Cell<'_>, segments: &[Segment], tell: &mut impl FnMut(Code, f64, u64)) {
    let Some(last) = segments.last() else { return };
    let mut random = cell.random();
    for class in &last.app.requests {
        let (mean, errors) = ended(cell.second, class, segments);
        let count = random.poisson(mean);
        if count == 0 {
            continue;
        }
        let failed = random.binomial(count, errors / mean.max(f64::MIN_POSITIVE));
        let takes = milliseconds(class) * (0.9 + 0.2 * random.unit());
        if failed > 0 {
            tell(Code::Failure, takes, failed);
        }
        if count > failed {
            tell(Code::Success, takes, count - failed);
        }
    }
}

/// How many requests of a class ended in a second, on average, and how many of them with an error. A request ends
/// as long after it came as it takes.
fn ended(second: i64, class: &RequestClass, segments: &[Segment]) -> (f64, f64) {
    let begin = Time::of_second(second).minus(micros(class.takes));
    let end = begin.plus(SECOND);
    let (mut mean, mut errors) = (0.0, 0.0);
    let ends = segments.iter().skip(1).map(|segment| segment.since);
    for (segment, until) in segments.iter().zip(ends.chain([end])) {
        let overlap: Micros = until.min(end).since(segment.since.max(begin)).max(0);
        let requests = class.part * segment.rate * seconds(overlap);
        mean += requests;
        errors += requests * segment.app.error_rate;
    }
    (mean, errors)
}

#[expect(clippy::cast_precision_loss, reason = "a length of time")]
fn milliseconds(class: &RequestClass) -> f64 {
    class.takes.as_millis() as f64
}

impl Cell<'_> {
    /// A generator of its own for each cell (the key by FNV-1a, which does not change).
    fn random(&self) -> Random {
        const PRIME: u64 = 0x0100_0000_01b3;
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let instance = u64::try_from(self.instance).unwrap_or(0);
        // The seed goes through the hash as the rest does: neighbouring seeds share no cell.
        let numbers = [self.seed, instance, self.second.unsigned_abs()];
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
        let texts = self
            .backend
            .bytes()
            .chain([0])
            .chain(self.revision.as_str().bytes());
        for byte in bytes.chain(texts) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        Random::of_seed(hash)
    }
}

/// How many requests took how long.
#[derive(Default)]
struct Tally(Vec<(f64, u64)>);

impl Tally {
    fn add(&mut self, takes: f64, count: u64) {
        self.0.push((takes, count));
    }

    fn point(mut self, second: i64, backend: &str, revision: &Revision, code: Code) -> Point {
        /// What an answer has, on average.
        const BYTES: u64 = 1_200;
        self.0.sort_by(|a, b| a.0.total_cmp(&b.0));
        let requests = self.0.iter().map(|(_, count)| count).sum();
        let quantile = |percent| self.quantile(percent, requests);
        let latency = Latency {
            p50: quantile(50),
            p90: quantile(90),
            p99: quantile(99),
            max: quantile(100),
        };
        Point {
            second,
            backend: backend.to_owned(),
            revision: revision.clone(),
            code,
            requests,
            errors: if code.is_error() { requests } else { 0 },
            p50: latency.p50,
            p90: latency.p90,
            p99: latency.p99,
            max: latency.max,
            bytes: requests.saturating_mul(BYTES),
            active: self.active(),
            response: Some(latency),
        }
    }

    /// How many of the requests were open at once (Little's law), at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a small count, never negative"
    )]
    fn active(&self) -> u64 {
        let times = self.0.iter();
        let busy: f64 = times.map(|(takes, count)| takes * *count as f64).sum();
        (busy / 1_000.0).ceil() as u64
    }

    /// The time that `percent` of the requests took at most.
    fn quantile(&self, percent: u64, requests: u64) -> f64 {
        let mut seen = 0;
        for (takes, count) in &self.0 {
            seen += count;
            if seen * 100 >= percent * requests {
                return *takes;
            }
        }
        self.0.last().map_or(0.0, |(takes, _)| *takes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_seeds_draw_nothing_in_common() {
        let revision: Revision = "0123456789".parse().expect("a revision");
        let draw = |seed, instance| {
            let cell = Cell {
                seed,
                instance,
                backend: "web",
                revision: &revision,
                second: 1,
            };
            cell.random().below(u64::MAX)
        };
        assert_ne!(draw(2, 1), draw(3, 0));
    }
}

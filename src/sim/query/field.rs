//! The names of a point's fields and tags, and their values as the collector would have written them.
//!
//! The names are those of `docs/operations.md`, "What the collector writes". What is compared or summed is
//! decided elsewhere.
//!
//! A point has four percentiles of each timer, and the collector a sum and a histogram too. Between two percentiles
//! times are taken to lie evenly, and below the median as far as the 90th percentile lies above it: a
//! service that always takes the same time is so told exactly.

use std::fmt;

use crate::sim::point::{Latency, Point};

/// The measurement.
pub const MEASUREMENT: &str = "haproxy";

/// The upper edges of the histogram `…_le_…`, in milliseconds.
pub const EDGES: [u32; 13] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
];

/// A tag that every point has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// The `backend` section.
    Backend,
    /// The class of the answers.
    Code,
    /// The revision that answered.
    Revision,
}

impl Tag {
    /// The tag of that name. The tag `collector` has none here: nobody collects what is simulated.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "backend" => Some(Self::Backend),
            "code" => Some(Self::Code),
            "revision" => Some(Self::Revision),
            _ => None,
        }
    }
}

/// A field of a point. All are integers, as the collector writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// `requests`
    Requests,
    /// `errors`
    Errors,
    /// `bytes`
    Bytes,
    /// `active`
    Active,
    /// `ta_…` and `tr_…`
    Time(Timer, Statistic),
}

/// Which of HAProxy's timers a field is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// `ta`, the total time.
    Total,
    /// `tr`, the server's response time.
    Response,
}

/// What a field says of a timer, in milliseconds unless it counts requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// How many requests had such a time.
    Count,
    /// Their sum.
    Sum,
    /// The 50th percentile.
    P50,
    /// The 90th percentile.
    P90,
    /// The 99th percentile.
    P99,
    /// The longest.
    Max,
    /// How many took at most so long.
    Within(u32),
}

impl Field {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [Self::Requests, Self::Errors, Self::Bytes, Self::Active];
        let timers = [Timer::Total, Timer::Response];
        plain
            .into_iter()
            .chain(timers.into_iter().flat_map(|timer| {
                let ranks = [
                    Statistic::Count,
                    Statistic::Sum,
                    Statistic::P50,
                    Statistic::P90,
                    Statistic::P99,
                    Statistic::Max,
                ];
                let edges = EDGES.into_iter().map(Statistic::Within);
                ranks
                    .into_iter()
                    .chain(edges)
                    .map(move |statistic| Self::Time(timer, statistic))
            }))
    }

    /// The field of that name. `aborted`, `queued` and `retries` have none here: they are not simulated.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|field| field.to_string() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests => f.write_str("requests"),
            Self::Errors => f.write_str("errors"),
            Self::Bytes => f.write_str("bytes"),
            Self::Active => f.write_str("active"),
            Self::Time(timer, statistic) => write!(f, "{timer}_{statistic}"),
        }
    }
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "ta",
            Self::Response => "tr",
        })
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Sum => f.write_str("sum"),
            Self::P50 => f.write_str("p50"),
            Self::P90 => f.write_str("p90"),
            Self::P99 => f.write_str("p99"),
            Self::Max => f.write_str("max"),
            Self::Within(edge) => write!(f, "le_{edge}"),
        }
    }
}

impl Point {
    /// The field's value, if the collector would have written it: of no requests there are no times.
    pub fn field(&self, field: Field) -> Option<i64> {
        match field {
            Field::Requests => Some(integer(self.requests)),
            Field::Errors => Some(integer(self.errors)),
            Field::Bytes => Some(integer(self.bytes)),
            Field::Active => Some(integer(self.active)),
            Field::Time(..) if self.requests == 0 => None,
            Field::Time(Timer::Total, statistic) => {
                Some(self.total().statistic(statistic, self.requests))
            }
            Field::Time(Timer::Response, statistic) => {
                Some(self.response?.statistic(statistic, self.requests))
            }
        }
    }

    /// The tag's value.
    pub fn tag(&self, tag: Tag) -> &str {
        match tag {
            Tag::Backend => &self.backend,
            Tag::Code => self.code.as_str(),
            Tag::Revision => self.revision.as_str(),
        }
    }

    fn total(&self) -> Latency {
        Latency {
            p50: self.p50,
            p90: self.p90,
            p99: self.p99,
            max: self.max,
        }
    }
}

impl Latency {
    fn statistic(self, statistic: Statistic, requests: u64) -> i64 {
        match statistic {
            Statistic::Count => integer(requests),
            Statistic::Sum => whole(self.mean() * float(requests)),
            Statistic::P50 => whole(self.p50),
            Statistic::P90 => whole(self.p90),
            Statistic::P99 => whole(self.p99),
            Statistic::Max => whole(self.max),
            Statistic::Within(edge) => whole(self.share_within(edge.into()) * float(requests)),
        }
    }

    /// Times, each with the share of requests that took at most so long.
    fn knots(self) -> [(f64, f64); 5] {
        let least = (self.p50 - (self.p90 - self.p50)).max(0.0);
        [
            (least, 0.0),
            (self.p50, 0.5),
            (self.p90, 0.9),
            (self.p99, 0.99),
            (self.max, 1.0),
        ]
    }

    fn mean(self) -> f64 {
        let part = |pair: &[(f64, f64)]| {
            let ((low, from), (high, to)) = (pair[0], pair[1]);
            (to - from) * f64::midpoint(low, high)
        };
        self.knots().windows(2).map(part).sum()
    }

    fn share_within(self, edge: f64) -> f64 {
        let knots = self.knots();
        if edge < knots[0].0 {
            return 0.0;
        }
        for pair in knots.windows(2) {
            let ((low, from), (high, to)) = (pair[0], pair[1]);
            if edge < high {
                return from + (to - from) * (edge - low) / (high - low);
            }
        }
        1.0
    }
}

fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "so many requests are not simulated"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast to an integer saturates"
)]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::point::Code;

    fn point(latency: [f64; 4]) -> Point {
        let [p50, p90, p99, max] = latency;
        Point {
            second: 0,
            backend: "be".to_owned(),
            revision: "0123456789".parse().expect("a revision"),
            code: Code::Success,
            requests: 200,
            errors: 0,
            p50,
            p90,
            p99,
            max,
            bytes: 0,
            active: 0,
            response: None,
        }
    }

    fn value(point: &Point, name: &str) -> Option<i64> {
        point.field(Field::named(name).unwrap_or_else(|| panic!("no field {name}")))
    }

    #[test]
    fn the_same_time_for_all_is_told_exactly() {
        let point = point([100.0; 4]);
        for (name, wanted) in [
            ("ta_count", 200),
            ("ta_sum", 20_000),
            ("ta_p50", 100),
            ("ta_max", 100),
            ("ta_le_50", 0),
            ("ta_le_100", 200),
            ("ta_le_10000", 200),
        ] {
            assert_eq!(value(&point, name), Some(wanted), "{name}");
        }
    }

    #[test]
    fn between_percentiles_times_lie_evenly() {
        let point = point([20.0, 60.0, 100.0, 200.0]);
        for (name, wanted) in [
            ("ta_le_10", 50),
            ("ta_le_50", 160),
            ("ta_le_100", 198),
            ("ta_le_250", 200),
        ] {
            assert_eq!(value(&point, name), Some(wanted), "{name}");
        }
    }

    #[test]
    fn what_did_not_happen_has_no_times() {
        let mut point = point([1.0; 4]);
        assert_eq!(value(&point, "tr_p99"), None);
        point.requests = 0;
        assert_eq!(value(&point, "ta_p99"), None);
        assert_eq!(value(&point, "requests"), Some(0));
    }

    #[test]
    fn only_fields_of_the_collector_have_names() {
        assert_eq!(Field::all().count(), 4 + 2 * (6 + EDGES.len()));
        for name in ["retries", "ta_le_3", "ta", "REQUESTS", ""] {
            assert_eq!(Field::named(name), None, "{name}");
        }
    }
}

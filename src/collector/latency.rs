//! Latencies of one second: exact percentiles and a cumulative histogram. Pure.

use std::borrow::Cow;

/// The upper edges of the histogram's buckets, in milliseconds; an edge belongs to its bucket. The last bucket, without
/// an edge, is the count of all.
pub const EDGES: [u32; 13] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
];

/// The percentiles that are written.
pub const PERCENTILES: [u32; 3] = [50, 90, 99];

/// Latencies of requests, in milliseconds, as they came.
///
/// They are kept one by one, four bytes each, because a second has so few that exact percentiles cost less than
/// an approximation would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, millis: u32) {
        self.0.push(millis);
    }

    /// Adds all of another set.
    pub fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    /// Appends what is to be written: `PREFIX_count`, `_sum`, `_p50`, `_p90`, `_p99`, `_max` and `_le_EDGE` for each
    /// of [`EDGES`], the number of requests that took at most so long. Of no requests nothing is
    /// written: they have no percentile, and 0 would be a lie.
    pub fn fields(mut self, prefix: &str, out: &mut Vec<(Cow<'static, str>, u64)>) {
        self.0.sort_unstable();
        let Some(max) = self.0.last().copied() else {
            return;
        };
        let mut field =
            |name: &str, value: u64| out.push((format!("{prefix}_{name}").into(), value));
        field("count", count(self.0.len()));
        field("sum", self.0.iter().copied().map(u64::from).sum());
        for percent in PERCENTILES {
            field(&format!("p{percent}"), self.percentile(percent).into());
        }
        field("max", max.into());
        for edge in EDGES {
            let within = self.0.partition_point(|millis| *millis <= edge);
            field(&format!("le_{edge}"), count(within));
        }
    }

    /// The smallest value that at least `percent` of a hundred values do not exceed (nearest rank). The values are
    /// sorted and not empty.
    fn percentile(&self, percent: u32) -> u32 {
        let rank = (self.0.len() * percent as usize).div_ceil(100);
        self.0[rank.max(1) - 1]
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(values: &[u32]) -> Vec<(String, u64)> {
        let mut latencies = Latencies::default();
        for value in values {
            latencies.record(*value);
        }
        let mut out = Vec::new();
        latencies.fields("ta", &mut out);
        out.into_iter().map(|(k, v)| (k.into_owned(), v)).collect()
    }

    fn field(fields: &[(String, u64)], name: &str) -> u64 {
        fields
            .iter()
            .find(|(k, _)| k == name)
            .unwrap_or_else(|| panic!("no {name}"))
            .1
    }

    #[test]
    fn percentiles_are_by_nearest_rank_and_edges_belong_to_their_bucket() {
        let all = fields(&(1..=100).rev().collect::<Vec<_>>());
        for (name, value) in [
            ("ta_count", 100),
            ("ta_sum", 5050),
            ("ta_p50", 50),
            ("ta_p90", 90),
            ("ta_p99", 99),
            ("ta_max", 100),
            ("ta_le_1", 1),
            ("ta_le_50", 50),
            ("ta_le_10000", 100),
        ] {
            assert_eq!(field(&all, name), value, "{name}");
        }
        assert_eq!(field(&fields(&[7]), "ta_p99"), 7);
    }

    #[test]
    fn no_latencies_are_no_fields() {
        assert!(fields(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn the_histogram_is_cumulative_and_the_percentiles_are_in_order(values in proptest::collection::vec(0_u32..20_000, 1..200)) {
            let all = fields(&values);
            let histogram: Vec<u64> = EDGES.iter().map(|e| field(&all, &format!("ta_le_{e}"))).collect();
            prop_assert!(histogram.is_sorted());
            prop_assert!(histogram[EDGES.len() - 1] <= field(&all, "ta_count"));
            let order = ["ta_p50", "ta_p90", "ta_p99", "ta_max"].map(|name| field(&all, name));
            prop_assert!(order.is_sorted());
        }
    }
}

//! What many runs say together: how they ended, how long they took, and how often the verdict was wrong.

use std::collections::BTreeMap;

use super::{Ending, Report, Stopper, Truth};
use crate::api::Name;

/// What many runs say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How many there were.
    pub runs: usize,
    /// How they ended, and why.
    pub groups: Vec<Group>,
    /// How many seconds passed until the end.
    pub seconds: Quantiles,
    /// How many requests reached the new version until it served as the stable one or was taken back.
    pub canary_requests: Quantiles,
    /// How many of these failed.
    pub canary_failures: Quantiles,
    /// All requests that no fault can have lost.
    pub lost: f64,
    /// All requests that were lost to faults.
    pub lost_to_faults: f64,
    /// How many rules were broken, in all runs.
    pub violations: usize,
    /// The runs in which the new version was stopped although it keeps the metrics' bounds in truth; none if it does not,
    /// or that cannot be told.
    pub false_alarms: Option<FalseAlarms>,
    /// The runs in which the new version passed although it breaks a metric's bounds in truth; none if it does
    /// not, or that cannot be told.
    pub missed: Option<Proportion>,
}

/// Runs in which a good version was stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FalseAlarms {
    /// All of them.
    pub all: Proportion,
    /// How many of them by a metric whose bounds it keeps in truth.
    pub by_metric: usize,
    /// How many of them by the progress deadline.
    pub by_deadline: usize,
}

/// Runs that ended alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// How.
    pub ending: Ending,
    /// Why.
    pub why: String,
    /// How many.
    pub runs: usize,
    /// The seed of the first of them.
    pub seed: u64,
}

/// Values of which so many are at most so large.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantiles {
    /// Half of them.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// All.
    pub max: f64,
}

/// A part of the runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proportion {
    /// How many.
    pub count: usize,
    /// Of how many.
    pub of: usize,
}

impl Proportion {
    /// The part, from 0 to 1.
    pub fn rate(self) -> f64 {
        if self.of == 0 {
            return 0.0;
        }
        float(self.count) / float(self.of)
    }

    /// Between which rates the true one lies with 95 % confidence (Wilson's score interval, 1927).
    pub fn interval(self) -> (f64, f64) {
        const Z: f64 = 1.959_964;
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (rate, runs) = (self.rate(), float(self.of));
        let scale = 1.0 + Z * Z / runs;
        let middle = rate + Z * Z / (2.0 * runs);
        let half = Z * (rate * (1.0 - rate) / runs + Z * Z / (4.0 * runs * runs)).sqrt();
        let low = if self.count == 0 {
            0.0
        } else {
            (middle - half) / scale
        };
        let high = if self.count == self.of {
            1.0
        } else {
            (middle + half) / scale
        };
        (low, high)
    }
}

impl Quantiles {
    /// Of `values`, by nearest rank; 0 of none.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Self {
            p50: at(50),
            p90: at(90),
            max: at(100),
        }
    }
}

impl FalseAlarms {
    /// In these runs of a good version.
    fn of(reports: &[Report], truths: &BTreeMap<Name, Truth>) -> Self {
        let (mut by_metric, mut by_deadline) = (0, 0);
        for report in reports {
            match &report.stopped_by {
                Some(Stopper::Metric(name)) if truths.get(name) == Some(&Truth::Keeps) => {
                    by_metric += 1;
                }
                Some(Stopper::Deadline) => by_deadline += 1,
                // What would be right of that metric is not known.
                Some(Stopper::Metric(_)) | None => {}
            }
        }
        Self {
            all: Proportion {
                count: by_metric + by_deadline,
                of: reports.len(),
            },
            by_metric,
            by_deadline,
        }
    }
}

impl Summary {
    /// What `reports` say, given what is true.
    pub fn of(reports: &[Report], truths: &BTreeMap<Name, Truth>) -> Self {
        let can_be_false = truths.values().any(|truth| *truth == Truth::Keeps);
        let is_bad = truths.values().any(|truth| *truth == Truth::Breaks);
        let share = |count: usize| Proportion {
            count,
            of: reports.len(),
        };
        let passed = reports
            .iter()
            .filter(|report| report.ending == Ending::Healthy)
            .count();
        Self {
            runs: reports.len(),
            groups: groups(reports),
            seconds: Quantiles::of(reports.iter().map(|report| report.took)),
            canary_requests: Quantiles::of(reports.iter().map(|report| report.canary.requests)),
            canary_failures: Quantiles::of(reports.iter().map(|report| report.canary.failed)),
            lost: reports.iter().map(|report| report.lost).sum(),
            lost_to_faults: reports.iter().map(|report| report.lost_to_faults).sum(),
            violations: reports.iter().map(|report| report.violations.len()).sum(),
            false_alarms: (can_be_false && !is_bad).then(|| FalseAlarms::of(reports, truths)),
            missed: is_bad.then(|| share(passed)),
        }
    }

    /// How many ended so.
    pub fn count(&self, ending: Ending) -> usize {
        let groups = self.groups.iter();
        let such = groups.filter(|group| group.ending == ending);
        such.map(|group| group.runs).sum()
    }
}

fn groups(reports: &[Report]) -> Vec<Group> {
    let mut groups: BTreeMap<(Ending, &str), Group> = BTreeMap::new();
    for report in reports {
        let key = (report.ending, report.why.as_str());
        let group = groups.entry(key).or_insert_with(|| Group {
            ending: report.ending,
            why: report.why.clone(),
            runs: 0,
            seed: report.seed,
        });
        group.runs += 1;
    }
    groups.into_values().collect()
}

#[expect(clippy::cast_precision_loss, reason = "a number of runs")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_there() {
        let hundred = Quantiles::of((1..=100).rev().map(f64::from));
        assert_eq!((hundred.p50, hundred.p90, hundred.max), (50.0, 90.0, 100.0));
        let one = Quantiles::of([7.0].into_iter());
        assert_eq!((one.p50, one.p90, one.max), (7.0, 7.0, 7.0));
        assert_eq!(Quantiles::of([].into_iter()), Quantiles::default());
    }

    #[test]
    fn intervals_are_wilsons() {
        let near = |one: f64, other: f64| (one - other).abs() < 5e-5;
        for (count, of, low, high) in [
            (3, 1_000, 0.001_02, 0.008_78),
            (0, 50, 0.0, 0.071_35),
            (5, 10, 0.236_6, 0.763_4),
            (50, 50, 0.928_65, 1.0),
        ] {
            let found = Proportion { count, of }.interval();
            assert!(
                near(found.0, low) && near(found.1, high),
                "{count} of {of}: {found:?}"
            );
        }
    }
}

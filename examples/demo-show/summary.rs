//! What came of it all, as facts, and whether each is as it should be: the facts that every act has. Those of one act are
//! beside its story.

use jiff::Timestamp;

use crate::account::{Account, StageCount};
use crate::load::{Counts, Total};
use crate::show::Proxy;

/// How far a share, counted over a stage, may be from the one that is wanted, in points.
const TOLERANCE: f64 = 1.5;

/// One line of the summary.
pub struct Fact {
    /// Whether it is as it should be; none if it is only told.
    pub good: Option<bool>,
    /// The fact.
    pub text: String,
}

/// All facts.
pub struct Summary(pub Vec<Fact>);

impl Summary {
    /// Whether everything is as it should be.
    pub fn is_good(&self) -> bool {
        self.0.iter().all(|fact| fact.good != Some(false))
    }
}

/// Nothing is lost.
pub fn lost(total: &Total) -> Fact {
    let Counts { requests, lost, .. } = total.counts;
    let slowest = total
        .p99
        .map(|p99| format!("; 99 % of the answers took at most {p99:.0} ms"))
        .unwrap_or_default();
    Fact {
        good: Some(lost == 0 && requests > 0),
        text: format!("{requests} requests were sent, {lost} of them lost{slowest}"),
    }
}

/// The share that a stage's canary, which is called `version`, got at each HAProxy.
pub fn shares(name: &str, version: &str, count: Option<&StageCount>, proxies: &[Proxy]) -> Fact {
    let Some(count) = count else {
        return Fact {
            good: Some(false),
            text: format!("{name}: nothing was counted"),
        };
    };
    let wanted = f64::from(count.wanted);
    let mut good = true;
    let counted: Vec<_> = proxies
        .iter()
        .map(|Proxy { name, .. }| {
            let counts = count.proxies.get(name).cloned().unwrap_or_default();
            let share = counts.percent(version);
            good &= share.is_some_and(|share| (share - wanted).abs() <= TOLERANCE);
            let share = share.map_or("none".to_owned(), |share| format!("{share:.2} %"));
            format!("{share} of {} at {name}", counts.requests)
        })
        .collect();
    Fact {
        good: Some(good),
        text: format!("{name}: wanted {wanted} %, counted {}", counted.join(", ")),
    }
}

/// In the end everybody gets `version`.
pub fn afterwards(version: &str, account: &Account, proxies: &[Proxy]) -> Fact {
    let mut counts = Counts::default();
    for proxy in proxies {
        counts.add(&account.lately(&proxy.name));
    }
    let of_it = counts.of(version);
    Fact {
        good: Some(counts.requests > 0 && counts.requests == of_it),
        text: format!(
            "of the last {} requests, {of_it} were answered by {version}",
            counts.requests
        ),
    }
}

/// How many seconds are between two instants.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

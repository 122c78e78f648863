//! What came of it all, as facts, and whether each is as it should be.

use jiff::Timestamp;
use rolloutctl::api::{AbortCause, RolloutStatus};

use crate::Proxy;
use crate::account::{Account, StageCount};
use crate::load::{Counts, Total, percent};

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
    /// Sums up.
    pub fn new(
        status: &RolloutStatus,
        account: &Account,
        total: &Total,
        proxies: &[Proxy],
    ) -> Self {
        let mut facts = vec![lost(total), unexpected_errors(&total.counts)];
        for stage in 0..3 {
            facts.extend(shares(2, stage, account.stages.get(&(2, stage)), proxies));
        }
        facts.extend(shares(3, 0, account.stages.get(&(3, 0)), proxies));
        facts.push(taken_back(status));
        facts.extend(times(status, account));
        facts.push(reached(&total.counts));
        facts.push(afterwards(account, proxies));
        Self(facts)
    }

    /// Whether everything is as it should be.
    pub fn is_good(&self) -> bool {
        self.0.iter().all(|fact| fact.good != Some(false))
    }
}

fn lost(total: &Total) -> Fact {
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

/// Errors of the app are v3's alone.
fn unexpected_errors(total: &Counts) -> Fact {
    let errors = |version: &str| total.app_errors.get(version).copied().unwrap_or_default();
    let (of_v3, all) = (errors("v3"), total.app_errors.values().sum::<u64>());
    Fact {
        good: Some(all == of_v3),
        text: format!(
            "{} errors came from v1 and v2, {of_v3} from v3",
            all - of_v3
        ),
    }
}

/// The share that a stage's canary got at each HAProxy.
fn shares(attempt: u32, stage: u32, count: Option<&StageCount>, proxies: &[Proxy]) -> Vec<Fact> {
    let version = format!("v{attempt}");
    let name = format!("v{attempt}, stage {}", stage + 1);
    let Some(count) = count else {
        return vec![Fact {
            good: Some(false),
            text: format!("{name}: nothing was counted"),
        }];
    };
    let wanted = f64::from(count.wanted);
    let mut good = true;
    let counted: Vec<_> = proxies
        .iter()
        .map(|Proxy { name, .. }| {
            let counts = count.proxies.get(name).cloned().unwrap_or_default();
            let share = counts.percent(&version);
            good &= share.is_some_and(|share| (share - wanted).abs() <= TOLERANCE);
            let share = share.map_or("none".to_owned(), |share| format!("{share:.2} %"));
            format!("{share} of {} at {name}", counts.requests)
        })
        .collect();
    vec![Fact {
        good: Some(good),
        text: format!("{name}: wanted {wanted} %, counted {}", counted.join(", ")),
    }]
}

fn taken_back(status: &RolloutStatus) -> Fact {
    match &status.abort {
        Some(abort) => Fact {
            good: Some(matches!(abort.cause, AbortCause::Analysis { .. }) && abort.attempt == 3),
            text: format!("v3 was taken back: {}", abort.message),
        },
        None => Fact {
            good: Some(false),
            text: "v3 was not taken back".to_owned(),
        },
    }
}

/// How long v3 was there, and how long it took to be rid of it.
fn times(status: &RolloutStatus, account: &Account) -> Vec<Fact> {
    let (Some(abort), Some(seen)) = (&status.abort, account.seen.get("v3")) else {
        return Vec::new();
    };
    let mut facts = Vec::new();
    if let AbortCause::Analysis { failed, .. } = &abort.cause
        && let Some(sample) = failed.last()
    {
        facts.push(Fact {
            good: None,
            text: format!(
                "{:.1} s from the failed measurement to the decision, {:.1} s to the end of v3's last answer",
                seconds(sample.at, abort.at),
                seconds(sample.at, seen.last).max(0.0)
            ),
        });
    }
    facts.push(Fact {
        good: None,
        text: format!(
            "{:.1} s from v3's first answer to its last",
            seconds(seen.first, seen.last)
        ),
    });
    facts
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn reached(total: &Counts) -> Fact {
    let requests = total.of("v3");
    let errors = total.app_errors.get("v3").copied().unwrap_or_default();
    let share = percent(requests, total.requests).unwrap_or_default();
    Fact {
        good: None,
        text: format!(
            "{requests} requests reached v3 ({share:.2} % of all), {errors} of them failed"
        ),
    }
}

/// In the end everybody gets v2.
fn afterwards(account: &Account, proxies: &[Proxy]) -> Fact {
    let mut counts = Counts::default();
    for proxy in proxies {
        counts.add(&account.lately(&proxy.name));
    }
    let of_v2 = counts.of("v2");
    Fact {
        good: Some(counts.requests > 0 && counts.requests == of_v2),
        text: format!(
            "of the last {} requests, {of_v2} were answered by v2",
            counts.requests
        ),
    }
}

//! The facts of a Friday morning.

use jiff::Timestamp;

use super::team::Release;
use super::{Morning, Trial};
use crate::account::Seen;
use crate::load::Total;
use crate::show::Show;
use crate::summary::{Fact, Summary, afterwards, lost, seconds, shares};

/// How long both versions may be seen in a rollover, and how long its revert may take once it was read, in seconds. It is
/// counted in quarters of a second. A version that has to come up takes more.
const AT_ONCE: f64 = 2.0;

/// Sums up.
pub fn sum_up(show: &Show, total: &Total, morning: &Morning) -> Summary {
    let mut facts = vec![lost(total)];
    facts.extend(preview(&morning.tried));
    facts.push(first_answer("rc, v2", &morning.scaled_in, "v2"));
    for stage in [0, 1] {
        let name = format!("rc, v2, stage {}", stage + 1);
        let count = show.account.stages.get(&(morning.attempt, stage));
        facts.push(shares(&name, "v2", count, &show.proxies));
    }
    facts.push(first_answer("rc, bad v3", &morning.bad, "v3"));
    facts.extend(taken_back(morning));
    facts.push(healthy_again(&morning.rc_reverted));
    facts.push(merged(&morning.merged));
    facts.push(first_answer(
        "master, mended v3",
        &morning.rolled_over,
        "v3",
    ));
    facts.push(switched(&morning.rolled_over));
    facts.push(back(&morning.master_reverted));
    facts.push(errors(total, morning));
    facts.push(afterwards("v2", &show.account, &show.proxies));
    Summary(facts)
}

/// How long it took until an instant, from the commit and from when it was read.
fn took(release: &Release, until: Timestamp) -> String {
    let read = release
        .read
        .map(|read| format!(", {:.1} s after it was read", seconds(read, until)))
        .unwrap_or_default();
    format!("{:.1} s after the commit{read}", seconds(release.at, until))
}

fn seen(release: &Release, version: &str) -> Option<Seen> {
    release.page.seen.get(version).copied()
}

fn preview(trial: &Trial) -> [Fact; 2] {
    let (all, of_it) = (trial.counts.requests, trial.counts.of("v2"));
    let outcome = if trial.is_passed { "passed" } else { "failed" };
    let left = match trial.left.as_slice() {
        [] => "nothing".to_owned(),
        left => left.join(", "),
    };
    [
        Fact {
            good: Some(trial.is_passed && of_it == 0 && all > 0),
            text: format!(
                "test/login: the preview {outcome} its check {}; of {all} requests it got {of_it}",
                took(&trial.release, trial.release.done)
            ),
        },
        Fact {
            good: Some(trial.left.is_empty() && !trial.had.is_empty()),
            text: format!(
                "test/login: of its {} services and configs, {left} was left {:.1} s after its branch was deleted",
                trial.had.len(),
                seconds(trial.deleted, trial.gone)
            ),
        },
    ]
}

/// When clients first got what a commit had asked for.
fn first_answer(name: &str, release: &Release, version: &str) -> Fact {
    match seen(release, version) {
        Some(seen) => Fact {
            good: None,
            text: format!("{name}: first answer {}", took(release, seen.first_by)),
        },
        None => Fact {
            good: Some(false),
            text: format!("{name}: nothing was answered by it"),
        },
    }
}

fn taken_back(morning: &Morning) -> Vec<Fact> {
    let mut facts = vec![match &morning.verdict {
        Some(message) => Fact {
            good: Some(message.contains("error-ratio")),
            text: format!("rc, bad v3, was taken back: {message}"),
        },
        None => Fact {
            good: Some(false),
            text: "rc, bad v3, was not taken back".to_owned(),
        },
    }];
    facts.extend(seen(&morning.bad, "v3").map(|seen| Fact {
        good: None,
        text: format!(
            "rc, bad v3: last answer {:.1} s after its first; {} requests reached it, {} of them failed",
            seconds(seen.first, seen.last),
            morning.bad.page.total.of("v3"),
            failed(morning),
        ),
    }));
    facts
}

/// The errors of the version that was meant to have some.
fn failed(morning: &Morning) -> u64 {
    let errors = morning.bad.page.total.app_errors.get("v3");
    errors.copied().unwrap_or_default()
}

fn healthy_again(release: &Release) -> Fact {
    Fact {
        good: None,
        text: format!("rc, its revert: Healthy {}", took(release, release.done)),
    }
}

fn merged(release: &Release) -> Fact {
    let total = &release.page.total;
    Fact {
        good: Some(total.of("v2") == total.requests && total.requests > 0),
        text: format!(
            "master, the merge: {} of {} answers came from v2, as before",
            total.of("v2"),
            total.requests
        ),
    }
}

/// The old version's answers end where the new one's begin.
fn switched(release: &Release) -> Fact {
    let overlap = seen(release, "v3")
        .zip(seen(release, "v2"))
        .map(|(new, old)| seconds(new.first, old.last).max(0.0));
    Fact {
        good: Some(overlap.is_some_and(|overlap| overlap <= AT_ONCE)),
        text: match overlap {
            Some(overlap) => format!(
                "master, mended v3: all in one switch, v2's last answer came at most {overlap:.1} s after v3's first"
            ),
            None => "master, mended v3: there was no switch".to_owned(),
        },
    }
}

/// What was reverted answers no more.
fn back(release: &Release) -> Fact {
    let last = seen(release, "v3").map(|seen| seen.last);
    let since = release.read.unwrap_or(release.at);
    Fact {
        good: Some(last.is_some_and(|last| seconds(since, last) <= AT_ONCE)),
        text: match last {
            Some(last) => format!(
                "master, its revert: last answer of v3 {}",
                took(release, last)
            ),
            None => "master, its revert: v3 had answered nothing".to_owned(),
        },
    }
}

/// Errors of the app are bad v3's alone.
fn errors(total: &Total, morning: &Morning) -> Fact {
    let all = total.counts.app_errors.values().sum::<u64>();
    let of_bad = failed(morning);
    Fact {
        good: Some(all == of_bad && of_bad > 0),
        text: format!(
            "{of_bad} errors came from bad v3, {} from all others",
            all - of_bad
        ),
    }
}

//! The facts of a good rollout and a bad one.

use rolloutctl::api::AbortCause;

use crate::load::{Counts, Total, percent};
use crate::show::Show;
use crate::summary::{Fact, Summary, afterwards, lost, seconds, shares};

/// Sums up.
pub fn sum_up(show: &Show, total: &Total) -> Summary {
    let mut facts = vec![lost(total), unexpected_errors(&total.counts)];
    for (attempt, stage) in [(2, 0), (2, 1), (2, 2), (3, 0)] {
        let (version, name) = (
            format!("v{attempt}"),
            format!("v{attempt}, stage {}", stage + 1),
        );
        let count = show.account.stages.get(&(attempt, stage));
        facts.push(shares(&name, &version, count, &show.proxies));
    }
    facts.push(taken_back(show));
    facts.extend(times(show));
    facts.push(reached(&total.counts));
    facts.push(afterwards("v2", &show.account, &show.proxies));
    Summary(facts)
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

fn taken_back(show: &Show) -> Fact {
    match &show.last.main.status.abort {
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
fn times(show: &Show) -> Vec<Fact> {
    let abort = &show.last.main.status.abort;
    let (Some(abort), Some(seen)) = (abort, show.account.all.seen.get("v3")) else {
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

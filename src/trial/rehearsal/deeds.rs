//! Deeds: what the mishaps of one run together do to the simulated world, and when. What becomes of a metric source is in
//! `oracle`.

use jiff::Timestamp;

use super::fault::Trouble;
use super::mishap::{Mishap, NODES, SEAT, Span};
use crate::api::Duration;
use crate::sim::{Condition, FaultPlan, Hand, Rates};
use crate::trial::Deed;

/// When any of the mishaps that are meant lasts: in order, and those that overlap as one.
fn spans(mishaps: &[Mishap], is_meant: impl Fn(&Mishap) -> bool) -> Vec<Span> {
    let meant = mishaps.iter().filter(|mishap| is_meant(mishap));
    let mut all: Vec<Span> = meant.map(Mishap::span).collect();
    all.sort();
    let mut spans: Vec<Span> = Vec::new();
    for span in all {
        match spans.last_mut() {
            Some(last) if span.from <= last.until => last.until = last.until.max(span.until),
            Some(_) | None => spans.push(span),
        }
    }
    spans
}

/// What all mishaps together do to the world, with the times. What overlaps with another one of its kind ends with the
/// later of both.
pub(super) fn deeds(mishaps: &[Mishap]) -> Vec<(Timestamp, Deed)> {
    let mut deeds = moments(mishaps);
    deeds.extend(proxy(mishaps));
    let of = |trouble| spans(mishaps, move |mishap| mishap.fault.trouble == trouble);
    for span in of(Trouble::ControllerCrash) {
        deeds.push((span.from, Deed::Kill(SEAT)));
        deeds.push((span.until, Deed::Start(SEAT)));
    }
    for node in 0..NODES {
        let of = |trouble| {
            let is_meant =
                |mishap: &Mishap| mishap.fault.trouble == trouble && mishap.node() == node;
            spans(mishaps, is_meant)
        };
        for span in of(Trouble::NodeLost) {
            deeds.push((span.from, Deed::Hand(Hand::CrashNode(node))));
            deeds.push((span.until, Deed::Hand(Hand::ReturnNode(node))));
        }
        for span in of(Trouble::NodeDrained) {
            deeds.push((span.from, Deed::Hand(Hand::DrainNode(node))));
            deeds.push((span.until, Deed::Hand(Hand::ActivateNode(node))));
        }
    }
    deeds.extend(calls(mishaps));
    deeds
}

/// What is over as soon as it happens.
fn moments(mishaps: &[Mishap]) -> Vec<(Timestamp, Deed)> {
    let happens = |mishap: &Mishap| {
        let hand = match mishap.fault.trouble {
            Trouble::HaproxyReload => Hand::Reload(0),
            Trouble::TaskKilled => Hand::KillTask(mishap.which),
            Trouble::HaproxyRestart
            | Trouble::HaproxyUnreachable
            | Trouble::HaproxyHangs
            | Trouble::InfluxdbDown
            | Trouble::InfluxdbHangs
            | Trouble::ControllerCrash
            | Trouble::NodeLost
            | Trouble::NodeDrained
            | Trouble::SwarmSlow
            | Trouble::SwarmUnreachable => return None,
        };
        Some((mishap.from, Deed::Hand(hand)))
    };
    mishaps.iter().filter_map(happens).collect()
}

/// What a mishap makes of a runtime API.
const fn condition(trouble: Trouble) -> Option<Condition> {
    match trouble {
        Trouble::HaproxyUnreachable => Some(Condition::Unreachable),
        Trouble::HaproxyHangs => Some(Condition::Hangs),
        Trouble::HaproxyRestart
        | Trouble::HaproxyReload
        | Trouble::InfluxdbDown
        | Trouble::InfluxdbHangs
        | Trouble::ControllerCrash
        | Trouble::TaskKilled
        | Trouble::NodeLost
        | Trouble::NodeDrained
        | Trouble::SwarmSlow
        | Trouble::SwarmUnreachable => None,
    }
}

/// What becomes of the first proxy. Of two troubles with its runtime API at the same time that one is in force which began
/// last; once it is over, the other one is again. A restart is the end of neither.
fn proxy(mishaps: &[Mishap]) -> Vec<(Timestamp, Deed)> {
    let restarts = spans(mishaps, |mishap| {
        mishap.fault.trouble == Trouble::HaproxyRestart
    });
    let restart = |span: &Span| {
        let pause = Duration::between(span.from, span.until);
        (span.from, Deed::Hand(Hand::Restart(0, pause)))
    };
    let mut deeds: Vec<_> = restarts.iter().map(restart).collect();
    let troubles = mishaps.iter().filter_map(|mishap| {
        let condition = condition(mishap.fault.trouble)?;
        Some((mishap.span(), condition))
    });
    let troubles: Vec<(Span, Condition)> = troubles.collect();
    let at = |at: Timestamp| {
        let on = troubles.iter();
        let on = on.filter(|(span, _)| span.from <= at && at < span.until);
        let last = on.max_by_key(|(span, _)| span.from);
        last.map_or(Condition::Answers, |(_, condition)| *condition)
    };
    let turns = troubles.iter();
    let mut turns: Vec<_> = turns
        .flat_map(|(span, _)| [span.from, span.until])
        .collect();
    let starts = restarts.iter().map(|span| span.until);
    turns.extend(starts.filter(|start| at(*start) != Condition::Answers));
    turns.sort();
    turns.dedup();
    let turn = |turn| (turn, Deed::Hand(Hand::Condition(0, at(turn))));
    deeds.extend(turns.into_iter().map(turn));
    deeds
}

/// What happens to calls of the Swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallTrouble {
    Slow,
    Lost,
}

impl CallTrouble {
    /// What `trouble` does to them, if anything.
    pub const fn of(trouble: Trouble) -> Option<Self> {
        match trouble {
            Trouble::SwarmSlow => Some(Self::Slow),
            Trouble::SwarmUnreachable => Some(Self::Lost),
            Trouble::HaproxyRestart
            | Trouble::HaproxyReload
            | Trouble::HaproxyUnreachable
            | Trouble::HaproxyHangs
            | Trouble::InfluxdbDown
            | Trouble::InfluxdbHangs
            | Trouble::ControllerCrash
            | Trouble::TaskKilled
            | Trouble::NodeLost
            | Trouble::NodeDrained => None,
        }
    }
}

/// What becomes of calls from which time on, given all mishaps.
fn calls(mishaps: &[Mishap]) -> Vec<(Timestamp, Deed)> {
    let concerned: Vec<_> = mishaps
        .iter()
        .filter_map(|mishap| Some((mishap, CallTrouble::of(mishap.fault.trouble)?)))
        .collect();
    let ends = concerned.iter();
    let mut turns: Vec<Timestamp> = ends
        .flat_map(|(mishap, _)| [mishap.from, mishap.until])
        .collect();
    turns.sort();
    turns.dedup();
    let plan = |at: Timestamp| {
        let mut rates = Rates::NONE;
        let mut hints_lost = 0.0;
        for (mishap, trouble) in &concerned {
            if mishap.from <= at && at < mishap.until {
                hints_lost = 1.0;
                match trouble {
                    CallTrouble::Slow => rates.slow = 0.5,
                    CallTrouble::Lost => rates.lost = 1.0,
                }
            }
        }
        FaultPlan {
            healed_at: Timestamp::MAX,
            swarm: rates,
            store: rates,
            lease: rates,
            hints_lost,
            ..FaultPlan::none()
        }
    };
    let deeds = turns.into_iter();
    deeds
        .map(|at| (at, Deed::Faults(Box::new(plan(at)))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Random;
    use crate::trial::rehearsal::Fault;

    /// When the mishaps of these faults do something, in seconds, and what.
    fn done(faults: &[&str]) -> Vec<(i64, String)> {
        let faults = faults.iter().map(|text| text.parse().expect(text));
        let faults: Vec<Fault> = faults.collect();
        let mut random = Random::of_seed(1);
        let mut mishaps = Mishap::draw(
            &faults,
            Timestamp::UNIX_EPOCH,
            Duration::from_secs(60),
            &mut random,
        );
        for mishap in &mut mishaps {
            mishap.which = 0;
        }
        let mut deeds = deeds(&mishaps);
        deeds.sort_by_key(|(at, _)| *at);
        let deeds = deeds.into_iter();
        deeds
            .map(|(at, deed)| (at.as_second(), format!("{deed:?}")))
            .collect()
    }

    #[track_caller]
    fn check(faults: &[&str], expected: &[(i64, &str)]) {
        let expected = expected.iter().map(|(at, deed)| (*at, (*deed).to_owned()));
        assert_eq!(done(faults), expected.collect::<Vec<_>>(), "{faults:?}");
    }

    #[test]
    fn the_end_of_one_trouble_of_a_proxy_is_not_that_of_another() {
        check(
            &["haproxy-hangs=1s..20m", "haproxy-unreachable=2s..3s"],
            &[
                (1, "Hand(Condition(0, Hangs))"),
                (2, "Hand(Condition(0, Unreachable))"),
                (3, "Hand(Condition(0, Hangs))"),
                (1_200, "Hand(Condition(0, Answers))"),
            ],
        );
        check(
            &["haproxy-restart=5s..10s", "haproxy-hangs=1s..20s"],
            &[
                (1, "Hand(Condition(0, Hangs))"),
                (5, "Hand(Restart(0, Duration(5000)))"),
                (10, "Hand(Condition(0, Hangs))"),
                (20, "Hand(Condition(0, Answers))"),
            ],
        );
    }

    #[test]
    fn what_happens_twice_at_once_ends_once() {
        check(
            &["controller-crash=1s..60s", "controller-crash=2s..7s"],
            &[(1, "Kill(Seat(0))"), (60, "Start(Seat(0))")],
        );
        check(
            &[
                "node-lost=1s..60s",
                "node-lost=2s..7s",
                "node-lost=70s..80s",
            ],
            &[
                (1, "Hand(CrashNode(0))"),
                (60, "Hand(ReturnNode(0))"),
                (70, "Hand(CrashNode(0))"),
                (80, "Hand(ReturnNode(0))"),
            ],
        );
        check(
            &["haproxy-restart=1s..60s", "haproxy-restart=2s"],
            &[(1, "Hand(Restart(0, Duration(59000)))")],
        );
    }
}

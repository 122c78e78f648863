//! Mishaps: when the faults of one run happen, what they do to the simulated world, and what is lost to them.

use jiff::Timestamp;

use super::fault::{Fault, Length, Trouble};
use super::oracle::{Outage, Silence};
use super::record::Killed;
use crate::api::Duration;
use crate::sim::{Condition, FaultPlan, Hand, Loss, Random, Rates};
use crate::trial::{Deed, Seat};

/// For how long after a fault what is lost is put down to it.
const AFTERMATH: Duration = Duration::from_secs(60);

/// A fault with its time.
#[derive(Clone, Debug)]
pub(super) struct Mishap {
    pub fault: Fault,
    pub from: Timestamp,
    /// When it is over; `from` if it is a matter of a moment.
    pub until: Timestamp,
    /// Which task or node it concerns, as far as that is left to chance.
    pub which: usize,
}

/// How many nodes there are.
const NODES: usize = 3;

/// The seat of the only controller.
pub(super) const SEAT: Seat = Seat(0);

impl Mishap {
    /// The faults with their times, of which those that are not said are drawn from the time that the rollout is
    /// expected to take.
    pub fn draw(
        faults: &[Fault],
        start: Timestamp,
        expected: Duration,
        random: &mut Random,
    ) -> Vec<Self> {
        let mut draw = |fault: &Fault| {
            let (drawn, which) = (random.below(expected.as_millis().max(1)), random.index(64));
            let offset = fault.from.unwrap_or(Duration::from_millis(drawn));
            let from = offset.after(start);
            let until = match (fault.until, fault.trouble.length()) {
                (Some(until), _) => until.after(start),
                (None, Length::Lasts(length)) => length.after(from),
                (None, Length::Moment) => from,
            };
            Self {
                fault: *fault,
                from,
                until,
                which,
            }
        };
        faults.iter().map(&mut draw).collect()
    }

    /// The number of the node that it concerns, if it concerns one.
    const fn node(&self) -> usize {
        self.which % NODES
    }

    /// Whether what is lost at `now` by that cause may be its doing. Sessions are cut by nobody but the rollout. Of killed
    /// processes see [`Self::kills`].
    pub fn brings_about(&self, cause: Loss, now: Timestamp) -> bool {
        let is_near = self.from <= now && now <= AFTERMATH.after(self.until);
        let can_be = match self.fault.trouble {
            Trouble::HaproxyRestart => {
                matches!(cause, Loss::ProxyStopped | Loss::NoServer | Loss::Refused)
            }
            // Nobody tells a proxy that a task is gone, or that another one is there.
            Trouble::HaproxyReload
            | Trouble::HaproxyUnreachable
            | Trouble::HaproxyHangs
            | Trouble::ControllerCrash
            | Trouble::SwarmSlow
            | Trouble::SwarmUnreachable => matches!(cause, Loss::NoServer | Loss::Refused),
            Trouble::TaskKilled | Trouble::NodeLost | Trouble::NodeDrained => {
                matches!(cause, Loss::NoServer | Loss::NothingReady | Loss::Refused)
            }
            Trouble::InfluxdbDown | Trouble::InfluxdbHangs => false,
        };
        is_near && can_be
    }

    /// Whether it has ended that process, and not the rollout by a scale-down at the same time.
    pub fn kills(&self, killed: &Killed) -> bool {
        let is_here = killed.node == Some(self.node());
        match self.fault.trouble {
            Trouble::TaskKilled => killed.at == self.from,
            Trouble::NodeLost => killed.at == self.from && is_here,
            // Its tasks get a stop signal, and are killed some time later.
            Trouble::NodeDrained => {
                self.from <= killed.at && killed.at <= AFTERMATH.after(self.until) && is_here
            }
            Trouble::HaproxyRestart
            | Trouble::HaproxyReload
            | Trouble::HaproxyUnreachable
            | Trouble::HaproxyHangs
            | Trouble::InfluxdbDown
            | Trouble::InfluxdbHangs
            | Trouble::ControllerCrash
            | Trouble::SwarmSlow
            | Trouble::SwarmUnreachable => false,
        }
    }

    /// What it does to the metric source.
    pub fn outage(&self) -> Option<Outage> {
        let silence = match self.fault.trouble {
            Trouble::InfluxdbDown => Silence::Refuses,
            Trouble::InfluxdbHangs => Silence::Hangs,
            Trouble::HaproxyRestart
            | Trouble::HaproxyReload
            | Trouble::HaproxyUnreachable
            | Trouble::HaproxyHangs
            | Trouble::ControllerCrash
            | Trouble::TaskKilled
            | Trouble::NodeLost
            | Trouble::NodeDrained
            | Trouble::SwarmSlow
            | Trouble::SwarmUnreachable => return None,
        };
        Some(Outage {
            from: self.from,
            until: self.until,
            silence,
        })
    }

    const fn span(&self) -> Span {
        Span {
            from: self.from,
            until: self.until,
        }
    }

    /// What is said of its beginning and its end.
    pub fn told(&self) -> Vec<(Timestamp, String)> {
        let name = self.fault.trouble.name();
        let mut told = vec![(self.from, format!("fault: {name}"))];
        if self.until > self.from {
            told.push((self.until, format!("fault over: {name}")));
        }
        told
    }
}

/// From when until when something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    from: Timestamp,
    until: Timestamp,
}

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
        mishaps.iter_mut().for_each(|mishap| mishap.which = 0);
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

    #[test]
    fn a_fault_has_lost_what_it_can_have_lost() {
        let mishap = |text: &str| Mishap {
            fault: text.parse().expect(text),
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            which: 1,
        };
        let now = Timestamp::UNIX_EPOCH;
        let killed = |at: Timestamp, node: usize| Killed {
            at,
            node: Some(node),
            requests: 1.0,
        };
        let later = Duration::from_secs(30).after(now);
        let too_late = Duration::from_secs(61).after(now);
        for trouble in Trouble::ALL {
            let mishap = mishap(trouble.name());
            assert!(!mishap.brings_about(Loss::Cut, now), "{trouble:?}");
            assert!(
                !mishap.brings_about(Loss::NoServer, too_late),
                "{trouble:?}"
            );
            let is_drain = trouble == Trouble::NodeDrained;
            assert_eq!(mishap.kills(&killed(later, 1)), is_drain, "{trouble:?}");
            assert!(!mishap.kills(&killed(later, 2)), "{trouble:?}");
        }
        assert!(mishap("haproxy-restart").brings_about(Loss::ProxyStopped, later));
        assert!(!mishap("haproxy-reload").brings_about(Loss::ProxyStopped, now));
        assert!(mishap("controller-crash").brings_about(Loss::NoServer, later));
        assert!(!mishap("influxdb-down").brings_about(Loss::NoServer, now));
        assert!(mishap("task-killed").kills(&killed(now, 2)));
        assert!(mishap("node-lost").kills(&killed(now, 1)));
        assert!(!mishap("node-lost").kills(&killed(now, 2)));
    }
}

//! Mishaps: when the faults of one run happen, and what each does to the simulated world.

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

    /// What it does to the world, with the times. Calls that go wrong are not among it: see [`calls`].
    pub fn deeds(&self) -> Vec<(Timestamp, Deed)> {
        let node = self.which % 3;
        let hand = |hand: Hand| Deed::Hand(hand);
        let pair = |first: Deed, last: Deed| vec![(self.from, first), (self.until, last)];
        let proxy = |condition| {
            pair(
                hand(Hand::Condition(0, condition)),
                hand(Hand::Condition(0, Condition::Answers)),
            )
        };
        match self.fault.trouble {
            Trouble::HaproxyRestart => {
                let pause = Duration::between(self.from, self.until);
                vec![(self.from, hand(Hand::Restart(0, pause)))]
            }
            Trouble::HaproxyReload => vec![(self.from, hand(Hand::Reload(0)))],
            Trouble::HaproxyUnreachable => proxy(Condition::Unreachable),
            Trouble::HaproxyHangs => proxy(Condition::Hangs),
            Trouble::ControllerCrash => pair(Deed::Kill(SEAT), Deed::Start(SEAT)),
            Trouble::TaskKilled => vec![(self.from, hand(Hand::KillTask(self.which)))],
            Trouble::NodeLost => pair(hand(Hand::CrashNode(node)), hand(Hand::ReturnNode(node))),
            Trouble::NodeDrained => {
                pair(hand(Hand::DrainNode(node)), hand(Hand::ActivateNode(node)))
            }
            Trouble::InfluxdbDown
            | Trouble::InfluxdbHangs
            | Trouble::SwarmSlow
            | Trouble::SwarmUnreachable => Vec::new(),
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
pub(super) fn calls(mishaps: &[Mishap]) -> Vec<(Timestamp, Deed)> {
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

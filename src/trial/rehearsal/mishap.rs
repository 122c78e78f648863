//! Mishaps: when the faults of one run happen, and what is lost to them. What they do to the simulated world is in `deeds`.

use jiff::Timestamp;

use super::fault::{Fault, Length, Trouble};
use super::oracle::{Outage, Silence};
use super::record::Killed;
use crate::api::Duration;
use crate::sim::{Loss, Random};
use crate::trial::Seat;

/// For how long after a fault what is lost is put down to it.
const AFTERMATH: Duration = Duration::from_secs(60);

/// From when until when something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub from: Timestamp,
    pub until: Timestamp,
}

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
pub(super) const NODES: usize = 3;

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
    pub const fn node(&self) -> usize {
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

    /// When it lasts.
    pub const fn span(&self) -> Span {
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

#[cfg(test)]
mod tests {
    use super::*;

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

//! Faults, in words of those who run things: what may go wrong while a rollout is under way, and when.
//!
//! What they do to the simulated world is in `deeds`.

use std::fmt;
use std::str::FromStr;

use crate::api::Duration;
use crate::manifest::nearest;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The first HAProxy stops, and runs again without what it was told.
    HaproxyRestart,
    /// The first HAProxy is reloaded, and forgets what it was told.
    HaproxyReload,
    /// The first HAProxy serves; its runtime API cannot be reached.
    HaproxyUnreachable,
    /// The first HAProxy serves; its runtime API says nothing.
    HaproxyHangs,
    /// `InfluxDB` refuses connections.
    InfluxdbDown,
    /// `InfluxDB` does not answer.
    InfluxdbHangs,
    /// The controller is killed, and started again.
    ControllerCrash,
    /// A task's process is killed.
    TaskKilled,
    /// A node loses its power.
    NodeLost,
    /// A node is drained.
    NodeDrained,
    /// Half of the answers of the Swarm take up to 9 s, and hints get lost.
    SwarmSlow,
    /// The Swarm cannot be reached; what runs goes on.
    SwarmUnreachable,
}

/// How long something lasts of which only the beginning is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// It happens, and that is all.
    Moment,
    /// So long.
    Lasts(Duration),
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::HaproxyRestart,
        Self::HaproxyReload,
        Self::HaproxyUnreachable,
        Self::HaproxyHangs,
        Self::InfluxdbDown,
        Self::InfluxdbHangs,
        Self::ControllerCrash,
        Self::TaskKilled,
        Self::NodeLost,
        Self::NodeDrained,
        Self::SwarmSlow,
        Self::SwarmUnreachable,
    ];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HaproxyRestart => "haproxy-restart",
            Self::HaproxyReload => "haproxy-reload",
            Self::HaproxyUnreachable => "haproxy-unreachable",
            Self::HaproxyHangs => "haproxy-hangs",
            Self::InfluxdbDown => "influxdb-down",
            Self::InfluxdbHangs => "influxdb-hangs",
            Self::ControllerCrash => "controller-crash",
            Self::TaskKilled => "task-killed",
            Self::NodeLost => "node-lost",
            Self::NodeDrained => "node-drained",
            Self::SwarmSlow => "swarm-slow",
            Self::SwarmUnreachable => "swarm-unreachable",
        }
    }

    /// What it does, in a line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::HaproxyRestart => {
                "the first HAProxy stops for 2s and comes back without its servers"
            }
            Self::HaproxyReload => "the first HAProxy is reloaded and forgets its servers",
            Self::HaproxyUnreachable => {
                "the first HAProxy's runtime API cannot be reached for 30s; it serves"
            }
            Self::HaproxyHangs => "the first HAProxy's runtime API says nothing for 30s; it serves",
            Self::InfluxdbDown => "InfluxDB refuses connections for 1m",
            Self::InfluxdbHangs => "InfluxDB takes queries for 1m and answers none",
            Self::ControllerCrash => "the controller is killed, and started again after 5s",
            Self::TaskKilled => "the process of one task is killed",
            Self::NodeLost => "one of the three nodes loses its power, and is back after 2m",
            Self::NodeDrained => "one of the three nodes is drained, and active again after 2m",
            Self::SwarmSlow => {
                "half of the Swarm's answers take up to 9s, and its events get lost, for 1m"
            }
            Self::SwarmUnreachable => {
                "the controller cannot reach the Swarm for 1m; what runs goes on"
            }
        }
    }

    pub(super) const fn length(self) -> Length {
        match self {
            Self::HaproxyReload | Self::TaskKilled => Length::Moment,
            Self::HaproxyRestart => Length::Lasts(Duration::from_secs(2)),
            Self::ControllerCrash => Length::Lasts(Duration::from_secs(5)),
            Self::HaproxyUnreachable | Self::HaproxyHangs => Length::Lasts(Duration::from_secs(30)),
            Self::InfluxdbDown | Self::InfluxdbHangs | Self::SwarmSlow | Self::SwarmUnreachable => {
                Length::Lasts(Duration::from_secs(60))
            }
            Self::NodeLost | Self::NodeDrained => Length::Lasts(Duration::from_secs(120)),
        }
    }

    fn named(name: &str) -> Result<Self, FaultError> {
        let mut all = Self::ALL.into_iter();
        all.find(|trouble| trouble.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            let remedy = nearest(name, names).map_or_else(
                || format!("there are: {}", names.join(", ")),
                |meant| format!("did you mean `{meant}`? `--fault help` lists all"),
            );
            FaultError::Unknown {
                name: name.to_owned(),
                remedy,
            }
        })
    }
}

/// Something that goes wrong, and when: in time since the new version was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub trouble: Trouble,
    /// When it begins; the seed chooses if absent.
    pub from: Option<Duration>,
    /// When it is over; after its usual time if absent.
    pub until: Option<Duration>,
}

/// Why a text is no [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// There is no such trouble.
    #[error("there is no fault `{name}`; {remedy}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        remedy: String,
    },
    /// Its time makes no sense.
    #[error(
        "`{time}` is not when `{name}` can happen; write `{name}={example}`, in time since the new version is applied"
    )]
    Time {
        /// The trouble's name.
        name: &'static str,
        /// What was written.
        time: String,
        /// What could be.
        example: &'static str,
    },
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((name, time)) = text.split_once('=') else {
            return Ok(Self {
                trouble: Trouble::named(text)?,
                from: None,
                until: None,
            });
        };
        let trouble = Trouble::named(name)?;
        let (from, until) = time
            .split_once("..")
            .map_or((time, None), |(from, until)| (from, Some(until)));
        let read = |text: &str| text.parse::<Duration>().ok();
        let times = match (read(from), until.map(read), trouble.length()) {
            (Some(from), None, _) => Some((from, None)),
            (Some(from), Some(Some(until)), Length::Lasts(_)) if from < until => {
                Some((from, Some(until)))
            }
            (Some(_), Some(_), Length::Lasts(_) | Length::Moment) | (None, _, _) => None,
        };
        let (from, until) = times.ok_or(FaultError::Time {
            name: trouble.name(),
            time: time.to_owned(),
            example: match trouble.length() {
                Length::Moment => "30s",
                Length::Lasts(_) => "30s..90s",
            },
        })?;
        Ok(Self {
            trouble,
            from: Some(from),
            until,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.trouble.name())?;
        if let Some(from) = self.from {
            write!(f, "={from}")?;
        }
        if let Some(until) = self.until {
            write!(f, "..{until}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_as_they_are_written() {
        for text in [
            "haproxy-restart",
            "influxdb-down=30s..1m30s",
            "task-killed=5s",
        ] {
            let fault: Fault = text.parse().expect(text);
            assert_eq!(fault.to_string(), text);
        }
        for text in [
            "",
            "influxdb",
            "influxdb-down=",
            "influxdb-down=90s..30s",
            "influxdb-down=5",
            "task-killed=5s..6s",
            "haproxy-reload=..6s",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn every_trouble_has_a_name_of_its_own_and_a_typo_finds_it() {
        for trouble in Trouble::ALL {
            let fault = trouble.name().parse().map(|fault: Fault| fault.trouble);
            assert_eq!(fault, Ok(trouble));
        }
        let error = "influxdb-don".parse::<Fault>().expect_err("a typo");
        assert!(error.to_string().contains("did you mean `influxdb-down`?"));
    }
}

//! Facts about HAProxy: what its runtime API shows of processes and servers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::{Endpoint, TaskId};
use crate::api::{Revision, ServerWeight};

/// What is known of one HAProxy instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceFact {
    /// It answered.
    Reachable(ProxyFact),
    /// It did not, or not to the purpose.
    Unreachable {
        /// What went wrong.
        problem: String,
    },
}

/// One HAProxy process that answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyFact {
    /// Its process id (`show info`, `Pid`); another one means a reload or restart.
    pub pid: u32,
    /// How long it has run, in seconds (`Uptime_sec`).
    pub uptime_secs: u64,
    /// Its version (`Version`), such as `2.6.12`.
    pub version: String,
    /// The servers of each back end, by back end and name.
    pub backends: BTreeMap<String, BTreeMap<String, ServerFact>>,
}

/// One server of one back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFact {
    /// Where it sends requests; none if the server has no IP address yet.
    pub endpoint: Option<Endpoint>,
    /// What an administrator asked of it.
    pub admin: AdminState,
    /// What HAProxy makes of it.
    pub operational: OperationalState,
    /// Since how many seconds that is so (`srv_time_since_last_change`); a drain that begins or ends counts as a change, too.
    pub unchanged_secs: u32,
    /// What its health check says.
    pub check: CheckState,
    /// Its weight as set (`srv_uweight`).
    pub weight: ServerWeight,
    /// Its open requests and those that wait for it (`scur` + `qcur` of `show stat`).
    pub sessions: u32,
}

/// What an administrator asked of a server (`srv_admin_state`, management guide, section 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdminState {
    /// To serve.
    Ready,
    /// To finish what it has.
    Drain,
    /// To be left alone.
    Maintenance,
}

/// What HAProxy makes of a server (`srv_op_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationalState {
    /// It gets nothing.
    Stopped,
    /// It is warming up.
    Starting,
    /// It is up.
    Running,
    /// It is up and on its way down.
    Stopping,
}

/// What a server's health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckState {
    /// It has none, or it is not enabled.
    Disabled,
    /// It has not answered yet.
    Pending,
    /// The last one passed.
    Passed,
    /// The last one failed.
    Failed,
}

/// The name of a server of ours: `<revision>.<slot>.<task>`, the task by the first
/// [`ServerName::TASK_LEN`] characters of its id. Any other name is foreign (TRAFFIC-7).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName {
    revision: Revision,
    slot: u32,
    task: SmolStr,
}

/// A server's name that is not of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a server of ours")]
pub struct ServerNameError(String);

impl ServerName {
    /// How much of a task's id stands in its server's name.
    pub const TASK_LEN: usize = 12;

    /// The name of the server for one task.
    pub fn new(revision: &Revision, slot: u32, task: &TaskId) -> Self {
        Self {
            revision: revision.clone(),
            slot,
            task: task.0.chars().take(Self::TASK_LEN).collect(),
        }
    }

    /// The revision that the server serves.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The beginning of its task's id.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Whether the server is the one of the task `task`.
    pub fn is_of(&self, task: &TaskId) -> bool {
        task.0.starts_with(self.task.as_str())
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.revision, self.slot, self.task)
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ServerNameError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<ServerName> {
    let mut parts = text.split('.');
    let revision = parts.next()?.parse().ok()?;
    let slot = parts.next()?;
    // A slot written as `+1` or `01` would not be read back as it stands.
    let is_plain = slot == "0" || !slot.starts_with(['+', '0']);
    let slot: u32 = slot.parse().ok().filter(|_| is_plain)?;
    let task = parts.next()?;
    let sound = task.len() == ServerName::TASK_LEN
        && task
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && parts.next().is_none();
    let name = ServerName {
        revision,
        slot,
        task: task.into(),
    };
    sound.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_7_only_our_own_names_are_read_as_ours() {
        let ours = "0123456789.3.abcdefghij01";
        assert_eq!(
            ours.parse::<ServerName>().map(|n| n.to_string()).as_deref(),
            Ok(ours)
        );
        for foreign in [
            "web1",
            "0123456789.3",
            "0123456789.3.abc",
            "0123456789.03.abcdefghij01",
            "x.3.abcdefghij01",
            "0123456789.3.ABCDEFGHIJ01",
            "0123456789.3.abcdefghij01.x",
            "0123456789.-1.abcdefghij01",
            "",
        ] {
            assert!(
                foreign.parse::<ServerName>().is_err(),
                "{foreign:?} was taken for ours"
            );
        }
    }
}

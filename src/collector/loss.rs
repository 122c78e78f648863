//! How many log lines UDP has lost, by what HAProxy counted. Pure.
//!
//! HAProxy counts the requests of each back end (`show stat`, row `BACKEND`: `stot`, of which `scur` are still
//! open) and logs each at its end. Lines that should have come and did not are lost. Counts are compared by process
//! id, which the syslog header and `show info` both tell, and by back end: per server they could not be compared,
//! as a redispatched request is counted at each server that it was tried on.
//!
//! # What the numbers are worth
//! Received lines are counted from before the first question to after each answer, so that a line on its way is
//! never taken for lost. `lost` is therefore a lower bound; it is exact as soon as the traffic pauses.
//! Requests that HAProxy is told not to log (`option dontlognull`, `option dontlog-normal`, `log-level
//! silent`) are taken for lost.

use std::collections::BTreeMap;

use super::httplog::HttpLog;
use super::point::Point;

/// The measurement.
pub const MEASUREMENT: &str = "haproxy_loss";

/// After how many questions in a row without an answer a process is forgotten.
const FORGET_AFTER: u32 = 60;

/// What one HAProxy process says of one back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The address at which it was asked.
    pub instance: String,
    /// How long the process has run, in seconds (`show info`, `Uptime_sec`).
    pub uptime_secs: u64,
    /// The process (`show info`, `Pid`).
    pub pid: u32,
    /// The back end (`show stat`, `pxname` of a row whose `svname` is `BACKEND` and whose `mode` is `http`).
    pub backend: String,
    /// Requests since its start (`stot`).
    pub total: u64,
    /// Requests that are open (`scur`).
    pub open: u64,
}

/// What became of the lines of one back end since the last judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The back end.
    pub backend: String,
    /// Requests that have ended.
    pub expected: u64,
    /// Lines that came.
    pub received: u64,
    /// Lines that certainly were lost.
    pub lost: u64,
}

impl Loss {
    /// The loss as a point of the collector `collector`.
    pub fn into_point(self, collector: &str, nanos: i64) -> Point {
        Point {
            measurement: MEASUREMENT,
            tags: vec![
                ("backend", self.backend),
                ("collector", collector.to_owned()),
            ],
            fields: vec![
                ("expected".into(), self.expected),
                ("received".into(), self.received),
                ("lost".into(), self.lost),
            ],
            nanos,
        }
    }
}

/// Why loss cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LossError {
    /// Lines came without a process id, so they cannot be compared with any process's counts.
    #[error(
        "log lines carry no process id; set `log … format local`, `rfc3164` or `rfc5424` in haproxy.cfg"
    )]
    NoProcessId,
}

/// Compares lines with counters.
#[derive(Debug, Default)]
pub struct LossMeter {
    processes: BTreeMap<u32, Process>,
    anonymous_lines: u64,
}

#[derive(Debug, Default)]
struct Process {
    backends: BTreeMap<String, Account>,
    unanswered: u32,
}

/// One back end of one process. All counts are since the collector's start.
#[derive(Debug, Default)]
struct Account {
    received: u64,
    /// `received` when the question was asked.
    received_when_asked: u64,
    opened: Option<Opened>,
}

/// The instances that have the same process id and the back end, by address.
///
/// In containers many processes have the same id. Their lines cannot be told apart, so their counts are taken together;
/// sums are compared only if they are of the same processes.
type Members = BTreeMap<String, Member>;

#[derive(Debug)]
struct Member {
    uptime_secs: u64,
    total: u64,
    ended: u64,
}

/// What an account began with, and what it has come to.
#[derive(Debug)]
struct Opened {
    members: Members,
    first_ended: u64,
    first_received: u64,
    expected: u64,
    received: u64,
    lost: u64,
}

impl LossMeter {
    /// Counts one line.
    pub fn count(&mut self, pid: Option<u32>, log: &HttpLog<'_>) {
        if !log.reached_backend() {
            return;
        }
        let Some(pid) = pid else {
            self.anonymous_lines += 1;
            return;
        };
        let backends = &mut self.processes.entry(pid).or_default().backends;
        if let Some(account) = backends.get_mut(log.backend) {
            account.received += 1;
        } else {
            let account = Account {
                received: 1,
                ..Account::default()
            };
            backends.insert(log.backend.to_owned(), account);
        }
    }

    /// To be called just before the counters are asked for.
    pub fn ask(&mut self) {
        for process in self.processes.values_mut() {
            for account in process.backends.values_mut() {
                account.received_when_asked = account.received;
            }
        }
    }

    /// To be called with the answers, once the lines of what they count have had time to arrive.
    ///
    /// A back end's first reading, and the first after its counters began anew, only opens the account.
    ///
    /// # Errors
    /// When lines cannot be told apart by process.
    pub fn judge(&mut self, readings: Vec<Reading>) -> Result<Vec<Loss>, LossError> {
        if self.anonymous_lines > 0 {
            return Err(LossError::NoProcessId);
        }
        let mut losses: BTreeMap<String, Loss> = BTreeMap::new();
        let together = by_process(readings);
        self.forget_silent(&together);
        for ((pid, backend), members) in together {
            let process = self.processes.entry(pid).or_default();
            let account = process.backends.entry(backend.clone()).or_default();
            let Some(judged) = account.judge(&backend, members) else {
                continue;
            };
            losses
                .entry(backend)
                .and_modify(|sum| {
                    sum.expected += judged.expected;
                    sum.received += judged.received;
                    sum.lost += judged.lost;
                })
                .or_insert(judged);
        }
        Ok(losses.into_values().collect())
    }

    fn forget_silent(&mut self, answers: &BTreeMap<(u32, String), Members>) {
        self.processes.retain(|pid, process| {
            let answered = answers.keys().any(|(answering, _)| answering == pid);
            process.unanswered = if answered { 0 } else { process.unanswered + 1 };
            process.unanswered <= FORGET_AFTER
        });
    }
}

fn by_process(readings: Vec<Reading>) -> BTreeMap<(u32, String), Members> {
    let mut together: BTreeMap<_, Members> = BTreeMap::new();
    for reading in readings {
        let member = Member {
            uptime_secs: reading.uptime_secs,
            total: reading.total,
            ended: reading.total.saturating_sub(reading.open),
        };
        let members = together.entry((reading.pid, reading.backend));
        members.or_default().insert(reading.instance, member);
    }
    together
}

/// Whether these are the same processes as before, with counters that have gone on.
fn have_gone_on(before: &Members, now: &Members) -> bool {
    before.len() == now.len()
        && before.iter().all(|(instance, before)| {
            now.get(instance).is_some_and(|now| {
                now.total >= before.total && now.uptime_secs >= before.uptime_secs
            })
        })
}

impl Account {
    fn judge(&mut self, backend: &str, members: Members) -> Option<Loss> {
        let ended: u64 = members.values().map(|member| member.ended).sum();
        let opened = self.opened.as_mut();
        let Some(sum) = opened.filter(|since| have_gone_on(&since.members, &members)) else {
            self.opened = Some(Opened {
                members,
                first_ended: ended,
                first_received: self.received_when_asked,
                expected: 0,
                received: 0,
                lost: 0,
            });
            return None;
        };
        sum.members = members;
        let expected = ended.saturating_sub(sum.first_ended);
        let received = self.received.saturating_sub(sum.first_received);
        let lost = expected.saturating_sub(received).max(sum.lost);
        let judged = Loss {
            backend: backend.to_owned(),
            expected: expected.saturating_sub(sum.expected),
            received: received.saturating_sub(sum.received),
            lost: lost - sum.lost,
        };
        (sum.expected, sum.received, sum.lost) = (expected, received, lost);
        Some(judged)
    }
}

#[cfg(test)]
mod tests;

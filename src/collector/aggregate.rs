//! From log records to the points of one second. Pure: the time is an argument.
//!
//! # Which second a request belongs to
//! The one in which its line arrived. HAProxy writes a line at the request's end, so that is when the
//! answer was complete; the line's own date is the request's beginning, in a local time without a zone,
//! and adding `%Ta` to it would make points come late into seconds that a query has already read. A second is
//! closed when it is over and never opened again, so that a window `[start, end)` whose end lies behind now by the
//! ingest lag sees whole seconds only.
//!
//! # Why points do not overwrite each other
//! InfluxDB replaces a point of the same series and time stamp. Each collector has a tag of its own, and a
//! time stamp is its second plus a mark of less than a millisecond, which is drawn from the clock when the
//! collector starts and grows by a nanosecond when the clock is set back: a second that is written in two parts
//! is two points.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::httplog::{HttpLog, Moment};
use super::latency::Latencies;
use super::point::Point;
use crate::snapshot::ServerName;

/// The measurement.
pub const MEASUREMENT: &str = "haproxy";

/// Which HAProxy process sent a line, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sender {
    /// The address that the datagram came from.
    pub address: IpAddr,
    /// The process id in the syslog header.
    pub pid: Option<u32>,
}

/// The class of a status, as the tag `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeClass {
    /// 100 to 199: a switch of protocols, such as to WebSocket.
    Informational,
    /// 200 to 299.
    Success,
    /// 300 to 399.
    Redirection,
    /// 400 to 499.
    ClientError,
    /// 500 and above.
    ServerError,
    /// Nothing was sent to the client.
    Unanswered,
}

impl CodeClass {
    /// The class of `status`.
    pub const fn of(status: Option<u16>) -> Self {
        match status {
            None => Self::Unanswered,
            Some(0..=199) => Self::Informational,
            Some(200..=299) => Self::Success,
            Some(300..=399) => Self::Redirection,
            Some(400..=499) => Self::ClientError,
            Some(500..) => Self::ServerError,
        }
    }

    /// The tag's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Unanswered => "none",
        }
    }
}

/// The tag `revision` of requests that no server took.
pub const NO_SERVER: &str = "none";

/// The tag `revision` of requests to servers that are not ours.
pub const FOREIGN: &str = "foreign";

/// What is counted of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    requests: u64,
    errors: u64,
    aborted: u64,
    retries: u64,
    bytes: u64,
    total: Latencies,
    response: Latencies,
}

impl Counts {
    fn record(&mut self, log: &HttpLog<'_>) {
        self.requests += 1;
        self.errors += u64::from(log.is_error());
        self.aborted += u64::from(log.is_aborted_by_server());
        self.retries += u64::from(log.retries);
        self.bytes = self.bytes.saturating_add(log.bytes);
        if let Some(millis) = log.timers.total {
            self.total.record(millis);
        }
        if let Some(millis) = log.timers.response {
            self.response.record(millis);
        }
    }

    fn merge(&mut self, mut other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.aborted += other.aborted;
        self.retries += other.retries;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.total.append(&mut other.total);
        self.response.append(&mut other.response);
    }
}

/// What is known of one server, or of one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Load {
    /// The most requests that were open at once, as each HAProxy process saw it.
    active: BTreeMap<Sender, u64>,
    /// The longest queue before a request, as each HAProxy process saw it.
    queued: BTreeMap<Sender, u64>,
    classes: BTreeMap<CodeClass, Counts>,
}

/// Gathers the records of one second at a time.
#[derive(Debug)]
pub struct Aggregator {
    collector: String,
    /// The current second, since 1970.
    second: i64,
    /// Added to each time stamp, in nanoseconds.
    mark: i64,
    /// By back end and server; requests without one are under the empty name.
    servers: BTreeMap<String, BTreeMap<String, Load>>,
}

impl Aggregator {
    /// Begins at `now`; `collector` becomes the tag of that name.
    pub fn new(collector: String, now: Timestamp) -> Self {
        Self {
            collector,
            second: second_of(now),
            mark: mark_of(now),
            servers: BTreeMap::new(),
        }
    }

    /// Moves on to `now`. If the current second is over, these are its points; lines that come later
    /// belong to a later second.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Point> {
        let second = second_of(now);
        if second == self.second {
            return Vec::new();
        }
        let points = self.close();
        if second < self.second {
            // The clock was set back: these seconds may have been written before.
            self.mark += 1;
        }
        self.second = second;
        points
    }

    /// The points of the current second as far as it has come; for the end of the collector.
    pub fn finish(mut self) -> Vec<Point> {
        self.close()
    }

    /// Counts one record. Call [`Self::advance`] first.
    pub fn record(&mut self, sender: Sender, log: &HttpLog<'_>) {
        let servers = entry(&mut self.servers, log.backend);
        let load = entry(servers, log.server.unwrap_or_default());
        // The request that has just ended is no longer counted by HAProxy, unless it is written before its end.
        let itself = u64::from(log.server.is_some() && log.moment == Moment::End);
        let active = match log.server {
            Some(_) => u64::from(log.connections.server) + itself,
            None => 0,
        };
        let queued = u64::from(log.queues.server) + u64::from(log.queues.backend);
        raise(&mut load.active, sender, active);
        raise(&mut load.queued, sender, queued);
        let class = CodeClass::of(log.status);
        load.classes.entry(class).or_default().record(log);
    }

    fn close(&mut self) -> Vec<Point> {
        let nanos = self.second.saturating_mul(1_000_000_000) + self.mark;
        let mut points = Vec::new();
        for (backend, servers) in std::mem::take(&mut self.servers) {
            for (revision, load) in by_revision(servers) {
                let active: u64 = load.active.values().sum();
                let queued: u64 = load.queued.values().sum();
                for (class, counts) in load.classes {
                    points.push(Point {
                        measurement: MEASUREMENT,
                        tags: vec![
                            ("backend", backend.clone()),
                            ("code", class.as_str().to_owned()),
                            ("collector", self.collector.clone()),
                            ("revision", revision.clone()),
                        ],
                        fields: fields(counts, active, queued),
                        nanos,
                    });
                }
            }
        }
        points
    }
}

/// The value of `key`; the name is copied only when it is new.
fn entry<'a, V: Default>(map: &'a mut BTreeMap<String, V>, key: &str) -> &'a mut V {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), V::default());
    }
    map.get_mut(key).expect("it was put there")
}

fn raise(map: &mut BTreeMap<Sender, u64>, sender: Sender, value: u64) {
    let most = map.entry(sender).or_default();
    *most = value.max(*most);
}

/// Servers of one revision taken together: what is open or waits at each of them adds up.
fn by_revision(servers: BTreeMap<String, Load>) -> BTreeMap<String, Load> {
    let mut revisions: BTreeMap<String, Load> = BTreeMap::new();
    for (server, load) in servers {
        let sum = revisions.entry(revision_of(&server)).or_default();
        for (sender, active) in load.active {
            *sum.active.entry(sender).or_default() += active;
        }
        for (sender, queued) in load.queued {
            // The back end's queue, which is part of it, is the same for all its servers.
            raise(&mut sum.queued, sender, queued);
        }
        for (class, counts) in load.classes {
            sum.classes.entry(class).or_default().merge(counts);
        }
    }
    revisions
}

fn revision_of(server: &str) -> String {
    if server.is_empty() {
        return NO_SERVER.to_owned();
    }
    server
        .parse::<ServerName>()
        .map_or_else(|_| FOREIGN.to_owned(), |name| name.revision().to_string())
}

fn fields(counts: Counts, active: u64, queued: u64) -> Vec<(std::borrow::Cow<'static, str>, u64)> {
    let mut fields = vec![
        ("requests".into(), counts.requests),
        ("errors".into(), counts.errors),
        ("aborted".into(), counts.aborted),
        ("retries".into(), counts.retries),
        ("bytes".into(), counts.bytes),
        ("active".into(), active),
        ("queued".into(), queued),
    ];
    counts.total.fields("ta", &mut fields);
    counts.response.fields("tr", &mut fields);
    fields
}

fn second_of(now: Timestamp) -> i64 {
    now.as_millisecond().div_euclid(1_000)
}

fn mark_of(now: Timestamp) -> i64 {
    i64::from(now.subsec_nanosecond()).rem_euclid(1_000_000)
}

#[cfg(test)]
mod tests;

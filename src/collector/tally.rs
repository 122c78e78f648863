//! What the collector has to say of itself: log lines and one point, every few seconds. Pure but for the log.
//!
//! A log line never holds anything of a line that came in: what cannot be read is of an unknown format, in which any word
//! may be a client's address, a cookie or a URL with a token.

use std::time::Duration;

use tokio::time::Instant;

use super::httplog::HttpLogError;
use super::outbox::Deliveries;
use super::point::Point;

/// The measurement.
pub const MEASUREMENT: &str = "collector";

/// The time between two messages of lines that cannot be read: where one is, all are.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What came in since the last report.
#[derive(Debug, Default)]
pub struct Tally {
    /// Lines that tell of a request.
    pub lines: u64,
    /// Messages that tell of something else.
    pub other: u64,
    /// Lines that cannot be read.
    pub unparsable: u64,
    example: Option<Unreadable>,
}

/// The shape of a line that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its length in bytes, without the syslog header.
    pub bytes: usize,
    /// Where it is not what it should be.
    pub error: HttpLogError,
}

impl Tally {
    /// Counts a message that is not a record.
    pub fn refuse(&mut self, message: &str, error: HttpLogError) {
        match error {
            HttpLogError::NotARequest => self.other += 1,
            HttpLogError::Tcp | HttpLogError::Field(_) => {
                self.unparsable += 1;
                let bytes = message.len();
                self.example.get_or_insert(Unreadable { bytes, error });
            }
        }
    }
}

/// Tells of lines that cannot be read, now and then.
#[derive(Debug, Default)]
pub struct Complaint {
    /// Lines that were not told of yet, and the shape of the first of them.
    untold: Option<(u64, Unreadable)>,
    last: Option<Instant>,
}

impl Complaint {
    /// Adds what came in, and says what is to be told at `now`: how many lines since the last time, and of what shape.
    pub fn due(&mut self, tally: &Tally, now: Instant) -> Option<(u64, Unreadable)> {
        if let Some(example) = tally.example {
            let (lines, _) = self.untold.get_or_insert((0, example));
            *lines += tally.unparsable;
        }
        let is_early = self
            .last
            .is_some_and(|last| now.duration_since(last) < COMPLAIN_EVERY);
        if is_early {
            return None;
        }
        let due = self.untold.take();
        if due.is_some() {
            self.last = Some(now);
        }
        due
    }

    /// Tells it.
    pub fn log(&mut self, tally: &Tally, now: Instant) {
        if let Some((lines, Unreadable { bytes, error })) = self.due(tally, now) {
            tracing::warn!(
                lines,
                bytes,
                "log lines cannot be read; of the first one, {error}"
            );
        }
    }
}

/// All that is reported at once.
#[derive(Debug)]
pub struct Report {
    /// What came in.
    pub tally: Tally,
    /// What became of points.
    pub deliveries: Deliveries,
    /// How many points wait.
    pub waiting: usize,
    /// Datagrams that the kernel has dropped since the last report.
    pub socket_drops: u64,
}

impl Report {
    /// Says what an operator must know of points and datagrams. Of what went well nothing is said.
    pub fn log(&self) {
        let Self {
            tally: _,
            deliveries,
            waiting,
            socket_drops,
        } = self;
        if *socket_drops > 0 {
            tracing::warn!(
                lines = socket_drops,
                "the kernel dropped log lines because the receive buffer was full; raise net.core.rmem_max, or run another collector for some of the HAProxy instances"
            );
        }
        if let Some(reason) = &deliveries.refusal {
            tracing::error!(
                points = deliveries.refused,
                "points were given up: {reason}"
            );
        }
        if let Some(reason) = &deliveries.delay {
            tracing::warn!(waiting, "points wait, and will be sent again: {reason}");
        }
        if deliveries.dropped > 0 {
            tracing::error!(
                points = deliveries.dropped,
                "the oldest points were dropped because too many wait; see to InfluxDB, or give the collector a larger buffer"
            );
        }
    }
}

/// All that was reported since the collector began. Totals are written and not differences, so that a report that is
/// itself dropped hides nothing.
#[derive(Debug, Default)]
pub struct Totals {
    lines: u64,
    other: u64,
    unparsable: u64,
    socket_drops: u64,
    written: u64,
    refused: u64,
    dropped: u64,
    waiting: u64,
}

impl Totals {
    /// Adds one report.
    pub fn add(&mut self, report: &Report) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        self.lines += report.tally.lines;
        self.other += report.tally.other;
        self.unparsable += report.tally.unparsable;
        self.socket_drops += report.socket_drops;
        self.written += count(report.deliveries.written);
        self.refused += count(report.deliveries.refused);
        self.dropped += count(report.deliveries.dropped);
        self.waiting = count(report.waiting);
    }

    /// The totals as a point of the collector `collector`; `waiting` is what waits now.
    pub fn point(&self, collector: &str, nanos: i64) -> Point {
        Point {
            measurement: MEASUREMENT,
            tags: vec![("collector", collector.to_owned())],
            fields: vec![
                ("lines".into(), self.lines),
                ("other".into(), self.other),
                ("unparsable".into(), self.unparsable),
                ("socket_drops".into(), self.socket_drops),
                ("written".into(), self.written),
                ("refused".into(), self.refused),
                ("dropped".into(), self.dropped),
                ("waiting".into(), self.waiting),
            ],
            nanos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::httplog::Field;

    fn tally(lengths: &[usize]) -> Tally {
        let mut tally = Tally::default();
        for length in lengths {
            tally.refuse(&"x".repeat(*length), HttpLogError::Field(Field::Status));
        }
        tally
    }

    #[test]
    fn what_cannot_be_read_is_told_once_a_minute_and_counted() {
        let mut complaint = Complaint::default();
        let begin = Instant::now();
        let mut at = |seconds, lengths: &[usize]| {
            let now = begin + Duration::from_secs(seconds);
            let due = complaint.due(&tally(lengths), now);
            due.map(|(lines, shape)| (lines, shape.bytes))
        };
        assert_eq!(at(0, &[]), None);
        assert_eq!(at(5, &[7, 8]), Some((2, 7)), "the first time at once");
        assert_eq!(at(10, &[9]), None);
        assert_eq!(at(60, &[10, 11]), None);
        assert_eq!(at(65, &[]), Some((3, 9)), "all since then");
        assert_eq!(at(130, &[]), None, "nothing came");
        assert_eq!(at(131, &[12]), Some((1, 12)));
    }

    #[test]
    fn messages_of_something_else_are_no_fault() {
        let mut tally = Tally::default();
        tally.refuse("Server be/s is UP", HttpLogError::NotARequest);
        assert_eq!((tally.other, tally.unparsable), (1, 0));
        assert_eq!(Complaint::default().due(&tally, Instant::now()), None);
    }
}

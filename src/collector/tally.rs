//! What the collector has to say of itself: log lines and one point, every few seconds. Pure but for the log.

use super::httplog::HttpLogError;
use super::outbox::Deliveries;
use super::point::Point;

/// The measurement.
pub const MEASUREMENT: &str = "collector";

/// How much of a line that cannot be read is shown, in characters.
const LONGEST_EXAMPLE: usize = 200;

/// What came in since the last report.
#[derive(Debug, Default)]
pub struct Tally {
    /// Lines that tell of a request.
    pub lines: u64,
    /// Messages that tell of something else.
    pub other: u64,
    /// Lines that cannot be read.
    pub unparsable: u64,
    example: Option<(String, HttpLogError)>,
}

impl Tally {
    /// Counts a message that is not a record.
    pub fn refuse(&mut self, message: &str, error: HttpLogError) {
        match error {
            HttpLogError::NotARequest => self.other += 1,
            HttpLogError::Tcp | HttpLogError::Field(_) => {
                self.unparsable += 1;
                self.example.get_or_insert_with(|| {
                    (message.chars().take(LONGEST_EXAMPLE).collect(), error)
                });
            }
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
    /// Says what an operator must know. Of what went well nothing is said.
    pub fn log(&self) {
        let Self {
            tally,
            deliveries,
            waiting,
            socket_drops,
        } = self;
        if let Some((example, error)) = &tally.example {
            tracing::warn!(
                lines = tally.unparsable,
                example,
                "log lines cannot be read: {error}"
            );
        }
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

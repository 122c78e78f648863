//! The collector: HAProxy's HTTP log by UDP syslog, aggregated per second, into InfluxDB.
//!
//! The way of a line: [`receive`] → [`syslog`] → [`httplog`] → [`aggregate`] (with [`latency`]) → [`outbox`] →
//! [`deliver`] (with [`point`] and [`influxdb`]). [`loss`] compares what came with what HAProxy counted, and
//! [`tally`] says what went wrong. All but the socket, the HTTP client and this file are pure;
//! this file alone reads the clock. What is written is described in [`aggregate`], [`loss`] and [`tally`].
//!
//! Who can send datagrams to the collector can make up requests. Listen on the loopback interface or a network
//! that only the HAProxy instances are on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

pub mod aggregate;
mod counters;
pub mod deliver;
pub mod httplog;
pub mod influxdb;
pub mod latency;
pub mod loss;
pub mod outbox;
pub mod point;
pub mod receive;
pub mod syslog;
pub mod tally;

use aggregate::{Aggregator, Sender};
pub use counters::counters_of;
use influxdb::InfluxDb;
pub use influxdb::{InfluxDbTarget, MissingDatabase, TargetError, TokenError};
use loss::{LossMeter, Reading};
pub use outbox::BufferLimits;
use outbox::{Deliveries, Outbox};
use tally::{Complaint, Report, Tally, Totals};

/// Where the collector listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5514);

/// The time between two reports, and between two comparisons with HAProxy's counters.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How long the lines of requests that were just counted may be on their way.
const SETTLE: Duration = Duration::from_millis(200);

/// How long one look at the counters may take.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// How long what is left may take to be written at the end.
const LONGEST_FAREWELL: Duration = Duration::from_secs(5);

/// How many datagrams are read before the clock and the shutdown get their turn.
const BURST: usize = 256;

/// What the collector is to do.
#[derive(Clone, Debug)]
pub struct CollectorOptions {
    /// The UDP address to listen on.
    pub listen: SocketAddr,
    /// The tag `collector` of all points. Two collectors that write into one database must differ in it.
    pub name: String,
    /// Where points go.
    pub influxdb: InfluxDbTarget,
    /// How much may wait while InfluxDB is away.
    pub buffer: BufferLimits,
}

impl CollectorOptions {
    /// A name that is unique as long as host names are: the host's, and the port.
    pub fn default_name(listen: SocketAddr) -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        let host = if host.is_empty() { "collector" } else { host };
        format!("{host}:{}", listen.port())
    }
}

/// Asks all HAProxy instances for the counters of their back ends; one that does not answer is left out.
pub type Counters = Arc<dyn Fn() -> BoxFuture<'static, Vec<Reading>> + Send + Sync>;

/// Why the collector could not go on.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// The address cannot be listened on.
    #[error("cannot listen on udp://{listen}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing can be received any more.
    #[error("cannot receive on udp://{listen}: {source}")]
    Receive {
        /// The address.
        listen: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The target cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There is no token at the start; one that goes away later is waited for.
    #[error(
        "{0}; write the token alone on one line into it, or name another file with --token-file"
    )]
    Token(#[from] TokenError),
}

/// Collects until `shutdown` ends, then writes what it has, for a few seconds at most.
///
/// With `counters`, loss is measured and written; without, only what the kernel dropped is.
///
/// # Errors
/// When the options cannot be followed, or the socket fails. An InfluxDB that is away is no error.
pub async fn run(
    options: CollectorOptions,
    counters: Option<Counters>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), CollectorError> {
    let listen = options.listen;
    let influxdb = InfluxDb::new(options.influxdb.clone())?;
    influxdb.check_token().await?;
    let (socket, buffer) =
        receive::bind(listen).map_err(|source| CollectorError::Listen { listen, source })?;
    tracing::info!(
        name = options.name,
        influxdb = options.influxdb.url,
        database = options.influxdb.database,
        receive_buffer = buffer,
        "listening on udp://{listen}"
    );
    let outbox = Arc::new(Outbox::new(options.buffer));
    let delivery = tokio::spawn(deliver::deliver(influxdb, Arc::clone(&outbox)));
    let mut collector = Collector {
        aggregator: Aggregator::new(options.name.clone(), now()),
        name: options.name,
        socket,
        outbox: Arc::clone(&outbox),
        counters,
        meter: LossMeter::default(),
        look: None,
        tally: Tally::default(),
        complaint: Complaint::default(),
        totals: Totals::default(),
        first_line: FirstLine::Awaited,
        standing: Standing::Good,
        socket_drops: 0,
        reported: Instant::now(),
    };
    let outcome = collector.collect(shutdown).await;
    collector.finish().await;
    farewell(delivery, &outbox).await;
    outcome.map_err(|source| CollectorError::Receive { listen, source })
}

async fn farewell(mut delivery: JoinHandle<()>, outbox: &Outbox) {
    outbox.close();
    if timeout(LONGEST_FAREWELL, &mut delivery).await.is_err() {
        delivery.abort();
        let reason = outbox.deliveries().delay.unwrap_or_default();
        tracing::error!(
            points = outbox.waiting(),
            "stopped with points that could not be written: {reason}"
        );
    }
}

/// The state of the loop.
struct Collector {
    name: String,
    socket: UdpSocket,
    aggregator: Aggregator,
    outbox: Arc<Outbox>,
    counters: Option<Counters>,
    meter: LossMeter,
    /// A look at the counters that is under way.
    look: Option<JoinHandle<Vec<Reading>>>,
    tally: Tally,
    complaint: Complaint,
    totals: Totals,
    first_line: FirstLine,
    standing: Standing,
    /// What the kernel had dropped at the last report.
    socket_drops: u64,
    reported: Instant,
}

/// Whether InfluxDB took what it was given last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Good,
    Behind,
}

/// Whether anything useful has come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstLine {
    Awaited,
    Seen,
}

impl Collector {
    async fn collect(&mut self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let mut shutdown = pin!(shutdown);
        let mut buffer = vec![0; syslog::MAX_DATAGRAM];
        loop {
            let mut readings = None;
            tokio::select! {
                biased;
                () = &mut shutdown => {
                    while self.receive(&mut buffer)? == BURST {}
                    return Ok(());
                }
                seen = finished(&mut self.look) => readings = Some(seen),
                // Without a line, the second ends all the same.
                ready = timeout(until_next_second(now()), self.socket.readable()) => {
                    ready.unwrap_or(Ok(()))?;
                }
            }
            self.receive(&mut buffer)?;
            if let Some(readings) = readings {
                self.judge(readings);
            }
            self.advance();
            if self.reported.elapsed() >= REPORT_EVERY {
                self.report().await;
                self.look_at_counters();
            }
        }
    }

    /// Reads what is there, at most [`BURST`] datagrams; says how many.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for n in 0..BURST {
            match self.socket.try_recv_from(buffer) {
                Ok((length, from)) => self.line(from, &buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(n),
                Err(error) => return Err(error),
            }
        }
        Ok(BURST)
    }

    fn line(&mut self, from: SocketAddr, datagram: &[u8]) {
        let text = syslog::text(datagram);
        let message = syslog::parse(&text);
        let log = match httplog::parse(message.body) {
            Ok(log) => log,
            Err(error) => return self.tally.refuse(message.body, error),
        };
        if self.first_line == FirstLine::Awaited {
            self.first_line = FirstLine::Seen;
            tracing::info!(%from, backend = log.backend, "the first log line has come");
        }
        self.tally.lines += 1;
        if self.counters.is_some() {
            self.meter.count(message.pid, &log);
        }
        self.advance();
        let sender = Sender {
            address: from.ip(),
            pid: message.pid,
        };
        self.aggregator.record(sender, &log);
    }

    /// Closes the second if it is over.
    fn advance(&mut self) {
        let points = self.aggregator.advance(now());
        if !points.is_empty() {
            self.outbox.put(&points);
        }
    }

    async fn report(&mut self) {
        self.reported = Instant::now();
        let drops = receive::drops(&self.socket).await.unwrap_or_default();
        let report = Report {
            tally: std::mem::take(&mut self.tally),
            deliveries: self.outbox.deliveries(),
            waiting: self.outbox.waiting(),
            socket_drops: drops.saturating_sub(self.socket_drops),
        };
        self.socket_drops = drops;
        self.complaint.log(&report.tally, self.reported);
        report.log();
        let standing = match report.deliveries {
            Deliveries { delay: Some(_), .. } => Standing::Behind,
            Deliveries { written: 0, .. } => self.standing,
            Deliveries { .. } => Standing::Good,
        };
        if (self.standing, standing) == (Standing::Behind, Standing::Good) {
            tracing::info!(waiting = report.waiting, "InfluxDB takes points again");
        }
        self.standing = standing;
        self.totals.add(&report);
        self.outbox
            .put(&[self.totals.point(&self.name, nanos(now()))]);
    }

    fn look_at_counters(&mut self) {
        let Some(counters) = self.counters.as_ref().filter(|_| self.look.is_none()) else {
            return;
        };
        self.meter.ask();
        let look = timeout(LONGEST_LOOK, counters());
        self.look = Some(tokio::spawn(async move {
            let readings = look.await.unwrap_or_default();
            settle().await;
            readings
        }));
    }

    fn judge(&mut self, readings: Vec<Reading>) {
        let losses = match self.meter.judge(readings) {
            Ok(losses) => losses,
            Err(error) => {
                tracing::warn!("loss cannot be measured, and will not be: {error}");
                self.counters = None;
                return;
            }
        };
        for loss in losses.iter().filter(|loss| loss.lost > 0) {
            tracing::warn!(
                backend = loss.backend,
                lost = loss.lost,
                of = loss.expected,
                "log lines were lost on the way; the counts of these seconds are too low"
            );
        }
        let stamp = nanos(now());
        let points: Vec<_> = losses
            .into_iter()
            .map(|loss| loss.into_point(&self.name, stamp))
            .collect();
        self.outbox.put(&points);
    }

    /// Hands over what is left.
    async fn finish(mut self) {
        if let Some(look) = self.look.take() {
            look.abort();
        }
        self.report().await;
        self.outbox.put(&self.aggregator.finish());
    }
}

/// The readings, once the look is over; never, if none is under way.
async fn finished(look: &mut Option<JoinHandle<Vec<Reading>>>) -> Vec<Reading> {
    let Some(handle) = look else {
        return std::future::pending().await;
    };
    let readings = handle.await.unwrap_or_default();
    *look = None;
    readings
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no condition to wait for: that nothing more is on its way cannot be seen"
)]
async fn settle() {
    tokio::time::sleep(SETTLE).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "the collector's loop is a shell of its own: it stamps lines with the time of their arrival"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

fn until_next_second(now: Timestamp) -> Duration {
    let past = now.as_nanosecond().rem_euclid(1_000_000_000);
    Duration::from_nanos(1_000_000_000 - u64::try_from(past).unwrap_or(0))
}

/// Nanoseconds since 1970, as far as they fit (until the year 2262).
fn nanos(now: Timestamp) -> i64 {
    i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX)
}

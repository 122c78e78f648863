//! A load generator that counts: every request once, and every one that was lost.
//!
//! It sends `GET` requests at a steady rate over keep-alive connections, to several proxies in turn. The rate is
//! open-loop: a request is due at its time whether or not earlier ones were answered, and its latency counts from
//! then on, so that a stall shows as the latency it would be to users. No request is ever sent a second time.
//!
//! Each second, or as often as `--every` says, a JSON line on standard output tells what ended since the last one, in
//! total and by proxy; a last one sums up:
//!
//! ```text
//! {"elapsedMs":1000,"interval":{…},"urls":{"http://127.0.0.1:8081":{…},…},"total":{…}}
//! {"summary":{"elapsedMs":60000,"total":{…},"urls":{"http://127.0.0.1:8081":{…},…}}}
//! ```
//!
//! | count | meaning |
//! |---|---|
//! | `requests` | requests that ended, each in exactly one of the next four counts |
//! | `versions` | answered with 2xx, by the body's text, which is the demo app's version |
//! | `appErrors` | answered otherwise by the demo app itself, which marks its answers; by its version |
//! | `proxyErrors` | answered otherwise by something else, such as a proxy's own 503; by status |
//! | `failures` | not answered, by kind, as below |
//! | `lost` | the sum of `proxyErrors` and `failures` |
//! | `statuses` | all answers, by status |
//! | `inFlight` | due, but not ended |
//! | `connections` | opened |
//! | `foundClosed` | idle connections that the proxy had closed before anything was written to them: no loss |
//! | `latencyMs` | `p50`, `p99` and `max` of the answers, to 2 % |
//!
//! Kinds of failure: `refused`, `connectTimeout` and `connectError` before the request was sent; `reset`, `closed`,
//! `timeout` and `protocol` (an answer that is not HTTP) after. `staleReuse` is a reused connection that ended
//! without a byte of an answer, just as the request was written: a browser would repeat it, but it is a loss here.
//!
//! It exits with 0 when no request was lost, 1 when one was, and 2 when it could not run.
//!
//! ```text
//! demo-load --url "$LAB_URL_1" --url "$LAB_URL_2" --host news-web.lab --rps 300 --duration 60s
//! ```

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{interval_at, sleep_until, timeout};

/// The longest head of an answer that is read, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Sends requests at a steady rate, and counts what becomes of each.
#[derive(Parser)]
struct Options {
    /// A proxy to send requests to, `http://HOST:PORT`; several take turns
    #[arg(long = "url", required = true)]
    urls: Vec<String>,
    /// The Host header, which chooses the service
    #[arg(long, default_value = "news-web.lab")]
    host: String,
    /// Requests a second, over all URLs
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rps: u32,
    /// The most connections, over all URLs; a request that finds none free waits for one
    #[arg(long, default_value_t = 40)]
    connections: usize,
    /// The share of requests that ask the app to answer slowly
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    slow_share: f64,
    /// How slowly, in milliseconds: `300`, or between two bounds, `300-2000`
    #[arg(long, default_value = "300-2000", value_parser = range)]
    slow_ms: Range,
    /// The share of requests that end their connection (`Connection: close`)
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    close_share: f64,
    /// How long to wait for a connection, and again for the whole answer
    #[arg(long, default_value = "10s", value_parser = span)]
    timeout: Duration,
    /// When to end. Without this and --requests: when standard input closes. SIGTERM and SIGINT always end it
    #[arg(long, value_parser = span)]
    duration: Option<Duration>,
    /// How many requests to send
    #[arg(long)]
    requests: Option<u64>,
    /// `none` leaves out all lines but the last
    #[arg(long, default_value = "json", value_parser = ["json", "none"])]
    progress: String,
    /// The time between two lines
    #[arg(long, default_value = "1s", value_parser = period)]
    every: Duration,
}

/// Bounds, both inclusive.
#[derive(Clone, Copy)]
struct Range {
    least: u64,
    most: u64,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("want a share between 0 and 1".to_owned()),
    }
}

fn range(text: &str) -> Result<Range, String> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    match (least.parse(), most.parse()) {
        (Ok(least), Ok(most)) if least <= most => Ok(Range { least, most }),
        _ => Err("want milliseconds, like 300 or 300-2000".to_owned()),
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    match (number.parse(), unit) {
        (Ok(number), "ms") => Ok(Duration::from_millis(number)),
        (Ok(number), "s") => Ok(Duration::from_secs(number)),
        (Ok(number), "m") => Ok(Duration::from_secs(60 * number)),
        _ => Err("want a time with its unit, like 500ms, 60s or 2m".to_owned()),
    }
}

/// A time that is not 0.
fn period(text: &str) -> Result<Duration, String> {
    match span(text)? {
        Duration::ZERO => Err("want more than 0".to_owned()),
        period => Ok(period),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    // One thread keeps the generator from competing with what it measures on a small machine.
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(&options));
            // A read of standard input that is still waiting would otherwise be waited for.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(total) if total.lost() == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo-load: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Sends the requests, waits for the last answers, prints the summary and returns the counts.
async fn run(options: &Options) -> anyhow::Result<Tally> {
    let slots = (options.connections / options.urls.len()).max(1);
    let mut targets = Vec::new();
    for url in &options.urls {
        targets.push(Arc::new(
            Target::resolve(url, slots, options.timeout).await?,
        ));
    }
    let start = Instant::now();
    let reporter = (options.progress == "json")
        .then(|| tokio::spawn(report(start, options.every, targets.clone())));

    let mut open = JoinSet::new();
    tokio::select! {
        () = send_all(options, &targets, start, &mut open) => {}
        end = end_asked(options) => end?,
    }
    // Ends as well, since every request has time limits of its own.
    while let Some(ended) = open.join_next().await {
        ended?;
    }
    if let Some(reporter) = reporter {
        reporter.abort();
    }

    let tallies: Vec<Tally> = targets.iter().map(|target| target.tally().copy()).collect();
    let total = Tally::sum(&tallies);
    let urls: BTreeMap<_, _> = targets
        .iter()
        .map(|target| (&target.url, target.tally().to_json()))
        .collect();
    let elapsed = millis(start.elapsed());
    tell(&json!({"summary": {"elapsedMs": elapsed, "total": total.to_json(), "urls": urls}}));
    Ok(total)
}

/// Starts each request when it is due, until all are started.
async fn send_all(
    options: &Options,
    targets: &[Arc<Target>],
    start: Instant,
    open: &mut JoinSet<()>,
) {
    for (n, target) in (0..).zip(targets.iter().cycle()) {
        let offset = Duration::from_secs_f64(as_f64(n) / f64::from(options.rps));
        let over = options.duration.is_some_and(|duration| offset >= duration);
        if over || options.requests.is_some_and(|requests| n >= requests) {
            return;
        }
        let due = start + offset;
        sleep_until(due.into()).await;
        // Those that ended are let go on the way, or a long run would collect them all.
        while open.try_join_next().is_some() {}
        target.tally().due += 1;
        let (target, request) = (Arc::clone(target), Request::nth(options, n));
        open.spawn(async move {
            let outcome = target.send(&request).await;
            target.tally().count(outcome, due.elapsed());
        });
    }
}

/// Waits for whatever ends the run from outside.
async fn end_asked(options: &Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let bounded = options.duration.is_some() || options.requests.is_some();
    let stdin_closed = async {
        let read = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tokio::task::spawn_blocking(read).await
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        read = stdin_closed, if !bounded => { read??; }
    }
    Ok(())
}

/// Prints a line `every` so often.
async fn report(start: Instant, every: Duration, targets: Vec<Arc<Target>>) {
    let mut ticks = interval_at((start + every).into(), every);
    let mut before: Vec<Tally> = targets.iter().map(|_| Tally::default()).collect();
    loop {
        ticks.tick().await;
        let elapsed = millis(start.elapsed());
        let now: Vec<Tally> = targets.iter().map(|target| target.tally().copy()).collect();
        let urls: BTreeMap<_, _> = targets
            .iter()
            .zip(now.iter().zip(&before))
            .map(|(target, (now, before))| (&target.url, now.since(before).to_json()))
            .collect();
        let total = Tally::sum(&now);
        let interval = total.since(&Tally::sum(&before)).to_json();
        tell(
            &json!({"elapsedMs": elapsed, "interval": interval, "urls": urls, "total": total.to_json()}),
        );
        before = now;
    }
}

/// Prints a line. Whoever read them may have ended before us, by the same Ctrl-C: then nobody is there to be told that.
fn tell(line: &Value) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// One request, apart from where to.
struct Request {
    head: String,
    close: bool,
}

impl Request {
    /// The `n`th request. The multiples of different irrational numbers spread the slow and the closing ones evenly,
    /// independently of each other and of whose turn it is.
    fn nth(options: &Options, n: u64) -> Self {
        let close = fraction(n, 0.618_033_988_749_895) < options.close_share;
        let slow = fraction(n, 0.414_213_562_373_095) < options.slow_share;
        let path = if slow {
            format!("/?latency_ms={}", latency(options.slow_ms, n))
        } else {
            "/".to_owned()
        };
        let connection = if close { "Connection: close\r\n" } else { "" };
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: demo-load\r\n{connection}\r\n",
            options.host
        );
        Self { head, close }
    }
}

fn fraction(n: u64, step: f64) -> f64 {
    (as_f64(n) * step).fract()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number within the range is neither too large nor negative"
)]
fn latency(range: Range, n: u64) -> u64 {
    let width = range.most - range.least + 1;
    range.least + (fraction(n, 0.732_050_807_568_877) * as_f64(width)) as u64
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn as_f64(n: u64) -> f64 {
    n as f64
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One proxy: its idle connections and its counts.
struct Target {
    url: String,
    address: SocketAddr,
    limit: Duration,
    slots: Semaphore,
    idle: Mutex<Vec<Connection>>,
    tally: Mutex<Tally>,
}

impl Target {
    async fn resolve(url: &str, slots: usize, limit: Duration) -> anyhow::Result<Self> {
        let Some(authority) = url.strip_prefix("http://") else {
            anyhow::bail!("--url {url}: want http://HOST:PORT")
        };
        let mut addresses = tokio::net::lookup_host(authority.trim_end_matches('/'))
            .await
            .map_err(|error| anyhow::anyhow!("--url {url}: {error}"))?;
        let Some(address) = addresses.next() else {
            anyhow::bail!("--url {url}: the host has no address")
        };
        Ok(Self {
            url: url.to_owned(),
            address,
            limit,
            slots: Semaphore::new(slots),
            idle: Mutex::default(),
            tally: Mutex::default(),
        })
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one request, once.
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        // Fails only for a closed semaphore, which this one never is.
        let _slot = self.slots.acquire().await.ok();
        let mut connection = match self.reuse() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = timeout(self.limit, connection.exchange(request))
            .await
            .unwrap_or(Err(Failure::Timeout))?;
        if answer.keep_alive && !request.close {
            connection.used = true;
            self.idle().push(connection);
        }
        Ok(answer)
    }

    /// An idle connection that the proxy has not closed, as far as can be known before writing to it.
    fn reuse(&self) -> Option<Connection> {
        loop {
            let connection = self.idle().pop()?;
            match connection.stream.try_read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(connection),
                // Closed, reset, or a farewell such as 408: in any case no request was under way.
                Ok(_) | Err(_) => self.tally().found_closed += 1,
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let stream = timeout(self.limit, TcpStream::connect(self.address))
            .await
            .map_err(|_| Failure::ConnectTimeout)?
            .map_err(|error| match error.kind() {
                ErrorKind::ConnectionRefused => Failure::Refused,
                _ => Failure::ConnectError,
            })?;
        stream
            .set_nodelay(true)
            .map_err(|_| Failure::ConnectError)?;
        self.tally().connections += 1;
        Ok(Connection {
            stream,
            used: false,
        })
    }
}

/// A connection to a proxy.
struct Connection {
    stream: TcpStream,
    used: bool,
}

impl Connection {
    /// Writes one request and reads its whole answer.
    async fn exchange(&mut self, request: &Request) -> Result<Answer, Failure> {
        self.stream
            .write_all(request.head.as_bytes())
            .await
            .map_err(|_| self.silence(Failure::Reset))?;
        let mut bytes = Vec::new();
        let head = loop {
            self.read_more(&mut bytes).await?;
            match Head::parse(&bytes)? {
                // Interim answers, such as 100, precede the real one.
                Some(head) if head.status < 200 => drop(bytes.drain(..head.length)),
                Some(head) => break head,
                None => {}
            }
        };
        let mut body = bytes.split_off(head.length);
        match head.body {
            Some(length) => {
                while body.len() < length {
                    self.read_more(&mut body).await?;
                }
            }
            None => {
                self.stream
                    .read_to_end(&mut body)
                    .await
                    .map_err(|_| Failure::Reset)?;
            }
        }
        Ok(Answer {
            status: head.status,
            app: head.app,
            keep_alive: head.keep_alive && head.body == Some(body.len()),
            body: String::from_utf8_lossy(&body).trim().to_owned(),
        })
    }

    async fn read_more(&mut self, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        let begun = !bytes.is_empty();
        match self.stream.read_buf(bytes).await {
            Ok(0) if begun => Err(Failure::Closed),
            Ok(0) => Err(self.silence(Failure::Closed)),
            Ok(_) => Ok(()),
            Err(_) if begun => Err(Failure::Reset),
            Err(_) => Err(self.silence(Failure::Reset)),
        }
    }

    /// What the end of a connection is called when no byte of an answer came.
    fn silence(&self, failure: Failure) -> Failure {
        if self.used {
            Failure::StaleReuse
        } else {
            failure
        }
    }
}

/// What of an answer's head matters here.
struct Head {
    length: usize,
    status: u16,
    app: Option<String>,
    keep_alive: bool,
    /// The body's length; none means that it lasts to the connection's end.
    body: Option<usize>,
}

impl Head {
    /// Parses the head if it is there whole.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if bytes.len() < MAX_HEAD {
                Ok(None)
            } else {
                Err(Failure::Protocol)
            };
        };
        let text = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1."))
            .and_then(|line| line.split(' ').nth(1)?.parse().ok())
            .ok_or(Failure::Protocol)?;
        let mut head = Self {
            length: end + 4,
            status,
            app: None,
            keep_alive: true,
            body: None,
        };
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Failure::Protocol)?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    head.body = Some(value.parse().map_err(|_| Failure::Protocol)?);
                }
                "connection" => head.keep_alive = !value.eq_ignore_ascii_case("close"),
                "x-demo-app" => head.app = Some(value.to_owned()),
                // The app never answers in chunks; were one to be read as text, it would count as a version.
                "transfer-encoding" => return Err(Failure::Protocol),
                _ => {}
            }
        }
        if matches!(status, 100..200 | 204 | 304) {
            head.body = Some(0);
        }
        Ok(Some(head))
    }
}

/// A whole answer.
struct Answer {
    status: u16,
    /// The version that the demo app marks its answers with; none for those of a proxy.
    app: Option<String>,
    body: String,
    keep_alive: bool,
}

/// Why a request has no answer. The file's head tells what each means.
#[derive(Clone, Copy)]
enum Failure {
    Refused,
    ConnectTimeout,
    ConnectError,
    Reset,
    Closed,
    Timeout,
    Protocol,
    StaleReuse,
}

impl Failure {
    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::ConnectTimeout => "connectTimeout",
            Self::ConnectError => "connectError",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::StaleReuse => "staleReuse",
        }
    }
}

/// How often each of several things was counted.
#[derive(Default)]
struct Counts<K>(BTreeMap<K, u64>);

impl<K: Ord + Clone> Counts<K> {
    fn count(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        for (key, n) in &other.0 {
            *self.0.entry(key.clone()).or_default() += n;
        }
    }

    /// The counts since an earlier state of the same ones.
    fn since(&self, before: &Self) -> Self {
        let grown = |(key, n): (&K, &u64)| {
            let grown = n - before.0.get(key).unwrap_or(&0);
            (grown > 0).then(|| (key.clone(), grown))
        };
        Self(self.0.iter().filter_map(grown).collect())
    }

    fn sum(&self) -> u64 {
        self.0.values().sum()
    }
}

/// The counts of one proxy, or of all. The file's head tells what each means.
#[derive(Default)]
struct Tally {
    due: u64,
    versions: Counts<String>,
    app_errors: Counts<String>,
    proxy_errors: Counts<u16>,
    failures: Counts<&'static str>,
    statuses: Counts<u16>,
    connections: u64,
    found_closed: u64,
    /// Answers by the latency's step on a scale whose steps are 2 % apart, which keeps a long run's memory small.
    latencies: Counts<u16>,
}

/// The scale of latencies: each step is this much longer than the one before; the first is a microsecond.
const STEP: f64 = 1.02;

impl Tally {
    /// Counts a request that ended: the one place where that is done.
    fn count(&mut self, outcome: Result<Answer, Failure>, latency: Duration) {
        match outcome {
            Ok(answer) => {
                self.statuses.count(answer.status);
                self.latencies.count(latency_step(latency));
                match answer.app {
                    _ if (200..300).contains(&answer.status) => self.versions.count(answer.body),
                    Some(version) => self.app_errors.count(version),
                    None => self.proxy_errors.count(answer.status),
                }
            }
            Err(failure) => self.failures.count(failure.name()),
        }
    }

    fn requests(&self) -> u64 {
        self.versions.sum() + self.app_errors.sum() + self.lost()
    }

    fn lost(&self) -> u64 {
        self.proxy_errors.sum() + self.failures.sum()
    }

    fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.versions.add(&other.versions);
        self.app_errors.add(&other.app_errors);
        self.proxy_errors.add(&other.proxy_errors);
        self.failures.add(&other.failures);
        self.statuses.add(&other.statuses);
        self.connections += other.connections;
        self.found_closed += other.found_closed;
        self.latencies.add(&other.latencies);
    }

    /// What was counted since an earlier state. What is in flight is a state, not a count, and stays as it is.
    fn since(&self, before: &Self) -> Self {
        Self {
            due: self.due - before.requests(),
            versions: self.versions.since(&before.versions),
            app_errors: self.app_errors.since(&before.app_errors),
            proxy_errors: self.proxy_errors.since(&before.proxy_errors),
            failures: self.failures.since(&before.failures),
            statuses: self.statuses.since(&before.statuses),
            connections: self.connections - before.connections,
            found_closed: self.found_closed - before.found_closed,
            latencies: self.latencies.since(&before.latencies),
        }
    }

    /// The latency, in milliseconds, that a share of the answers did not exceed.
    fn percentile(&self, share: f64) -> Option<f64> {
        let rank = share * as_f64(self.latencies.sum());
        let mut seen = 0;
        let step = self.latencies.0.iter().find_map(|(step, n)| {
            seen += n;
            (as_f64(seen) >= rank).then_some(*step)
        })?;
        Some((STEP.powi(i32::from(step)) / 10.0).round() / 100.0)
    }

    /// The counts of all proxies together.
    fn sum(tallies: &[Self]) -> Self {
        let mut total = Self::default();
        for tally in tallies {
            total.add(tally);
        }
        total
    }

    /// The counts as they are now.
    fn copy(&self) -> Self {
        let mut copy = Self::default();
        copy.add(self);
        copy
    }

    fn to_json(&self) -> Value {
        json!({
            "requests": self.requests(),
            "versions": self.versions.0,
            "appErrors": self.app_errors.0,
            "proxyErrors": self.proxy_errors.0,
            "failures": self.failures.0,
            "lost": self.lost(),
            "statuses": self.statuses.0,
            "inFlight": self.due - self.requests(),
            "connections": self.connections,
            "foundClosed": self.found_closed,
            "latencyMs": {
                "p50": self.percentile(0.50),
                "p99": self.percentile(0.99),
                "max": self.percentile(1.0),
            },
        })
    }
}

/// The first step of the scale that is not shorter than a latency.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the logarithm of any duration, to this base, lies between 0 and 3000"
)]
fn latency_step(latency: Duration) -> u16 {
    let micros = (latency.as_secs_f64() * 1e6).max(1.0);
    (micros.ln() / STEP.ln()).ceil() as u16
}

//! The app that the lab rolls out: a small HTTP/1.1 server that misbehaves when it is told to.
//!
//! It answers `GET /healthz` with 200 once it is ready and 503 before, and every other path with its version as
//! text. Each answer carries `X-Demo-App: VERSION`, so that a client can tell the app's own 500 from one made by
//! a proxy in front of it. `?latency_ms=500` makes one request slow, whatever the settings say.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `VERSION` | the text that `/` answers with | `v0` |
//! | `PORT` | the port to listen on | `8080` |
//! | `ERROR_RATE` | the share of requests answered with 500, evenly spread | `0` |
//! | `LATENCY_MS` | how long each answer takes, `300`, or between two bounds, `300-2000` | `0` |
//! | `READY_AFTER` | how long `/healthz` answers 503 at first: `20s`, `500ms`, `2m` | `0s` |
//! | `ON_SIGTERM` | `finish` the open requests and go, `exit` at once, or `ignore` it | `finish` |
//! | `CPU_BURN` | the share of one core to keep busy | `0` |
//! | `MEMORY_MB` | the memory to hold, in MiB | `0` |
//!
//! `demo-app check [URL]` is an acceptance test of it, for a metric by a job: it asks the URL once a second and exits
//! with 0, or with 1 at the first answer that is not 200. Without a URL it asks the canary of the rollout that runs it,
//! `http://ROLLOUTCTL_CANARY_SERVICE:PORT/`. `CHECK_FOR=10s` says how long it goes on (once if unset), and
//! `CHECK_VERSION=v2` what each answer must be.
//!
//! `demo-app health` asks the app on this host whether it is ready, and exits with 0 or 1: a health check for
//! images that hold nothing but this program. Threads and blocking I/O, without a runtime, keep the static binary
//! small and its build quick; the lab makes a container image of it and of nothing else.

#![expect(
    clippy::disallowed_methods,
    reason = "to be slow, and to tell the time, is what the app is told to do; it has no loops to hold up"
)]

use std::collections::BTreeMap;
use std::env::VarError;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long idle keep-alive connections stay open after SIGTERM. A request already on its way over one of them is
/// still answered (with `Connection: close`); closing at once would reset it.
const LINGER: Duration = Duration::from_secs(1);

/// The longest request head that is read, in bytes.
const MAX_HEAD: u64 = 16 * 1024;

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        None => serve(),
        Some("health") => health(),
        Some("check") => check(std::env::args().nth(2)),
        Some(other) => Err(format!(
            "unknown command {other:?}: say nothing to serve, `health`, or `check`"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("demo-app: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal ends it.
fn serve() -> Result<(), String> {
    let settings = Settings::from_env()?;
    // Handlers come first: as PID 1 of a container, a signal without one would be ignored by the kernel.
    let mut signals =
        Signals::new([SIGTERM, SIGINT]).map_err(|e| format!("cannot handle signals: {e}"))?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, settings.port))
        .map_err(|e| format!("cannot listen on port {}: {e}", settings.port))?;

    // Written, not only reserved, so that it counts; and kept in the eyes of the optimizer.
    let memory = std::hint::black_box(vec![1_u8; settings.memory_bytes]);
    if settings.cpu_burn > 0.0 {
        let share = settings.cpu_burn;
        thread::spawn(move || burn(share));
    }
    println!(
        "demo-app {} listens on port {}",
        settings.version, settings.port
    );
    let app = Arc::new(App::new(settings));
    let acceptor = thread::spawn({
        let app = Arc::clone(&app);
        move || accept(&app, &listener)
    });

    for signal in signals.forever() {
        match app.settings.on_sigterm {
            OnSigterm::Ignore if signal == SIGTERM => println!("demo-app ignores SIGTERM"),
            OnSigterm::Exit => return Ok(()),
            OnSigterm::Ignore | OnSigterm::Finish => break,
        }
    }
    app.draining.store(true, Ordering::SeqCst);
    // The acceptor sleeps in accept(2); one connection of our own wakes it.
    drop(TcpStream::connect((Ipv4Addr::LOCALHOST, app.settings.port)));
    acceptor
        .join()
        .map_err(|_| "the acceptor panicked".to_owned())?;
    app.connections.drain();
    drop(memory);
    Ok(())
}

/// Asks the app on this host whether it is ready.
fn health() -> Result<(), String> {
    let port: u16 = variable("PORT", 8080)?;
    let limit = Duration::from_secs(2);
    let ask = || -> io::Result<String> {
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = String::new();
        BufReader::new(stream.take(MAX_HEAD)).read_line(&mut status)?;
        Ok(status)
    };
    let status = ask().map_err(|e| format!("cannot ask port {port}: {e}"))?;
    if status.starts_with("HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(format!("not ready: {}", status.trim_end()))
    }
}

/// Asks a URL again and again.
fn check(url: Option<String>) -> Result<(), String> {
    let port: u16 = variable("PORT", 8080)?;
    let canary: String = variable("ROLLOUTCTL_CANARY_SERVICE", "localhost".to_owned())?;
    let wanted: String = variable("CHECK_VERSION", String::new())?;
    let Span(going_on) = variable("CHECK_FOR", Span(Duration::ZERO))?;
    let url = url.unwrap_or_else(|| format!("http://{canary}:{port}/"));
    let until = Instant::now() + going_on;
    let mut asked = 0_u32;
    loop {
        let (status, body) = ask(&url).map_err(|e| format!("cannot ask {url}: {e}"))?;
        asked += 1;
        println!("{url} answers {status:?} and {body:?}");
        if !status.starts_with("HTTP/1.1 200 ") {
            return Err(format!("answer {asked} is not 200 but {status:?}"));
        }
        if !wanted.is_empty() && body != wanted {
            return Err(format!("answer {asked} is {body:?} and not {wanted:?}"));
        }
        if Instant::now() >= until {
            println!("{asked} answers, all good");
            return Ok(());
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// One request: the status line, and the body without the blanks around it.
fn ask(url: &str) -> io::Result<(String, String)> {
    const LIMIT: Duration = Duration::from_secs(5);
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let rest = url.strip_prefix("http://");
    let rest = rest.ok_or_else(|| bad("the URL does not begin with http://"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut found = std::net::ToSocketAddrs::to_socket_addrs(host)?;
    let address = found.next().ok_or_else(|| bad("the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(MAX_HEAD).read_to_string(&mut answer)?;
    let status = answer.lines().next().unwrap_or_default().to_owned();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.trim().to_owned()))
}

/// What the environment asks of the app.
struct Settings {
    version: String,
    port: u16,
    error_rate: f64,
    latency: Latency,
    ready_after: Duration,
    on_sigterm: OnSigterm,
    cpu_burn: f64,
    memory_bytes: usize,
}

impl Settings {
    fn from_env() -> Result<Self, String> {
        Ok(Self {
            version: variable("VERSION", "v0".to_owned())?,
            port: variable("PORT", 8080)?,
            error_rate: variable("ERROR_RATE", Share(0.0))?.0,
            latency: variable("LATENCY_MS", Latency { least: 0, most: 0 })?,
            ready_after: variable("READY_AFTER", Span(Duration::ZERO))?.0,
            on_sigterm: variable("ON_SIGTERM", OnSigterm::Finish)?,
            cpu_burn: variable("CPU_BURN", Share(0.0))?.0,
            memory_bytes: variable("MEMORY_MB", 0_usize)? << 20,
        })
    }
}

/// Reads one environment variable; an empty one counts as unset.
fn variable<T>(name: &str, default: T) -> Result<T, String>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    match std::env::var(name) {
        Err(VarError::NotPresent) => Ok(default),
        Ok(text) if text.is_empty() => Ok(default),
        Ok(text) => text.parse().map_err(|e| format!("{name}={text:?}: {e}")),
        Err(VarError::NotUnicode(_)) => Err(format!("{name} is not Unicode")),
    }
}

/// A share between 0 and 1.
struct Share(f64);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err("want a share between 0 and 1, like 0.05".to_owned()),
        }
    }
}

/// A length of time, written with its unit.
struct Span(Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = text.split_at(
            text.find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len()),
        );
        let number: u64 = number
            .parse()
            .map_err(|_| "want a time like 20s".to_owned())?;
        match unit {
            "ms" => Ok(Self(Duration::from_millis(number))),
            "s" => Ok(Self(Duration::from_secs(number))),
            "m" => Ok(Self(Duration::from_secs(number * 60))),
            _ => Err("want a time with its unit, like 500ms, 20s or 2m".to_owned()),
        }
    }
}

/// How long an answer takes, in milliseconds.
struct Latency {
    least: u64,
    most: u64,
}

impl Latency {
    /// The latency at a place between the least (0) and the most (1).
    fn at(&self, place: f64) -> Duration {
        let least = Duration::from_millis(self.least);
        least + Duration::from_millis(self.most - self.least).mul_f64(place)
    }
}

impl FromStr for Latency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        match (least.parse(), most.parse()) {
            (Ok(least), Ok(most)) if least <= most => Ok(Self { least, most }),
            _ => Err("want milliseconds, like 300 or 300-2000".to_owned()),
        }
    }
}

/// What SIGTERM does.
enum OnSigterm {
    Finish,
    Exit,
    Ignore,
}

impl FromStr for OnSigterm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "finish" => Ok(Self::Finish),
            "exit" => Ok(Self::Exit),
            "ignore" => Ok(Self::Ignore),
            _ => Err("want finish, exit or ignore".to_owned()),
        }
    }
}

/// The running app, shared by all its connections.
struct App {
    settings: Settings,
    started: Instant,
    /// Where this process begins in what it spreads over its requests, so that several do not fail in chorus.
    phase: f64,
    draining: AtomicBool,
    requests: AtomicU64,
    connections: Connections,
}

impl App {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            started: Instant::now(),
            phase: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |now| now.as_secs_f64().fract()),
            draining: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            connections: Connections::default(),
        }
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn ready(&self) -> bool {
        !self.draining() && self.started.elapsed() >= self.settings.ready_after
    }

    /// Decides the answer to one request, after the time that it is to take.
    fn answer(&self, target: &str) -> Answer<'_> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path == "/healthz" {
            return if self.ready() {
                Answer::Ok("ready")
            } else {
                Answer::NotReady
            };
        }
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        let asked = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("latency_ms=")?.parse().ok());
        thread::sleep(match asked {
            Some(millis) => Duration::from_millis(millis),
            None => self
                .settings
                .latency
                .at(place(n, self.phase, 0.414_213_562_373_095)),
        });
        if place(n, self.phase, 0.618_033_988_749_895) < self.settings.error_rate {
            Answer::Failed
        } else {
            Answer::Ok(&self.settings.version)
        }
    }
}

/// A number from 0 up to 1 for the `n`th request. Multiples of an irrational number cover that range evenly in any
/// stretch of requests, yet without a period that could fall in step with proxies that take turns.
#[expect(
    clippy::cast_precision_loss,
    reason = "request numbers are far below 2^52"
)]
fn place(n: u64, phase: f64, irrational: f64) -> f64 {
    (phase + n as f64 * irrational).fract()
}

/// What a request is answered with.
enum Answer<'a> {
    Ok(&'a str),
    NotReady,
    Failed,
}

impl Answer<'_> {
    fn status(&self) -> &'static str {
        match self {
            Self::Ok(_) => "200 OK",
            Self::NotReady => "503 Service Unavailable",
            Self::Failed => "500 Internal Server Error",
        }
    }

    fn body(&self) -> &str {
        match self {
            Self::Ok(text) => text,
            Self::NotReady => "not ready",
            Self::Failed => "failed, as ERROR_RATE asks",
        }
    }
}

/// The open connections. Each is kept a second time here, so that a drain can wake the threads that wait for a
/// next request.
#[derive(Default)]
struct Connections {
    open: Mutex<BTreeMap<u64, TcpStream>>,
    closed: Condvar,
}

impl Connections {
    fn add(&self, id: u64, stream: TcpStream) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, stream);
    }

    fn remove(&self, id: u64) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        self.closed.notify_all();
    }

    /// Waits until every open request is answered. There is no limit: whoever sent SIGTERM has one of his own.
    fn drain(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, _) = self
            .closed
            .wait_timeout_while(open, LINGER, |open| !open.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        for stream in open.values() {
            // Ends the idle ones; what is being answered is written to its end. One closed meanwhile is no error.
            stream.shutdown(Shutdown::Read).ok();
        }
        drop(self.closed.wait_while(open, |open| !open.is_empty()));
    }
}

/// Accepts connections, each with a thread of its own, until the app drains.
fn accept(app: &Arc<App>, listener: &TcpListener) {
    let mut id = 0;
    while !app.draining() {
        match listener.accept() {
            Ok((stream, _)) => start(app, id, stream),
            // Out of descriptors or threads, for instance: trying again at once would only spin.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
        id += 1;
    }
    // Clients in the backlog have a connection as far as they know: closing the listener now would reset them.
    if listener.set_nonblocking(true).is_ok() {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).ok();
            start(app, id, stream);
            id += 1;
        }
    }
}

/// Serves one connection on a new thread.
fn start(app: &Arc<App>, id: u64, stream: TcpStream) {
    let Ok(twin) = stream.try_clone() else { return };
    app.connections.add(id, twin);
    let shared = Arc::clone(app);
    let spawned = thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        // A client that breaks off is its own affair.
        converse(&shared, &stream).ok();
        shared.connections.remove(id);
    });
    if spawned.is_err() {
        app.connections.remove(id);
    }
}

/// Answers the requests of one connection, until either side wants it closed.
fn converse(app: &App, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        let answer = app.answer(&request.target);
        let close = request.close || app.draining();
        let body = answer.body();
        let response = format!(
            "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nX-Demo-App: {}\r\n{}\r\n{}",
            answer.status(),
            body.len(),
            app.settings.version,
            if close { "Connection: close\r\n" } else { "" },
            if request.head_only { "" } else { body },
        );
        (&mut &*stream).write_all(response.as_bytes())?;
        if close {
            break;
        }
    }
    Ok(())
}

/// What of a request's head matters here.
struct Request {
    target: String,
    head_only: bool,
    close: bool,
}

impl Request {
    /// Reads one request, its body included; `None` at the end of the connection.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = reader.by_ref().take(MAX_HEAD);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(target), Some(protocol)) =
            (words.next(), words.next(), words.next())
        else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut request = Self {
            target: target.to_owned(),
            head_only: method == "HEAD",
            close: protocol == "HTTP/1.0",
        };
        let mut body: u64 = 0;
        loop {
            let mut line = String::new();
            if head.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => body = value.parse().map_err(|_| io::ErrorKind::InvalidData)?,
                // A body without a length is left unread, so the connection cannot serve another request.
                "transfer-encoding" => request.close = true,
                "connection" => request.close |= value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        io::copy(&mut reader.take(body), &mut io::sink())?;
        Ok(Some(request))
    }
}

/// Keeps one core busy for a share of each tenth of a second.
fn burn(share: f64) {
    let slice = Duration::from_millis(100);
    loop {
        let start = Instant::now();
        while start.elapsed() < slice.mul_f64(share) {
            std::hint::spin_loop();
        }
        thread::sleep(slice.saturating_sub(start.elapsed()));
    }
}

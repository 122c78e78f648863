//! A real HAProxy and a real InfluxDB of the test's own, on free ports, gone with the test.

use std::fmt::Write as _;
use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

/// The two revisions that have servers, and the server of each.
pub const STABLE: (&str, &str) = ("0123456789", "0123456789.1.abcdefghij01");
/// The other one.
pub const CANARY: (&str, &str) = ("abcdef0123", "abcdef0123.1.abcdefghij02");

/// A process that ends with its owner.
struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = File::create(log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the same file"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program that `variable` names, or the installed one; none if there is none.
fn program(variable: &str, installed: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| installed.into(), PathBuf::from);
    path.exists().then_some(path)
}

/// Where a daemon of these tests listens: free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Likewise for UDP.
pub fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address").port()
}

/// Sends the lines of `times` requests to `server` as HAProxy would. Once this returns, they are in the receive buffer.
pub fn log(port: u16, times: u32, server: &str) {
    let line = format!(
        "<134>Nov 21 09:12:46 haproxy[42]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] fe be/{server} 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 \"GET /200 HTTP/1.1\""
    );
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for _ in 0..times {
        let sent = socket.send_to(line.as_bytes(), ("127.0.0.1", port));
        sent.expect("room in the buffer");
    }
}

/// Both daemons' programs.
pub struct Programs {
    haproxy: PathBuf,
    influxd: PathBuf,
}

impl Programs {
    /// None, and a line that says so, where one is missing.
    pub fn find() -> Option<Self> {
        Some(Self {
            haproxy: program("LAB_HAPROXY_BIN", "/usr/sbin/haproxy")?,
            influxd: program("LAB_INFLUXD_BIN", "/usr/bin/influxd")?,
        })
    }
}

/// Waits until `done` gives something.
#[expect(
    clippy::disallowed_methods,
    reason = "a test polls what it waits for, with a time limit"
)]
pub async fn eventually<T>(what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = done().await {
            return value;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "waited in vain: {what}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// Lets time pass.
#[expect(
    clippy::disallowed_methods,
    reason = "these tests are about what happens as seconds pass"
)]
pub async fn pass(time: Duration) {
    sleep(time).await;
}

/// An InfluxDB.
pub struct Influx {
    program: PathBuf,
    dir: PathBuf,
    port: u16,
    daemon: Option<Daemon>,
    client: reqwest::Client,
}

impl Influx {
    /// Not started yet.
    pub fn new(programs: &Programs, dir: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            program: programs.influxd.clone(),
            dir: dir.to_owned(),
            port: free_port(),
            daemon: None,
            client: reqwest::Client::builder().build().expect("a client"),
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub async fn start(&mut self) {
        let config = self.dir.join("influxdb.conf");
        let dir = self.dir.display();
        std::fs::write(
            &config,
            format!(
                "reporting-disabled = true\nbind-address = \"127.0.0.1:{}\"\n[meta]\ndir = \"{dir}/meta\"\n[data]\ndir = \"{dir}/data\"\nwal-dir = \"{dir}/wal\"\n[monitor]\nstore-enabled = false\n[http]\nbind-address = \"127.0.0.1:{}\"\n",
                free_port(),
                self.port
            ),
        )
        .expect("a config file");
        let mut command = Command::new(&self.program);
        command.arg("run").arg("-config").arg(&config);
        self.daemon = Some(Daemon::start(&mut command, &self.dir.join("influxd.log")));
        let ping = format!("{}/ping", self.url());
        eventually("InfluxDB to answer", async || {
            self.client.get(&ping).send().await.ok().map(drop)
        })
        .await;
    }

    /// As a crash would.
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// The series of one query: tags and the first row's columns.
    pub async fn query(&self, query: &str) -> Vec<(Value, Vec<Value>)> {
        let reply = self
            .client
            .get(format!("{}/query", self.url()))
            .query(&[("db", "rollouts"), ("q", query)])
            .send()
            .await
            .expect("an answer");
        let text = reply.text().await.expect("a body");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        // The collector creates the database; until then there is nothing.
        if let Some(error) = json["results"][0]["error"].as_str() {
            assert!(error.starts_with("database not found"), "{query}: {error}");
        }
        let series = json["results"][0]["series"].as_array();
        series.map_or_else(Vec::new, |series| {
            series
                .iter()
                .map(|one| {
                    let row = one["values"][0].as_array().expect("a row");
                    (one["tags"].clone(), row[1..].to_vec())
                })
                .collect()
        })
    }

    /// The one number that a query gives; 0 for none.
    pub async fn number(&self, query: &str) -> f64 {
        let series = self.query(query).await;
        series
            .first()
            .and_then(|(_, row)| row[0].as_f64())
            .unwrap_or_default()
    }
}

/// A HAProxy with the back ends `be` and `empty`. The servers of `be` are a front end of its own, which answers with the
/// status that the path names; the header `x-server` chooses the server.
pub struct Haproxy {
    port: u16,
    stats: PathBuf,
    client: reqwest::Client,
    _daemon: Daemon,
}

impl Haproxy {
    pub async fn start(programs: &Programs, dir: &Path, log_port: u16) -> Self {
        let (port, origin) = (free_port(), free_port());
        let stats = dir.join("haproxy.sock");
        let config = dir.join("haproxy.cfg");
        std::fs::write(&config, config_text(port, origin, log_port, &stats)).expect("a config");
        let mut command = Command::new(&programs.haproxy);
        command.arg("-db").arg("-f").arg(&config);
        let daemon = Daemon::start(&mut command, &dir.join("haproxy.log"));
        let client = reqwest::Client::builder().build().expect("a client");
        eventually("HAProxy to listen", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .ok()
                .map(drop)
        })
        .await;
        Self {
            port,
            stats,
            client,
            _daemon: daemon,
        }
    }

    /// Sends `times` requests, one after another.
    pub async fn send(&self, times: u32, path: &str, server: &str) {
        for _ in 0..times {
            let url = format!("http://127.0.0.1:{}{path}", self.port);
            let reply = self.client.get(url).header("x-server", server).send().await;
            let _ = reply.expect("an answer").bytes().await;
        }
    }

    /// The address of the runtime API.
    pub fn stats(&self) -> &Path {
        &self.stats
    }
}

fn config_text(port: u16, origin: u16, log_port: u16, stats: &Path) -> String {
    let mut text = format!(
        "global
  stats socket {} level admin
  log 127.0.0.1:{log_port} local0
defaults
  mode http
  option httplog
  timeout connect 1s
  timeout client 10s
  timeout server 10s
frontend fe
  log global
  bind 127.0.0.1:{port}
  http-request set-log-level silent if {{ path_beg /silent }}
  use_backend empty if {{ path /empty }}
  default_backend be
backend empty
backend be
  use-server {stable} if {{ hdr(x-server) {stable} }}
  use-server {canary} if {{ hdr(x-server) {canary} }}
  use-server web1 if {{ hdr(x-server) web1 }}
  server {stable} 127.0.0.1:{origin}
  server {canary} 127.0.0.1:{origin}
  server web1 127.0.0.1:{origin}
frontend origin
  bind 127.0.0.1:{origin}
",
        stats.display(),
        stable = STABLE.1,
        canary = CANARY.1,
    );
    for status in [204, 301, 404, 500, 503] {
        let _ = writeln!(
            text,
            "  http-request return status {status} if {{ path /{status} }}"
        );
    }
    text.push_str("  http-request return status 200 content-type text/plain string hello\n");
    text
}

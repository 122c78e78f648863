//! The collector between a real HAProxy and a real InfluxDB: what is sent is what is counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rolloutctl::collector::influxdb::{InfluxDbTarget, MissingDatabase};
use rolloutctl::collector::loss::Reading;
use rolloutctl::collector::outbox::BufferLimits;
use rolloutctl::collector::{self, CollectorOptions, Counters};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod daemons;
mod replies;

use daemons::{CANARY, Haproxy, Influx, Programs, STABLE, eventually, free_udp_port, pass};

/// A running collector.
struct Collecting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Collecting {
    async fn start(options: CollectorOptions, counters: Option<Counters>) -> Self {
        let listen = options.listen;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            collector::run(options, counters, shutdown)
                .await
                .expect("it runs");
        });
        // What UDP carries to a socket that is not there yet is gone.
        eventually("the collector to listen", async || {
            std::net::UdpSocket::bind(listen).err().map(drop)
        })
        .await;
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("it ends well");
    }
}

fn options(port: u16, url: String) -> CollectorOptions {
    CollectorOptions {
        listen: ([127, 0, 0, 1], port).into(),
        name: "test".into(),
        influxdb: InfluxDbTarget {
            url,
            database: "rollouts".into(),
            token_file: None,
            missing_database: MissingDatabase::Create,
        },
        buffer: BufferLimits::default(),
    }
}

fn programs() -> Option<Programs> {
    let found = Programs::find();
    if found.is_none() {
        eprintln!("skipped: haproxy or influxd is not installed");
    }
    found
}

/// The collector listens and HAProxy, which was started after it, sends there.
async fn world(programs: &Programs, dir: &Path) -> (Influx, Haproxy, u16) {
    let port = free_udp_port();
    let influx = Influx::new(programs, dir);
    (influx, Haproxy::start(programs, dir, port).await, port)
}

/// One command of the runtime API.
async fn ask(socket: &Path, command: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(socket)
        .await
        .expect("the runtime API");
    stream
        .write_all(format!("{command}\n").as_bytes())
        .await
        .expect("a command");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.expect("a reply");
    reply
}

async fn readings(socket: PathBuf) -> Vec<Reading> {
    let info = ask(&socket, "show info").await;
    let pid = info
        .lines()
        .find_map(|line| line.strip_prefix("Pid: "))
        .expect("a pid");
    let pid = pid.parse().expect("a number");
    let uptime = info
        .lines()
        .find_map(|line| line.strip_prefix("Uptime_sec: "));
    let uptime_secs = uptime.expect("an uptime").parse().expect("a number");
    let stat = ask(&socket, "show stat").await;
    let rows = stat
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row.get(1) == Some(&"BACKEND"));
    rows.map(|row| Reading {
        instance: socket.display().to_string(),
        uptime_secs,
        pid,
        backend: row[0].into(),
        total: row[7].parse().expect("stot"),
        open: row[4].parse().expect("scur"),
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_what_is_counted() {
    let Some(programs) = programs() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (mut influx, haproxy, port) = world(&programs, dir.path()).await;
    influx.start().await;
    let collecting = Collecting::start(options(port, influx.url()), None).await;
    for (times, path, server) in [
        (30, "/200", STABLE.1),
        (5, "/404", STABLE.1),
        (3, "/503", STABLE.1),
        (20, "/200", CANARY.1),
        (10, "/500", CANARY.1),
        (2, "/301", CANARY.1),
        (7, "/204", "web1"),
        (4, "/empty", ""),
    ] {
        haproxy.send(times, path, server).await;
    }
    let total = "SELECT sum(\"requests\") FROM \"haproxy\"";
    eventually("all requests to be counted", async || {
        (influx.number(total).await >= 81.0).then_some(())
    })
    .await;
    let by_code = influx
        .query("SELECT sum(\"requests\"), sum(\"errors\"), sum(\"ta_count\") FROM \"haproxy\" GROUP BY \"backend\", \"revision\", \"code\"")
        .await;
    let seen: BTreeMap<_, _> = by_code
        .iter()
        .map(|(tags, row)| {
            let key = ["backend", "revision", "code"].map(|tag| tags[tag].as_str().unwrap_or("?"));
            let numbers = [&row[0], &row[1], &row[2]].map(|n| n.as_u64().unwrap_or(0));
            (key, numbers)
        })
        .collect();
    let expected = BTreeMap::from([
        (["be", STABLE.0, "2xx"], [30, 0, 30]),
        (["be", STABLE.0, "4xx"], [5, 0, 5]),
        (["be", STABLE.0, "5xx"], [3, 3, 3]),
        (["be", CANARY.0, "2xx"], [20, 0, 20]),
        (["be", CANARY.0, "5xx"], [10, 10, 10]),
        (["be", CANARY.0, "3xx"], [2, 0, 2]),
        (["be", "foreign", "2xx"], [7, 0, 7]),
        (["empty", "none", "5xx"], [4, 4, 4]),
    ]);
    assert_eq!(seen, expected);
    let ratio = format!(
        "SELECT sum(\"errors\") / sum(\"requests\") FROM \"haproxy\" WHERE \"backend\" = 'be' AND \"revision\" = '{}'",
        CANARY.0
    );
    let ratio = influx.number(&ratio).await;
    assert!((ratio - 10.0 / 32.0).abs() < 1e-9, "{ratio}");
    collecting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_come_is_written_as_lost() {
    let Some(programs) = programs() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (mut influx, haproxy, port) = world(&programs, dir.path()).await;
    influx.start().await;
    let socket = haproxy.stats().to_owned();
    let counters: Counters = Arc::new(move || Box::pin(readings(socket.clone())));
    let collecting = Collecting::start(options(port, influx.url()), Some(counters)).await;
    let settled = "SELECT count(\"expected\") FROM \"haproxy_loss\"";
    // The first reading only opens the account, so the second one is the first that is written.
    eventually("a first judgement", async || {
        (influx.number(settled).await >= 1.0).then_some(())
    })
    .await;
    haproxy.send(20, "/200", STABLE.1).await;
    // HAProxy counts these and does not log them, as if UDP had lost them.
    haproxy.send(6, "/silent", STABLE.1).await;
    // A look at the counters may come between any two requests.
    let judged = "SELECT sum(\"expected\") FROM \"haproxy_loss\" WHERE \"backend\" = 'be'";
    eventually("the judgement of all requests", async || {
        (influx.number(judged).await >= 26.0).then_some(())
    })
    .await;
    let sums = influx
        .query("SELECT sum(\"expected\"), sum(\"received\"), sum(\"lost\") FROM \"haproxy_loss\" WHERE \"backend\" = 'be'")
        .await;
    let sums: Vec<_> = sums[0].1.iter().map(serde_json::Value::as_u64).collect();
    assert_eq!(sums, [Some(26), Some(20), Some(6)]);
    collecting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_influxdb_loses_nothing_within_the_buffer() {
    let Some(programs) = programs() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (mut influx, haproxy, port) = world(&programs, dir.path()).await;
    influx.start().await;
    let collecting = Collecting::start(options(port, influx.url()), None).await;
    let total = "SELECT sum(\"requests\") FROM \"haproxy\"";
    haproxy.send(10, "/200", STABLE.1).await;
    eventually("the first requests", async || {
        (influx.number(total).await >= 10.0).then_some(())
    })
    .await;
    influx.stop();
    for _ in 0..4 {
        haproxy.send(10, "/200", STABLE.1).await;
        pass(Duration::from_secs(1)).await;
    }
    influx.start().await;
    eventually("the requests of the outage", async || {
        (influx.number(total).await >= 50.0).then_some(())
    })
    .await;
    // What is there when the collector is told to stop is written as well. HAProxy would not do here: it writes a line
    // when the client has its answer already.
    daemons::log(port, 5, STABLE.1);
    collecting.stop().await;
    let written = influx.number(total).await;
    assert!((written - 55.0).abs() < 0.5, "{written}");
    let dropped = influx
        .number("SELECT last(\"dropped\") FROM \"collector\"")
        .await;
    assert!(dropped < 0.5, "{dropped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_the_buffer_is_dropped_and_counted() {
    let Some(programs) = programs() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (mut influx, haproxy, port) = world(&programs, dir.path()).await;
    let mut options = options(port, influx.url());
    options.buffer.points = 2;
    let collecting = Collecting::start(options, None).await;
    for _ in 0..6 {
        haproxy.send(1, "/200", STABLE.1).await;
        pass(Duration::from_millis(1_100)).await;
    }
    influx.start().await;
    let last = "SELECT last(\"dropped\") FROM \"collector\"";
    eventually("the count of what was dropped", async || {
        (influx.number(last).await > 0.5).then_some(())
    })
    .await;
    collecting.stop().await;
    let kept = influx
        .number("SELECT sum(\"requests\") FROM \"haproxy\"")
        .await;
    let dropped = influx.number(last).await;
    // Each request is a point of its own; the collector's reports take part in the crowding out.
    assert!((0.0..=2.0).contains(&kept), "{kept} were kept");
    assert!(dropped + kept >= 6.0, "{dropped} dropped, {kept} kept");
}

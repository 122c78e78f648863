//! Load on the proxies, counted: the example `demo-load` and what it tells.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::lab::{Lab, PATIENCE};

/// What load to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests a second, over both proxies.
    pub rps: u32,
    /// The most connections, over both proxies.
    pub connections: u32,
    /// The share of requests that are slow.
    pub slow_share: f64,
    /// How slow, in milliseconds: `300`, or `300-2000`.
    pub slow_ms: &'static str,
    /// The share of requests that end their connection.
    pub close_share: f64,
}

impl Options {
    /// Quick requests at a steady rate.
    pub fn quick(rps: u32) -> Self {
        Self {
            rps,
            connections: 40,
            slow_share: 0.0,
            slow_ms: "300",
            close_share: 0.05,
        }
    }
}

/// Counts since the start. `demo-load` tells what each means.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Totals {
    /// Requests that ended.
    pub requests: u64,
    /// Answered with 2xx, by version.
    pub versions: BTreeMap<String, u64>,
    /// Answered otherwise by the app, by version.
    pub app_errors: BTreeMap<String, u64>,
    /// Answered otherwise by a proxy, by status.
    pub proxy_errors: BTreeMap<String, u64>,
    /// Not answered, by kind.
    pub failures: BTreeMap<String, u64>,
    /// The sum of the last two.
    pub lost: u64,
    /// Latencies in milliseconds: `p50`, `p99`, `max`.
    pub latency_ms: BTreeMap<String, Option<f64>>,
}

impl Totals {
    /// The answers of one version's app.
    pub fn of(&self, version: &str) -> u64 {
        let count = |counts: &BTreeMap<String, u64>| counts.get(version).copied().unwrap_or(0);
        count(&self.versions) + count(&self.app_errors)
    }

    /// The answers of all versions' apps.
    pub fn answered(&self) -> u64 {
        self.versions.values().sum::<u64>() + self.app_errors.values().sum::<u64>()
    }

    /// The version's share of the answers since `before`, in percent.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn share_since(&self, before: &Self, version: &str) -> f64 {
        let of_it = self.of(version) - before.of(version);
        let of_all = self.answered() - before.answered();
        of_it as f64 / of_all.max(1) as f64 * 100.0
    }

    /// Panics if a request was lost.
    pub fn assert_nothing_lost(&self) {
        assert!(
            self.lost == 0 && self.proxy_errors.is_empty() && self.failures.is_empty(),
            "{} of {} requests lost: {self:#?}",
            self.lost,
            self.requests
        );
    }
}

/// A running `demo-load`.
pub struct Load {
    child: Child,
    heard: Arc<Mutex<Heard>>,
    reader: Option<JoinHandle<()>>,
}

/// What it has told so far.
#[derive(Default)]
struct Heard {
    lines: u64,
    totals: Totals,
    summary: Option<Totals>,
}

impl Load {
    /// Starts load on `HOST.lab`, which the lab's proxies send to the back end `HOST`.
    pub fn start(lab: &Lab, host: &str, options: &Options) -> Self {
        let mut child = Command::new(program())
            .args(["--url", &lab.urls[0], "--url", &lab.urls[1]])
            .args(["--host", &format!("{host}.lab")])
            .args(["--rps", &options.rps.to_string()])
            .args(["--connections", &options.connections.to_string()])
            .args(["--slow-share", &options.slow_share.to_string()])
            .args(["--slow-ms", options.slow_ms])
            .args(["--close-share", &options.close_share.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("demo-load starts");
        let heard = Arc::default();
        let lines = child.stdout.take().expect("its output");
        let reader = {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || listen(lines, &heard))
        };
        Self {
            child,
            heard,
            reader: Some(reader),
        }
    }

    /// The counts as of an instant at most a second after this call began, and not before it.
    pub fn totals(&self, lab: &Lab) -> Totals {
        let before = self.heard().lines;
        lab.until("demo-load tells more", PATIENCE, || {
            let heard = self.heard();
            (heard.lines > before).then(|| heard.totals.clone())
        })
    }

    /// Waits until `more` requests have ended since `before`.
    pub fn until_more(&self, lab: &Lab, before: &Totals, more: u64) -> Totals {
        let what = format!("{more} more requests have ended");
        lab.until(&what, PATIENCE + Duration::from_millis(more), || {
            let totals = self.heard().totals.clone();
            (totals.requests >= before.requests + more).then_some(totals)
        })
    }

    /// Ends the load, waits for the last answers, and returns all counts.
    pub fn stop(mut self) -> Totals {
        drop(self.child.stdin.take());
        self.child.wait().expect("demo-load ends");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("it was listened to");
        }
        let summary = self.heard().summary.take();
        summary.expect("demo-load sums up")
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(lines: ChildStdout, heard: &Mutex<Heard>) {
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        let totals = |value: &Value| {
            serde_json::from_value::<Totals>(value["total"].clone()).expect("counts")
        };
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        match line.get("summary") {
            Some(summary) => heard.summary = Some(totals(summary)),
            None => heard.totals = totals(&line),
        }
        heard.lines += 1;
    }
}

/// Where cargo builds examples: `cargo test` does, next to the program.
fn program() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_BIN_EXE_rolloutctl"));
    path.pop();
    let path = path.join("examples/demo-load");
    assert!(path.exists(), "not built: cargo build --examples");
    path
}

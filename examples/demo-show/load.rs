//! The load: runs `demo-load`, and reads what its clients counted.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::account::Account;
use crate::show::Proxy;
use crate::{LabOptions, now};

/// What ended between two lines of the generator, by HAProxy.
#[derive(Clone)]
pub struct Slice {
    /// When the line before came.
    pub from: Timestamp,
    /// When this line came.
    pub to: Timestamp,
    /// What ended, by the HAProxy's name.
    pub proxies: BTreeMap<String, Counts>,
}

/// What became of requests.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All that ended.
    pub requests: u64,
    /// Those that the app did not answer.
    pub lost: u64,
    /// Good answers, by version.
    pub versions: BTreeMap<String, u64>,
    /// The app's own errors, by version.
    pub app_errors: BTreeMap<String, u64>,
}

impl Counts {
    /// What a version answered, well or not.
    pub fn of(&self, version: &str) -> u64 {
        let count = |by: &BTreeMap<String, u64>| by.get(version).copied().unwrap_or_default();
        count(&self.versions) + count(&self.app_errors)
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.lost += other.lost;
        for (version, n) in &other.versions {
            *self.versions.entry(version.clone()).or_default() += n;
        }
        for (version, n) in &other.app_errors {
            *self.app_errors.entry(version.clone()).or_default() += n;
        }
    }

    /// The version's share of what was answered, in percent.
    pub fn percent(&self, version: &str) -> Option<f64> {
        percent(self.of(version), self.requests - self.lost)
    }
}

/// A part of a whole in percent; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// What all requests came to.
#[derive(Clone, Default)]
pub struct Total {
    /// The counts over all instances.
    pub counts: Counts,
    /// The latency that 99 % of the answers did not exceed, in milliseconds.
    pub p99: Option<f64>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    urls: BTreeMap<String, Counts>,
    summary: Option<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    total: SummaryTotal,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SummaryTotal {
    #[serde(flatten)]
    counts: Counts,
    latency_ms: Latency,
}

#[derive(Deserialize)]
struct Latency {
    p99: Option<f64>,
}

/// The generator at work. It ends with this value, since its standard input closes.
pub struct Load {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    names: BTreeMap<String, String>,
    last: Timestamp,
}

impl Load {
    /// Starts the generator.
    pub fn start(options: &LabOptions, proxies: &[Proxy]) -> anyhow::Result<Self> {
        let mut command = Command::new(&options.demo_load);
        command.args(["--every", "250ms", "--rps", &options.rps.to_string()]);
        for proxy in proxies {
            command.args(["--url", &proxy.url]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run demo-load")?;
        let output = child.stdout.take().context("demo-load has no output")?;
        let names = proxies
            .iter()
            .map(|proxy| (proxy.url.clone(), proxy.name.clone()));
        Ok(Self {
            child,
            lines: BufReader::new(output).lines(),
            names: names.collect(),
            last: now(),
        })
    }

    /// The next slice.
    pub async fn next(&mut self) -> anyhow::Result<Slice> {
        let line = self.line().await?;
        Ok(self.slice(line))
    }

    /// Ends the generator; says what all came to.
    pub async fn end(mut self, account: &mut Account) -> anyhow::Result<Total> {
        drop(self.child.stdin.take());
        loop {
            let line = self.line().await?;
            if let Some(Summary { total }) = line.summary {
                return Ok(Total {
                    counts: total.counts,
                    p99: total.latency_ms.p99,
                });
            }
            account.take(self.slice(line));
        }
    }

    async fn line(&mut self) -> anyhow::Result<Line> {
        let line = self.lines.next_line().await?;
        let line = line.context("demo-load has ended too early")?;
        serde_json::from_str(&line).with_context(|| format!("demo-load said: {line}"))
    }

    fn slice(&mut self, line: Line) -> Slice {
        let (from, to) = (self.last, now());
        self.last = to;
        let named = |(url, counts)| (self.names.get(&url).cloned().unwrap_or(url), counts);
        Slice {
            from,
            to,
            proxies: line.urls.into_iter().map(named).collect(),
        }
    }
}

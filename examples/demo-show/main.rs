//! The demo's director: starts the load, applies the manifests, shows what becomes of them, and judges.
//!
//! `examples/demo` builds this program and the world around it, and starts it. It looks at two things only: at the
//! answers that the clients got ([`load`]) and at `rolloutctl get rollout -o json` ([`watch`]). What it says of shares
//! and losses is counted at the clients; nothing is taken from the controller's word.
//!
//! Exit code: 0 when everything went as it should, 1 when something did not, 2 when it could not run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use jiff::Timestamp;
use rolloutctl::api::{Phase, Step, WaitingOn};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout_at};

mod account;
mod load;
mod summary;
mod view;
mod watch;

use account::Account;
use load::Load;
use view::View;
use watch::Look;

/// The rollout that the demo is about.
const ROLLOUT: &str = "news-web";

/// How long each of the demo's parts may take.
const LIMIT: Duration = Duration::from_secs(150);

/// Shows a good rollout and a bad one, and judges what happened.
#[derive(Parser)]
struct Options {
    /// The program to show
    #[arg(long)]
    rolloutctl: PathBuf,
    /// The load generator
    #[arg(long)]
    demo_load: PathBuf,
    /// Where the manifests are: edge.yaml, metrics.yaml, v1.yaml, v2.yaml and v3.yaml
    #[arg(long)]
    manifests: PathBuf,
    /// The HAProxies, `NAME=http://HOST:PORT`; may be repeated
    #[arg(long = "proxy", required = true)]
    proxies: Vec<String>,
    /// Requests a second, over all HAProxies
    #[arg(long, default_value_t = 350)]
    rps: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Shows it all; says whether all went as it should.
async fn run(options: &Options) -> anyhow::Result<bool> {
    let mut stage = Show::new(options)?;
    stage
        .view
        .say("Two HAProxies, an empty Swarm. First v1, with nobody to be compared with:");
    stage
        .apply(&["edge.yaml", "metrics.yaml", "v1.yaml"])
        .await?;
    stage
        .follow("v1 is Healthy", |look| look.is_done(1, Phase::Healthy))
        .await?;

    stage.load = Some(Load::start(options, &stage.proxies)?);
    stage.view.say(&format!(
        "From now on {} requests a second arrive, over both HAProxies.",
        options.rps
    ));
    stage.watch_for(Duration::from_secs(3)).await?;

    stage.view.say("v2 is good: 5 %, 33 %, 50 %, then all.");
    stage.apply(&["v2.yaml"]).await?;
    stage
        .follow("v2 is Healthy", |look| look.is_done(2, Phase::Healthy))
        .await?;

    stage
        .view
        .say("v3 answers every twentieth request with an error. 1 % are allowed:");
    stage.apply(&["v3.yaml"]).await?;
    stage
        .follow("v3 was taken back", |look| {
            look.is_done(3, Phase::Degraded) && look.status.waiting_on == Some(WaitingOn::Retry)
        })
        .await?;
    stage.watch_for(Duration::from_secs(3)).await?;
    stage.finish().await
}

/// All that the director holds.
struct Show<'a> {
    options: &'a Options,
    proxies: Vec<Proxy>,
    looks: mpsc::Receiver<anyhow::Result<Look>>,
    last: Look,
    load: Option<Load>,
    account: Account,
    view: View,
    began: Instant,
    /// The instant of the last event that was shown.
    told: Timestamp,
}

/// One HAProxy: its name, and where clients find it.
#[derive(Clone)]
struct Proxy {
    name: String,
    url: String,
}

impl Proxy {
    fn read(text: &str) -> anyhow::Result<Self> {
        let (name, url) = text
            .split_once('=')
            .with_context(|| format!("--proxy {text}: want NAME=URL"))?;
        Ok(Self {
            name: name.to_owned(),
            url: url.to_owned(),
        })
    }
}

impl<'a> Show<'a> {
    fn new(options: &'a Options) -> anyhow::Result<Self> {
        let proxies = options
            .proxies
            .iter()
            .map(|text| Proxy::read(text))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            options,
            looks: watch::start(options.rolloutctl.clone()),
            last: Look::default(),
            load: None,
            account: Account::default(),
            view: View::new(&proxies),
            proxies,
            began: Instant::now(),
            told: Timestamp::MIN,
        })
    }

    /// Applies manifests as a user would.
    async fn apply(&mut self, files: &[&str]) -> anyhow::Result<()> {
        let mut command = tokio::process::Command::new(&self.options.rolloutctl);
        command.arg("apply");
        for file in files {
            command.arg("-f").arg(self.options.manifests.join(file));
        }
        self.view
            .command(&format!("rolloutctl apply -f {}", files.join(" -f ")));
        let output = command.output().await.context("cannot run rolloutctl")?;
        anyhow::ensure!(
            output.status.success(),
            "rolloutctl apply: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    /// Watches until the rollout is as wanted.
    async fn follow(&mut self, what: &str, wanted: impl Fn(&Look) -> bool) -> anyhow::Result<()> {
        let limit = Instant::now() + LIMIT;
        while !wanted(&self.last) {
            let next = timeout_at(limit, self.next()).await;
            next.with_context(|| {
                format!(
                    "{LIMIT:?} have passed and it is not so that {what}; the rollout is {:?}: {}",
                    self.last.status.phase, self.last.status.message
                )
            })??;
        }
        Ok(())
    }

    /// Watches for a while.
    async fn watch_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let limit = Instant::now() + time;
        while let Ok(next) = timeout_at(limit, self.next()).await {
            next?;
        }
        Ok(())
    }

    /// Takes in the next news, whichever comes first, and shows it.
    async fn next(&mut self) -> anyhow::Result<()> {
        let counted = async {
            match &mut self.load {
                Some(load) => load.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            look = self.looks.recv() => {
                let look = look.context("nobody looks any more")??;
                self.account.look(&look);
                self.last = look;
                self.tell_events();
            }
            slice = counted => self.account.take(slice?),
        }
        self.view
            .show(self.began.elapsed(), &self.last, &self.account);
        Ok(())
    }

    fn tell_events(&mut self) {
        for event in &self.last.status.events {
            if event.at > self.told {
                self.view.event(self.began.elapsed(), &event.message);
                self.told = event.at;
            }
        }
    }

    /// Ends the load, and judges.
    async fn finish(mut self) -> anyhow::Result<bool> {
        let total = match self.load.take() {
            Some(load) => load.end(&mut self.account).await?,
            None => anyhow::bail!("there was no load"),
        };
        self.view.end();
        let summary =
            summary::Summary::new(&self.last.status, &self.account, &total, &self.proxies);
        self.view.summary(&summary, self.began.elapsed());
        Ok(summary.is_good())
    }
}

/// The stage that a look shows to run, as attempt and stage, since when, and the share that it wants.
fn running(look: &Look) -> Option<((u32, u32), Timestamp, u8)> {
    match look.status.step {
        Step::Running { since } => Some((
            (look.status.attempt, look.status.stage),
            since,
            look.status.weight,
        )),
        Step::Idle | Step::Initial | Step::Scaling | Step::Shifting => None,
    }
}

/// A clock that ticks every so often, without haste after a delay.
fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo compares the clients' answers with the instants that the status tells"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

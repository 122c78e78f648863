//! What every act is played with: the load, the looks at the rollouts, the view, and how they go on together.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::account::Account;
use crate::load::{Load, Total};
use crate::summary::Summary;
use crate::view::View;
use crate::watch::{self, Look, Rollout};
use crate::{LabOptions, ROLLOUT};

/// How long each of the demo's parts may take.
const LIMIT: Duration = Duration::from_secs(150);

/// All that the director holds.
pub struct Show<'a> {
    /// Where the demo is played.
    pub options: &'a LabOptions,
    /// The HAProxies.
    pub proxies: Vec<Proxy>,
    /// What was counted.
    pub account: Account,
    /// Where it is shown.
    pub view: View,
    /// What was seen last.
    pub last: Look,
    looks: mpsc::Receiver<anyhow::Result<Look>>,
    load: Option<Load>,
    began: Instant,
    /// The instant of the last event that was shown, by rollout.
    told: BTreeMap<String, Timestamp>,
}

/// One HAProxy: its name, and where clients find it.
#[derive(Clone)]
pub struct Proxy {
    /// Its name.
    pub name: String,
    /// Its front end.
    pub url: String,
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
    /// Nothing has happened yet.
    pub fn new(options: &'a LabOptions) -> anyhow::Result<Self> {
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
            told: BTreeMap::new(),
        })
    }

    /// Runs a command as a user would who types `text`; says what it said.
    pub async fn run(&mut self, text: &str, command: &mut Command) -> anyhow::Result<String> {
        self.view.command(text);
        let output = command.output().await;
        let output = output.with_context(|| format!("cannot run {text}"))?;
        anyhow::ensure!(
            output.status.success(),
            "{text}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Lets requests arrive from now on.
    pub fn start_load(&mut self) -> anyhow::Result<()> {
        self.load = Some(Load::start(self.options, &self.proxies)?);
        self.view.say(&format!(
            "From now on {} requests a second arrive, over both HAProxies.",
            self.options.rps
        ));
        Ok(())
    }

    /// Watches until it is as wanted.
    pub async fn follow(
        &mut self,
        what: &str,
        wanted: impl Fn(&Look) -> bool,
    ) -> anyhow::Result<()> {
        let limit = Instant::now() + LIMIT;
        while !wanted(&self.last) {
            let next = timeout_at(limit, self.next()).await;
            next.with_context(|| {
                let status = &self.last.main.status;
                format!(
                    "{LIMIT:?} have passed and it is not so that {what}; the rollout is {:?}: {}",
                    status.phase, status.message
                )
            })??;
        }
        Ok(())
    }

    /// Watches for a while.
    pub async fn watch_for(&mut self, time: Duration) -> anyhow::Result<()> {
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
        let beside = &self.last.beside;
        let is_there = |name: &str| name == ROLLOUT || beside.contains_key(name);
        for name in self.told.keys().filter(|name| !is_there(name)) {
            let elapsed = self.began.elapsed();
            self.view.event(elapsed, &format!("{name} is gone"));
        }
        self.told.retain(|name, _| is_there(name));
        let main = std::iter::once((ROLLOUT, "", &self.last.main));
        let beside = self.last.beside.iter();
        let beside = beside.map(|(name, rollout)| (name.as_str(), name.as_str(), rollout));
        for (name, prefix, Rollout { status, .. }) in main.chain(beside) {
            let told = self.told.entry(name.to_owned()).or_insert(Timestamp::MIN);
            for event in status.events.iter().filter(|event| event.at > *told) {
                let message = match prefix {
                    "" => event.message.clone(),
                    prefix => format!("{prefix}: {}", event.message),
                };
                self.view.event(self.began.elapsed(), &message);
            }
            if let Some(event) = status.events.last() {
                *told = event.at;
            }
        }
    }

    /// Ends the load; says what all came to.
    pub async fn end_load(&mut self) -> anyhow::Result<Total> {
        let load = self.load.take().context("there was no load")?;
        let total = load.end(&mut self.account).await?;
        self.view.end();
        Ok(total)
    }

    /// Tells the facts; says whether all are as they should be.
    pub fn judge(&self, summary: &Summary) -> bool {
        self.view.summary(summary, self.began.elapsed());
        summary.is_good()
    }
}

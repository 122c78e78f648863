//! Looks at the rollouts through the command line, as a user does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use rolloutctl::api::{AttemptOutcome, Phase, Revision, RolloutStatus, Step, Strategy};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::{ROLLOUT, now, ticks};

/// What one look shows.
#[derive(Default)]
pub struct Look {
    /// When it began: what it shows was so then or later.
    pub at: Timestamp,
    /// The rollout that the demo is about.
    pub main: Rollout,
    /// The other ones, by name.
    pub beside: BTreeMap<String, Rollout>,
}

/// One rollout.
#[derive(Default)]
pub struct Rollout {
    /// The spec's generation.
    pub generation: u64,
    /// The commit that asks for the spec, if one does.
    pub commit: Option<String>,
    /// How the spec says that new revisions replace the old one.
    pub strategy: Option<Strategy>,
    /// The rollout's state.
    pub status: RolloutStatus,
}

/// The versions that the latest attempt is about.
pub struct Pair {
    /// The one that was there before; none at the first attempt.
    pub old: Option<String>,
    /// The one that is tried, or was tried last.
    pub new: String,
}

/// A stage that runs.
#[derive(Clone, Copy)]
pub struct Running {
    /// The attempt and the stage.
    pub key: (u32, u32),
    /// Since when.
    pub since: Timestamp,
    /// The share that it wants for the canary, in percent.
    pub wanted: u8,
}

impl Rollout {
    /// Whether the `generation`th spec has come to `phase`.
    pub fn is_done(&self, generation: u64, phase: Phase) -> bool {
        self.generation == generation
            && self.status.observed_generation == generation
            && self.status.phase == phase
    }

    /// Whether what `commit` asks for has come to `phase`, and nothing of it is left to be done.
    pub fn has_done(&self, commit: &str, phase: Phase) -> bool {
        self.commit.as_deref() == Some(commit)
            && self.is_done(self.generation, phase)
            && self.status.leaving.is_empty()
    }

    /// The stage that is seen to run.
    pub fn running(&self) -> Option<Running> {
        match self.status.step {
            Step::Running { since } => Some(Running {
                key: (self.status.attempt, self.status.stage),
                since,
                wanted: self.status.weight,
            }),
            Step::Idle | Step::Initial | Step::Scaling | Step::Shifting => None,
        }
    }

    /// The versions that the latest attempt is about.
    pub fn pair(&self) -> Option<Pair> {
        let mut past = self.status.history.iter().rev();
        let tried = &past.next()?.revision;
        let before = past
            .find(|entry| entry.outcome == AttemptOutcome::Completed && entry.revision != *tried);
        Some(Pair {
            old: before.map(|entry| self.version(&entry.revision)),
            new: self.version(tried),
        })
    }

    /// What a revision is called by its clients: the tag of its image, which the demo app answers with.
    fn version(&self, revision: &Revision) -> String {
        let record = self.status.revisions.get(revision);
        let image = record.map(|record| record.template.image.as_str());
        let tag = image.and_then(|image| image.rsplit_once(':'));
        tag.map_or_else(|| revision.to_string(), |(_, tag)| tag.to_owned())
    }

    /// The share that the version tried last is meant to have, in percent.
    pub fn wanted(&self) -> u8 {
        let status = &self.status;
        let tried = status.history.last().map(|entry| &entry.revision);
        if status.canary_revision.is_some() {
            status.weight
        } else if tried == status.stable_revision.as_ref() {
            100
        } else {
            0
        }
    }
}

/// Looks again and again, in the background, for as long as somebody listens.
pub fn start(rolloutctl: PathBuf) -> mpsc::Receiver<anyhow::Result<Look>> {
    let (sender, looks) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = ticks(Duration::from_millis(250));
        loop {
            ticks.tick().await;
            let look = match look(&rolloutctl).await {
                Ok(Some(look)) => Ok(look),
                // It is not there yet.
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            if sender.send(look).await.is_err() {
                return;
            }
        }
    });
    looks
}

async fn look(rolloutctl: &Path) -> anyhow::Result<Option<Look>> {
    let at = now();
    let mut command = Command::new(rolloutctl);
    command.args(["get", "rollouts", "-o", "json"]);
    let output = command.output().await.context("cannot run rolloutctl")?;
    anyhow::ensure!(
        output.status.success(),
        "rolloutctl get: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let mut found: Value = serde_json::from_slice(&output.stdout)?;
    let mut rollouts = BTreeMap::new();
    for item in found["items"].as_array_mut().into_iter().flatten() {
        let name = item["metadata"]["name"].as_str().unwrap_or_default();
        rollouts.insert(name.to_owned(), read(item)?);
    }
    Ok(rollouts.remove(ROLLOUT).map(|main| Look {
        at,
        main,
        beside: rollouts,
    }))
}

fn read(item: &mut Value) -> anyhow::Result<Rollout> {
    let metadata = &item["metadata"];
    Ok(Rollout {
        generation: metadata["generation"].as_u64().unwrap_or_default(),
        commit: metadata["origin"]["commit"].as_str().map(str::to_owned),
        strategy: serde_json::from_value(item["spec"]["strategy"].take())
            .context("cannot read the strategy")?,
        status: match item["status"].take() {
            Value::Null => RolloutStatus::default(),
            status => serde_json::from_value(status).context("cannot read the status")?,
        },
    })
}

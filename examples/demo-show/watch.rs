//! Looks at the rollout through the command line, as a user does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use rolloutctl::api::{Phase, RolloutStatus};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::{ROLLOUT, now, ticks};

/// What one look shows.
#[derive(Default)]
pub struct Look {
    /// When it began: what it shows was so then or later.
    pub at: Timestamp,
    /// The spec's generation.
    pub generation: u64,
    /// The weights of the spec's stages, in percent.
    pub stages: Vec<u64>,
    /// The rollout's state.
    pub status: RolloutStatus,
}

impl Look {
    /// Whether the `generation`th spec has come to `phase`.
    pub fn is_done(&self, generation: u64, phase: Phase) -> bool {
        self.generation == generation
            && self.status.observed_generation == generation
            && self.status.phase == phase
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
    command.args(["get", "rollout", ROLLOUT, "-o", "json"]);
    let output = command.output().await.context("cannot run rolloutctl")?;
    match output.status.code() {
        Some(0) => {}
        Some(1) => return Ok(None),
        _ => anyhow::bail!(
            "rolloutctl get: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    }
    let mut found: Value = serde_json::from_slice(&output.stdout)?;
    let stages = found["spec"]["strategy"]["canary"]["stages"].as_array();
    let weights = stages.into_iter().flatten();
    Ok(Some(Look {
        at,
        generation: found["metadata"]["generation"].as_u64().unwrap_or_default(),
        stages: weights
            .filter_map(|stage| stage["weight"].as_u64())
            .collect(),
        status: match found["status"].take() {
            Value::Null => RolloutStatus::default(),
            status => serde_json::from_value(status).context("cannot read the status")?,
        },
    }))
}

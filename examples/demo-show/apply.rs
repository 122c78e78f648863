//! The first act: a good rollout and a bad one, by `rolloutctl apply`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rolloutctl::api::{Phase, WaitingOn};
use tokio::process::Command;

use crate::show::Show;

mod facts;

/// What this act needs besides.
#[derive(Args)]
pub struct Options {
    /// Where the manifests are: edge.yaml, metrics.yaml, v1.yaml, v2.yaml and v3.yaml
    #[arg(long)]
    manifests: PathBuf,
}

/// Shows it all; says whether all went as it should.
pub async fn play(mut show: Show<'_>, options: &Options) -> anyhow::Result<bool> {
    show.view
        .say("Two HAProxies, an empty Swarm. First v1, with nobody to be compared with:");
    apply(
        &mut show,
        options,
        &["edge.yaml", "metrics.yaml", "v1.yaml"],
    )
    .await?;
    show.follow("v1 is Healthy", |look| look.main.is_done(1, Phase::Healthy))
        .await?;

    show.start_load()?;
    show.watch_for(Duration::from_secs(3)).await?;

    show.view.say("v2 is good: 5 %, 33 %, 50 %, then all.");
    apply(&mut show, options, &["v2.yaml"]).await?;
    show.follow("v2 is Healthy", |look| look.main.is_done(2, Phase::Healthy))
        .await?;

    show.view
        .say("v3 answers every twentieth request with an error. 1 % are allowed:");
    apply(&mut show, options, &["v3.yaml"]).await?;
    show.follow("v3 was taken back", |look| {
        look.main.is_done(3, Phase::Degraded)
            && look.main.status.waiting_on == Some(WaitingOn::Retry)
    })
    .await?;
    show.watch_for(Duration::from_secs(3)).await?;
    let total = show.end_load().await?;
    Ok(show.judge(&facts::sum_up(&show, &total)))
}

/// Applies manifests as a user would.
async fn apply(show: &mut Show<'_>, options: &Options, files: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(&show.options.rolloutctl);
    command.arg("apply");
    for file in files {
        command.arg("-f").arg(options.manifests.join(file));
    }
    let text = format!("rolloutctl apply -f {}", files.join(" -f "));
    show.run(&text, &mut command).await.map(drop)
}

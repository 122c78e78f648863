//! The second act, a Friday morning: what git branches say is released, and a revert takes it back. Nothing is applied
//! by hand.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use rolloutctl::api::{AttemptOutcome, Phase, Strategy};
use tokio::process::Command;

use crate::load::Counts;
use crate::now;
use crate::show::Show;
use crate::watch::{Look, Rollout};

mod facts;
mod team;

use team::{Release, Team};

/// What the manifest's name comes to on the branch `test/login`.
const PREVIEW: &str = "news-web-test-login";

/// What the names of everything in the Swarm contain that is there for that branch alone.
const OF_BRANCH: &str = "test-login";

/// What this act needs besides.
#[derive(Args)]
pub struct Options {
    /// A repository without a commit; edge.yaml, metrics.yaml and news-web.yaml are in its work tree
    #[arg(long)]
    repository: PathBuf,
    /// The log of the controller that follows it
    #[arg(long)]
    log: PathBuf,
}

/// What happened, in its order.
struct Morning {
    tried: Trial,
    scaled_in: Release,
    /// The number of that attempt, which the stages are counted by.
    attempt: u32,
    bad: Release,
    /// Why the bad version was taken back, if it was.
    verdict: Option<String>,
    rc_reverted: Release,
    merged: Release,
    rolled_over: Release,
    master_reverted: Release,
}

/// A version that was tried on a branch of its own.
struct Trial {
    release: Release,
    /// Whether its checks were passed.
    is_passed: bool,
    /// What the Swarm had for it.
    had: Vec<String>,
    /// When its branch was deleted.
    deleted: Timestamp,
    /// What the Swarm still had for it when its rollout was gone.
    left: Vec<String>,
    /// When that was seen.
    gone: Timestamp,
    /// What clients had got by then.
    counts: Counts,
}

/// Shows it all; says whether all went as it should.
pub async fn play(show: Show<'_>, options: &Options) -> anyhow::Result<bool> {
    let mut team = Team::new(show, options);
    first_commit(&mut team).await?;
    let tried = a_branch(&mut team).await?;
    let scaled_in = rc(&mut team).await?;
    let attempt = team.show.last.main.status.attempt;
    let bad = bad_on_rc(&mut team).await?;
    let verdict = team.show.last.main.status.abort.as_ref();
    let verdict = verdict.map(|abort| abort.message.clone());
    let rc_reverted = revert_on_rc(&mut team).await?;
    let merged = merge(&mut team).await?;
    let rolled_over = master(&mut team).await?;
    let master_reverted = revert_on_master(&mut team).await?;
    let mut show = team.show;
    show.watch_for(Duration::from_secs(3)).await?;
    let total = show.end_load().await?;
    let morning = Morning {
        tried,
        scaled_in,
        attempt,
        bad,
        verdict,
        rc_reverted,
        merged,
        rolled_over,
        master_reverted,
    };
    Ok(show.judge(&facts::sum_up(&show, &total, &morning)))
}

/// v1 serves, and requests begin to arrive.
async fn first_commit(team: &mut Team<'_>) -> anyhow::Result<()> {
    team.show
        .view
        .say("An empty Swarm, and a git repository that the controller follows. First v1:");
    team.types(&["git", "add", "."]).await?;
    let message = "The service as it is";
    let commit = team
        .commits("master", &["git", "commit", "-qm", message])
        .await?;
    team.types(&["git", "branch", "rc"]).await?;
    team.show
        .follow("v1 is Healthy", |look| {
            look.main.has_done(&commit.id, Phase::Healthy)
        })
        .await?;
    team.show.start_load()?;
    team.show.watch_for(Duration::from_secs(3)).await
}

/// A branch of its own comes up beside production, is checked, and goes with its branch.
async fn a_branch(team: &mut Team<'_>) -> anyhow::Result<Trial> {
    team.show
        .view
        .say("test/login: v2 beside production, without its traffic, checked by a job:");
    team.types(&["git", "switch", "-qc", "test/login"]).await?;
    team.edits("s/demo-app:v1/demo-app:v2/").await?;
    let message = "Try the new login";
    let commit = team
        .commits("test/login", &["git", "commit", "-qam", message])
        .await?;
    let checked = |look: &Look| {
        let preview = look.beside.get(PREVIEW);
        let phase = preview.map(|preview| preview.status.phase);
        phase == Some(Phase::Healthy) || phase == Some(Phase::Degraded)
    };
    team.show.follow("the preview is checked", checked).await?;
    let is_passed = team.show.last.beside.get(PREVIEW).is_some_and(is_passed);
    let release = team.releases(&commit)?;

    let had = of_branch().await?;
    team.types(&["git", "switch", "-q", "master"]).await?;
    let deleted = now();
    team.types(&["git", "branch", "-qD", "test/login"]).await?;
    team.show
        .follow("the preview is gone", |look| {
            !look.beside.contains_key(PREVIEW)
        })
        .await?;
    let left = of_branch().await?;
    Ok(Trial {
        release,
        is_passed,
        had,
        deleted,
        left,
        gone: now(),
        counts: team.show.account.all.total.clone(),
    })
}

fn is_passed(preview: &Rollout) -> bool {
    let last = preview.status.history.last();
    last.is_some_and(|entry| entry.outcome == AttemptOutcome::Passed)
}

/// What the Swarm has for the branch: services and configs, by name.
async fn of_branch() -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for kind in ["service", "config"] {
        let mut command = Command::new("docker");
        command.args([kind, "ls", "--format", "{{.Name}}"]);
        let output = command.output().await.context("cannot run docker")?;
        anyhow::ensure!(output.status.success(), "docker {kind} ls: {output:?}");
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = names.lines().filter(|name| name.contains(OF_BRANCH));
        found.extend(names.map(|name| format!("{kind} {name}")));
    }
    Ok(found)
}

/// What the branch has tried comes to rc, and is scaled in gradually.
async fn rc(team: &mut Team<'_>) -> anyhow::Result<Release> {
    team.show
        .view
        .say("rc: v2 is scaled in gradually, 25 %, 50 %, then all:");
    team.types(&["git", "switch", "-q", "rc"]).await?;
    team.edits("s/demo-app:v1/demo-app:v2/").await?;
    let message = "Take the new login in";
    release(
        team,
        "rc",
        &["git", "commit", "-qam", message],
        Phase::Healthy,
    )
    .await
}

/// A bad version is measured, and taken back.
async fn bad_on_rc(team: &mut Team<'_>) -> anyhow::Result<Release> {
    team.show
        .view
        .say("rc: v3 answers every tenth request with an error. 1 % are allowed:");
    team.edits("s/demo-app:v2/demo-app:v3/").await?;
    team.edits("s/ERROR_RATE: \"0\"/ERROR_RATE: \"0.1\"/")
        .await?;
    let message = "Take the new search in";
    release(
        team,
        "rc",
        &["git", "commit", "-qam", message],
        Phase::Degraded,
    )
    .await
}

/// The bad version's revert: nothing is left to be said of it.
async fn revert_on_rc(team: &mut Team<'_>) -> anyhow::Result<Release> {
    team.show
        .view
        .say("It was taken back by itself. The revert makes rc say what serves:");
    let words = ["git", "revert", "--no-edit", "HEAD"];
    release(team, "rc", &words, Phase::Healthy).await
}

/// What rc has shown to be good comes to master, which has the service from now on.
async fn merge(team: &mut Team<'_>) -> anyhow::Result<Release> {
    team.show
        .view
        .say("master: the merge asks for what rc has shown to be good, and serves already:");
    team.types(&["git", "switch", "-q", "master"]).await?;
    let words = ["git", "merge", "-q", "--no-edit", "--no-ff", "rc"];
    let merged = release(team, "master", &words, Phase::Healthy).await?;
    anyhow::ensure!(
        matches!(team.show.last.main.strategy, Some(Strategy::BlueGreen(_))),
        "master does not roll over"
    );
    Ok(merged)
}

/// A version is rolled over: it comes up whole, and takes everything at once.
async fn master(team: &mut Team<'_>) -> anyhow::Result<Release> {
    team.show
        .view
        .say("master: v3, mended, comes up without traffic, then takes all at once:");
    team.edits("s/demo-app:v2/demo-app:v3/").await?;
    let message = "Take the new search in, mended";
    let words = ["git", "commit", "-qam", message];
    let rolled_over = release(team, "master", &words, Phase::Healthy).await?;
    team.show.watch_for(Duration::from_secs(2)).await?;
    Ok(rolled_over)
}

/// All the traffic goes back to what is still warm.
async fn revert_on_master(team: &mut Team<'_>) -> anyhow::Result<Release> {
    team.show
        .view
        .say("It is Friday, and v2 is still warm. The revert:");
    let words = ["git", "revert", "--no-edit", "HEAD"];
    release(team, "master", &words, Phase::Healthy).await
}

/// Makes a commit by these words, and follows it until the rollout has come to `phase` by it.
async fn release(
    team: &mut Team<'_>,
    branch: &str,
    words: &[&str],
    phase: Phase,
) -> anyhow::Result<Release> {
    let commit = team.commits(branch, words).await?;
    let what = format!("{branch} is {phase:?}");
    team.show
        .follow(&what, |look| look.main.has_done(&commit.id, phase))
        .await?;
    team.releases(&commit)
}

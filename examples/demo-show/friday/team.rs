//! The team that releases by commits: its work tree, what it types there, and when the controller has read it.

use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;
use tokio::process::Command;

use super::Options;
use crate::account::Page;
use crate::now;
use crate::show::Show;

/// The manifest that every commit of the story changes.
const MANIFEST: &str = "news-web.yaml";

/// A team at work, and the show that it is seen in.
pub struct Team<'a> {
    /// Where it is shown.
    pub show: Show<'a>,
    /// The repository with its work tree.
    repository: PathBuf,
    /// What the controller has logged.
    log: PathBuf,
}

/// A commit.
pub struct Commit {
    /// Its whole hash.
    pub id: String,
    /// The branch on which it was made.
    branch: String,
    /// It was made after this.
    pub at: Timestamp,
}

/// What came of a commit.
pub struct Release {
    /// When it was made, or after.
    pub at: Timestamp,
    /// When the controller had read it, if it says so.
    pub read: Option<Timestamp>,
    /// When all was done that it asks for, as the director saw it.
    pub done: Timestamp,
    /// What clients got from the commit until then.
    pub page: Page,
}

impl<'a> Team<'a> {
    /// A team with a repository that has no commit yet.
    pub fn new(show: Show<'a>, options: &Options) -> Self {
        Self {
            show,
            repository: options.repository.clone(),
            log: options.log.clone(),
        }
    }

    /// Types a command.
    pub async fn types(&mut self, words: &[&str]) -> anyhow::Result<()> {
        let text = shlex::try_join(words.iter().copied()).context("a command with a NUL")?;
        let mut command = self.command(words)?;
        self.show.run(&text, &mut command).await.map(drop)
    }

    /// Changes the manifest.
    pub async fn edits(&mut self, change: &str) -> anyhow::Result<()> {
        self.types(&["sed", "-i", change, MANIFEST]).await
    }

    /// Types a command that makes a commit on `branch`; what clients get from now on is on a new page.
    pub async fn commits(&mut self, branch: &str, words: &[&str]) -> anyhow::Result<Commit> {
        self.show.account.turn_page();
        let at = now();
        self.types(words).await?;
        let output = self.command(&["git", "rev-parse", "HEAD"])?.output();
        let output = output.await.context("cannot run git")?;
        Ok(Commit {
            id: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            branch: branch.to_owned(),
            at,
        })
    }

    /// A commit has come to its end.
    pub fn releases(&mut self, commit: &Commit) -> anyhow::Result<Release> {
        Ok(Release {
            at: commit.at,
            read: self.read(commit)?,
            done: now(),
            page: self.show.account.turn_page(),
        })
    }

    /// When the controller had read the commit, as its log has it.
    fn read(&self, commit: &Commit) -> anyhow::Result<Option<Timestamp>> {
        let log = std::fs::read_to_string(&self.log);
        let log = log.with_context(|| format!("cannot read {}", self.log.display()))?;
        let branch = format!("#{}", commit.branch);
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut read = lines.filter(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default();
            text("message") == "a commit was read"
                && text("place").ends_with(&branch)
                && !text("commit").is_empty()
                && commit.id.starts_with(text("commit"))
        });
        Ok(read.find_map(|line| line["timestamp"].as_str()?.parse().ok()))
    }

    /// A command in the work tree, with nobody's settings but the repository's own.
    fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        let (program, arguments) = words.split_first().context("an empty command")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.repository)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        Ok(command)
    }
}

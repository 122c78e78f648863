//! The `git` program, and a bare repository of its own that it fetches into. No shell puts a command together, no
//! setting of the user or the system counts, nobody is asked anything, and each call has a time limit.
//!
//! A token goes to `git` by a credential helper that reads the file: it stands in no argument, variable or log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::group::Group;
use super::objects::{Entry, blobs, entries};
use super::refusal::gist;
use super::settings::{environment, settings};
use super::{Branch, Folder, GitAccess, MAX_TOTAL, Url};
use crate::api::Commit;
use crate::runtime::Runtime;

/// How long a fetch may take.
const FETCHING: Duration = Duration::from_secs(120);

/// How long reading what was fetched may take.
const READING: Duration = Duration::from_secs(30);

/// Where branches are kept.
const HEADS: &str = "refs/rolloutctl/heads";

/// Why a repository cannot be read, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error(
        "the program git is not there; install it where the controller runs (Debian: apt-get install git)"
    )]
    Missing,
    #[error("{what}: {problem}")]
    Io { what: String, problem: io::Error },
    #[error("{what}: no end within {limit:?}; see that the repository can be reached")]
    Late { what: String, limit: Duration },
    #[error("{what}: git says: {said}")]
    Refused { what: String, said: String },
    #[error("there is no branch {branch} in {url}; nothing is deleted because of that")]
    NoBranch { branch: String, url: Url },
    #[error(
        "there is no folder {folder} in commit {commit}; see --path; nothing is deleted because of that"
    )]
    NoFolder { folder: String, commit: String },
    #[error("the source has {0}")]
    TooMuch(String),
}

impl GitError {
    /// Whether it is this machine that cannot, whatever is asked for.
    pub const fn is_ours(&self) -> bool {
        match self {
            Self::Missing | Self::Io { .. } => true,
            Self::Late { .. }
            | Self::Refused { .. }
            | Self::NoBranch { .. }
            | Self::NoFolder { .. }
            | Self::TooMuch(_) => false,
        }
    }
}

/// A bare repository of our own. It goes when this does.
pub(super) struct Git {
    directory: PathBuf,
    environment: Vec<(String, String)>,
    runtime: Arc<dyn Runtime>,
}

impl Drop for Git {
    fn drop(&mut self) {
        // What stays behind is swept with all else in the directory for temporary files.
        drop(fs::remove_dir_all(&self.directory));
    }
}

impl Git {
    /// An empty repository that nobody else can read.
    pub async fn new(
        url: &Url,
        access: &GitAccess,
        runtime: Arc<dyn Runtime>,
    ) -> Result<Self, GitError> {
        for (what, file) in [
            ("read the token", &access.token_file),
            ("read the ssh key", &access.ssh_key),
            ("read the known hosts", &access.known_hosts),
            ("read the certificates", &access.ca_file),
        ] {
            if let Some(file) = file {
                readable(what, file)?;
            }
        }
        let what = "make a directory for what is fetched";
        let directory = private_directory().map_err(|problem| io_error(what, problem))?;
        let git = Self {
            environment: environment(access, &directory),
            directory,
            runtime,
        };
        fs::write(git.directory.join("settings"), settings(url, access))
            .map_err(|problem| io_error(what, problem))?;
        git.run(
            "prepare",
            &["init", "--quiet", "--bare", "--initial-branch=none", "."],
            &[],
            READING,
        )
        .await?;
        Ok(git)
    }

    /// The branches that there are, each with its newest commit.
    pub async fn heads(&self, url: &Url) -> Result<Vec<(Branch, Commit)>, GitError> {
        let what = format!("list the branches of {url}");
        let arguments = ["ls-remote", "--quiet", "--heads", "--", url.as_str()];
        let said = self.run(&what, &arguments, &[], FETCHING).await?;
        let text = String::from_utf8_lossy(&said);
        let heads = text.lines().filter_map(|line| {
            let (commit, name) = line.split_once('\t')?;
            let branch = name.strip_prefix("refs/heads/")?.parse().ok()?;
            Some((branch, commit_hash(commit)?))
        });
        Ok(heads.collect())
    }

    /// Fetches the newest commit of each of these branches at once, whatever they were before.
    pub async fn fetch(&self, url: &Url, branches: &[Branch]) -> Result<Vec<Commit>, GitError> {
        let names: Vec<&str> = branches.iter().map(Branch::as_str).collect();
        let what = format!("fetch {} of {url}", names.join(", "));
        let refspecs: Vec<String> = names
            .iter()
            .map(|name| format!("+refs/heads/{name}:{HEADS}/{name}"))
            .collect();
        let mut arguments = vec![
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--",
            url.as_str(),
        ];
        arguments.extend(refspecs.iter().map(String::as_str));
        match self.run(&what, &arguments, &[], FETCHING).await {
            Ok(_) => {}
            Err(GitError::Refused { said, .. }) if said.contains("couldn't find remote ref") => {
                let is_named = |name: &&&str| said.contains(**name);
                let branch = names.iter().find(is_named).or(names.first());
                return Err(GitError::NoBranch {
                    branch: branch.copied().unwrap_or_default().to_owned(),
                    url: url.clone(),
                });
            }
            Err(error) => return Err(error),
        }
        let mut commits = Vec::new();
        for name in names {
            commits.push(self.commit(&what, name).await?);
        }
        Ok(commits)
    }

    /// The commit of a branch that was fetched.
    async fn commit(&self, what: &str, branch: &str) -> Result<Commit, GitError> {
        let commit = format!("{HEADS}/{branch}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", &commit];
        let said = self.run(what, &arguments, &[], READING).await?;
        let text = String::from_utf8_lossy(&said).trim().to_owned();
        commit_hash(&text).ok_or_else(|| GitError::Refused {
            what: what.to_owned(),
            said: format!("{text:?}, which is no commit"),
        })
    }

    /// The files of a commit, in `folder` and below it.
    pub async fn list(&self, commit: &Commit, folder: &Folder) -> Result<Vec<Entry>, GitError> {
        let tree = match folder.as_str() {
            "" => format!("{commit}^{{tree}}"),
            folder => format!("{commit}:{folder}"),
        };
        let arguments = ["ls-tree", "-r", "-z", "-l", "--full-tree", &tree];
        match self
            .run("list the commit's files", &arguments, &[], READING)
            .await
        {
            Ok(text) => Ok(entries(&text)),
            Err(GitError::Refused { .. }) if !folder.as_str().is_empty() => {
                Err(GitError::NoFolder {
                    folder: folder.as_str().to_owned(),
                    commit: commit.short().to_owned(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// What is in these blobs.
    pub async fn read(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>, GitError> {
        let what = "read the commit's files";
        let input: String = ids.iter().flat_map(|id| [*id, "\n"]).collect();
        let text = self
            .run(what, &["cat-file", "--batch"], input.as_bytes(), READING)
            .await?;
        blobs(&text, ids.len()).ok_or_else(|| GitError::Refused {
            what: what.to_owned(),
            said: "something else than was asked for".to_owned(),
        })
    }

    /// Runs `git` with these arguments and this input; what it prints.
    async fn run(
        &self,
        what: &str,
        arguments: &[&str],
        input: &[u8],
        limit: Duration,
    ) -> Result<Vec<u8>, GitError> {
        let mut command = Command::new("git");
        command
            .args([
                "-c",
                "gc.auto=0",
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "http.lowSpeedLimit=100",
                "-c",
                "http.lowSpeedTime=30",
            ])
            .args(arguments)
            .current_dir(&self.directory)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut group = Group::spawn(&mut command).map_err(|problem| match problem.kind() {
            io::ErrorKind::NotFound => GitError::Missing,
            _ => io_error(what, problem),
        })?;
        let child = group.program();
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut to), Some(out), Some(err)) = pipes else {
            return Err(io_error(what, io::Error::other("git has no pipes")));
        };
        let (mut printed, mut said) = (Vec::new(), Vec::new());
        let talking = async {
            let asking = async {
                // Who does not read on says why.
                drop(to.write_all(input).await);
                drop(to);
            };
            let mut out = out.take(MAX_TOTAL * 2);
            let mut err = err.take(64 << 10);
            let ((), read, heard) = tokio::join!(
                asking,
                out.read_to_end(&mut printed),
                err.read_to_end(&mut said)
            );
            read.and(heard)?;
            child.wait().await
        };
        let status = tokio::select! {
            biased;
            status = talking => status.map_err(|problem| io_error(what, problem))?,
            () = self.runtime.sleep(limit) => {
                // Else it may go on to write into a directory that is being removed.
                group.end().await;
                return Err(GitError::Late { what: what.to_owned(), limit });
            }
        };
        if status.success() {
            return Ok(printed);
        }
        Err(GitError::Refused {
            what: what.to_owned(),
            said: gist(&String::from_utf8_lossy(&said)),
        })
    }
}

fn commit_hash(text: &str) -> Option<Commit> {
    let is_hash =
        matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| Commit(text.to_owned()))
}

fn io_error(what: &str, problem: io::Error) -> GitError {
    GitError::Io {
        what: what.to_owned(),
        problem,
    }
}

fn readable(what: &str, file: &Path) -> Result<(), GitError> {
    let opened = fs::File::open(file);
    opened
        .map(|_| ())
        .map_err(|problem| io_error(&format!("{what} in {}", file.display()), problem))
}

/// A new directory that nobody else can enter.
fn private_directory() -> io::Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("rolloutctl-git-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        match builder.create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

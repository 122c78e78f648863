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

use super::objects::{Entry, blobs, entries};
use super::{Folder, GitSource, MAX_TOTAL, Url};
use crate::api::{Commit, brief};
use crate::runtime::Runtime;

/// How long a fetch may take.
const FETCHING: Duration = Duration::from_secs(120);

/// How long reading what was fetched may take.
const READING: Duration = Duration::from_secs(30);

/// Where the branch is kept.
const HEAD: &str = "refs/rolloutctl/head";

/// What of the environment `git` needs to reach the world.
const PASSED_ON: [&str; 14] = [
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSH_AUTH_SOCK",
];

/// Gives `git` the token when it asks for one, and takes nothing.
const HELPER: &str = r#"!f() { test "$1" = get || exit 0; printf 'username=%s\npassword=%s\n' "$ROLLOUTCTL_GIT_USERNAME" "$(head -n 1 -- "$ROLLOUTCTL_GIT_TOKEN_FILE" | tr -d '\r\n')"; }; f"#;

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
    pub async fn new(source: &GitSource, runtime: Arc<dyn Runtime>) -> Result<Self, GitError> {
        if let Some(file) = &source.access.token_file {
            readable("read the token", file)?;
        }
        if let Some(file) = &source.access.ssh_key {
            readable("read the ssh key", file)?;
        }
        let what = "make a directory for what is fetched";
        let directory = private_directory().map_err(|problem| io_error(what, problem))?;
        let git = Self {
            environment: environment(source, &directory),
            directory,
            runtime,
        };
        fs::write(git.directory.join("settings"), settings(source))
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

    /// Fetches the branch's newest commit, whatever it was before.
    pub async fn fetch(&self, source: &GitSource) -> Result<Commit, GitError> {
        let branch = source.branch.as_str();
        let what = format!("fetch {branch} of {}", source.url);
        let refspec = format!("+refs/heads/{branch}:{HEAD}");
        let arguments = [
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--",
            source.url.as_str(),
            &refspec,
        ];
        match self.run(&what, &arguments, &[], FETCHING).await {
            Ok(_) => {}
            Err(GitError::Refused { said, .. }) if said.contains("couldn't find remote ref") => {
                return Err(GitError::NoBranch {
                    branch: branch.to_owned(),
                    url: source.url.clone(),
                });
            }
            Err(error) => return Err(error),
        }
        let commit = format!("{HEAD}^{{commit}}");
        let said = self
            .run(
                &what,
                &["rev-parse", "--verify", "--quiet", &commit],
                &[],
                READING,
            )
            .await?;
        let text = String::from_utf8_lossy(&said).trim().to_owned();
        let is_hash =
            matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash {
            return Ok(Commit(text));
        }
        Err(GitError::Refused {
            what,
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
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|problem| match problem.kind() {
            io::ErrorKind::NotFound => GitError::Missing,
            _ => io_error(what, problem),
        })?;
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
            let (_, read, heard) = tokio::join!(
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

/// The lines that tell why, in one.
fn gist(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let telling: Vec<&str> = lines
        .iter()
        .filter(|line| {
            ["fatal:", "error:", "remote:"]
                .iter()
                .any(|mark| line.starts_with(mark))
        })
        .copied()
        .collect();
    let chosen = if telling.is_empty() { lines } else { telling };
    if chosen.is_empty() {
        return "nothing".to_owned();
    }
    brief(&chosen.join(" "))
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

/// What `git` reads in place of the user's settings.
fn settings(source: &GitSource) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = String::new();
    if let (Some(origin), Some(_)) = (source.url.https_origin(), &source.access.token_file) {
        // For this host alone: where it may send us has no right to the token.
        text += &format!(
            "[credential {}]\n\thelper = {}\n",
            quoted(origin),
            quoted(HELPER)
        );
    }
    if let Some(path) = source.url.local() {
        // The user has named it: that it is another user's is no reason to refuse it.
        for path in [
            path.to_owned(),
            format!("{}/.git", path.trim_end_matches('/')),
        ] {
            text += &format!("[safe]\n\tdirectory = {}\n", quoted(&path));
        }
    }
    text
}

fn environment(source: &GitSource, directory: &Path) -> Vec<(String, String)> {
    let inherited = PASSED_ON
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let mut all: Vec<(String, String)> = inherited.collect();
    let mut set = |name: &str, value: String| all.push((name.to_owned(), value));
    set("GIT_DIR", directory.display().to_string());
    set("GIT_CONFIG_NOSYSTEM", "1".to_owned());
    set(
        "GIT_CONFIG_GLOBAL",
        directory.join("settings").display().to_string(),
    );
    set("GIT_ALLOW_PROTOCOL", "https:ssh:file".to_owned());
    set("GIT_TERMINAL_PROMPT", "0".to_owned());
    set("GIT_ASKPASS", "true".to_owned());
    set("LC_ALL", "C".to_owned());
    set("GIT_SSH_COMMAND", ssh(source));
    if let Some(file) = &source.access.token_file {
        set("ROLLOUTCTL_GIT_USERNAME", source.access.username.clone());
        set("ROLLOUTCTL_GIT_TOKEN_FILE", file.display().to_string());
    }
    all
}

/// How `git` calls ssh. `git` gives this to a shell, so names are quoted.
fn ssh(source: &GitSource) -> String {
    let mut words = vec!["ssh".to_owned()];
    let mut option = |text: String| words.extend(["-o".to_owned(), text]);
    option("BatchMode=yes".to_owned());
    option("StrictHostKeyChecking=yes".to_owned());
    option("ConnectTimeout=15".to_owned());
    if let Some(file) = &source.access.known_hosts {
        option(format!("UserKnownHostsFile=\"{}\"", file.display()));
    }
    if let Some(file) = &source.access.ssh_key {
        option("IdentitiesOnly=yes".to_owned());
        words.extend(["-i".to_owned(), file.display().to_string()]);
    }
    // No word holds a NUL: they come from arguments.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| "false".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gitops::GitAccess;

    fn source(url: &str) -> GitSource {
        GitSource {
            url: url.parse().expect("an address"),
            branch: "main".parse().expect("a branch"),
            folder: Folder::default(),
            interval: Duration::from_secs(1),
            access: GitAccess {
                username: "git".to_owned(),
                token_file: Some("/run/secrets/token".into()),
                ssh_key: Some("/run/my keys/id'; touch x".into()),
                known_hosts: Some("/run/known hosts".into()),
            },
        }
    }

    #[test]
    fn a_token_is_for_its_host_alone() {
        let text = settings(&source("https://git.example:8443/team/specs.git"));
        assert!(
            text.starts_with("[credential \"https://git.example:8443\"]\n"),
            "{text}"
        );
        assert!(!settings(&source("/srv/specs")).contains("credential"));
    }

    #[test]
    fn ssh_asks_nobody_and_names_are_quoted() {
        let command = ssh(&source("git@git.example:specs"));
        let words = shlex::split(&command).expect("words");
        assert!(words.contains(&"BatchMode=yes".to_owned()), "{words:?}");
        assert!(
            words.contains(&"IdentitiesOnly=yes".to_owned()),
            "{words:?}"
        );
        assert_eq!(
            words.last().map(String::as_str),
            Some("/run/my keys/id'; touch x")
        );
        assert!(
            words.contains(&"UserKnownHostsFile=\"/run/known hosts\"".to_owned()),
            "{words:?}"
        );
    }

    #[test]
    fn of_many_lines_those_that_tell_why_are_kept() {
        assert_eq!(
            gist("Cloning\n\nfatal: no such thing\n"),
            "fatal: no such thing"
        );
        assert_eq!(gist("odd\n"), "odd");
        assert_eq!(gist(""), "nothing");
    }
}

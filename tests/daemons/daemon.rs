//! A controller or a collector as it is run: its standard error in a file, and signals for it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
}

/// A program that runs; it ends with its owner.
pub struct Daemon {
    child: Child,
    dir: TempDir,
}

impl Daemon {
    /// Starts the program with these arguments, and what else `prepare` gives it.
    pub fn start(arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let log = std::fs::File::create(dir.path().join("log")).expect("a log file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rolloutctl"));
        command
            .args(arguments)
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .env_remove("DOCKER_CONTEXT")
            .env_remove("ROLLOUTCTL_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        prepare(&mut command);
        let child = command.spawn().expect("the program starts");
        Self { child, dir }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).expect("the log file")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Waits until it has logged `words`.
    pub async fn says(&mut self, words: &str) {
        until(words, async || {
            let ended = self.child.try_wait().expect("its status");
            let log = self.log();
            let is_said = log.contains(words);
            assert!(
                is_said || ended.is_none(),
                "it has ended without `{words}`:\n{log}"
            );
            is_said.then_some(())
        })
        .await;
    }

    /// Sends it a signal.
    pub async fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Interrupt => "-INT",
            Signal::Terminate => "-TERM",
        };
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([name, &pid]).status().await;
        assert!(sent.expect("kill").success());
    }

    /// Waits until it ends, and tells its exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let ended = timeout(LIMIT, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it runs on; its log:\n{}", self.log()));
        status.expect("its status").code()
    }

    /// Waits until it ends, with nothing to complain of.
    pub async fn ends_well(&mut self) {
        assert_eq!(self.exit_code().await, Some(0), "{}", self.log());
    }
}

/// Waits until `done` gives something.
pub async fn until<T>(what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = interval(Duration::from_millis(20));
    let looking = async {
        loop {
            ticks.tick().await;
            if let Some(found) = done().await {
                return found;
            }
        }
    };
    let found = timeout(LIMIT, looking).await;
    found.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

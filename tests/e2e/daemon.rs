//! The controller and the collector, as processes of one test: started, stopped, killed, and their logs shown when
//! the test fails.

use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::lab::{Lab, PATIENCE, poll};

/// How many lines of a log are shown when a test fails.
const SHOWN: usize = 60;

/// A process that ends with its owner.
struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    fn start(command: &mut Command, log: &Path) -> Self {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the same file"))
            .stderr(file)
            .spawn()
            .expect("the program starts");
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// Signals it, unless it has ended and been waited for: its id may be another process's by then.
    fn signal(&mut self, signal: &str) {
        if self.child.try_wait().expect("its own child").is_some() {
            return;
        }
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.expect("kill runs").success(), "{signal} to {id}");
    }

    fn wait(&mut self) -> Option<ExitStatus> {
        poll(PATIENCE, || self.child.try_wait().expect("its own child"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.signal("TERM");
        if self.wait().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let shown = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
            eprintln!("--- the end of {} ---\n{shown}", self.log.display());
        }
    }
}

/// A running `rolloutctl controller`.
pub struct Controller(Daemon);

impl Controller {
    /// Starts one. Its log is `controller.log` in the lab's log directory.
    pub fn start(lab: &Lab) -> Self {
        Self::start_with(lab, "controller", &[])
    }

    /// Starts one whose log is `NAME.log`, with more arguments.
    pub fn start_with(lab: &Lab, name: &str, arguments: &[&str]) -> Self {
        let mut command = lab.command();
        command
            .args(["controller", "--listen", "127.0.0.1:0"])
            .args(["--identity", name])
            .args(arguments);
        Self(Daemon::start(&mut command, &log(lab, name)))
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.0.child.id()
    }

    /// Ends it as a loss of power would.
    pub fn kill9(mut self) {
        self.0.child.kill().expect("its own child");
        let status = self.0.wait().expect("it is gone at once");
        assert_eq!(status.signal(), Some(9), "{status}");
    }

    /// Asks it to end (SIGTERM), and waits.
    pub fn stop(mut self) {
        self.0.signal("TERM");
        let status = self.0.wait().expect("the controller ends");
        assert!(status.success(), "{status}");
    }
}

/// A running `rolloutctl collector`.
pub struct Collector {
    _daemon: Daemon,
}

impl Collector {
    /// Starts one where the proxies send their logs, and waits until it listens.
    pub fn start(lab: &Lab) -> Self {
        let path = log(lab, "collector");
        // Emptied, so that what it says is from this one.
        File::create(&path).expect("a log file");
        let mut command = lab.command();
        command
            .args(["collector", "--create-database", "--database", "rollouts"])
            .args(["--listen", &lab.log, "--influxdb", &lab.influxdb]);
        for instance in &lab.instances {
            command.args(["--haproxy", &instance.address]);
        }
        let daemon = Daemon::start(&mut command, &path);
        lab.until("the collector says that it listens", PATIENCE, || {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            log.contains("\"message\":").then_some(())
        });
        Self { _daemon: daemon }
    }
}

fn log(lab: &Lab, name: &str) -> PathBuf {
    lab.dir.join("log").join(format!("e2e-{name}.log"))
}

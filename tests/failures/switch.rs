//! The lab's switches, by which a test stops, kills and starts parts of it.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::lab::Lab;

/// Throws one of them: `tests/lab ARGUMENTS`.
pub fn switch(lab: &Lab, arguments: &[&str]) {
    // What it starts goes on and keeps its output open: a pipe would never end.
    let log = File::options()
        .create(true)
        .append(true)
        .open(lab.dir.join("log/e2e-switches.log"))
        .expect("a log file");
    let status = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab"))
        .args(arguments)
        .env("LAB_DIR", &lab.dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the same file"))
        .stderr(log)
        .status()
        .expect("the lab's script runs");
    assert!(status.success(), "tests/lab {arguments:?}: {status}");
}

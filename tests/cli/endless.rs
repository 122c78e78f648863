//! Input that does not end, and people who do not wait for it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{code, program, stderr, stdout};

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Lets some time pass between two looks at another process.
#[expect(clippy::disallowed_methods, reason = "a test polls another process")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

/// Waits for the end of `child`; its exit code.
fn end_of(mut child: Child, what: &str) -> Option<i32> {
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        pause();
    }
    child.kill().expect("killed");
    panic!("{what} never ends");
}

#[test]
fn what_is_too_long_for_a_manifest_is_not_read_to_its_end() {
    for arguments in [["validate", "-f", "/dev/zero"], ["validate", "-f", "-"]] {
        let endless = fs::File::open("/dev/zero").expect("a device");
        let mut child = program(&arguments);
        child
            .stdin(endless)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = child.output().expect("it ends");
        let said = stdout(&output) + &stderr(&output);
        assert!(said.contains("more than 4194304 bytes"), "{said}");
        assert_eq!(code(&output), Some(1));
    }
}

#[test]
fn a_directory_with_what_is_no_file_is_refused_by_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("a.yaml");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let path = directory.path().to_str().expect("text");
    let mut child = program(&["validate", "-f", path]);
    child.stdout(Stdio::null()).stderr(Stdio::null());
    assert_eq!(end_of(child.spawn().expect("it runs"), "a pipe"), Some(2));
}

/// By chance the signal was heard or not, so that it is sent several times.
#[test]
fn an_interrupt_ends_who_waits_for_standard_input() {
    for _ in 0..6 {
        let mut child = program(&["validate", "-f", "-"]);
        child
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = child.spawn().expect("it runs");
        let id = child.id().to_string();
        waits_for_input(&id);
        let sent = Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.expect("kill").success());
        let end = end_of(child, "an interrupted program");
        assert!(matches!(end, Some(130)), "{end:?}");
    }
}

/// Returns once the process has asked for a signal to be told, or a moment after that could have been.
fn waits_for_input(id: &str) {
    let begin = Instant::now();
    let catches = || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 0b10 != 0)
    };
    while !catches() {
        assert!(begin.elapsed() < LIMIT, "it never begins");
        pause();
    }
}

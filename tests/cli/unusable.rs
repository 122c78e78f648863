//! How commands end where the world is there and of no use to them.

use std::fs;

use super::{GOOD, code, engine, manifest, program, run, stderr, stdout};

/// 1 is the answer no, and nobody was asked: the same engine ends every command in the same way.
#[test]
fn an_engine_that_is_of_no_use_is_exit_code_4() {
    for refusal in [engine::NO_MANAGER, engine::FORBIDDEN, engine::NO_ENGINE] {
        let directory = tempfile::tempdir().expect("a directory");
        let file = manifest(directory.path(), "edge.yaml", GOOD);
        let host = engine::refusing(directory.path(), refusal);
        for arguments in [
            &["get"][..],
            &["get", "--watch"],
            &["apply", "-f", &file],
            &["apply", "--dry-run", "-f", &file],
            &["diff", "-f", &file],
            &["describe", "rollout/a"],
            &["status", "a"],
            &["status", "a", "--wait"],
            &["promote", "a"],
            &["abort", "a"],
            &["history", "a"],
            &["history", "a", "--revision", "4"],
            &["undo", "a"],
            &["undo", "a", "--dry-run"],
            &["delete", "lb/edge"],
            &["preflight"],
        ] {
            let output = run(&[&["-H", &host], arguments].concat());
            let said = stdout(&output) + &stderr(&output);
            assert_eq!(code(&output), Some(4), "{arguments:?}: {said}");
            if arguments != ["preflight"] {
                assert!(said.contains(refusal.message), "{arguments:?}: {said}");
            }
        }
    }
}

/// Nor is it a no that nothing could be printed.
#[test]
fn an_output_that_cannot_be_written_is_exit_code_4() {
    let full = fs::File::options().write(true).open("/dev/full");
    let mut command = program(&["schema"]);
    command.stdout(full.expect("a full disk"));
    let output = command.output().expect("the program runs");
    assert_eq!(code(&output), Some(4), "{output:?}");
    assert!(
        stderr(&output).contains("cannot write the output"),
        "{output:?}"
    );
}

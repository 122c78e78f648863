//! What others have named or said cannot command the terminal on which it is read.

use super::{code, manifest, run, stdout};

#[test]
fn a_files_name_is_told_without_what_a_terminal_would_obey() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = manifest(
        directory.path(),
        "\u{1b}[2J\u{9b}31m.yaml",
        "kind: Nothing\n",
    );
    let output = run(&["validate", "-f", &file]);
    assert_eq!(code(&output), Some(1), "{output:?}");
    let told = stdout(&output);
    assert!(told.contains("\\u001b[2J\\u009b31m.yaml:1:"), "{told}");
    assert!(!told.contains(['\u{1b}', '\u{9b}']), "{told}");
}

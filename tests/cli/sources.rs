//! The controller's options for where manifests come from.

use super::{code, run, stderr};

/// Whoever says what becomes of a source's resources believes to have named one.
#[test]
fn an_option_of_sources_without_a_source_is_a_usage_error() {
    for options in [
        &["--prune"][..],
        &["--on-drift", "report"],
        &["--on-drift", "restore"],
        &["--overlay", "rc"],
    ] {
        let output = run(&[&["controller"], options].concat());
        assert_eq!(code(&output), Some(2), "{output:?}");
        let told = stderr(&output);
        assert!(told.contains("--watch") && told.contains("--git"), "{told}");
    }
}

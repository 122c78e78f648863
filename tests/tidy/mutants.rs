//! The patches that break a rule on purpose (`tests/mutants`): one that does not apply breaks nothing, and nobody notices.

use crate::{check, files, read};

/// What a patch's hunk wants to find in its file: the lines that it keeps and those that it takes away.
fn wanted(hunk: &str) -> String {
    let lines = hunk.lines().skip(1);
    let old = lines.filter_map(|line| match line.split_at_checked(1)? {
        (" " | "-", rest) => Some(format!("{rest}\n")),
        _ => None,
    });
    old.collect()
}

#[test]
fn every_mutant_applies() {
    let patches = files("tests/mutants.d");
    let unfit = patches.iter().filter_map(|patch| {
        let path = patch
            .text
            .lines()
            .find_map(|line| line.strip_prefix("--- a/"))?;
        let text = read(path);
        let mut hunks = patch.text.split("\n@@ ").skip(1);
        let is_unfit = hunks.any(|hunk| !text.contains(&wanted(hunk)));
        is_unfit.then(|| {
            format!(
                "{}: it does not fit {path} any more; make it anew",
                patch.path
            )
        })
    });
    check(unfit);
}

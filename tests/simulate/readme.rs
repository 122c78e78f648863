//! What the README shows of `simulate` is what it prints. `UPDATE_README=1` writes it anew.

use std::fs;

use super::{simulate, stdout};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// The blocks that show a run: the command's line, and what follows up to the block's end.
fn blocks(readme: &str) -> Vec<(&str, &str)> {
    let blocks = readme.split("```\n$ ").skip(1);
    blocks
        .filter_map(|block| {
            let (command, rest) = block.split_once('\n')?;
            let arguments = command.split_once("rolloutctl simulate ")?.1;
            Some((arguments, rest.split_once("```")?.0))
        })
        .collect()
}

#[test]
fn what_the_readme_shows_is_what_is_printed() {
    let readme = fs::read_to_string(README).expect("a README");
    let blocks = blocks(&readme);
    assert_eq!(blocks.len(), 2, "the runs that the README shows");
    let mut right = readme.clone();
    for (arguments, shown) in blocks {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let printed = stdout(&simulate(&arguments));
        if std::env::var_os("UPDATE_README").is_some() {
            right = right.replace(shown, &printed);
        } else {
            assert_eq!(shown, printed, "{arguments:?}; UPDATE_README=1 writes it");
        }
    }
    if right != readme {
        fs::write(README, right).expect("written");
    }
}

//! The sources: floors, sizes, and what may stand where.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, between, check, files, read, rust_files};

/// Long enough for one subject, short enough to know whole. The examples are programs of one file.
const LONGEST_FILE: usize = 450;

/// The only files that read the clock; every other one is given the time.
const CLOCKS: [&str; 5] = [
    "src/cli/clock.rs",
    "src/collector.rs",
    "src/runtime.rs",
    "src/world/haproxy/silence.rs",
    "src/world/real.rs",
];

#[test]
fn every_file_opens_with_what_lives_there() {
    let dumb = |file: &File| !file.text.starts_with("//! ");
    let findings = rust_files(&["src", "tests", "examples"])
        .into_iter()
        .filter(dumb)
        .map(|file| format!("{}: open it with `//!` and what lives here", file.path));
    check(findings);
}

#[test]
fn no_file_is_long() {
    let findings = rust_files(&["src", "tests"])
        .into_iter()
        .filter_map(|file| {
            let count = file.text.lines().count();
            let long = count > LONGEST_FILE;
            long.then(|| {
                format!(
                    "{}: {count} lines; split it along a seam, {LONGEST_FILE} are allowed",
                    file.path
                )
            })
        });
    check(findings);
}

/// The floor of each module, as `src/lib.rs` tells it.
fn floors() -> BTreeMap<String, u32> {
    let story = read("src/lib.rs");
    let mut floors = BTreeMap::new();
    for line in story.lines().filter_map(|line| line.strip_prefix("//! ")) {
        let Some((number, modules)) = line.split_once(". ") else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        for module in between(modules, "[`", "`]") {
            let twice = floors.insert(module.to_owned(), number);
            assert_eq!(twice, None, "src/lib.rs: `{module}` stands on two floors");
        }
    }
    floors
}

#[test]
fn every_module_stands_on_one_floor() {
    let story = read("src/lib.rs");
    let modules: BTreeSet<&str> = between(&story, "pub mod ", ";").collect();
    let floors = floors();
    let listed: BTreeSet<&str> = floors.keys().map(String::as_str).collect();
    assert_eq!(modules, listed, "the modules, and those that have a floor");
}

#[test]
fn a_file_imports_only_from_its_own_floor_or_below() {
    let floors = floors();
    let mut findings = Vec::new();
    for file in rust_files(&["src"]) {
        let Some(own) = floors.get(module_of(&file.path)) else {
            continue; // lib.rs and main.rs, the doors.
        };
        for (number, line) in file.lines() {
            // Words to the reader may point upwards.
            if line.trim_start().starts_with("//") {
                continue;
            }
            for imported in imports(line) {
                let Some(floor) = floors.get(imported) else {
                    continue; // A macro's `$crate`, or an item of lib.rs.
                };
                if floor > own {
                    findings.push(format!(
                        "{}:{number}: floor {own} imports `{imported}` from floor {floor}",
                        file.path
                    ));
                }
            }
        }
    }
    check(findings);
}

/// `src/world/docker.rs` belongs to `world`.
fn module_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").expect("a source");
    inside.split(['/', '.']).next().expect("a first name")
}

/// The modules that a line takes from the crate: after `crate::`, alone or in braces.
fn imports(line: &str) -> Vec<&str> {
    let mut modules = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let listed = rest.strip_prefix('{').map_or_else(
            || vec![rest],
            |inside| inside.split(',').map(str::trim).collect(),
        );
        for path in listed {
            let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            modules.push(&path[..end.unwrap_or(path.len())]);
        }
    }
    modules
}

#[test]
fn a_crate_without_a_keeper_is_used_by_one_module() {
    let mut findings = Vec::new();
    for (name, module) in [("serde_yaml", "manifest"), ("backoff", "retry")] {
        let used = [format!("{name}::"), format!("use {name}")];
        for file in rust_files(&["src", "tests", "examples"]) {
            let at_home = file.path.starts_with("src/") && module_of(&file.path) == module;
            if at_home || file.is_this_test() {
                continue;
            }
            for (number, line) in file.lines() {
                // `crate::retry::backoff::` would be a path of ours.
                let foreign = used.iter().any(|used| {
                    line.find(used.as_str())
                        .is_some_and(|at| !line[..at].ends_with("::"))
                });
                if foreign {
                    findings.push(format!(
                        "{}:{number}: `{name}` belongs to `{module}` alone (docs/decisions/0001)",
                        file.path
                    ));
                }
            }
        }
    }
    check(findings);
}

#[test]
fn only_the_shell_reads_the_clock() {
    let mut findings = Vec::new();
    for file in rust_files(&["src"]) {
        if CLOCKS.contains(&file.path.as_str()) {
            continue;
        }
        for (number, line) in file.lines() {
            if line.contains("Timestamp::now") || line.contains("SystemTime::now") {
                findings.push(format!(
                    "{}:{number}: take the time as an argument",
                    file.path
                ));
            }
        }
    }
    check(findings);
}

#[test]
fn a_simulated_world_depends_on_its_seed_alone() {
    let forbidden = [
        ("tokio", "virtual time has no runtime"),
        ("std::thread", "nothing happens side by side"),
        ("HashMap", "use BTreeMap: its order is always the same"),
        ("HashSet", "use BTreeSet: its order is always the same"),
        ("Instant::now", "use virtual time"),
        ("thread_local", "a world shares nothing with another one"),
        ("LazyLock", "a world shares nothing with another one"),
        ("OnceLock", "a world shares nothing with another one"),
    ];
    let mut findings = Vec::new();
    for file in rust_files(&["src"]) {
        if module_of(&file.path) != "sim" {
            continue;
        }
        for (number, line) in file.lines() {
            let code = line.trim_start();
            for (word, why) in forbidden {
                if code.contains(word) && !code.starts_with("//") {
                    findings.push(format!("{}:{number}: `{word}`: {why}", file.path));
                }
            }
        }
    }
    check(findings);
}

#[test]
fn nothing_is_left_undone_and_no_lint_is_silenced() {
    let forbidden = [
        ("#[allow(", "use #[expect(…, reason = \"…\")]"),
        ("#![allow(", "use #![expect(…, reason = \"…\")]"),
        ("todo!(", "do it"),
        ("unimplemented!(", "do it"),
        ("TODO", "do it"),
        ("FIXME", "do it"),
        ("dbg!(", "use tracing"),
    ];
    let mut findings = Vec::new();
    for file in rust_files(&["src", "tests", "examples"]) {
        if file.is_this_test() {
            continue;
        }
        for (number, line) in file.lines() {
            for (word, remedy) in forbidden {
                if line.contains(word) {
                    findings.push(format!("{}:{number}: `{word}`: {remedy}", file.path));
                }
            }
        }
    }
    check(findings);
}

#[test]
fn no_file_knows_the_machine_that_it_was_written_on() {
    let mut findings = Vec::new();
    for file in files(".").iter().filter(|file| !file.is_this_test()) {
        for (number, line) in file.lines() {
            for place in ["/work/", "/home/", "/Users/", "/root/"] {
                // `…/work/…` in an address or below another directory is somebody else's.
                let starts = line.match_indices(place).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|c| !(c.is_alphanumeric() || "/.-_}~$".contains(c)))
                });
                if starts {
                    findings.push(format!("{}:{number}: a path below {place}", file.path));
                }
            }
        }
    }
    check(findings);
}

#[test]
fn every_package_comes_from_crates_io() {
    let lock = read("Cargo.lock");
    let known = "registry+https://github.com/rust-lang/crates.io-index";
    let foreign = between(&lock, "source = \"", "\"").filter(|source| *source != known);
    check(foreign.map(|source| format!("Cargo.lock: a package from {source}")));
}

#[test]
fn every_dependency_is_used_and_has_its_reason() {
    let reasons = read("docs/decisions/0002-dependencies.md");
    let sources = rust_files(&["src", "tests", "examples"]);
    let mut findings = Vec::new();
    for name in dependencies() {
        if !reasons.contains(&format!("`{name}`")) {
            findings.push(format!(
                "`{name}` has no line in docs/decisions/0002-dependencies.md"
            ));
        }
        let crate_name = name.replace('-', "_");
        let used = sources.iter().filter(|file| !file.is_this_test());
        let mentions = [format!("{crate_name}::"), format!("use {crate_name};")];
        if !used
            .into_iter()
            .any(|file| mentions.iter().any(|word| file.text.contains(word)))
        {
            findings.push(format!("`{name}` is used nowhere: remove it"));
        }
    }
    check(findings);
}

/// The names under `[dependencies]` and `[dev-dependencies]`.
fn dependencies() -> BTreeSet<String> {
    let manifest = read("Cargo.toml");
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (inside, line.split_once(" = ")) {
            names.insert(name.to_owned());
        }
    }
    assert!(names.contains("tokio"), "Cargo.toml lists its dependencies");
    names
}

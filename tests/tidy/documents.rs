//! The documents: rules and the tests that hold them, links and where they lead.

use std::collections::BTreeSet;
use std::path::Path;

use super::{File, check, files, read, root, rust_files};

const AREAS: [&str; 5] = ["TRAFFIC", "PROGRESS", "ABORT", "ANALYSIS", "SAFETY"];

/// The rules of docs/semantics.md: `TRAFFIC-1` and so on.
fn rules() -> BTreeSet<String> {
    let semantics = read("docs/semantics.md");
    let opening = |line: &str| {
        let (id, _) = line.strip_prefix("- **")?.split_once("**")?;
        Some(id.to_owned())
    };
    semantics.lines().filter_map(opening).collect()
}

/// The rules in the names of a file's tests: `fn traffic_3_…`.
fn rules_held(file: &File) -> BTreeSet<String> {
    let mut held = BTreeSet::new();
    for (_, line) in file.lines() {
        let Some((_, name)) = line.split_once("fn ") else {
            continue;
        };
        let name = name.split('(').next().unwrap_or_default();
        let words: Vec<&str> = name.split('_').collect();
        for pair in words.windows(2) {
            let area = pair[0].to_uppercase();
            if AREAS.contains(&area.as_str()) && pair[1].parse::<u32>().is_ok() {
                held.insert(format!("{area}-{}", pair[1]));
            }
        }
    }
    held
}

/// The rules that a text cites, with the numbers of the lines.
fn rules_cited(file: &File) -> Vec<(usize, String)> {
    let mut cited = Vec::new();
    for (number, line) in file.lines() {
        for area in AREAS {
            for (at, _) in line.match_indices(&format!("{area}-")) {
                let rest = &line[at + area.len() + 1..];
                let end = rest.find(|c: char| !c.is_ascii_digit());
                let digits = &rest[..end.unwrap_or(rest.len())];
                if !digits.is_empty() {
                    cited.push((number, format!("{area}-{digits}")));
                }
            }
        }
    }
    cited
}

#[test]
fn every_rule_is_held_by_a_test_that_names_it() {
    let held: BTreeSet<String> = rust_files(&["src", "tests"])
        .iter()
        .flat_map(rules_held)
        .collect();
    let rules = rules();
    assert!(rules.len() > 20, "docs/semantics.md lists the rules");
    let untested = rules.difference(&held);
    check(untested.map(|rule| format!("{rule}: no test has it in its name")));
    let unknown = held.difference(&rules);
    check(unknown.map(|rule| format!("{rule}: a test names it, docs/semantics.md does not")));
}

#[test]
fn no_unknown_rule_is_cited() {
    let rules = rules();
    let mut findings = Vec::new();
    for file in files(".").iter().filter(|file| !file.is_this_test()) {
        for (number, rule) in rules_cited(file) {
            if !rules.contains(&rule) {
                findings.push(format!(
                    "{}:{number}: docs/semantics.md has no {rule}",
                    file.path
                ));
            }
        }
    }
    check(findings);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut findings = Vec::new();
    for file in files(".").iter().filter(|file| file.is_markdown()) {
        for (number, target) in links(file) {
            if let Err(problem) = follow(&file.path, target) {
                findings.push(format!("{}:{number}: {target}: {problem}", file.path));
            }
        }
    }
    check(findings);
}

/// The links of a document to files of ours or to headings.
fn links(file: &File) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        for rest in line.split("](").skip(1) {
            if let Some((target, _)) = rest.split_once(')')
                && !target.contains("://")
                && !target.starts_with("mailto:")
            {
                links.push((number, target));
            }
        }
    }
    links
}

fn follow(from: &str, target: &str) -> Result<(), &'static str> {
    let (path, heading) = target
        .split_once('#')
        .map_or((target, None), |(path, heading)| (path, Some(heading)));
    let from = root().join(from);
    let directory = from.parent().unwrap_or(Path::new(""));
    let file = if path.is_empty() {
        from.clone()
    } else {
        directory.join(path)
    };
    if !file.exists() {
        return Err("no such file");
    }
    let Some(heading) = heading else {
        return Ok(());
    };
    let text = std::fs::read_to_string(&file).map_err(|_| "not a text")?;
    let found = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line) == heading);
    found.then_some(()).ok_or("no such heading")
}

/// The anchor that a heading gets: small letters, digits, hyphens and underscores, blanks as hyphens.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

//! What no compiler checks: floors, sizes, where a crate or the clock may be used, and that the rules, their tests
//! and the documents belong together. Each finding names a file and says what to do.

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/mutants.rs"]
mod mutants;
#[path = "tidy/sources.rs"]
mod sources;

use std::path::{Path, PathBuf};

/// A text file of the repository.
struct File {
    /// Its path from the repository's root, with `/` between the names.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|ext| ext == "rs")
    }

    fn is_markdown(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|ext| ext == "md")
    }

    /// This test names what it forbids.
    fn is_this_test(&self) -> bool {
        self.path.starts_with("tests/tidy")
    }

    /// The lines, numbered from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .zip(1..)
            .map(|(line, number)| (number, line))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file below `directory`, sorted; without what cargo and git keep.
fn files(directory: &str) -> Vec<File> {
    let mut paths = Vec::new();
    collect(&root().join(directory), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).ok()?;
        let inside = path.strip_prefix(root()).expect("below the root");
        let path = inside.to_str().expect("a path in UTF-8").to_owned();
        Some(File { path, text })
    };
    let files: Vec<File> = paths.into_iter().filter_map(read).collect();
    assert!(!files.is_empty(), "{directory} holds no file");
    files
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), paths);
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
}

fn rust_files(directories: &[&str]) -> Vec<File> {
    let all = directories.iter().flat_map(|directory| files(directory));
    all.filter(File::is_rust).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|err| panic!("{path}: {err}"))
}

/// Fails with all the findings at once.
#[track_caller]
fn check(findings: impl IntoIterator<Item = String>) {
    let findings: Vec<String> = findings.into_iter().collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// The words that stand between `open` and `close` in a text.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open)
        .skip(1)
        .filter_map(move |rest| rest.split_once(close).map(|(word, _)| word))
}

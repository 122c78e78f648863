//! Finding manifests: a file, a directory with all below it, or standard input. What they say is
//! read by [`crate::manifest`].

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::console::Console;
use super::exit::Failure;
use crate::api::Resource;
use crate::gitops::is_manifest;
use crate::manifest::{self, Applied, Diagnostic, Edits, Known, Parsed, Severity, Source};
use crate::world::Stored;

/// A few bytes more than a manifest may have.
const MAX_READ: u64 = manifest::MAX_SOURCE as u64 + 8;

/// Reads the files that `paths` name.
///
/// # Errors
/// [`Failure::Usage`] when one cannot be read or a directory holds no manifests.
pub fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let bytes = bounded(io::stdin()).map_err(|error| unreadable(path, &error))?;
            sources.push(Source::from_bytes("-", &bytes));
            continue;
        }
        for file in files(path)? {
            let read = fs::File::open(&file).and_then(bounded);
            let bytes = read.map_err(|error| unreadable(&file, &error))?;
            sources.push(Source::from_bytes(file.display().to_string(), &bytes));
        }
    }
    Ok(sources)
}

/// What `from` says; of what is too long to be a manifest, as much as tells that it is.
fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_READ).read_to_end(&mut bytes)?;
    // Half a letter at the end would be told instead.
    while bytes.len() > manifest::MAX_SOURCE + 1 && !bytes[bytes.len() - 1].is_ascii() {
        bytes.pop();
    }
    Ok(bytes)
}

/// The resources in `sources`, which must be sound by themselves. What they refer to may be in the
/// store, so that warnings are left to [`resolve`].
///
/// # Errors
/// [`Failure::Told`] when there is an error, after every finding was remarked; [`Failure::No`]
/// when there is no resource.
pub fn sound(
    sources: &[Source],
    edits: &Edits,
    console: &mut Console,
) -> Result<Vec<Resource>, Failure> {
    let parsed = manifest::parse_edited(sources, edits, Known::SourcesOnly);
    if parsed.has_errors() {
        remark_all(&parsed.diagnostics, console);
        return Err(Failure::Told);
    }
    if parsed.resources.is_empty() {
        return Err(Failure::No(
            "the manifests hold no resource; a resource begins with `apiVersion` and `kind`"
                .to_owned(),
        ));
    }
    Ok(resources(parsed))
}

/// The resources in `sources`, which must be sound together with what is in the store. Every finding
/// is remarked.
///
/// # Errors
/// [`Failure::Told`] when one of them is an error.
pub fn resolve(
    sources: &[Source],
    edits: &Edits,
    store: &[Stored],
    console: &mut Console,
) -> Result<Vec<Resource>, Failure> {
    let applied: Vec<_> = store
        .iter()
        .filter(|stored| stored.draft.deletion.is_none())
        .map(|stored| Applied {
            resource: stored.draft.resource.clone(),
            route: stored
                .draft
                .status
                .as_ref()
                .and_then(|status| status.route.clone()),
        })
        .collect();
    let parsed = manifest::parse_edited(sources, edits, Known::Applied(&applied));
    remark_all(&parsed.diagnostics, console);
    if parsed.has_errors() {
        return Err(Failure::Told);
    }
    Ok(resources(parsed))
}

fn resources(parsed: Parsed) -> Vec<Resource> {
    let located = parsed.resources.into_iter();
    located.map(|located| located.resource).collect()
}

fn remark_all(diagnostics: &[Diagnostic], console: &mut Console) {
    for diagnostic in diagnostics {
        console.remark(diagnostic);
    }
}

/// Whether a finding makes a manifest unusable.
pub fn is_error(diagnostic: &Diagnostic) -> bool {
    match diagnostic.severity {
        Severity::Error => true,
        Severity::Warning => false,
    }
}

/// The file `path`, or the manifests below the directory `path`, sorted; hidden ones are skipped.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .is_dir()
    {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let root = fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
    gather(path, &mut vec![root], &mut found)?;
    if found.is_empty() {
        return Err(Failure::Usage(format!(
            "{}: no *.yaml, *.yml or *.json file in this directory or below it",
            path.display()
        )));
    }
    Ok(found)
}

/// As a watched directory is read: links are followed. `above` are the directories on the way, so that a link that leads back
/// is not followed for ever.
fn gather(
    directory: &Path,
    above: &mut Vec<PathBuf>,
    found: &mut Vec<PathBuf>,
) -> Result<(), Failure> {
    let listed = fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = listed.map_err(|error| unreadable(directory, &error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            let target = fs::canonicalize(&path).map_err(|error| unreadable(&path, &error))?;
            if !above.contains(&target) {
                above.push(target);
                gather(&path, above, found)?;
                above.pop();
            }
        } else if name.to_str().is_some_and(is_manifest) {
            // What is no file may never end; and a link that leads nowhere is told when it is read.
            if path.exists() && !path.is_file() {
                let problem = "is no regular file; take it out of the directory";
                return Err(Failure::Usage(format!("{}: {problem}", path.display())));
            }
            found.push(path);
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("{}: cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manifests below `root`, by their paths from there.
    fn found(root: &Path) -> Vec<String> {
        let found = files(root).expect("readable");
        let inside = found
            .iter()
            .map(|file| file.strip_prefix(root).expect("below"));
        inside.map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn a_directory_is_read_as_a_watched_one_is() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().expect("a directory");
        let elsewhere = tempfile::tempdir().expect("a directory");
        fs::write(elsewhere.path().join("z.yaml"), "").expect("written");
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("rev-1/below")).expect("created");
        for file in ["rev-1/a.json", "rev-1/below/b.yml"] {
            fs::write(at(file), "").expect("written");
        }
        // As git-sync has it, and as ends in no loop.
        symlink("rev-1", at("current")).expect("linked");
        symlink("..", at("rev-1/below/up")).expect("linked");
        symlink(root.path(), at("rev-1/top")).expect("linked");
        symlink(elsewhere.path(), at("out")).expect("linked");
        // Nothing leads into what is no manifest.
        symlink("rev-1", at(".hidden")).expect("linked");
        symlink("nowhere", at("gone")).expect("linked");
        fs::create_dir(at("looks-like.yaml")).expect("created");
        assert_eq!(
            found(root.path()),
            [
                "current/a.json",
                "current/below/b.yml",
                "out/z.yaml",
                "rev-1/a.json",
                "rev-1/below/b.yml"
            ]
        );
    }

    #[test]
    fn a_directory_is_read_in_order_without_hidden_and_foreign_files() {
        let root = tempfile::tempdir().expect("a directory");
        let below = root.path().join("b");
        let hidden = root.path().join(".git");
        for directory in [&below, &hidden] {
            fs::create_dir(directory).expect("created");
        }
        for file in [
            "c.yaml",
            "a.yml",
            "b/x.yaml",
            ".git/y.yaml",
            ".z.yaml",
            "README.md",
        ] {
            fs::write(root.path().join(file), "").expect("written");
        }
        assert_eq!(found(root.path()), ["a.yml", "b/x.yaml", "c.yaml"]);
    }

    #[test]
    fn what_cannot_be_read_is_a_usage_error() {
        let empty = tempfile::tempdir().expect("a directory");
        for path in [empty.path().to_owned(), empty.path().join("missing.yaml")] {
            assert!(matches!(sources(&[path]), Err(Failure::Usage(_))));
        }
    }
}

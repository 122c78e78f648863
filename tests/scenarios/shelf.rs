//! Where stories and transcripts lie: finding, reading, comparing, writing anew.

use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::script::Script;

/// A script and its transcript.
pub struct Story {
    /// Its file's name, without the ending.
    pub name: String,
    pub script: Script,
    transcript: PathBuf,
}

/// All stories by name, or the one that `SCENARIO` names.
pub fn stories() -> Vec<Story> {
    let only = std::env::var("SCENARIO").ok();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/stories");
    let mut stories = Vec::new();
    for entry in directory.read_dir().expect("the stories") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        let script = path.with_extension("yaml");
        assert!(
            script.exists(),
            "{} has no story: remove it",
            path.display()
        );
        let is_script = path.extension().is_some_and(|ending| ending == "yaml");
        if is_script && only.as_ref().is_none_or(|only| *only == name) {
            stories.push(Story {
                name: name.clone().into_owned(),
                script: read(&path),
                transcript: path.with_extension("transcript"),
            });
        }
    }
    stories.sort_by(|left, right| left.name.cmp(&right.name));
    assert!(!stories.is_empty(), "no story is called {only:?}");
    stories
}

fn read(path: &Path) -> Script {
    let text = std::fs::read_to_string(path).expect("a text");
    Script::read(&text).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

impl Story {
    /// The transcript that is kept; empty if there is none.
    pub fn golden(&self) -> String {
        std::fs::read_to_string(&self.transcript).unwrap_or_default()
    }

    /// In what the transcript that was told differs from the golden one. Writes it instead if that is
    /// asked for.
    pub fn differs_from(&self, told: &str) -> Option<String> {
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            std::fs::write(&self.transcript, told).expect("a transcript");
            return None;
        }
        let golden = self.golden();
        (golden != told).then(|| {
            format!(
                "{}: told otherwise than in its transcript; if that is right, write it anew with UPDATE_TRANSCRIPTS=1\n{}",
                self.name,
                difference(&golden, told)
            )
        })
    }
}

/// Lines that are only in one of two texts, with a few around them.
pub fn difference(left: &str, right: &str) -> String {
    TextDiff::from_lines(left, right)
        .unified_diff()
        .context_radius(3)
        .to_string()
}

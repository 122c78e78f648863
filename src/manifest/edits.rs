//! What is to be made of manifests before they are checked: an overlay of theirs that is chosen, and values that are
//! set. How that is done in a document is in `overlay` and `setting`.

use std::fmt;
use std::str::FromStr;

use super::document::Document;
use super::path::FieldPath;
use super::suggest::{either, nearest};
use super::words::quoted;
use super::{Diagnostic, Severity, Source};

/// What is to be made of manifests. Nothing, by default: they are read as they stand, without their overlays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The overlay that is chosen.
    pub overlay: Option<Overlay>,
    /// The values that are set, in this order, after the overlay.
    pub settings: Vec<Setting>,
}

/// Which overlay is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Its names: each document takes the first one that it has, and stays as it is if it has none.
    pub names: Vec<String>,
    /// Whether one document at least must have it.
    pub need: Need,
    /// The branch that `{{ branch }}` stands for.
    pub branch: Option<String>,
}

/// Whether an overlay must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Somebody has named it: that no document has it is an error.
    Required,
    /// It is taken where it is there.
    IfThere,
}

/// One value that is set, in one rollout or in all: `[ROLLOUT:]PATH=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As it was written.
    written: String,
    /// The rollout, if it is for one alone.
    pub(super) rollout: Option<String>,
    pub(super) path: FieldPath,
    pub(super) value: String,
}

/// Why a text sets nothing, and what would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingError(String);

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |what: &str| {
            SettingError(format!(
                "{what}; write PATH=VALUE, as in `spec.template.image=registry.example/web:1.4.2`"
            ))
        };
        let (place, value) = text
            .split_once('=')
            .ok_or_else(|| refuse("there is no `=`"))?;
        let (rollout, path) = match place.split_once(':') {
            Some((rollout, path)) if !rollout.contains(['[', '.']) => (Some(rollout), path),
            Some(_) | None => (None, place),
        };
        let path = FieldPath::read(path)
            .ok_or_else(|| refuse("what stands before `=` is no path of a field"))?;
        if !path.begins_with("metadata") && !path.begins_with("spec") {
            return Err(refuse("a path begins with `spec` or `metadata`"));
        }
        Ok(Self {
            written: text.to_owned(),
            rollout: rollout.map(str::to_owned),
            path,
            value: value.to_owned(),
        })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// What was asked for and is in no document: each is an error of the whole.
pub(super) fn unmet(edits: &Edits, sources: &[Source], documents: &[Document]) -> Vec<Diagnostic> {
    let file = sources.first().map_or("-", |source| source.name.as_str());
    let error = |field: &str, problem: String, remedy: String| Diagnostic {
        severity: Severity::Error,
        file: file.to_owned(),
        line: 1,
        column: 1,
        field: field.to_owned(),
        problem,
        remedy,
    };
    let mut found = Vec::new();
    if let Some(overlay) = &edits.overlay
        && overlay.need == Need::Required
        && documents.iter().all(|document| document.laid().is_none())
        // One that is no mapping is there, and is an error of its document.
        && !names(documents).iter().any(|known| overlay.names.iter().any(|name| name == known))
    {
        let known: Vec<&str> = names(documents);
        let wanted = overlay.names.first().map_or("", String::as_str);
        let remedy = match nearest(wanted, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? There are {}", either(known)),
            None if known.is_empty() => {
                "write it into the Rollout's `overlays`, or leave out --overlay".to_owned()
            }
            None => format!("there are {}", either(known)),
        };
        let problem = format!("no manifest here has the overlay {}", quoted(wanted));
        found.push(error("overlays", problem, remedy));
    }
    let rollouts: Vec<&str> = documents.iter().filter_map(Document::base_name).collect();
    for (index, setting) in edits.settings.iter().enumerate() {
        if documents.iter().any(|document| document.has_met(index)) {
            continue;
        }
        let (problem, remedy) = match &setting.rollout {
            Some(name) => (
                format!("no manifest here is of the rollout {}", quoted(name)),
                match nearest(name, rollouts.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", either(rollouts.iter().copied())),
                },
            ),
            None => (
                "there is no Rollout here in which it could be set".to_owned(),
                "name the file of one".to_owned(),
            ),
        };
        found.push(error(
            &setting.path.to_string(),
            format!("{problem} (by `--set {setting}`)"),
            remedy,
        ));
    }
    found
}

/// The names of all overlays in the documents, each once.
pub(super) fn names(documents: &[Document]) -> Vec<&str> {
    let mut names: Vec<_> = documents.iter().flat_map(Document::overlays).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_path_and_a_value_and_may_name_its_rollout() {
        let read = |text: &str| text.parse::<Setting>().expect(text);
        let setting = read("spec.template.image=web:1=2");
        assert_eq!(setting.path.to_string(), "spec.template.image");
        assert_eq!((setting.rollout, setting.value.as_str()), (None, "web:1=2"));
        let setting = read("news-web:spec.replicas=3");
        assert_eq!(setting.rollout.as_deref(), Some("news-web"));
        let setting = read("spec.strategy.canary.stages[1].weight=50");
        assert_eq!(
            setting.path.to_string(),
            "spec.strategy.canary.stages[1].weight"
        );
        let setting = read("spec.template.labels[\"a.b/c:d\"]=x");
        assert_eq!(
            setting.path.to_string(),
            "spec.template.labels[\"a.b/c:d\"]"
        );
        for text in [
            "",
            "spec.replicas",
            "=1",
            "kind=x",
            "spec..x=1",
            "spec.x[=1",
            "spec.x[a]=1",
            "spec=",
            "replicas=1",
        ] {
            let is_whole = text == "spec=";
            assert_eq!(text.parse::<Setting>().is_err(), !is_whole, "{text}");
        }
    }
}

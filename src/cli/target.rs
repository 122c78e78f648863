//! What a command is about: `KIND/NAME`, `KIND NAME`, or the name of a rollout; and finding it in
//! the store, with a guess where the name is wrong.

use std::ffi::OsStr;
use std::path::Path;
use std::str::FromStr;

use super::exit::Failure;
pub use crate::api::ResourceRef;
use crate::api::{Kind, Name, NameError, RolloutSpec};
use crate::gitops;
use crate::manifest::nearest;
use crate::world::Stored;

/// A rollout's name, as `NAME` or `rollout/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRef(pub Name);

impl ResourceRef {
    /// Reads `KIND/NAME`, or `KIND` and `NAME` apart.
    ///
    /// # Errors
    /// When there is no such kind, or no name.
    pub fn read(first: &str, second: Option<&str>) -> Result<Self, String> {
        let (kind, name) = match (first.split_once('/'), second) {
            (None, None) => return Err(incomplete(first)),
            (Some(_), None) if is_manifest(Path::new(first)) => return Err(incomplete(first)),
            (Some((kind, name)), None) => (kind, name),
            (None, Some(name)) if !name.contains('/') => (first, name),
            (Some(_) | None, Some(second)) => {
                return Err(format!(
                    "`{first} {second}`: write KIND/NAME for each resource, or one KIND and then NAMEs"
                ));
            }
        };
        Ok(Self {
            kind: self::kind(kind)?,
            name: self::name(name)?,
        })
    }

    /// As [`Self::read`]; a name alone is a rollout's.
    ///
    /// # Errors
    /// When there is no such kind, or no name.
    pub fn read_or_rollout(first: &str, second: Option<&str>) -> Result<Self, String> {
        let is_name = !first.contains('/') && first.parse::<Kind>().is_err();
        match second {
            None if is_name => Ok(Self {
                kind: Kind::Rollout,
                name: name(first)?,
            }),
            second => Self::read(first, second),
        }
    }

    /// Reads `KIND/NAME…` or `KIND NAME…`.
    ///
    /// # Errors
    /// When there is no such kind, or no name.
    pub fn read_all(words: &[String]) -> Result<Vec<Self>, String> {
        match words {
            [kind, names @ ..] if !kind.contains('/') && !names.is_empty() => names
                .iter()
                .map(|name| Self::read(kind, Some(name)))
                .collect(),
            words => words.iter().map(|word| Self::read(word, None)).collect(),
        }
    }

    /// Finds the resource in the store.
    ///
    /// # Errors
    /// [`Failure::No`] when it is not there, with the nearest name that is.
    pub fn find<'a>(&self, store: &'a [Stored]) -> Result<&'a Stored, Failure> {
        self.look_up(store)
            .ok_or_else(|| Failure::No(self.not_found(store)))
    }

    fn not_found(&self, store: &[Stored]) -> String {
        let all = || store.iter().map(|stored| Self::of(&stored.draft.resource));
        let kind = self.kind.singular();
        let same_kind: Vec<_> = all().filter(|other| other.kind == self.kind).collect();
        let names = same_kind.iter().map(|other| other.name.as_str());
        let remedy = if let Some(other) = all().find(|other| other.name == self.name) {
            format!("did you mean {other}?")
        } else if self.name.as_str().parse::<Kind>().is_ok() {
            format!(
                "`{}` is a kind itself; write KIND/NAME for each to name resources of several kinds",
                self.name
            )
        } else if let Some(near) = nearest(self.name.as_str(), names) {
            format!("did you mean {near}?")
        } else {
            format!("`rolloutctl get {kind}` lists what is there")
        };
        format!("{kind} \"{}\" not found; {remedy}", self.name)
    }
}

impl RolloutRef {
    /// The rollout as a resource of any kind.
    pub fn resource(&self) -> ResourceRef {
        ResourceRef {
            kind: Kind::Rollout,
            name: self.0.clone(),
        }
    }
}

impl FromStr for RolloutRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = match text.split_once('/') {
            None => text,
            Some((kind, name)) if self::kind(kind)? == Kind::Rollout => name,
            Some((kind, _)) => {
                return Err(format!(
                    "`{kind}` is not a rollout; only rollouts can be asked this"
                ));
            }
        };
        self::name(name).map(Self)
    }
}

/// The spec of a stored rollout; none if it is something else.
pub fn rollout_spec(stored: &Stored) -> Option<&RolloutSpec> {
    match &stored.draft.resource {
        crate::api::Resource::Rollout(manifest) => Some(&manifest.spec),
        crate::api::Resource::LoadBalancer(_)
        | crate::api::Resource::MetricSource(_)
        | crate::api::Resource::AnalysisTemplate(_) => None,
    }
}

/// Reads a kind by any of its words.
///
/// # Errors
/// When it is none, with the nearest one or all that there are.
pub fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|unknown: String| {
        let words = Kind::ALL.iter().flat_map(|kind| kind.aliases());
        nearest(text, words).map_or(unknown, |near| {
            format!("`{text}` is no kind of resource; did you mean {near}?")
        })
    })
}

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error: NameError| error.to_string())
}

/// What to say of one word that is to be a resource and has no kind, or no name.
fn incomplete(word: &str) -> String {
    let path = Path::new(word);
    if word.parse::<Kind>().is_ok() {
        format!("`{word}` is a kind; name one of its resources too, as in {word}/NAME")
    } else if word == "-" || is_manifest(path) {
        format!("`{word}` is no resource; write `-f {word}` for what a file says")
    } else {
        format!("`{word}` has no kind; write KIND/NAME or KIND NAME, as in rollout/{word}")
    }
}

/// Whether a path looks like a manifest's.
fn is_manifest(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    name.is_some_and(gitops::is_manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_named_in_one_word_or_two() {
        let expected = ResourceRef {
            kind: Kind::Rollout,
            name: "news-web".parse().expect("a name"),
        };
        assert_eq!(ResourceRef::read("ro/news-web", None), Ok(expected.clone()));
        assert_eq!(
            ResourceRef::read("Rollouts", Some("news-web")),
            Ok(expected.clone())
        );
        for (first, second) in [
            ("rollout", None),
            ("rollout/a", Some("b")),
            ("pod", Some("a")),
            ("rollout/A", None),
        ] {
            assert!(
                ResourceRef::read(first, second).is_err(),
                "{first} {second:?}"
            );
        }
        let words = ["ro".to_owned(), "a".to_owned(), "b".to_owned()];
        assert_eq!(ResourceRef::read_all(&words).map(|all| all.len()), Ok(2));
    }

    #[test]
    fn a_rollout_may_be_named_with_its_kind_but_no_other() {
        assert!("news-web".parse::<RolloutRef>().is_ok());
        assert!("rollout/news-web".parse::<RolloutRef>().is_ok());
        assert!("lb/edge".parse::<RolloutRef>().is_err());
    }

    #[test]
    fn a_name_alone_is_a_rollout_only_where_that_harms_nothing() {
        let rollout = ResourceRef::read("rollout/news-web", None);
        assert_eq!(ResourceRef::read_or_rollout("news-web", None), rollout);
        let edge = ResourceRef::read("lb/edge", None);
        assert_eq!(ResourceRef::read_or_rollout("lb", Some("edge")), edge);
        let kind_alone = ResourceRef::read_or_rollout("metricsource", None);
        let said = kind_alone.expect_err("a kind");
        assert!(said.contains("metricsource/NAME"), "{said}");
        let deleted = ResourceRef::read("news-web", None).expect_err("no kind");
        assert!(deleted.contains("rollout/news-web"), "{deleted}");
    }

    #[test]
    fn kinds_and_names_are_not_mixed_up() {
        let read = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            ResourceRef::read_all(&words)
        };
        for (line, said) in [
            ("lb edge ms/main", "KIND/NAME for each"),
            ("lb/edge main", "rollout/main"),
            ("lb/edge ms", "ms/NAME"),
            ("metricsorce main", "did you mean metricsource?"),
            ("pod main", "known kinds: "),
            ("web.yaml", "-f web.yaml"),
            ("specs/web.json", "-f specs/web.json"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}

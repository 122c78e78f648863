//! What a command is about: `KIND/NAME`, `KIND NAME`, or the name of a rollout; and finding it in
//! the store, with a guess where the name is wrong.

use std::fmt;
use std::str::FromStr;

use super::exit::Failure;
use crate::api::{Kind, Name, RolloutSpec};
use crate::world::Stored;

/// One resource by kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceRef {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
}

/// A rollout's name, as `NAME` or `rollout/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRef(pub Name);

impl ResourceRef {
    /// The resource that `resource` is.
    pub fn of(resource: &crate::api::Resource) -> Self {
        Self {
            kind: resource.kind(),
            name: resource.name().clone(),
        }
    }

    /// Reads `KIND/NAME`, or `KIND` and `NAME` apart.
    ///
    /// # Errors
    /// When there is no such kind, or no name.
    pub fn read(first: &str, second: Option<&str>) -> Result<Self, String> {
        let (kind, name) = match (first.split_once('/'), second) {
            (Some((kind, name)), None) => (kind, name),
            (None, Some(name)) => (first, name),
            (Some(_), Some(second)) => {
                return Err(format!(
                    "`{first} {second}`: write KIND/NAME or KIND NAME, not both"
                ));
            }
            (None, None) => return Err(format!("`{first}`: write KIND/NAME or KIND NAME")),
        };
        Ok(Self {
            kind: kind.parse()?,
            name: name
                .parse()
                .map_err(|error: crate::api::NameError| error.to_string())?,
        })
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

    /// Finds the resource in the store, if it is there.
    pub fn look_up<'a>(&self, store: &'a [Stored]) -> Option<&'a Stored> {
        store.iter().find(|stored| {
            stored.draft.resource.kind() == self.kind && *stored.draft.resource.name() == self.name
        })
    }

    fn not_found(&self, store: &[Stored]) -> String {
        let names = store
            .iter()
            .map(|stored| &stored.draft.resource)
            .filter(|resource| resource.kind() == self.kind)
            .map(|resource| resource.name().as_str());
        let kind = self.kind.singular();
        nearest(self.name.as_str(), names).map_or_else(
            || {
                format!(
                    "{kind} \"{}\" not found; `rolloutctl get {kind}` lists what is there",
                    self.name
                )
            },
            |near| format!("{kind} \"{}\" not found; did you mean {near}?", self.name),
        )
    }
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.singular(), self.name)
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
            Some((kind, name)) if kind.parse::<Kind>()? == Kind::Rollout => name,
            Some((kind, _)) => {
                return Err(format!(
                    "`{kind}` is not a rollout; only rollouts can be asked this"
                ));
            }
        };
        name.parse()
            .map(Self)
            .map_err(|error: crate::api::NameError| error.to_string())
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

/// The one of `names` that is nearest to `wrong`, if one is near enough to be meant.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let tolerated = (wrong.len() / 3).max(1);
    names
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, name)| name)
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
    fn the_nearest_name_is_guessed_only_when_it_is_near() {
        let names = || ["news-web", "shop"].into_iter();
        assert_eq!(nearest("news-wbe", names()), Some("news-web"));
        assert_eq!(nearest("billing", names()), None);
    }
}

//! What every resource has: an API version, a kind, a name, labels.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use smol_str::SmolStr;

/// The one API version that this release reads and writes.
pub const API_VERSION: &str = "rolloutctl.dev/v1alpha1";

/// The annotation that says why the spec is as it is, and by whom: for people.
pub const CHANGE_CAUSE_ANNOTATION: &str = "rolloutctl.dev/change-cause";

/// The kinds of resource.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Kind {
    /// A service and how its new revisions are released.
    Rollout,
    /// The proxies that split the traffic.
    LoadBalancer,
    /// A database that answers analysis queries.
    MetricSource,
    /// Metrics that several rollouts share.
    AnalysisTemplate,
}

impl Kind {
    /// All kinds, in the order in which a directory of manifests is applied: what is referred to first.
    pub const ALL: [Self; 4] = [
        Self::LoadBalancer,
        Self::MetricSource,
        Self::AnalysisTemplate,
        Self::Rollout,
    ];

    /// The kind as it stands in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rollout => "Rollout",
            Self::LoadBalancer => "LoadBalancer",
            Self::MetricSource => "MetricSource",
            Self::AnalysisTemplate => "AnalysisTemplate",
        }
    }

    /// The kind as it stands in names: lower case.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Rollout => "rollout",
            Self::LoadBalancer => "loadbalancer",
            Self::MetricSource => "metricsource",
            Self::AnalysisTemplate => "analysistemplate",
        }
    }

    /// The words by which the command line knows the kind: singular, plural and short.
    pub const fn aliases(self) -> [&'static str; 3] {
        match self {
            Self::Rollout => ["rollout", "rollouts", "ro"],
            Self::LoadBalancer => ["loadbalancer", "loadbalancers", "lb"],
            Self::MetricSource => ["metricsource", "metricsources", "ms"],
            Self::AnalysisTemplate => ["analysistemplate", "analysistemplates", "at"],
        }
    }

    /// The longest name that a resource of this kind may have, in characters.
    ///
    /// Its Swarm config is called `rolloutctl.<kind>.<name>` and a config's name has at most 64
    /// characters. A rollout's services are called `<name>-<revision>`, with at most 63.
    pub const fn max_name_len(self) -> usize {
        const CONFIG_NAME: usize = 64;
        CONFIG_NAME - "rolloutctl..".len() - self.singular().len()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|kind| kind.aliases().contains(&lower.as_str()))
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|kind| kind.singular()).collect();
                format!(
                    "`{text}` is no kind of resource; known kinds: {}",
                    known.join(", ")
                )
            })
    }
}

/// A resource's name: a DNS label (RFC 1123): lower-case letters, digits and `-`, not at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(SmolStr);

/// Why a text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name; use 1 to 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit"
)]
pub struct NameError(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let sound = matches!(bytes.len(), 1..=63)
            && bytes.iter().all(|&b| alphanumeric(b) || b == b'-')
            && alphanumeric(bytes[0])
            && alphanumeric(bytes[bytes.len() - 1]);
        if sound {
            Ok(Self(text.into()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A DNS label (RFC 1123): lower-case letters, digits and `-`, not at either end.",
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            "minLength": 1,
            "maxLength": 63
        })
    }
}

/// What identifies a resource, and what its owner wants to remember of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Metadata {
    /// The name, unique among the resources of its kind.
    pub name: Name,
    /// Free labels of the owner; they select nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Free remarks of the owner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A kind's `spec`: what ties a Rust type to a [`Kind`].
pub trait Spec: Serialize + for<'de> Deserialize<'de> + JsonSchema + Clone + PartialEq {
    /// The kind whose spec this is.
    const KIND: Kind;
}

/// One resource as a user writes it, without `apiVersion` and `kind`, which its type tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest<S> {
    /// Name and labels.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: S,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "news-web", "0", "a1-b2"] {
            assert!(good.parse::<Name>().is_ok(), "{good:?} was refused");
        }
        let long = "a".repeat(64);
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", "a b", long.as_str()] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn config_names_fit_for_every_kind() {
        for kind in Kind::ALL {
            let name = "a".repeat(kind.max_name_len());
            assert_eq!(format!("rolloutctl.{}.{name}", kind.singular()).len(), 64);
        }
        assert!(Kind::Rollout.max_name_len() + 1 + crate::api::Revision::LEN <= 63);
    }
}

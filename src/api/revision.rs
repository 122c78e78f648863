//! Revisions: the short hash that names one version of a rollout's template.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::{SmolStr, SmolStrBuilder};

use super::{Access, Name, Publish, RevisionRecord, RolloutSpec, Strategy, Template};

/// A short hash of the resolved template: ten lower-case hexadecimal digits.
///
/// Two specs with the same template, container port and reach are the same revision, whatever
/// else differs between them; that is what makes a revert a return and not a new release.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(#[schemars(with = "String")] SmolStr);

/// Why a text is not a [`Revision`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a revision; a revision is ten lower-case hexadecimal digits")]
pub struct RevisionError(String);

const HEX: &[u8; 16] = b"0123456789abcdef";

/// What the hash is taken of. How its tasks are reached shapes the service as the template does.
#[derive(Serialize)]
struct Hashed<'a> {
    template: &'a Template,
    #[serde(flatten)]
    access: Access,
}

impl Revision {
    /// The number of characters of a revision.
    pub const LEN: usize = 10;

    /// The revision that `spec` asks for.
    ///
    /// # Panics
    /// Never: a template is made of maps with text keys, lists, text and numbers, all of which JSON can say.
    pub fn of(spec: &RolloutSpec) -> Self {
        let hashed = Hashed {
            template: &spec.template,
            access: spec.access(),
        };
        let bytes = serde_json::to_vec(&hashed).expect("a template is plain JSON");
        let digest = Sha256::digest(&bytes);
        let mut hex = SmolStrBuilder::new();
        for byte in digest.iter().take(Self::LEN / 2) {
            hex.push(char::from(HEX[usize::from(byte >> 4)]));
            hex.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Self(hex.finish())
    }

    /// The revision as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the Swarm service that runs this revision of the rollout `rollout`.
    pub fn service_name(&self, rollout: &Name) -> String {
        format!("{rollout}-{self}")
    }
}

impl RevisionRecord {
    /// `spec` with what this revision runs in it: all that a revision is the hash of, and nothing else. Replicas,
    /// stages and analysis stay as they are.
    pub fn restored_in(&self, spec: &RolloutSpec) -> RolloutSpec {
        let mut restored = spec.clone();
        restored.template = self.template.as_ref().clone();
        match (self.access, &mut restored.traffic, &mut restored.strategy) {
            (Access::Proxied { port, reach }, Some(traffic), _) => {
                (traffic.port, traffic.reach) = (port, reach);
            }
            (Access::Published { port, host_port }, _, Strategy::Preview(preview)) => {
                preview.publish = Some(Publish { port, host_port });
            }
            (Access::Named {}, _, Strategy::Preview(preview)) => preview.publish = None,
            // It was reached in a way that its strategy does not have any more.
            (Access::Proxied { .. } | Access::Published { .. } | Access::Named {}, ..) => {}
        }
        restored
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
        if text.len() == Self::LEN && text.bytes().all(hex) {
            Ok(Self(text.into()))
        } else {
            Err(RevisionError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Revision {
    type Error = RevisionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.0.into()
    }
}

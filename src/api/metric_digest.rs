//! What a metric measures, in a few letters: two that are called the same may measure different things.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A short hash of what a metric measures and of what passes: ten lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricDigest(String);

impl MetricDigest {
    /// The digest of `measured`.
    ///
    /// # Panics
    /// If JSON cannot say it: it has to be made of maps with text keys, lists, text and numbers.
    pub fn of(measured: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(measured).expect("what a metric measures is plain JSON");
        let mut hex = String::new();
        for byte in Sha256::digest(&bytes).iter().take(5) {
            let _ = write!(hex, "{byte:02x}"); // A text takes everything.
        }
        Self(hex)
    }
}

//! What a source asks for, in one word that is kept in the mark: whether it asks for something else now is told by
//! comparing two of them.
//!
//! The word has two digests: of the resource, and of what is written in the manifest, overlay and all. Each of them
//! changes without anybody asking for anything else. Another release may write a resource with one more field, and a
//! manifest may be written in another form. Only where both have changed is something else asked for.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::Resource;
use crate::manifest::Located;

/// How many bytes of a digest are kept: of the resource's, and of the manifest's.
const BYTES: (usize, usize) = (16, 8);

/// What is asked for, against what was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The same.
    Same,
    /// Something else.
    Anew,
    /// The same, or something else: a release has kept it that kept no digest of what was written.
    Unknown,
}

impl Asked {
    /// Compares what was asked for `before` with what is asked for `now`.
    pub fn of(before: &str, now: &str) -> Self {
        let ((resource, written), (resource_now, written_now)) = (parts(before), parts(now));
        if resource == resource_now || (written.is_some() && written == written_now) {
            Self::Same
        } else if written.is_none() && !resource.is_empty() {
            Self::Unknown
        } else {
            // Also where nothing was asked for yet.
            Self::Anew
        }
    }
}

fn parts(word: &str) -> (&str, Option<&str>) {
    match word.split_once('-') {
        Some((resource, written)) => (resource, Some(written)),
        None => (word, None),
    }
}

/// What a valid manifest asks for.
pub(super) fn asked(located: &Located) -> String {
    let mut written = String::new();
    sorted(&located.written, &mut written);
    let resource = hex(&located.resource.to_json().to_string(), BYTES.0);
    format!("{resource}-{}", hex(&written, BYTES.1))
}

/// Whether `resource` is as it was asked for by the release that runs.
pub(super) fn is_of(word: &str, resource: &Resource) -> bool {
    parts(word).0 == hex(&resource.to_json().to_string(), BYTES.0)
}

fn hex(text: &str, bytes: usize) -> String {
    let hash = Sha256::digest(text);
    hash.iter()
        .take(bytes)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}"); // Writing to a string cannot fail.
            text
        })
}

/// The text of a value in which the order of fields says nothing.
fn sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in fields {
                let _ = write!(text, "{}:", Value::from(name.as_str()));
                sorted(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                sorted(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let _ = write!(text, "{value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Known, Source, parse};

    fn word(spec: &str) -> String {
        let text = format!(
            "apiVersion: rolloutctl.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec:\n  template: {{image: 'web:1', networks: [news]}}\n  traffic: {{loadBalancer: edge, backend: web, port: 8080}}\n{spec}"
        );
        let parsed = parse(&[Source::new("web.yaml", &text)], Known::SourcesOnly);
        asked(parsed.resources.first().expect("valid"))
    }

    #[test]
    fn only_where_the_resource_and_what_is_written_are_others_is_something_else_asked_for() {
        let stage = |bake: &str| {
            format!(
                "  strategy: {{canary: {{stages: [{{weight: 50, bake: {bake}}}]}}}}\n  replicas: 2\n"
            )
        };
        let (minute, seconds) = (word(&stage("1m")), word(&stage("60s")));
        assert_ne!(minute, seconds);
        assert_eq!(Asked::of(&minute, &seconds), Asked::Same);
        let (resource, written) = minute.split_once('-').expect("two parts");
        let other_release = format!("{}-{written}", "0".repeat(32));
        assert_eq!(Asked::of(&other_release, &minute), Asked::Same);
        assert_eq!(Asked::of(&minute, &word(&stage("2m"))), Asked::Anew);
        assert_eq!(Asked::of(resource, &minute), Asked::Same);
        assert_eq!(Asked::of(resource, &word(&stage("2m"))), Asked::Unknown);
        assert_eq!(Asked::of("", &minute), Asked::Anew);
    }

    #[test]
    fn the_order_of_fields_says_nothing() {
        let first =
            word("  replicas: 2\n  strategy: {canary: {stages: [{weight: 50, bake: 1m}]}}\n");
        let second =
            word("  strategy: {canary: {stages: [{bake: 1m, weight: 50}]}}\n  replicas: 2\n");
        assert_eq!(first, second);
    }
}

//! The rules that a schema cannot say, one function each, by the part of the manifest they look at.
//!
//! Rules look at one document. What one resource says of another is checked in `references`.

mod analysis;
mod job;
mod numbers;
mod proxies;
mod stages;
mod template;
mod times;
mod traffic;

pub(super) use analysis::analyses;
pub(super) use numbers::check as numbers_as_written;

use super::diagnostic::Findings;
use super::node::Node;
use crate::api::Kind;

/// Checks all rules for a resource of `kind`.
pub(super) fn check(kind: Kind, root: &Node<'_>, findings: &mut Findings) {
    let spec = root.get("spec");
    times::check(&spec, findings);
    match kind {
        Kind::Rollout => {
            stages::check(&spec, findings);
            template::check(&spec.get("template"), findings);
            traffic::check(&spec, findings);
            analysis::check_rollout(&spec, findings);
        }
        Kind::LoadBalancer => proxies::check(&spec, findings),
        Kind::MetricSource => analysis::check_source(&spec, findings),
        Kind::AnalysisTemplate => analysis::check_template(&spec, findings),
    }
}

/// The items whose value by `key` stood in an item before, each with the index of the first.
fn repeated<'n, 'a, K: Ord>(
    items: &'n [Node<'a>],
    key: impl Fn(&Node<'a>) -> Option<K>,
) -> Vec<(usize, &'n Node<'a>)> {
    let mut seen = std::collections::BTreeMap::new();
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(key) = key(item) else { continue };
        match seen.get(&key) {
            Some(first) => found.push((*first, item)),
            None => {
                seen.insert(key, index);
            }
        }
    }
    found
}

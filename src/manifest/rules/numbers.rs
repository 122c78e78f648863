//! The rule for numbers where text is meant: what is written is not always what is read.

use serde_json::Value;

use super::super::diagnostic::Findings;
use super::super::node::Node;
use super::super::path::FieldPath;
use super::super::words::quoted;

/// Warns of environment variables that YAML reads otherwise than they are written: `1.10` is the
/// number 1.1, and `0x10` is 16.
pub(in super::super) fn check<'t>(
    root: &Node<'_>,
    plain: &dyn Fn(&FieldPath) -> Option<&'t str>,
    findings: &mut Findings,
) {
    for (_, node) in root.at(&["spec", "template", "environment"]).fields() {
        let Value::Number(number) = node.value else {
            continue;
        };
        let read = number.to_string();
        if let Some(written) = plain(&node.path).filter(|written| *written != read) {
            findings.warning(
                &node.path,
                format!("{} is read as the number {read}", quoted(written)),
                format!("write it in quotes: `\"{written}\"`"),
            );
        }
    }
}

//! Rules for durations: well-formed wherever they stand, and not zero where zero makes no sense.

use super::super::diagnostic::Findings;
use super::super::forms;
use super::super::node::Node;
use crate::api::Duration;

/// The fields that hold durations, whatever the kind.
const DURATIONS: [&str; 14] = [
    "bake",
    "delay",
    "drainTimeout",
    "ingestLag",
    "interval",
    "progressDeadline",
    "scaleDownDelay",
    "start_period",
    "stop_grace_period",
    "timeLimit",
    "timeout",
    "ttl",
    "window",
    "startPeriod",
];

/// Those that must be longer than zero, with the reason.
const POSITIVE: [(&str, &str); 6] = [
    ("interval", "one would follow the other without a pause"),
    ("progressDeadline", "every stage would be too late at once"),
    ("ttl", "a preview would be gone before it is up"),
    ("timeLimit", "every job would be too late at once"),
    ("timeout", "nothing can be done in no time"),
    ("window", "a measurement would look at no time"),
];

pub(super) fn check(spec: &Node<'_>, findings: &mut Findings) {
    let fields = spec.fields().into_iter();
    for (name, node) in fields {
        walk(name, &node, findings);
    }
    deadlines(spec, findings);
}

fn walk(name: &str, node: &Node<'_>, findings: &mut Findings) {
    // What users name themselves is no field of ours.
    if matches!(
        name,
        "labels" | "environment" | "sysctls" | "options" | "args"
    ) {
        return;
    }
    for (name, field) in node.fields() {
        walk(name, &field, findings);
    }
    for item in node.items() {
        walk("", &item, findings);
    }
    if let Some(text) = node.text().filter(|_| DURATIONS.contains(&name)) {
        well_formed(name, text, node, findings);
    }
}

fn well_formed(name: &str, text: &str, node: &Node<'_>, findings: &mut Findings) {
    if let Some((problem, remedy)) = forms::duration(text) {
        // The schema's pattern finds most of these; what it cannot see is a number too large.
        if !findings.has_error_at(&node.path) {
            findings.error(&node.path, problem, remedy);
        }
    } else if text.parse().is_ok_and(Duration::is_zero)
        && let Some((_, why)) = POSITIVE.iter().find(|(field, _)| *field == name)
    {
        findings.error(
            &node.path,
            format!("`{name}` is zero: {why}"),
            "write a longer one, such as `10s`",
        );
    }
}

/// A drain that may outlast the deadline of the stage that waits for it.
fn deadlines(spec: &Node<'_>, findings: &mut Findings) {
    let drain = spec.at(&["traffic", "drainTimeout"]);
    let Some(timeout) = drain.read::<Duration>() else {
        return;
    };
    let deadline = spec
        .get("progressDeadline")
        .read()
        .unwrap_or(Duration::from_secs(600));
    if timeout.is_zero() {
        findings.warning(
            &drain.path,
            "open requests are cut at once when a task leaves",
            "give them the time of the longest request, such as `30s`",
        );
    } else if timeout > deadline {
        findings.warning(
            &drain.path,
            format!("a drain may take {timeout}, longer than the progress deadline of {deadline}"),
            "shorten it to the time of the longest request, or raise `spec.progressDeadline`",
        );
    }
}

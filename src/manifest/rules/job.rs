//! Rules for metrics that are measured by a job: what it runs, and what of a metric belongs to queries only.

use super::super::diagnostic::Findings;
use super::super::node::Node;
use super::template;

/// The fields of a metric that speak of a query's value.
const OF_QUERIES: [&str; 5] = ["source", "max", "min", "window", "noData"];

/// Checks a metric that has a job.
pub(super) fn check(metric: &Node<'_>, findings: &mut Findings) {
    if !metric.get("query").is_given() {
        for name in OF_QUERIES {
            let field = metric.get(name);
            if field.is_given() {
                findings.key_error(
                    &field.path,
                    format!("`{name}` belongs to queries; a job passes by its exit code"),
                    "remove it, or measure by a `query`",
                );
            }
        }
    }
    let job = metric.get("job");
    template::check_any(&job.get("template"), findings);
    let policy = job.at(&["template", "deploy", "restart_policy"]);
    if policy.is_given() {
        findings.key_error(
            &policy.path,
            "Swarm does not restart a job: each run is a measurement",
            "remove it; `failureLimit` says how often the job may fail before the stage does",
        );
    }
    let check = job.at(&["template", "healthcheck"]);
    if check.is_given() {
        findings.key_error(
            &check.path,
            "nobody waits for a job to be healthy: its exit code says all",
            "remove it; `timeLimit` says how long the job may take",
        );
    }
}

//! The labels by which our services are known.
//!
//! The engine filters tasks by the labels of their *service* as they were when the task was made
//! (swarmkit `manager/controlapi/task.go`, `ServiceAnnotations`), so that these also find the tasks
//! of a service that is already gone.

/// The rollout that owns the service.
pub(super) const ROLLOUT: &str = "rolloutctl.dev/rollout";
/// The revision that it runs.
pub(super) const REVISION: &str = "rolloutctl.dev/revision";
/// The service as we made it, in JSON: what [`super::drift`] compares with.
pub(super) const MADE: &str = "rolloutctl.dev/made";
/// Which measurement a job takes, in JSON; only jobs have it, and no job has a revision.
pub(super) const JOB: &str = "rolloutctl.dev/job";

/// Whether a label is one of ours.
pub(super) fn is_ours(label: &str) -> bool {
    label == ROLLOUT || label == REVISION || label == MADE || label == JOB
}

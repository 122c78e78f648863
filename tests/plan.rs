//! The planner against a toy world: each rule of docs/semantics.md that concerns canaries, by its ID.

#[path = "plan/toy.rs"]
mod toy;

#[path = "plan/abort.rs"]
mod abort;
#[path = "plan/analysis.rs"]
mod analysis;
#[path = "plan/deadline.rs"]
mod deadline;
#[path = "plan/deletion.rs"]
mod deletion;
#[path = "plan/drain.rs"]
mod drain;
#[path = "plan/edits.rs"]
mod edits;
#[path = "plan/fewest.rs"]
mod fewest;
#[path = "plan/jobs.rs"]
mod jobs;
#[path = "plan/last_server.rs"]
mod last_server;
#[path = "plan/pace.rs"]
mod pace;
#[path = "plan/preview.rs"]
mod preview;
#[path = "plan/progress.rs"]
mod progress;
#[path = "plan/reach.rs"]
mod reach;
#[path = "plan/references.rs"]
mod references;
#[path = "plan/rollover.rs"]
mod rollover;
#[path = "plan/safety.rs"]
mod safety;
#[path = "plan/sizes.rs"]
mod sizes;
#[path = "plan/sources.rs"]
mod sources;
#[path = "plan/templates.rs"]
mod templates;
#[path = "plan/traffic.rs"]
mod traffic;

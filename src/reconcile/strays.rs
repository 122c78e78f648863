//! Strays: jobs of rollouts that are not there any more.
//!
//! A rollout is forgotten when nothing of it is left, and not before every request of this controller is answered or old. Only
//! a controller that dies in that time cannot see what came of its last request: whoever acts next removes it.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tracing::{info, warn};

use super::Reconciler;
use crate::action::{Action, JobTarget};
use crate::api::{Kind, Name};
use crate::plan::Resources;
use crate::snapshot::Snapshot;
use crate::world::Contents;

/// The jobs that no rollout in the store has. While anything there cannot be read, it is not known whose a job is.
pub(super) fn jobs(contents: &Contents, snapshot: &Snapshot) -> Vec<JobTarget> {
    if snapshot.jobs.is_empty() || !contents.unreadable.is_empty() {
        return Vec::new();
    }
    let rollouts: BTreeSet<&Name> = contents
        .resources
        .iter()
        .map(|stored| &stored.draft.resource)
        .filter(|resource| resource.kind() == Kind::Rollout)
        .map(crate::api::Resource::name)
        .collect();
    let jobs = snapshot.jobs.values();
    jobs.filter(|job| !rollouts.contains(&job.key.rollout))
        .map(JobTarget::from)
        .collect()
}

impl Reconciler {
    /// Removes them. One that cannot be removed now is seen again by the next look.
    pub(super) async fn remove_strays(&self, jobs: Vec<JobTarget>, resources: &Resources) {
        let removals = jobs.into_iter().map(async |job| {
            info!(job = job.name, rollout = %job.key.rollout, "its rollout is gone: removed");
            let action = Action::RemoveJob(job);
            if let Err(error) = self.world.act(&action, &resources.load_balancers).await {
                warn!("{error}; trying again");
            }
        });
        join_all(removals).await;
    }
}

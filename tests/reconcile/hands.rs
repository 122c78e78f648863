//! What others do to the toy world.

use rolloutctl::api::{Duration, Resource};
use rolloutctl::snapshot::{TaskId, TaskState};

use super::Neighbour;

impl Neighbour {
    /// Swarm decides to stop a task of the service that was made first; says which one.
    pub fn stop_a_task(&self) -> TaskId {
        let mut inner = self.lock();
        let mut tasks = inner.toy.snapshot.tasks.values_mut();
        let task = tasks.next().expect("a task");
        task.desired = TaskState::Shutdown;
        task.id.clone()
    }

    /// Gives each query of the metric source so long.
    pub fn give_queries(&self, timeout: Duration) {
        let mut inner = self.lock();
        for stored in &mut inner.stored {
            if let Resource::MetricSource(manifest) = &mut stored.draft.resource {
                manifest.spec.influxdb.timeout = timeout;
            }
        }
    }

    /// Another hand changes the rollout's only service.
    pub fn edit_the_service(&self) {
        let mut inner = self.lock();
        let mut services = inner.toy.snapshot.services.values_mut();
        let service = services.next().expect("a service");
        service.drift = Some("image: evil".into());
    }
}

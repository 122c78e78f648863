//! Jobs that nobody seems to need, and rollouts that cannot be read.

use jiff::Timestamp;
use rolloutctl::api::Route;
use rolloutctl::snapshot::{JobFact, JobState, SampleKey};
use rolloutctl::world::{StoreId, Unreadable};
use serde_json::json;

use super::Neighbour;

impl Neighbour {
    /// Leaves a job of a rollout that is not there.
    pub fn leave_a_job(&self) {
        let key = json!({
            "rollout": "gone", "attempt": 1, "stage": 0, "since": Timestamp::UNIX_EPOCH, "metric": "tests", "number": 1,
        });
        let key: SampleKey = serde_json::from_value(key).expect("a key");
        let job = JobFact {
            id: "job".into(),
            name: key.job_name(),
            key,
            created_at: Timestamp::UNIX_EPOCH,
            state: JobState::Waiting { problem: None },
        };
        let jobs = &mut self.lock().toy.snapshot.jobs;
        jobs.insert(job.name.clone(), job);
    }

    /// The store holds a rollout of this name that this release cannot read, or no such thing any more.
    pub fn spoil(&self, rollout: Option<&str>) {
        let unreadable = |name: &str| Unreadable {
            id: StoreId(name.to_owned()),
            name: format!("rolloutctl.rollout.{name}"),
            problem: "it is of a newer release".to_owned(),
            created_at: Timestamp::MAX,
            route: Some(Route {
                load_balancer: crate::toy::name("edge"),
                backend: crate::toy::BACKEND.to_owned(),
            }),
        };
        self.lock().unreadable = rollout.map(unreadable).into_iter().collect();
    }

    pub fn has_jobs(&self) -> bool {
        !self.lock().toy.snapshot.jobs.is_empty()
    }
}

//! Facts about jobs: the one-off services by which metrics are measured (ANALYSIS-6).

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{NodeId, SampleKey, ServiceId, Snapshot};
use crate::api::Name;

/// One job of ours, as a replicated job of the Swarm with one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFact {
    /// Its service's id.
    pub id: ServiceId,
    /// Its service's name.
    pub name: String,
    /// Which measurement it takes, by its label.
    pub key: SampleKey,
    /// When its service was created.
    pub created_at: Timestamp,
    /// How far it is.
    pub state: JobState,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Its process does not run yet.
    Waiting {
        /// What keeps it, as far as the Swarm says.
        problem: Option<String>,
    },
    /// Its process runs, as far as the Swarm knows.
    Running {
        /// Where.
        node: Option<NodeId>,
    },
    /// Its process has ended by itself.
    Ended {
        /// With what.
        exit_code: i64,
        /// When.
        at: Timestamp,
    },
    /// It will never end by itself: no process came of it, or something else has ended it.
    Lost {
        /// Why.
        problem: String,
    },
}

/// How a job that was run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// By itself, with this exit code.
    Exited(i64),
    /// Not within its time limit.
    TimedOut,
}

impl SampleKey {
    /// The name of the service that takes this measurement as a job: always the same one, so that asking twice is
    /// asking once. A rollout's own services are called otherwise, for no revision follows an underscore.
    ///
    /// # Panics
    /// Never: a key is made of text and numbers, all of which JSON can say.
    pub fn job_name(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("a key is plain JSON");
        let digest = Sha256::digest(&bytes);
        let mut name = format!("{}_", self.rollout);
        for byte in digest.iter().take(5) {
            let _ = write!(name, "{byte:02x}"); // A text takes everything.
        }
        name
    }
}

impl Snapshot {
    /// The jobs of the rollout `rollout`, by name.
    pub fn jobs_of<'a>(&'a self, rollout: &'a Name) -> impl Iterator<Item = &'a JobFact> {
        self.jobs
            .values()
            .filter(move |job| job.key.rollout == *rollout)
    }

    /// The job that takes the measurement `key`.
    pub fn job(&self, key: &SampleKey) -> Option<&JobFact> {
        self.jobs.get(&key.job_name()).filter(|job| job.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> SampleKey {
        SampleKey {
            rollout: "w".repeat(52).parse().expect("a name"),
            attempt: 1,
            stage: 0,
            since: Timestamp::UNIX_EPOCH,
            metric: "tests".parse().expect("a name"),
            digest: None,
            number,
        }
    }

    #[test]
    fn analysis_6_a_jobs_name_says_which_measurement_it_is_and_fits() {
        let name = key(1).job_name();
        assert_eq!(name, key(1).job_name());
        assert_ne!(name, key(2).job_name());
        assert_eq!(name.len(), 63);
    }
}

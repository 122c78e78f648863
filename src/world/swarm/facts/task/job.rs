//! What a job's tasks say of it.
//!
//! As measured on Engine 20.10: a task whose process ended by itself is `complete`, or `failed` with "task: non-zero
//! exit (N)"; one whose process could not be started is `failed` with another text, and with an exit code that means
//! nothing; one whose image is not there is `rejected`. None of them is tried again, for the restart condition is
//! `none`. Only another hand can have started a second one; then the latest counts.

use super::RawTask;
use crate::snapshot::{JobState, NodeId};
use crate::world::docker::timestamp;

/// With which the agent begins what it says of a process that ended by itself (swarmkit, `agent/exec`).
const BY_ITSELF: &str = "task: non-zero exit";

impl RawTask {
    /// The service that it is of.
    pub(in crate::world::swarm) fn service(&self) -> &str {
        &self.service_id
    }

    fn job_state(&self) -> JobState {
        let status = &self.status;
        let said = (!status.err.is_empty()).then(|| status.err.clone());
        let ended = |exit_code| JobState::Ended {
            exit_code,
            at: timestamp(status.timestamp.as_deref()).unwrap_or_default(),
        };
        match status.state.as_str() {
            "running" => JobState::Running {
                node: (!self.node_id.is_empty()).then(|| NodeId::from(self.node_id.clone())),
            },
            "complete" => ended(0),
            "failed" if status.err.starts_with(BY_ITSELF) => ended(
                status
                    .container_status
                    .as_ref()
                    .map_or(1, |it| it.exit_code),
            ),
            "failed" | "rejected" => JobState::Lost {
                problem: said.unwrap_or_else(|| "it could not be started".to_owned()),
            },
            "orphaned" => JobState::Lost {
                problem: said.unwrap_or_else(|| "its node was lost".to_owned()),
            },
            "shutdown" | "remove" => JobState::Lost {
                problem: said.unwrap_or_else(|| "it was stopped before its end".to_owned()),
            },
            // Before it runs; and what a later engine may call what is not known here.
            _ => JobState::Waiting { problem: said },
        }
    }
}

/// How far a job is, by its tasks.
pub(in crate::world::swarm) fn job_state<'a>(tasks: impl Iterator<Item = &'a RawTask>) -> JobState {
    let latest = tasks.max_by_key(|task| timestamp(task.created_at.as_deref()));
    latest.map_or(JobState::Waiting { problem: None }, RawTask::job_state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: &str) -> JobState {
        let json = format!(
            r#"{{"ID":"a","ServiceID":"s","NodeID":"n","DesiredState":"shutdown","Status":{status}}}"#
        );
        let task: RawTask = serde_json::from_str(&json).expect("a task");
        job_state([task].iter())
    }

    /// As Engine 20.10 answers, shortened.
    #[test]
    fn analysis_6_only_what_ran_to_its_end_has_an_exit_code() {
        let ended = |exit_code| JobState::Ended {
            exit_code,
            at: "2026-11-22T07:43:40.630795965Z".parse().expect("a time"),
        };
        let at = r#""Timestamp":"2026-11-22T07:43:40.630795965Z""#;
        let lost = |problem: &str| JobState::Lost {
            problem: problem.to_owned(),
        };
        for (status, told) in [
            (
                format!(
                    r#"{{{at},"State":"failed","Message":"started","Err":"task: non-zero exit (3)",
                    "ContainerStatus":{{"ContainerID":"f","PID":0,"ExitCode":3}}}}"#
                ),
                ended(3),
            ),
            (
                format!(
                    r#"{{{at},"State":"complete","Message":"finished",
                    "ContainerStatus":{{"ContainerID":"f","PID":0,"ExitCode":0}}}}"#
                ),
                ended(0),
            ),
            (
                r#"{"State":"failed","Message":"starting","Err":"starting container failed: no such file",
                    "ContainerStatus":{"ContainerID":"7","PID":0,"ExitCode":127}}"#
                    .to_owned(),
                lost("starting container failed: no such file"),
            ),
            (
                r#"{"State":"rejected","Message":"preparing","Err":"No such image: nosuch:v1",
                    "ContainerStatus":{"ContainerID":"","PID":0,"ExitCode":0}}"#
                    .to_owned(),
                lost("No such image: nosuch:v1"),
            ),
            (
                r#"{"State":"pending","Err":"no suitable node"}"#.to_owned(),
                JobState::Waiting {
                    problem: Some("no suitable node".to_owned()),
                },
            ),
            (
                r#"{"State":"running","ContainerStatus":{"ContainerID":"d","PID":539,"ExitCode":0}}"#
                    .to_owned(),
                JobState::Running {
                    node: Some(NodeId::from("n")),
                },
            ),
            (
                r#"{"State":"shutdown"}"#.to_owned(),
                lost("it was stopped before its end"),
            ),
        ] {
            assert_eq!(state(&status), told, "{status}");
        }
    }

    #[test]
    fn a_job_without_a_task_waits_for_one() {
        assert_eq!(job_state([].iter()), JobState::Waiting { problem: None });
    }
}

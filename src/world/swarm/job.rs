//! What is done to jobs: started, read and removed (ANALYSIS-6). What a job is made of is in `spec/job`, and what its
//! tasks say of it in `facts/task/job`.

use std::time::Duration;

use bollard::models::ServiceSpec;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::TryStreamExt;

use super::references::References;
use super::{RawService, Swarm, labels, spec};
use crate::action::{JobTarget, NewJob};
use crate::api::log_end;
use crate::snapshot::SampleKey;
use crate::world::WorldError;
use crate::world::docker::{Rejection, ask, change, rejection};

/// How long the log of a job may take to come: it is asked for at the node on which the job ran.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// How many lines are asked for; some more than are kept, as empty ones at the end are not.
const LINES: &str = "40";

/// The most of a log that is read, in bytes.
const MOST: usize = 256 * 1024;

impl Swarm {
    /// Runs a job, unless one of its name is there.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub(super) async fn start_job(&self, new: &NewJob) -> Result<(), WorldError> {
        let what = format!("run the job of metric {} as {}", new.key.metric, new.name());
        let references = References::find(&self.engine, &what, &new.template).await?;
        let spec = spec::job::build(new, &references).map_err(|reason| WorldError::Refused {
            what: what.clone(),
            reason,
        })?;
        let auth = self.engine.registry_auth(&new.template.image).await?;
        let client = self.engine.client_sending(&spec, auth);
        let request = async {
            match client.create_service(ServiceSpec::default(), None).await {
                Ok(_) => Ok(true),
                Err(err) if rejection(&err) == Rejection::NameTaken => Ok(false),
                Err(err) => Err(err),
            }
        };
        if change(&what, request).await? {
            return Ok(());
        }
        // From an earlier try whose answer was lost (SAFETY-1), or another's.
        match self.inspect(&what, &new.name()).await? {
            Some(service) if key_of(&service).as_ref() == Ok(&new.key) => Ok(()),
            Some(_) => Err(WorldError::Refused {
                what,
                reason: format!(
                    "a service of that name exists that is not ours; remove it by `docker service rm {}`",
                    new.name()
                ),
            }),
            None => Err(WorldError::Conflict {
                what,
                reason: "a service of that name was there and is gone again".to_owned(),
            }),
        }
    }

    /// Removes a job, whether it has ended or not.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub(super) async fn remove_job(&self, job: &JobTarget) -> Result<(), WorldError> {
        let what = format!("remove the job {}", job.name);
        let Some(service) = self.inspect(&what, &job.id.0).await? else {
            return Ok(());
        };
        if key_of(&service).as_ref() != Ok(&job.key) {
            return Err(WorldError::Refused {
                what,
                reason: format!(
                    "its label {} was changed, so it is not ours; remove the service by hand",
                    labels::JOB
                ),
            });
        }
        let client = self.engine.client();
        let request = async {
            match client.delete_service(&job.id.0).await {
                Err(err) if rejection(&err) == Rejection::NotThere => Ok(()),
                other => other,
            }
        };
        change(&what, request).await
    }

    /// The end of what a job wrote, in lines.
    ///
    /// # Errors
    /// When it cannot be had in time.
    pub async fn read_log(&self, job: &JobTarget) -> Result<Vec<String>, WorldError> {
        let what = format!("read the log of the job {}", job.name);
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .tail(LINES)
            .build();
        let client = self.engine.client();
        let read = client.service_logs(&job.id.0, Some(options)).try_fold(
            Vec::new(),
            |mut log, chunk| async move {
                if log.len() < MOST {
                    log.extend_from_slice(&chunk.into_bytes());
                }
                Ok(log)
            },
        );
        match tokio::time::timeout(LOG_LIMIT, ask(&what, read)).await {
            Ok(log) => log.map(|log| log_end(&String::from_utf8_lossy(&log))),
            Err(_) => Err(WorldError::Unreachable {
                what,
                reason: format!("no answer within {} s", LOG_LIMIT.as_secs()),
            }),
        }
    }
}

/// Which measurement a service takes, by its label; the error says what is wrong with it.
pub(super) fn key_of(service: &RawService) -> Result<SampleKey, String> {
    let label = service.label(labels::JOB).unwrap_or_default();
    serde_json::from_str(label)
        .map_err(|err| format!("{} of the service {}: {err}", labels::JOB, service.name()))
}

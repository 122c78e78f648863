//! What is done to services: created, put back, scaled, removed.
//!
//! Each verb reads the service first, and does nothing if what it is to bring about is already
//! there: an update that changes nothing would still restart Swarm's updater.

use bollard::models::ServiceSpec;
use bollard::query_parameters::UpdateServiceOptions;
use serde_json::Value;

use super::references::References;
use super::{RawService, Swarm, drift, labels, spec};
use crate::action::{Action, NewService, ServiceTarget};
use crate::world::WorldError;
use crate::world::docker::{RegistryAuth, Rejection, change, rejection};

impl Swarm {
    /// Does what `action` says about a service. Other actions are not the Swarm's.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when the service is not what the action presumes,
    /// [`WorldError::Refused`] when the Swarm says no or the service is not ours, and
    /// [`WorldError::Unreachable`] when there was no answer, so that it may or may not have been done.
    pub async fn act(&self, action: &Action) -> Result<(), WorldError> {
        match action {
            Action::CreateService(new) => self.create(new).await,
            Action::RestoreService { service, spec } => self.restore(service, spec).await,
            Action::ScaleService { service, replicas } => self.scale(service, *replicas).await,
            Action::RemoveService { service } => self.remove(service).await,
            Action::StartJob(new) => self.start_job(new).await,
            Action::RemoveJob(job) => self.remove_job(job).await,
            Action::ChangeServers(_) | Action::Measure(_) | Action::ReadLog(_) | Action::Forget => {
                Err(WorldError::Refused {
                    what: "act on the Swarm".to_owned(),
                    reason: "the action is not about a service; this is a defect, please report it"
                        .to_owned(),
                })
            }
        }
    }

    async fn create(&self, new: &NewService) -> Result<(), WorldError> {
        let what = format!("create the service {}", new.name());
        let spec = self.build(&what, new).await?;
        let auth = self.engine.registry_auth(&new.template.image).await?;
        let client = self.engine.client_sending(&spec, auth);
        let request = async {
            match client.create_service(ServiceSpec::default(), None).await {
                Ok(_) => Ok(Created::Now),
                Err(err) if rejection(&err) == Rejection::NameTaken => Ok(Created::NameTaken),
                Err(err) => Err(err),
            }
        };
        match change(&what, request).await? {
            Created::Now => Ok(()),
            Created::NameTaken => self.claim(&what, new).await,
        }
    }

    /// A service of that name is there: ours from an earlier try whose answer was lost
    /// (SAFETY-1), or another's (SAFETY-3, SAFETY-4).
    async fn claim(&self, what: &str, new: &NewService) -> Result<(), WorldError> {
        let Some(service) = self.inspect(what, &new.name()).await? else {
            return Err(WorldError::Conflict {
                what: what.to_owned(),
                reason: "a service of that name was there and is gone again".to_owned(),
            });
        };
        let rollout = service.label(labels::ROLLOUT);
        let revision = service.label(labels::REVISION);
        if rollout == Some(new.rollout.as_str()) && revision == Some(new.revision.as_str()) {
            return Ok(());
        }
        Err(WorldError::Refused {
            what: what.to_owned(),
            reason: format!(
                "a service of that name exists that is not ours; rename it, or remove it by `docker service rm {}`",
                new.name()
            ),
        })
    }

    async fn restore(&self, target: &ServiceTarget, new: &NewService) -> Result<(), WorldError> {
        let what = format!("put back the service {}", target.name);
        let service = self.inspect_ours(&what, target).await?;
        let mut spec = self.build(&what, new).await?;
        let done = drift::fingerprint(&spec) == drift::fingerprint(&service.spec)
            && service.drift().is_none()
            && service.replicas() == Some(new.replicas);
        if done {
            return Ok(());
        }
        check_version(&what, target, &service)?;
        // The counter of `docker service update --force`: to set it back would start all tasks anew.
        spec["TaskTemplate"]["ForceUpdate"] = service.spec["TaskTemplate"]["ForceUpdate"].clone();
        let auth = self.engine.registry_auth(&new.template.image).await?;
        self.update(&what, target, &spec, auth).await
    }

    async fn scale(&self, target: &ServiceTarget, replicas: u32) -> Result<(), WorldError> {
        let what = format!("scale the service {} to {replicas}", target.name);
        let service = self.inspect_ours(&what, target).await?;
        // What is as it was observed is written again: then the Swarm is to look at it again.
        if service.replicas() == Some(replicas) && service.version() != target.version {
            return Ok(());
        }
        check_version(&what, target, &service)?;
        if service.replicas().is_none() {
            return Err(WorldError::Refused {
                what,
                reason: format!(
                    "it is no longer a replicated service; remove it by `docker service rm {}`, and it will be created again",
                    target.name
                ),
            });
        }
        let mut spec = service.spec;
        spec["Mode"]["Replicated"]["Replicas"] = replicas.into();
        self.update(&what, target, &spec, None).await
    }

    /// Writes a spec. Without credentials the engine keeps those that it has for the service.
    async fn update(
        &self,
        what: &str,
        target: &ServiceTarget,
        spec: &Value,
        auth: Option<RegistryAuth>,
    ) -> Result<(), WorldError> {
        let client = self.engine.client_sending(spec, auth);
        let version = at(what, target)?;
        let request = client.update_service(&target.id.0, ServiceSpec::default(), version, None);
        change(what, request).await.map(|_| ())
    }

    async fn remove(&self, target: &ServiceTarget) -> Result<(), WorldError> {
        let what = format!("remove the service {}", target.name);
        let Some(service) = self.inspect(&what, &target.id.0).await? else {
            return Ok(());
        };
        check_ours(&what, target, &service)?;
        check_version(&what, target, &service)?;
        let client = self.engine.client();
        let request = async {
            match client.delete_service(&target.id.0).await {
                Err(err) if rejection(&err) == Rejection::NotThere => Ok(()),
                other => other,
            }
        };
        change(&what, request).await
    }

    async fn build(&self, what: &str, new: &NewService) -> Result<Value, WorldError> {
        let references = References::find(&self.engine, what, &new.template).await?;
        spec::build(new, &references).map_err(|reason| WorldError::Refused {
            what: what.to_owned(),
            reason,
        })
    }

    /// Reads a service by its id or name; none if there is none.
    pub(super) async fn inspect(
        &self,
        what: &str,
        key: &str,
    ) -> Result<Option<RawService>, WorldError> {
        self.engine.find(what, &format!("/services/{key}")).await
    }

    async fn inspect_ours(
        &self,
        what: &str,
        target: &ServiceTarget,
    ) -> Result<RawService, WorldError> {
        let Some(service) = self.inspect(what, &target.id.0).await? else {
            return Err(WorldError::Conflict {
                what: what.to_owned(),
                reason: "it is gone".to_owned(),
            });
        };
        check_ours(what, target, &service)?;
        Ok(service)
    }
}

/// How an attempt to create a service ended.
enum Created {
    Now,
    NameTaken,
}

/// SAFETY-3: a service without our label may have been ours; it is not any more.
fn check_ours(what: &str, target: &ServiceTarget, service: &RawService) -> Result<(), WorldError> {
    if service.label(labels::ROLLOUT).is_some() {
        return Ok(());
    }
    Err(WorldError::Refused {
        what: what.to_owned(),
        reason: format!(
            "its label {} is gone, so it is not ours; set it again (`docker service update --label-add {}=ROLLOUT {}`), or remove the service",
            labels::ROLLOUT,
            labels::ROLLOUT,
            target.name
        ),
    })
}

fn check_version(
    what: &str,
    target: &ServiceTarget,
    service: &RawService,
) -> Result<(), WorldError> {
    let version = service.version();
    if version == target.version {
        return Ok(());
    }
    Err(WorldError::Conflict {
        what: what.to_owned(),
        reason: format!(
            "it has changed since it was observed (version {} then, {} now)",
            target.version, version
        ),
    })
}

/// The version that an update presumes.
fn at(what: &str, target: &ServiceTarget) -> Result<UpdateServiceOptions, WorldError> {
    let version = i32::try_from(target.version).map_err(|_| WorldError::Refused {
        what: what.to_owned(),
        reason: format!(
            "its version {} is above what this release can name; look for a newer rolloutctl",
            target.version
        ),
    })?;
    Ok(UpdateServiceOptions {
        version,
        ..UpdateServiceOptions::default()
    })
}

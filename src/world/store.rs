//! The store: every resource, its status and the lease, each as one config object of the Swarm.
//!
//! A config's body cannot be changed, but its labels can, with compare-and-swap on the object's
//! version (`POST /configs/{id}/update?version=`): so everything stands in labels, and the body is a
//! remark for whoever finds it. A stale write is refused by the engine. Configs are listed by our
//! label alone, for others' may be large.

use std::collections::HashMap;

use bollard::models::{Config, ConfigSpec};
use bollard::query_parameters::{ListConfigsOptions, UpdateConfigOptions};
use jiff::Timestamp;

use super::docker::{Engine, Rejection, change, rejection};
use super::{Draft, Lease, StoreId, Stored, StoredSource, WorldError};
use crate::api::{Kind, ResourceRef, Route, SourceStatus};

mod lease;
mod record;
mod told;

use record::{KIND, LEASE_KIND, SOURCE_KIND};

/// Base64 of "Kept by rolloutctl: see its labels.": a config must have a body.
const BODY: &str = "S2VwdCBieSByb2xsb3V0Y3RsOiBzZWUgaXRzIGxhYmVscy4=";

/// How many bytes what users wrote may have in one object. The engine takes up to a megabyte, but each write
/// goes to every manager, and every look reads every object.
pub const MAX_SPEC: usize = 64 * 1024;

/// How many bytes an object may have with its status. There is room enough that a rollout which was applied can
/// always be taken back: that, too, is a write.
pub const MAX_OBJECT: usize = 512 * 1024;

/// The store of one Swarm. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
}

/// All that the store holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// The resources that this release can read, by kind and name.
    pub resources: Vec<Stored>,
    /// Those that it cannot.
    pub unreadable: Vec<Unreadable>,
}

/// An object of ours that this release cannot read: written by a newer one, or by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The store's id.
    pub id: StoreId,
    /// The config's name, `rolloutctl.<kind>.<name>`.
    pub name: String,
    /// What is wrong with it, and what to do about it.
    pub problem: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The back end that has its servers, if it is a rollout of which that much can be read.
    pub route: Option<Route>,
}

impl Unreadable {
    /// Which resource it is, by the config's name; nothing if that is none of ours.
    pub fn target(&self) -> Option<ResourceRef> {
        let (kind, name) = self.name.strip_prefix("rolloutctl.")?.split_once('.')?;
        let kind = Kind::ALL
            .into_iter()
            .find(|known| known.singular() == kind)?;
        Some(ResourceRef::to(kind, &name.parse().ok()?))
    }
}

impl Store {
    /// The store in the Swarm of which `engine` is a manager.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Reads everything, in one call. An object that cannot be read does not keep the others from
    /// being read.
    ///
    /// # Errors
    /// When the configs cannot be listed.
    pub async fn load(&self) -> Result<Contents, WorldError> {
        let mut configs = self.list("read the store", KIND.to_owned()).await?;
        configs.sort_by(|a, b| name(a).cmp(name(b)));
        let mut contents = Contents::default();
        for config in configs {
            if let Some(LEASE_KIND | SOURCE_KIND) = record::kind(&config) {
                continue;
            }
            match record::read(&config) {
                Ok(stored) => contents.resources.push(stored),
                Err(problem) => contents.unreadable.push(Unreadable {
                    id: StoreId(config.id.clone().unwrap_or_default()),
                    name: name(&config).to_owned(),
                    problem,
                    created_at: record::created_at(&config),
                    route: record::route(&config),
                }),
            }
        }
        Ok(contents)
    }

    /// Puts a new resource into the store.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when one of that kind and name is there;
    /// [`WorldError::Refused`] when it is larger than [`MAX_SPEC`], or [`MAX_OBJECT`] with its status.
    pub async fn create(&self, draft: &Draft) -> Result<(), WorldError> {
        let spec = record::write(draft);
        let what = format!("create {} in the store", record::title(draft));
        check_size(&what, &spec)?;
        self.create_config(&what, spec).await.map(|_| ())
    }

    /// Replaces a stored resource if nobody has changed it since `version`.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when somebody has, or it is gone;
    /// [`WorldError::Refused`] when it is larger than [`MAX_SPEC`], or [`MAX_OBJECT`] with its status.
    pub async fn replace(
        &self,
        id: &StoreId,
        version: u64,
        draft: &Draft,
    ) -> Result<(), WorldError> {
        let spec = record::write(draft);
        let what = format!("write {} to the store", record::title(draft));
        check_size(&what, &spec)?;
        self.update_config(&what, id, version, spec).await
    }

    /// Removes a stored resource. That it was not there is as good.
    ///
    /// # Errors
    /// When the engine refuses, as it does while a service uses the config, or does not answer.
    pub async fn remove(&self, id: &StoreId) -> Result<(), WorldError> {
        let client = self.engine.client();
        let request = async {
            match client.delete_config(&id.0).await {
                Err(err) if rejection(&err) == Rejection::NotThere => Ok(()),
                other => other,
            }
        };
        change("remove an object from the store", request).await
    }

    /// Writes an object of no meaning and removes it: whether the engine lets us write.
    ///
    /// # Errors
    /// When the engine refuses or does not answer.
    pub async fn rehearse(&self) -> Result<(), WorldError> {
        let what = "write to the store";
        // Not ours by its labels, so that one left behind by a crash is never read as a resource.
        let name = format!("rolloutctl.preflight.{}", std::process::id());
        let spec = record::config(name, HashMap::new());
        let id = self.create_config(what, spec).await?;
        self.remove(&id).await
    }

    /// What was last told of each GitOps source, by name. What cannot be read is passed over: it is told again.
    ///
    /// # Errors
    /// When the configs cannot be listed.
    pub async fn sources(&self) -> Result<Vec<StoredSource>, WorldError> {
        let what = "read what is told of sources";
        let configs = self.list(what, format!("{KIND}={SOURCE_KIND}")).await?;
        let mut sources: Vec<_> = configs.iter().flat_map(told::read).collect();
        sources.sort_by(|a, b| a.status.name.cmp(&b.status.name));
        Ok(sources)
    }

    /// Tells of a source, in place of what was `seen`.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when somebody else has told of it;
    /// [`WorldError::Refused`] when it is larger than [`MAX_OBJECT`].
    pub async fn tell_source(
        &self,
        seen: Option<&StoredSource>,
        status: &SourceStatus,
    ) -> Result<(), WorldError> {
        let what = format!("tell of source/{}", status.name);
        let spec = told::write(status);
        check_size(&what, &spec)?;
        match seen {
            None => self.create_config(&what, spec).await.map(|_| ()),
            Some(seen) => {
                let update = self.update_config(&what, &seen.id, seen.version, spec);
                update.await
            }
        }
    }

    /// The lease, if anybody ever took it (SAFETY-6).
    ///
    /// # Errors
    /// When the store cannot be read, or the lease in it is not ours.
    pub async fn lease(&self) -> Result<Option<Lease>, WorldError> {
        let what = "read the lease";
        let configs = self.list(what, format!("{KIND}={LEASE_KIND}")).await?;
        configs
            .first()
            .map(|config| lease::read(what, config))
            .transpose()
    }

    /// Writes the lease: an epoch above the one that was seen, which must not have changed since.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when somebody else was quicker.
    pub async fn take_lease(
        &self,
        seen: Option<&Lease>,
        holder: &str,
    ) -> Result<Lease, WorldError> {
        let what = "take the lease";
        let epoch = seen.map_or(1, |lease| lease.epoch + 1);
        let spec = lease::write(epoch, holder);
        let id = match seen {
            None => self.create_config(what, spec).await?,
            Some(seen) => {
                self.update_config(what, &seen.id, seen.version, spec)
                    .await?;
                seen.id.clone()
            }
        };
        // The answer to a write does not tell the version.
        let client = self.engine.client();
        let config = self.engine.ask(what, client.inspect_config(&id.0)).await?;
        let taken = lease::read(what, &config)?;
        if taken.epoch == epoch && taken.holder == holder {
            return Ok(taken);
        }
        Err(WorldError::Conflict {
            what: what.to_owned(),
            reason: format!("{} took it at once after", taken.holder),
        })
    }

    async fn list(&self, what: &str, label: String) -> Result<Vec<Config>, WorldError> {
        let options = ListConfigsOptions {
            filters: Some(HashMap::from([("label".to_owned(), vec![label])])),
        };
        let client = self.engine.client();
        let listing = client.list_configs(Some(options));
        let listed = self.engine.ask(what, listing).await;
        listed.map_err(|error| match error {
            // A list has no version, name or precondition that could no longer fit: this is no engine.
            WorldError::Conflict { what, reason } => WorldError::Refused { what, reason },
            other @ (WorldError::Refused { .. } | WorldError::Unreachable { .. }) => other,
        })
    }

    async fn create_config(&self, what: &str, spec: ConfigSpec) -> Result<StoreId, WorldError> {
        let created = change(what, self.engine.client().create_config(spec)).await?;
        Ok(StoreId(created.id))
    }

    async fn update_config(
        &self,
        what: &str,
        id: &StoreId,
        version: u64,
        spec: ConfigSpec,
    ) -> Result<(), WorldError> {
        let version = i64::try_from(version).map_err(|_| WorldError::Conflict {
            what: what.to_owned(),
            reason: format!("{version} is no version of the engine"),
        })?;
        let options = UpdateConfigOptions { version };
        let client = self.engine.client();
        change(what, client.update_config(&id.0, spec, options)).await
    }
}

fn name(config: &Config) -> &str {
    let spec = config.spec.as_ref();
    spec.and_then(|spec| spec.name.as_deref())
        .unwrap_or_default()
}

/// Whether the store can hold `draft`.
///
/// # Errors
/// When it is larger than [`MAX_SPEC`], or [`MAX_OBJECT`] with its status; with what to do about it.
pub fn check(draft: &Draft) -> Result<(), WorldError> {
    let what = format!("write {} to the store", record::title(draft));
    check_size(&what, &record::write(draft))
}

fn check_size(what: &str, spec: &ConfigSpec) -> Result<(), WorldError> {
    let size = |counts: fn(&str) -> bool| -> usize {
        let labels = spec.labels.iter().flatten();
        let counted = labels.filter(|(key, _)| counts(key));
        counted.map(|(key, value)| key.len() + value.len()).sum()
    };
    let refuse = |size: usize, most: usize| {
        Err(WorldError::Refused {
            what: what.to_owned(),
            reason: format!(
                "it has {size} bytes, and {most} is the most; make the spec smaller: fewer stages, metrics shared by an AnalysisTemplate, files as Swarm configs, a lower revisionHistoryLimit"
            ),
        })
    };
    match (size(|key| key != record::STATUS), size(|_| true)) {
        (own, _) if own > MAX_SPEC => refuse(own, MAX_SPEC),
        (_, all) if all > MAX_OBJECT => refuse(all, MAX_OBJECT),
        _ => Ok(()),
    }
}

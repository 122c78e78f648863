//! A resource as the labels of a config.
//!
//! Each part is a JSON text of its own, so that `docker config inspect` shows them apart.

use std::collections::HashMap;

use bollard::models::{Config, ConfigSpec};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{Kind, Manifest, Metadata, Resource, Route, Spec};
use crate::world::docker::timestamp;
use crate::world::{Draft, StoreId, Stored};

/// The resource's kind, as in [`Kind::singular`]; for the lease, [`LEASE_KIND`].
pub(super) const KIND: &str = "rolloutctl.dev/kind";
/// The kind of the lease, which is no resource.
pub(super) const LEASE_KIND: &str = "lease";
/// The kind of what is told of a GitOps source, which is no resource either.
pub(super) const SOURCE_KIND: &str = "source";
/// The epoch of the controller that wrote last.
pub(super) const EPOCH: &str = "rolloutctl.dev/epoch";

const NAME: &str = "rolloutctl.dev/name";
const METADATA: &str = "rolloutctl.dev/metadata";
const SPEC: &str = "rolloutctl.dev/spec";
const GENERATION: &str = "rolloutctl.dev/generation";
/// The status.
pub(super) const STATUS: &str = "rolloutctl.dev/status";
const COMMAND: &str = "rolloutctl.dev/command";
const DELETION: &str = "rolloutctl.dev/deletion";
/// The GitOps source that it comes from, whole.
const ORIGIN: &str = "rolloutctl.dev/origin";
/// The same for people, who can filter by it: `docker config ls --filter label=rolloutctl.dev/source`.
const SOURCE: &str = "rolloutctl.dev/source";
const COMMIT: &str = "rolloutctl.dev/commit";

/// How a resource is called in messages: `rollout/news-web`.
pub(super) fn title(draft: &Draft) -> String {
    format!(
        "{}/{}",
        draft.resource.kind().singular(),
        draft.resource.name()
    )
}

/// The config that holds `draft`.
pub(super) fn write(draft: &Draft) -> ConfigSpec {
    let resource = &draft.resource;
    let kind = resource.kind().singular();
    let mut labels = HashMap::from([
        (KIND.to_owned(), kind.to_owned()),
        (NAME.to_owned(), resource.name().to_string()),
        (METADATA.to_owned(), json(resource.metadata())),
        (SPEC.to_owned(), resource.spec_json().to_string()),
        (GENERATION.to_owned(), draft.generation.to_string()),
        (EPOCH.to_owned(), draft.epoch.to_string()),
    ]);
    let parts = [
        (STATUS, draft.status.as_ref().map(json)),
        (COMMAND, draft.command.as_ref().map(json)),
        (DELETION, draft.deletion.as_ref().map(json)),
        (ORIGIN, draft.origin.as_ref().map(json)),
        (SOURCE, draft.origin.as_ref().map(|o| o.source.to_string())),
        (COMMIT, commit(draft)),
    ];
    for (key, part) in parts {
        labels.extend(part.map(|part| (key.to_owned(), part)));
    }
    config(format!("rolloutctl.{kind}.{}", resource.name()), labels)
}

fn commit(draft: &Draft) -> Option<String> {
    let commit = draft.origin.as_ref()?.commit.as_ref()?;
    Some(commit.to_string())
}

/// A config of ours.
pub(super) fn config(name: String, labels: HashMap<String, String>) -> ConfigSpec {
    ConfigSpec {
        name: Some(name),
        labels: Some(labels),
        data: Some(super::BODY.to_owned()),
        templating: None,
    }
}

pub(super) fn json(part: &impl Serialize) -> String {
    serde_json::to_string(part).expect("what is stored is plain JSON")
}

/// The kind that the config's label names.
pub(super) fn kind(config: &Config) -> Option<&str> {
    Labels::of(config).get(KIND)
}

/// A config's labels, read one by one.
#[derive(Clone, Copy)]
pub(super) struct Labels<'a>(Option<&'a HashMap<String, String>>);

impl<'a> Labels<'a> {
    pub(super) fn of(config: &'a Config) -> Self {
        let spec = config.spec.as_ref();
        Self(spec.and_then(|spec| spec.labels.as_ref()))
    }

    pub(super) fn get(self, key: &str) -> Option<&'a str> {
        self.0?.get(key).map(String::as_str)
    }

    pub(super) fn must(self, key: &str) -> Result<&'a str, String> {
        self.get(key)
            .ok_or_else(|| format!("its label {key} is missing; {REMEDY}"))
    }

    pub(super) fn parsed<T: DeserializeOwned>(self, key: &str) -> Result<T, String> {
        parse(key, self.must(key)?)
    }

    fn optional<T: DeserializeOwned>(self, key: &str) -> Result<Option<T>, String> {
        self.get(key).map(|text| parse(key, text)).transpose()
    }
}

const REMEDY: &str = "use the release of rolloutctl that wrote it, or apply its manifest again after `docker config rm`";

fn parse<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text)
        .map_err(|err| format!("its label {key} cannot be read: {err}; {REMEDY}"))
}

/// Reads a config back; the error says what is wrong with it and what to do.
pub(super) fn read(config: &Config) -> Result<Stored, String> {
    let labels = Labels::of(config);
    let id = config.id.clone().ok_or("it has no id")?;
    let version = config.version.as_ref().and_then(|version| version.index);
    let created_at = created_at(config);
    Ok(Stored {
        id: StoreId(id),
        version: version.ok_or("it has no version")?,
        created_at,
        updated_at: timestamp(config.updated_at.as_deref()).unwrap_or(created_at),
        draft: Draft {
            resource: resource(config, labels)?,
            generation: labels.parsed(GENERATION)?,
            status: labels.optional(STATUS)?,
            command: labels.optional(COMMAND)?,
            deletion: labels.optional(DELETION)?,
            origin: labels.optional(ORIGIN)?,
            epoch: labels.parsed(EPOCH)?,
        },
    })
}

/// When a config was made.
pub(super) fn created_at(config: &Config) -> Timestamp {
    timestamp(config.created_at.as_deref()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The back end that has the servers of a rollout, also where nothing else of its status can be read.
pub(super) fn route(config: &Config) -> Option<Route> {
    let status: Value = serde_json::from_str(Labels::of(config).get(STATUS)?).ok()?;
    Route::deserialize(status.get("route")?).ok()
}

fn resource(config: &Config, labels: Labels<'_>) -> Result<Resource, String> {
    let text = labels.must(KIND)?;
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.singular() == text)
        .ok_or_else(|| format!("its kind `{text}` is not known; {REMEDY}"))?;
    let metadata: Metadata = labels.parsed(METADATA)?;
    // The config's name is what makes a resource unique: another one inside would be a second owner.
    let expected = format!("rolloutctl.{text}.{}", metadata.name);
    if super::name(config) != expected {
        return Err(format!(
            "its metadata belong to {expected}; remove it by `docker config rm {}`",
            super::name(config)
        ));
    }
    Ok(match kind {
        Kind::Rollout => Resource::Rollout(manifest(metadata, labels)?),
        Kind::LoadBalancer => Resource::LoadBalancer(manifest(metadata, labels)?),
        Kind::MetricSource => Resource::MetricSource(manifest(metadata, labels)?),
        Kind::AnalysisTemplate => Resource::AnalysisTemplate(manifest(metadata, labels)?),
    })
}

fn manifest<S: Spec>(metadata: Metadata, labels: Labels<'_>) -> Result<Manifest<S>, String> {
    Ok(Manifest {
        metadata,
        spec: labels.parsed(SPEC)?,
    })
}

#[cfg(test)]
mod tests {
    use bollard::models::ObjectVersion;

    use super::*;
    use crate::api::{Actor, Command, Commit, HaproxySpec, LoadBalancerSpec, Origin, Place, Verb};
    use crate::api::{Deletion, Dependents};

    fn draft() -> Draft {
        Draft {
            resource: Resource::LoadBalancer(Manifest {
                metadata: Metadata {
                    name: "edge".parse().expect("a name"),
                    labels: [("team".to_owned(), "news".to_owned())].into(),
                    annotations: [].into(),
                },
                spec: LoadBalancerSpec {
                    haproxy: HaproxySpec { instances: vec![] },
                },
            }),
            generation: 3,
            status: None,
            command: Some(Command {
                id: "c1".into(),
                verb: Verb::Abort,
                attempt: 2,
                stage: 1,
                generation: Some(3),
                by: Actor("ana@host".into()),
                at: Timestamp::UNIX_EPOCH,
            }),
            deletion: Some(Deletion {
                at: Timestamp::UNIX_EPOCH,
                dependents: Dependents::Orphan,
            }),
            origin: Some(Origin {
                source: Place("git:https://git.example/specs.git#main".into()),
                file: "web/edge.yaml".into(),
                commit: Some(Commit("0123456789abcdef".into())),
                generation: 3,
                digest: "d1".into(),
                yields: std::collections::BTreeMap::new(),
                problem: None,
            }),
            epoch: 7,
        }
    }

    fn stored(spec: ConfigSpec) -> Config {
        Config {
            id: Some("id1".into()),
            version: Some(ObjectVersion { index: Some(12) }),
            created_at: Some("2026-11-21T09:14:21.834714709Z".into()),
            updated_at: Some("2026-11-21T09:15:21Z".into()),
            spec: Some(spec),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let read = read(&stored(write(&draft()))).expect("sound");
        assert_eq!(read.draft, draft());
        assert_eq!((read.id.0.as_str(), read.version), ("id1", 12));
        assert_eq!(read.updated_at.to_string(), "2026-11-21T09:15:21Z");
    }

    #[test]
    fn an_object_of_another_release_tells_what_to_do() {
        let mut spec = write(&draft());
        let labels = spec.labels.as_mut().expect("labels");
        labels.insert(
            SPEC.into(),
            r#"{"haproxy":{"instances":[],"mode":"map"}}"#.into(),
        );
        let problem = read(&stored(spec)).expect_err("a field that is not known");
        assert!(
            problem.contains("rolloutctl.dev/spec") && problem.contains("mode"),
            "{problem}"
        );
    }

    #[test]
    fn safety_4_of_a_rollout_of_another_release_it_is_read_where_its_servers_are() {
        let mut config = stored(write(&draft()));
        assert_eq!(route(&config), None);
        let spec = config.spec.as_mut().expect("a spec");
        let labels = spec.labels.as_mut().expect("labels");
        let status =
            r#"{"phase":"Resting","route":{"loadBalancer":"edge","backend":"web"},"new":1}"#;
        labels.insert(STATUS.into(), status.into());
        let found = route(&config).expect("a route");
        assert_eq!(
            (found.load_balancer.as_str(), found.backend.as_str()),
            ("edge", "web")
        );
    }

    #[test]
    fn safety_4_an_object_cannot_pose_as_another() {
        let mut spec = write(&draft());
        spec.name = Some("rolloutctl.loadbalancer.other".into());
        assert!(read(&stored(spec)).is_err());
    }
}

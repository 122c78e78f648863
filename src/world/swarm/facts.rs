//! From the engine's lists to facts.
//!
//! What cannot be understood is left out with a warning, never guessed: a service whose labels
//! name no rollout is nobody's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bollard::models::{Node, NodeState};
use serde::Deserialize;
use serde_json::Value;

use super::drift;
use super::labels;
use crate::api::{Name, Revision};
use crate::snapshot::{JobFact, JobState, NodeFact, NodeId, ServiceFact, ServiceId};
use crate::world::docker::timestamp;

mod task;

pub(super) use task::{RawTask, job_state, task};

/// A service, as the engine shows it. Its spec is kept as it is, so that it can be sent back without
/// loss.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawService {
    #[serde(rename = "ID")]
    id: String,
    version: RawVersion,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
    pub(super) spec: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawVersion {
    index: u64,
}

impl RawService {
    /// The object version.
    pub(super) fn version(&self) -> u64 {
        self.version.index
    }

    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.spec["Labels"][key].as_str()
    }

    /// How many tasks it asks for; none unless it is a replicated service.
    pub(super) fn replicas(&self) -> Option<u32> {
        let replicated = self.spec["Mode"]["Replicated"].as_object()?;
        // The engine leaves out a zero in some versions.
        let replicas = replicated.get("Replicas").and_then(Value::as_u64);
        u32::try_from(replicas.unwrap_or(0)).ok()
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.spec["Name"].as_str().unwrap_or_default()
    }

    /// Whether it is a job of a metric, and serves nobody.
    pub(super) fn is_job(&self) -> bool {
        self.label(labels::JOB).is_some()
    }

    /// Reads the fact of a job; the error says what is wrong with it.
    pub(super) fn job<'a>(
        &self,
        tasks: impl Iterator<Item = &'a RawTask>,
    ) -> Result<JobFact, String> {
        let of_it = tasks.filter(|task| task.service() == self.id);
        let state = match self.drift() {
            // What another hand made of it says nothing (SAFETY-3).
            Some(drift) => JobState::Lost {
                problem: format!("another hand changed it: {drift}"),
            },
            None => job_state(of_it),
        };
        Ok(JobFact {
            id: ServiceId::from(self.id.clone()),
            name: self.name().to_owned(),
            key: super::job::key_of(self)?,
            created_at: timestamp(self.created_at.as_deref()).unwrap_or_default(),
            state,
        })
    }

    /// Reads the fact of the service, save its drift; the error says what is wrong with it.
    pub(super) fn fact(&self) -> Result<ServiceFact, String> {
        let name = self.spec["Name"].as_str().unwrap_or_default().to_owned();
        let label = |key: &str| {
            self.label(key)
                .ok_or_else(|| format!("the service {name} has no label {key}"))
        };
        let rollout: Name = label(labels::ROLLOUT)?
            .parse()
            .map_err(|err| format!("{} of the service {name}: {err}", labels::ROLLOUT))?;
        let revision: Revision = label(labels::REVISION)?
            .parse()
            .map_err(|err| format!("{} of the service {name}: {err}", labels::REVISION))?;
        Ok(ServiceFact {
            id: ServiceId::from(self.id.clone()),
            version: self.version(),
            rollout,
            revision,
            replicas: self.replicas().unwrap_or(0),
            drift: None,
            created_at: timestamp(self.created_at.as_deref()).unwrap_or_default(),
            changed_at: timestamp(self.updated_at.as_deref()).unwrap_or_default(),
            name,
        })
    }

    /// In what the service differs from what we made it.
    pub(super) fn drift(&self) -> Option<String> {
        drift::find(&self.spec)
    }
}

/// Reads a node.
pub(super) fn node(node: Node) -> Option<NodeFact> {
    let status = node.status.unwrap_or_default();
    let manager = node.manager_status.and_then(|manager| manager.addr);
    Some(NodeFact {
        id: NodeId::from(node.id?),
        hostname: node
            .description
            .and_then(|description| description.hostname)
            .unwrap_or_default(),
        // A node that is not heard of for a moment (`unknown`, as all are after a change of leader)
        // may well serve: HAProxy's own checks tell. Tasks of one that is down do not count.
        ready: !matches!(
            status.state,
            Some(NodeState::DOWN | NodeState::DISCONNECTED)
        ),
        address: address(status.addr.as_deref(), manager.as_deref()),
    })
}

/// A node's address. A manager does not hear itself from outside: its own status says `0.0.0.0` or
/// the loopback, and only the address that it advertises is of use to others.
fn address(status: Option<&str>, manager: Option<&str>) -> Option<IpAddr> {
    let usable = |address: &IpAddr| !address.is_unspecified() && !address.is_loopback();
    let own = status.and_then(|text| text.parse().ok()).filter(usable);
    own.or_else(|| {
        let advertised: std::net::SocketAddr = manager?.parse().ok()?;
        Some(advertised.ip()).filter(usable)
    })
}

/// Keeps what was understood, by key, and warns of the rest.
pub(super) fn collect<K: Ord, V>(
    read: impl Iterator<Item = Result<(K, V), String>>,
) -> BTreeMap<K, V> {
    read.filter_map(|item| {
        item.inspect_err(|problem| tracing::warn!("left out of the snapshot: {problem}"))
            .ok()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_managers_own_address_is_the_one_that_it_advertises() {
        let at = |text: &str| text.parse().ok();
        for (status, manager, address) in [
            (Some("10.0.0.2"), None, at("10.0.0.2")),
            (Some("0.0.0.0"), Some("10.0.0.1:2377"), at("10.0.0.1")),
            (Some("127.0.0.1"), Some("10.0.0.1:2377"), at("10.0.0.1")),
            (None, Some("[fd00::1]:2377"), at("fd00::1")),
            (Some(""), None, None),
            (Some("127.0.0.1"), Some("127.0.0.1:2377"), None),
        ] {
            assert_eq!(
                super::address(status, manager),
                address,
                "{status:?} {manager:?}"
            );
        }
    }

    /// All nodes are `unknown` for a moment after a change of leader: to take that for down would
    /// take every server out of the traffic at once.
    #[test]
    fn a_node_counts_unless_it_is_known_to_be_down() {
        for (state, ready) in [
            ("ready", true),
            ("unknown", true),
            ("down", false),
            ("disconnected", false),
        ] {
            let node = serde_json::json!({"ID": "a", "Status": {"State": state}});
            let node: Node = serde_json::from_value(node).expect("a node");
            let fact = super::node(node).expect("a fact");
            assert_eq!(fact.ready, ready, "{state}");
        }
    }

    #[test]
    fn safety_3_a_service_whose_labels_name_no_rollout_is_nobodys() {
        let theirs = r#"{"ID":"a","Version":{"Index":1},"Spec":{"Name":"web","Labels":{}}}"#;
        let theirs: RawService = serde_json::from_str(theirs).expect("a service");
        assert!(theirs.fact().is_err());
    }
}

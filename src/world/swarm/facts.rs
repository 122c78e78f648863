//! From the engine's lists to facts.
//!
//! What cannot be understood is left out with a warning, never guessed: a service whose labels
//! name no rollout is nobody's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bollard::models::{Node, NodeState, Service};

use super::super::docker::timestamp;
use super::drift;
use super::labels;
use crate::api::{Name, Revision};
use crate::snapshot::{NodeFact, NodeId, ServiceFact, ServiceId};

mod task;

pub(super) use task::{RawTask, task};

/// The fact of a service, save whether it has drifted.
pub(super) struct Seen {
    pub(super) fact: ServiceFact,
    service: Service,
}

impl Seen {
    /// In what the service differs from what we made it.
    pub(super) fn drift(&self) -> Option<String> {
        self.service.spec.as_ref().and_then(drift::find)
    }
}

/// Reads a service; the error says what is wrong with it.
pub(super) fn service(service: Service) -> Result<Seen, String> {
    let spec = service.spec.as_ref().ok_or("it has no spec")?;
    let name = spec.name.clone().ok_or("it has no name")?;
    let label = |key: &str| {
        let labels = spec.labels.as_ref();
        labels
            .and_then(|labels| labels.get(key))
            .map(String::as_str)
            .ok_or_else(|| format!("the service {name} has no label {key}"))
    };
    let rollout: Name = label(labels::ROLLOUT)?
        .parse()
        .map_err(|err| format!("the label {} of the service {name}: {err}", labels::ROLLOUT))?;
    let revision: Revision = label(labels::REVISION)?.parse().map_err(|err| {
        format!(
            "the label {} of the service {name}: {err}",
            labels::REVISION
        )
    })?;
    let fact = ServiceFact {
        id: ServiceId(service.id.clone().ok_or("it has no id")?),
        version: version(&service).ok_or("it has no version")?,
        rollout,
        revision,
        replicas: replicas(&service).unwrap_or(0),
        drift: None,
        created_at: timestamp(service.created_at.as_deref()).unwrap_or_default(),
        name,
    };
    Ok(Seen { fact, service })
}

/// The service's object version.
pub(super) fn version(service: &Service) -> Option<u64> {
    service.version.as_ref().and_then(|version| version.index)
}

/// How many tasks the service asks for.
pub(super) fn replicas(service: &Service) -> Option<u32> {
    let mode = service.spec.as_ref()?.mode.as_ref()?;
    u32::try_from(mode.replicated.as_ref()?.replicas?).ok()
}

/// Reads a node.
pub(super) fn node(node: Node) -> Option<NodeFact> {
    let status = node.status.unwrap_or_default();
    let manager = node.manager_status.and_then(|manager| manager.addr);
    Some(NodeFact {
        id: NodeId(node.id?),
        hostname: node
            .description
            .and_then(|description| description.hostname)
            .unwrap_or_default(),
        ready: status.state == Some(NodeState::READY),
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

    #[test]
    fn safety_3_a_service_whose_labels_name_no_rollout_is_nobodys() {
        let mut theirs = Service::default();
        theirs.spec.get_or_insert_default().name = Some("web".into());
        assert!(service(theirs).is_err());
    }
}

//! Services that are not ours, for an import: looked at, and scaled to 0 when their owner takes them over.
//!
//! What their specs say is read in `spec`. Nothing here is called by a controller: SAFETY-3 holds but for the
//! one service that somebody names by `rolloutctl import SERVICE --take-over`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bollard::models::ServiceSpec;
use bollard::query_parameters::UpdateServiceOptions;
use serde::Deserialize;
use serde_json::Value;

use super::{RawTask, Swarm, facts, labels};
use crate::manifest::adoption::Adoptee;
use crate::snapshot::{Endpoint, NodeFact, NodeId, TaskFact, TaskState};
use crate::world::WorldError;
use crate::world::docker::change;

mod container;
mod deploy;
mod fields;
mod spec;
#[cfg(test)]
mod tests;

/// A service as its owner made it.
#[derive(Clone, Debug)]
pub struct ForeignService {
    id: String,
    version: u64,
    name: String,
    spec: Value,
    virtual_addresses: BTreeSet<IpAddr>,
    networks: BTreeMap<String, String>,
}

/// What runs of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// So many tasks are asked for.
    Replicas(u32),
    /// One task on each node, or a job: it cannot be scaled.
    Unscalable,
}

/// By which addresses requests reach a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Those of its tasks and its virtual ones: they are its own, with every port.
    pub addresses: BTreeSet<IpAddr>,
    /// Nodes' addresses and a port that is published there for it.
    pub published: BTreeSet<(IpAddr, u16)>,
}

impl Ways {
    /// Whether what is sent to `endpoint` reaches the service.
    pub fn lead_from(&self, endpoint: &Endpoint) -> bool {
        self.addresses.contains(&endpoint.address)
            || self.published.contains(&(endpoint.address, endpoint.port))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawForeign {
    #[serde(rename = "ID")]
    id: String,
    version: RawVersion,
    spec: Value,
    #[serde(default)]
    endpoint: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawVersion {
    index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawNetwork {
    id: String,
    name: String,
}

impl ForeignService {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rollout that it belongs to, if it is one of ours.
    pub fn rollout(&self) -> Option<&str> {
        self.spec["Labels"][labels::ROLLOUT].as_str()
    }

    /// The stack that it was deployed with, if it was.
    pub fn stack(&self) -> Option<&str> {
        self.spec["Labels"][spec::STACK_NAMESPACE].as_str()
    }

    /// What it asks for.
    pub fn running(&self) -> Running {
        spec::running(&self.spec["Mode"])
    }

    /// What a Rollout would be made of.
    ///
    /// # Errors
    /// When it runs no container.
    pub fn adoptee(&self) -> Result<Adoptee, String> {
        spec::read(&self.spec, &self.networks)
    }

    /// The ports of nodes by which anybody may reach it, in words: those of the routing mesh, one of the engine's choice among them,
    /// and those of a number that was asked for in host mode.
    pub fn ways_in(&self) -> Vec<String> {
        spec::ways_in(&self.spec)
    }

    /// The nodes' ports by which anybody may reach it through the routing mesh.
    pub fn mesh_ports(&self) -> Vec<u16> {
        spec::mesh_ports(&self.spec)
    }
}

impl Swarm {
    /// Looks at the service `name`, whoever made it; none if there is none of that name or id.
    ///
    /// # Errors
    /// When the Swarm cannot be asked.
    pub async fn foreign(&self, name: &str) -> Result<Option<ForeignService>, WorldError> {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if name.is_empty() || !name.bytes().all(sound) {
            return Ok(None);
        }
        let what = format!("look at the service {name}");
        let found: Option<RawForeign> = self
            .engine
            .find(&what, &format!("/services/{name}"))
            .await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let networks: Vec<RawNetwork> = self.engine.get(&what, "/networks").await?;
        let is_it = found.spec["Name"] == name || found.id == name;
        Ok(is_it.then(|| ForeignService {
            name: found.spec["Name"].as_str().unwrap_or(name).to_owned(),
            virtual_addresses: virtual_addresses(&found.endpoint),
            networks: networks.into_iter().map(|n| (n.id, n.name)).collect(),
            id: found.id,
            version: found.version.index,
            spec: found.spec,
        }))
    }

    /// By which addresses requests reach `service` now.
    ///
    /// # Errors
    /// When the Swarm cannot be asked.
    pub async fn ways_to(&self, service: &ForeignService) -> Result<Ways, WorldError> {
        let path = format!(
            "/tasks?filters=%7B%22service%22%3A%5B%22{}%22%5D%7D",
            service.id
        );
        let what = format!("list the tasks of the service {}", service.name);
        let (listed, nodes) =
            tokio::try_join!(self.engine.get::<Vec<RawTask>>(&what, &path), self.nodes())?;
        let tasks: Vec<_> = listed
            .into_iter()
            .filter_map(|raw| facts::task(raw).ok())
            .collect();
        Ok(ways(service, &tasks, &nodes))
    }

    /// Asks for no tasks of a service that its owner hands over. Does nothing if it asks for none.
    ///
    /// # Errors
    /// [`WorldError::Conflict`] when it has changed since it was looked at, [`WorldError::Refused`] when it cannot be
    /// scaled or is a rollout's.
    pub async fn stop_foreign(&self, service: &ForeignService) -> Result<(), WorldError> {
        let what = format!("scale the service {} to 0", service.name);
        let refused = |reason: String| WorldError::Refused {
            what: what.clone(),
            reason,
        };
        if let Some(rollout) = service.rollout() {
            return Err(refused(format!("it belongs to rollout/{rollout}")));
        }
        match service.running() {
            Running::Replicas(0) => return Ok(()),
            Running::Replicas(_) => {}
            Running::Unscalable => {
                return Err(refused(format!(
                    "it is not a replicated service; remove it by `docker service rm {}`",
                    service.name
                )));
            }
        }
        let mut spec = service.spec.clone();
        spec["Mode"]["Replicated"]["Replicas"] = 0.into();
        let version = i32::try_from(service.version)
            .map_err(|_| refused(format!("its version {} is too high", service.version)))?;
        let options = UpdateServiceOptions {
            version,
            ..UpdateServiceOptions::default()
        };
        let client = self.engine.client_sending(&spec, None);
        let request = client.update_service(&service.id, ServiceSpec::default(), options, None);
        change(&what, request).await.map(|_| ())
    }
}

/// The engine writes `10.0.1.2/24`.
fn virtual_addresses(endpoint: &Value) -> BTreeSet<IpAddr> {
    let listed = endpoint["VirtualIPs"].as_array().into_iter().flatten();
    listed
        .filter_map(|virtual_ip| virtual_ip["Addr"].as_str()?.split('/').next()?.parse().ok())
        .collect()
}

/// A published port belongs to one service: in ingress mode on every node, in host mode where the task is.
fn ways(service: &ForeignService, tasks: &[TaskFact], nodes: &BTreeMap<NodeId, NodeFact>) -> Ways {
    let mut ways = Ways {
        addresses: service.virtual_addresses.clone(),
        published: BTreeSet::new(),
    };
    let live = |task: &&TaskFact| matches!(task.state, TaskState::Waiting | TaskState::Running);
    for task in tasks.iter().filter(live) {
        ways.addresses.extend(task.addresses.values());
        let node = task.node.as_ref().and_then(|id| nodes.get(id)?.address);
        let ports = task.host_ports.values();
        ways.published.extend(
            node.into_iter()
                .flat_map(|node| ports.clone().map(move |port| (node, *port))),
        );
    }
    for port in service.mesh_ports() {
        let addresses = nodes.values().filter_map(|node| node.address);
        ways.published
            .extend(addresses.map(|address| (address, port)));
    }
    ways
}

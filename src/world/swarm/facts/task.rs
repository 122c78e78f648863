//! Tasks, as the engine lists them.
//!
//! Of a type of our own: bollard's has no `NetworksAttachments`, as the API's published description
//! leaves them out, and they are where a task's addresses stand.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::snapshot::{NodeId, ServiceId, TaskFact, TaskId, TaskState};
use crate::world::docker::timestamp;

mod job;

pub(in crate::world::swarm) use job::job_state;

/// One element of `GET /tasks`, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::world::swarm) struct RawTask {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(rename = "ServiceID", default)]
    service_id: String,
    #[serde(default)]
    slot: u32,
    #[serde(rename = "NodeID", default)]
    node_id: String,
    #[serde(default)]
    status: RawStatus,
    #[serde(default)]
    desired_state: String,
    #[serde(default)]
    networks_attachments: Option<Vec<RawAttachment>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawStatus {
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    err: String,
    #[serde(default)]
    port_status: Option<RawPortStatus>,
    #[serde(default)]
    container_status: Option<RawContainerStatus>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawContainerStatus {
    #[serde(default)]
    exit_code: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPortStatus {
    #[serde(default)]
    ports: Option<Vec<RawPort>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPort {
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    target_port: u16,
    #[serde(default)]
    published_port: u16,
    #[serde(default)]
    publish_mode: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAttachment {
    #[serde(default)]
    network: RawNetwork,
    #[serde(default)]
    addresses: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawNetwork {
    #[serde(default)]
    spec: RawNetworkSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawNetworkSpec {
    #[serde(default)]
    name: String,
}

/// Reads a task; the error says what is wrong with it.
pub(in crate::world::swarm) fn task(raw: RawTask) -> Result<TaskFact, String> {
    let id = TaskId::from(raw.id);
    let state = |text: &str| {
        state(text).ok_or_else(|| format!("the task {id} is in a state `{text}` that is not known"))
    };
    let since = timestamp(raw.status.timestamp.as_deref())
        .or_else(|| timestamp(raw.created_at.as_deref()))
        .unwrap_or_default();
    let ports = raw.status.port_status.and_then(|status| status.ports);
    Ok(TaskFact {
        service: ServiceId::from(raw.service_id),
        slot: raw.slot,
        node: (!raw.node_id.is_empty()).then_some(NodeId::from(raw.node_id)),
        state: state(&raw.status.state)?,
        desired: state(&raw.desired_state)?,
        addresses: addresses(raw.networks_attachments.unwrap_or_default()),
        host_ports: host_ports(&ports.unwrap_or_default()),
        problem: (!raw.status.err.is_empty()).then_some(raw.status.err),
        since,
        id,
    })
}

fn state(text: &str) -> Option<TaskState> {
    Some(match text {
        "new" | "allocated" | "pending" | "assigned" | "accepted" | "preparing" | "ready"
        | "starting" => TaskState::Waiting,
        "running" => TaskState::Running,
        "complete" => TaskState::Complete,
        "shutdown" => TaskState::Shutdown,
        "failed" => TaskState::Failed,
        "rejected" => TaskState::Rejected,
        "orphaned" => TaskState::Orphaned,
        "remove" => TaskState::Remove,
        _ => return None,
    })
}

/// The first address on each network; the engine writes `10.0.1.2/24`.
fn addresses(attachments: Vec<RawAttachment>) -> BTreeMap<String, IpAddr> {
    let first = |addresses: Vec<String>| {
        let address = addresses.first()?.split('/').next()?;
        address.parse().ok()
    };
    attachments
        .into_iter()
        .filter_map(|attachment| {
            let address = first(attachment.addresses?)?;
            Some((attachment.network.spec.name, address))
        })
        .collect()
}

/// The engine lists each port twice, for IPv4 and IPv6; the first one counts.
fn host_ports(ports: &[RawPort]) -> BTreeMap<u16, u16> {
    let mut found = BTreeMap::new();
    for port in ports {
        if port.publish_mode == "host" && port.protocol == "tcp" && port.published_port != 0 {
            found.entry(port.target_port).or_insert(port.published_port);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Engine 20.10 answers, shortened.
    const RUNNING: &str = r#"{"ID":"eamm1zlakotb64in75qj4247h","CreatedAt":"2026-11-21T09:14:21.834714709Z",
        "ServiceID":"513gz9ohyul3rxzaoznm414jq","Slot":1,"NodeID":"r2z7hogetbkbzru4dznj40t8j",
        "Status":{"Timestamp":"2026-11-21T09:14:23.093094884Z","State":"running","Message":"started",
          "PortStatus":{"Ports":[
            {"Protocol":"tcp","TargetPort":8080,"PublishedPort":32768,"PublishMode":"host"},
            {"Protocol":"tcp","TargetPort":8080,"PublishedPort":32769,"PublishMode":"host"}]}},
        "DesiredState":"running",
        "NetworksAttachments":[{"Network":{"Spec":{"Name":"web"}},"Addresses":["10.0.1.2/24"]}]}"#;

    fn read(json: &str) -> Result<TaskFact, String> {
        task(serde_json::from_str(json).expect("a task"))
    }

    #[test]
    fn a_running_task_has_its_addresses_and_ports() {
        let task = read(RUNNING).expect("sound");
        assert_eq!(
            (task.state, task.desired),
            (TaskState::Running, TaskState::Running)
        );
        assert_eq!(task.addresses["web"].to_string(), "10.0.1.2");
        assert_eq!(task.host_ports, BTreeMap::from([(8080, 32768)]));
        assert_eq!(task.since.to_string(), "2026-11-21T09:14:23.093094884Z");
        assert_eq!(task.problem, None);
    }

    #[test]
    fn a_task_that_is_nowhere_yet_has_no_node() {
        let task = read(r#"{"ID":"a","Status":{"State":"pending","Err":"no suitable node"},"DesiredState":"running"}"#)
            .expect("sound");
        assert_eq!((task.node, task.state), (None, TaskState::Waiting));
        assert_eq!(task.problem.as_deref(), Some("no suitable node"));
    }

    #[test]
    fn an_unknown_state_is_not_guessed() {
        assert!(
            read(r#"{"ID":"a","Status":{"State":"paused"},"DesiredState":"running"}"#).is_err()
        );
    }
}

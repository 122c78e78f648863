//! From the engine's service spec to a template: the inverse of [`super::super::spec`], for services of any owner.
//!
//! Pure. Every field is either taken over or told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::{Fields, Remarks};
use super::{Running, container, deploy, labels};
use crate::api::{Deploy, Logging};
use crate::manifest::adoption::{Adoptee, of_the_node};

/// The label by which `docker stack` knows what is its own.
pub(super) const STACK_NAMESPACE: &str = "com.docker.stack.namespace";

/// How the labels of `docker stack` begin.
const STACK: &str = "com.docker.stack.";

/// Reads the spec of a service; `networks` are the names of networks by their ids.
///
/// # Errors
/// When it runs no container.
pub(super) fn read(spec: &Value, networks: &BTreeMap<String, String>) -> Result<Adoptee, String> {
    let mut spec = Fields::new(spec.clone(), "");
    let service = spec.text("Name").unwrap_or_default();
    let mut remarks = Remarks::new(&service);
    let mut task = spec.part("TaskTemplate");
    if !task.take("PluginSpec").is_null() || !task.take("NetworkAttachmentSpec").is_null() {
        return Err(format!(
            "the service {service} runs no container; only services of containers can be rollouts"
        ));
    }
    let mut template = container::read(task.part("ContainerSpec"), &mut remarks);
    let aliases;
    (template.networks, aliases) = attached(&mut spec, &mut task, networks, &mut remarks);
    let names = called(&service, &template.networks, aliases);
    template.logging = log_driver(task.part("LogDriver"), &mut remarks);
    let deploy = Deploy {
        resources: deploy::resources(task.part("Resources"), &mut remarks),
        placement: deploy::placement(task.part("Placement"), &mut remarks),
        restart_policy: deploy::restart_policy(task.part("RestartPolicy"), &mut remarks),
        labels: own_labels(spec.map("Labels"), "Labels", &mut remarks),
    };
    template.deploy = (deploy != Deploy::default()).then_some(deploy);
    // The counter of `docker service update --force`, and what kind of task it is.
    task.take("ForceUpdate");
    task.take("Runtime");
    task.finish(&mut remarks);
    let replicas = mode(&spec.take("Mode"), &mut remarks);
    updates(&mut spec, &mut remarks);
    let ports = endpoint(spec.part("EndpointSpec"), &mut remarks);
    spec.finish(&mut remarks);
    Ok(Adoptee {
        service,
        template,
        replicas,
        ports,
        names,
        remarks: remarks.into_list(),
    })
}

/// What the service asks for.
pub(super) fn running(mode: &Value) -> Running {
    match mode["Replicated"].as_object() {
        // The engine leaves out a zero in some versions.
        Some(replicated) => {
            let replicas = replicated.get("Replicas").and_then(Value::as_u64);
            Running::Replicas(u32::try_from(replicas.unwrap_or(0)).unwrap_or(u32::MAX))
        }
        None => Running::Unscalable,
    }
}

fn mode(mode: &Value, remarks: &mut Remarks) -> Option<u32> {
    match running(mode) {
        Running::Replicas(replicas) => Some(replicas),
        Running::Unscalable => {
            remarks.lost(
                "Mode",
                "a rollout's services are replicated: shares of the traffic need a number of tasks",
                "set `spec.replicas`; `deploy: {placement: {max_replicas_per_node: 1}}` keeps tasks of a revision on different nodes",
            );
            None
        }
    }
}

/// Drops the labels by which others, or we, know what is theirs: `docker stack rm` would take the rollout's services.
pub(super) fn own_labels(
    mut all: BTreeMap<String, String>,
    field: &str,
    remarks: &mut Remarks,
) -> BTreeMap<String, String> {
    if let Some(stack) = all.get(STACK_NAMESPACE) {
        remarks.replaced(
            field,
            format!("the labels of the stack {stack} are left out, so that `docker stack rm` and `--prune` leave the rollout alone"),
            "take the service out of the stack's file before the stack is deployed again: that would start it anew",
        );
    }
    all.retain(|name, _| !name.starts_with(STACK) && !labels::is_ours(name));
    all
}

/// By which names others call it. Without a network of its own it has none: only user-defined networks have names.
fn called(service: &str, networks: &[String], aliases: Vec<String>) -> BTreeSet<String> {
    if networks.is_empty() {
        return BTreeSet::new();
    }
    let own = service.to_owned();
    aliases.into_iter().chain([own]).collect()
}

/// The networks, and the aliases there.
fn attached(
    spec: &mut Fields,
    task: &mut Fields,
    networks: &BTreeMap<String, String>,
    remarks: &mut Remarks,
) -> (Vec<String>, Vec<String>) {
    // Before API 1.25 they stood in the service itself.
    let former = spec.parts("Networks");
    let mut attachments = task.parts("Networks");
    if attachments.is_empty() {
        attachments = former;
    }
    let (mut names, mut aliases) = (Vec::new(), Vec::new());
    for mut attachment in attachments {
        let target = attachment.text("Target").unwrap_or_default();
        aliases.extend(attachment.texts("Aliases"));
        let path = attachment.path("Target");
        attachment.finish(remarks);
        let name = networks.get(&target).cloned().unwrap_or(target);
        match of_the_node(&name) {
            Some((problem, remedy)) => remarks.lost(&path, problem, remedy),
            None => names.push(name),
        }
    }
    (names, aliases)
}

fn log_driver(mut driver: Fields, remarks: &mut Remarks) -> Option<Logging> {
    let logging = Logging {
        driver: driver.text("Name"),
        options: driver.map("Options"),
    };
    driver.finish(remarks);
    let says_nothing = logging.driver.is_none() && logging.options.is_empty();
    (!says_nothing).then_some(logging)
}

fn updates(spec: &mut Fields, remarks: &mut Remarks) {
    if !spec.take("UpdateConfig").is_null() {
        remarks.replaced(
            "UpdateConfig",
            "the rollout's strategy takes the place of Swarm's own updates",
            "say in `spec.strategy` how a new revision comes in",
        );
    }
    if !spec.take("RollbackConfig").is_null() {
        remarks.replaced(
            "RollbackConfig",
            "the rollout takes the place of Swarm's own rollback",
            "say in `spec.onFailure` what happens when a stage fails",
        );
    }
}

/// What is published in ingress mode, which is the engine's default.
fn in_mesh(spec: &Value) -> impl Iterator<Item = &Value> {
    let listed = spec["EndpointSpec"]["Ports"].as_array();
    let listed = listed.into_iter().flatten();
    listed.filter(|port| port["PublishMode"] != "host")
}

/// The ports published in ingress mode.
pub(super) fn mesh_ports(spec: &Value) -> Vec<u16> {
    in_mesh(spec)
        .filter_map(|port| u16::try_from(port["PublishedPort"].as_u64()?).ok())
        .collect()
}

/// The ports of nodes by which anybody may come, in words: those of the routing mesh, and those of a number that was asked for in
/// host mode. One that the engine chooses there is another one with each task, and nobody's address.
pub(super) fn ways_in(spec: &Value) -> Vec<String> {
    let words = |port: &Value| {
        let protocol = port["Protocol"].as_str().unwrap_or("tcp");
        published(port["PublishedPort"].as_u64().unwrap_or(0), protocol)
    };
    let of_mesh = in_mesh(spec).map(|port| format!("{} of every node", words(port)));
    let listed = spec["EndpointSpec"]["Ports"].as_array();
    let in_host_mode = listed.into_iter().flatten().filter(|port| {
        port["PublishMode"] == "host" && port["PublishedPort"].as_u64().is_some_and(|port| port > 0)
    });
    let of_nodes = in_host_mode.map(|port| format!("{} of each node with a task", words(port)));
    of_mesh.chain(of_nodes).collect()
}

fn published(port: u64, protocol: &str) -> String {
    match port {
        0 => "a port of the engine's choice".to_owned(),
        port => format!("port {port}/{protocol}"),
    }
}

/// The container's TCP ports that are published.
fn endpoint(mut endpoint: Fields, remarks: &mut Remarks) -> Vec<u16> {
    if endpoint.text("Mode").is_some_and(|mode| mode == "vip") {
        remarks.replaced(
            &endpoint.path("Mode"),
            "a rollout's services have no virtual IP: the proxies send to each task itself",
            "let other services go through HAProxy, or call the rollout's name, which has the tasks' addresses",
        );
    }
    let mut targets = Vec::new();
    for mut port in endpoint.parts("Ports") {
        let target = port
            .number("TargetPort")
            .and_then(|port| u16::try_from(port).ok());
        let published = port.number("PublishedPort").unwrap_or(0);
        let protocol = port.text("Protocol").unwrap_or_else(|| "tcp".to_owned());
        let path = port.path("PublishMode");
        let in_host_mode = port.text("PublishMode").is_some_and(|mode| mode == "host");
        port.take("Name");
        port.finish(remarks);
        tell_port(
            &path,
            (target.unwrap_or(0), published, &protocol),
            in_host_mode,
            remarks,
        );
        targets.extend(target.filter(|_| protocol == "tcp"));
    }
    endpoint.finish(remarks);
    targets
}

fn tell_port(
    path: &str,
    (target, published, protocol): (u16, u64, &str),
    in_host_mode: bool,
    remarks: &mut Remarks,
) {
    let number = published;
    let published = self::published(number, protocol);
    if in_host_mode && number == 0 {
        remarks.replaced(
            path,
            format!(
                "{published} of the nodes is published for {target}, as a rollout does it, too"
            ),
            "choose `spec.traffic.reach: host`",
        );
    } else if in_host_mode {
        remarks.lost(
            path,
            format!("{published} of each node with a task leads to {target}, and will lead nowhere once the old service has no tasks; a rollout lets the engine choose the port, so that two revisions fit on one node"),
            "choose `spec.traffic.reach: host`, and let clients go to HAProxy first instead of the nodes",
        );
    } else {
        remarks.lost(
            path,
            format!("{published} of every node leads to {target} by the routing mesh, and will lead nowhere once the old service has no tasks"),
            "let clients go to HAProxy first: its front end can `bind` that port on other addresses than the nodes', or DNS can lead to it",
        );
    }
}

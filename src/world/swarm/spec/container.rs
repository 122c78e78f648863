//! What a task's container is made of (Engine API, `TaskTemplate.ContainerSpec`).

use std::collections::HashMap;

use bollard::models::{
    HealthConfig, Mount as EngineMount, MountType, TaskSpecContainerSpec,
    TaskSpecContainerSpecConfigs, TaskSpecContainerSpecDnsConfig, TaskSpecContainerSpecFile,
    TaskSpecContainerSpecFile1, TaskSpecContainerSpecSecrets,
};

use super::super::references::References;
use super::nanoseconds;
use crate::api::{FileReference, Healthcheck, Mount, MountKind, Template};

/// Read-only for everybody: what `docker` gives a secret or config of which nothing is said.
const DEFAULT_MODE: u32 = 0o444;

/// Builds what a container of `template` is made of, with labels of our `own`.
pub(super) fn build(
    template: &Template,
    own: [(String, String); 2],
    references: &References,
) -> Result<TaskSpecContainerSpec, String> {
    let mut labels: HashMap<_, _> = template.labels.clone().into_iter().collect();
    labels.extend(own);
    Ok(TaskSpecContainerSpec {
        image: Some(template.image.clone()),
        labels: Some(labels),
        command: template.entrypoint.as_ref().map(|line| line.0.clone()),
        args: template.command.as_ref().map(|line| line.0.clone()),
        hostname: template.hostname.clone(),
        env: some(environment(template)),
        dir: template.working_dir.clone(),
        user: template.user.clone(),
        read_only: template.read_only,
        mounts: some(template.volumes.iter().map(mount).collect()),
        stop_signal: template.stop_signal.clone(),
        stop_grace_period: template.stop_grace_period.map(nanoseconds),
        health_check: template.healthcheck.as_ref().map(health_check),
        hosts: some(hosts(template)?),
        dns_config: some(template.dns.clone()).map(|nameservers| TaskSpecContainerSpecDnsConfig {
            nameservers: Some(nameservers),
            ..TaskSpecContainerSpecDnsConfig::default()
        }),
        secrets: some(secrets(template, references)),
        configs: some(configs(template, references)),
        init: template.init,
        sysctls: (!template.sysctls.is_empty())
            .then(|| template.sysctls.clone().into_iter().collect()),
        capability_add: some(capabilities(&template.cap_add)),
        capability_drop: some(capabilities(&template.cap_drop)),
        ..TaskSpecContainerSpec::default()
    })
}

/// An empty list is left out.
fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

fn environment(template: &Template) -> Vec<String> {
    let variables = template.environment.0.iter();
    variables
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// Compose writes `name:address` (or `name=address`), the engine `address name`, as hosts(5) does.
fn hosts(template: &Template) -> Result<Vec<String>, String> {
    let lines = template.extra_hosts.iter().map(|entry| {
        let pair = entry.split_once('=').or_else(|| entry.split_once(':'));
        match pair {
            Some((name, address)) if !name.is_empty() && !address.is_empty() => {
                Ok(format!("{address} {name}"))
            }
            _ => Err(format!(
                "`{entry}` in extra_hosts is no pair; write \"name:address\""
            )),
        }
    });
    lines.collect()
}

/// The engine knows capabilities as `CAP_NET_ADMIN`; people write `net_admin` as well.
fn capabilities(names: &[String]) -> Vec<String> {
    let full = |name: &String| {
        let upper = name.to_ascii_uppercase();
        if upper == "ALL" || upper.starts_with("CAP_") {
            upper
        } else {
            format!("CAP_{upper}")
        }
    };
    names.iter().map(full).collect()
}

fn mount(mount: &Mount) -> EngineMount {
    EngineMount {
        typ: Some(match mount.kind {
            MountKind::Bind => MountType::BIND,
            MountKind::Volume => MountType::VOLUME,
            MountKind::Tmpfs => MountType::TMPFS,
        }),
        source: mount.source.clone(),
        target: Some(mount.target.clone()),
        read_only: mount.read_only.then_some(true),
        ..EngineMount::default()
    }
}

fn health_check(check: &Healthcheck) -> HealthConfig {
    HealthConfig {
        test: some(check.test.clone()),
        interval: check.interval.map(nanoseconds),
        timeout: check.timeout.map(nanoseconds),
        retries: check.retries.map(i64::from),
        start_period: check.start_period.map(nanoseconds),
        start_interval: None,
    }
}

fn target(reference: &FileReference) -> String {
    let target = reference.target.as_ref().unwrap_or(&reference.source);
    target.clone()
}

fn owner(id: Option<&String>) -> String {
    id.cloned().unwrap_or_else(|| "0".to_owned())
}

fn secrets(template: &Template, references: &References) -> Vec<TaskSpecContainerSpecSecrets> {
    let convert = |secret: &FileReference| TaskSpecContainerSpecSecrets {
        file: Some(TaskSpecContainerSpecFile {
            name: Some(target(secret)),
            uid: Some(owner(secret.uid.as_ref())),
            gid: Some(owner(secret.gid.as_ref())),
            mode: Some(secret.mode.unwrap_or(DEFAULT_MODE)),
        }),
        secret_id: Some(references.secret(&secret.source)),
        secret_name: Some(secret.source.clone()),
    };
    template.secrets.iter().map(convert).collect()
}

fn configs(template: &Template, references: &References) -> Vec<TaskSpecContainerSpecConfigs> {
    let convert = |config: &FileReference| TaskSpecContainerSpecConfigs {
        file: Some(TaskSpecContainerSpecFile1 {
            name: Some(target(config)),
            uid: Some(owner(config.uid.as_ref())),
            gid: Some(owner(config.gid.as_ref())),
            mode: Some(config.mode.unwrap_or(DEFAULT_MODE)),
        }),
        runtime: None,
        config_id: Some(references.config(&config.source)),
        config_name: Some(config.source.clone()),
    };
    template.configs.iter().map(convert).collect()
}

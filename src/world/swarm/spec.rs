//! From a revision's template to the engine's service spec (Engine API, `ServiceSpec`).
//!
//! Pure. Where Compose and the engine write the same thing in two ways, this follows what
//! `docker stack deploy` does (docker/cli, `cli/compose/convert`).

use std::collections::HashMap;

use bollard::models::{
    EndpointPortConfig, EndpointPortConfigProtocolEnum, EndpointPortConfigPublishModeEnum,
    EndpointSpec, EndpointSpecModeEnum, Limit, NetworkAttachmentConfig, ResourceObject,
    ServiceSpec, ServiceSpecMode, ServiceSpecModeReplicated, ServiceSpecUpdateConfig,
    ServiceSpecUpdateConfigFailureActionEnum, ServiceSpecUpdateConfigOrderEnum, TaskSpec,
    TaskSpecLogDriver, TaskSpecPlacement, TaskSpecPlacementPreferences, TaskSpecPlacementSpread,
    TaskSpecResources, TaskSpecRestartPolicy, TaskSpecRestartPolicyConditionEnum,
};

use serde_json::Value;

use super::drift;
use super::labels;
use super::references::References;
use crate::action::NewService;
use crate::api::{
    Access, Deploy, Duration, Logging, Placement, Reach, Resources, RestartCondition,
    RestartPolicy, Template,
};

mod container;
pub(super) mod job;
mod quantity;

/// Builds the spec of the service `new`, as JSON; `references` are the ids of what its template names.
///
/// # Errors
/// A quantity or an address of the template that is none, with what would be right.
pub(super) fn build(new: &NewService, references: &References) -> Result<Value, String> {
    let spec = ServiceSpec {
        name: Some(new.name()),
        labels: Some(service_labels(new)),
        task_template: Some(task(new, references)?),
        mode: Some(ServiceSpecMode {
            replicated: Some(ServiceSpecModeReplicated {
                replicas: Some(i64::from(new.replicas)),
            }),
            ..ServiceSpecMode::default()
        }),
        update_config: Some(restore_one_at_a_time()),
        endpoint_spec: Some(endpoint(new)),
        ..ServiceSpec::default()
    };
    as_written(&spec)
}

/// The spec as the engine writes it, with the label that tells how we made it.
fn as_written(spec: &ServiceSpec) -> Result<Value, String> {
    let mut spec = serde_json::to_value(spec).map_err(|err| err.to_string())?;
    respell(&mut spec["TaskTemplate"]["ContainerSpec"]);
    let made = drift::fingerprint(&spec);
    spec["Labels"][labels::MADE] = Value::String(made);
    Ok(spec)
}

/// The API's description, and so bollard, spells it `HealthCheck`. The engine reads that as well,
/// but writes `Healthcheck`.
fn respell(container: &mut Value) {
    if let Some(container) = container.as_object_mut()
        && let Some(check) = container.remove("HealthCheck")
    {
        container.insert("Healthcheck".to_owned(), check);
    }
}

fn service_labels(new: &NewService) -> HashMap<String, String> {
    let mut labels: HashMap<_, _> = new
        .template
        .deploy
        .iter()
        .flat_map(|deploy| deploy.labels.clone())
        .collect();
    labels.extend(own_labels(new));
    labels
}

/// What says whose a service or container is.
fn own_labels(new: &NewService) -> [(String, String); 2] {
    [
        (labels::ROLLOUT.to_owned(), new.rollout.to_string()),
        (labels::REVISION.to_owned(), new.revision.to_string()),
    ]
}

/// Only a restored service has tasks to replace: each new one is to run before an old one stops.
fn restore_one_at_a_time() -> ServiceSpecUpdateConfig {
    ServiceSpecUpdateConfig {
        parallelism: Some(1),
        order: Some(ServiceSpecUpdateConfigOrderEnum::START_FIRST),
        failure_action: Some(ServiceSpecUpdateConfigFailureActionEnum::PAUSE),
        ..ServiceSpecUpdateConfig::default()
    }
}

/// Never a virtual IP: the proxies send to tasks. With `reach: host` the engine chooses the node's
/// port, so that tasks of several revisions fit on one node.
fn endpoint(new: &NewService) -> EndpointSpec {
    let published = |port: u16, node: Option<u16>| {
        vec![EndpointPortConfig {
            protocol: Some(EndpointPortConfigProtocolEnum::TCP),
            target_port: Some(i64::from(port)),
            published_port: node.map(i64::from),
            publish_mode: Some(EndpointPortConfigPublishModeEnum::HOST),
            ..EndpointPortConfig::default()
        }]
    };
    let ports = match new.access {
        Access::Proxied {
            port,
            reach: Reach::Host,
        } => Some(published(port, None)),
        Access::Published { port, host_port } => Some(published(port, Some(host_port))),
        Access::Proxied {
            reach: Reach::Network,
            ..
        }
        | Access::Named {} => None,
    };
    EndpointSpec {
        mode: Some(EndpointSpecModeEnum::DNSRR),
        ports,
    }
}

fn task(new: &NewService, references: &References) -> Result<TaskSpec, String> {
    let template = &new.template;
    let deploy = template.deploy.as_ref();
    let resources = deploy.and_then(|deploy| deploy.resources.as_ref());
    Ok(TaskSpec {
        container_spec: Some(container::build(template, own_labels(new), references)?),
        resources: resources.map(task_resources).transpose()?,
        restart_policy: deploy
            .and_then(|deploy| deploy.restart_policy.as_ref())
            .map(restart_policy),
        placement: deploy.and_then(placement),
        networks: networks(new, template, references),
        log_driver: template.logging.as_ref().map(log_driver),
        ..TaskSpec::default()
    })
}

/// Attaches the networks in the template's order, under the rollout's name for their other users.
fn networks(
    new: &NewService,
    template: &Template,
    references: &References,
) -> Option<Vec<NetworkAttachmentConfig>> {
    let attached: Vec<_> = template
        .networks
        .iter()
        .map(|name| NetworkAttachmentConfig {
            target: Some(references.network(name)),
            aliases: Some(vec![new.rollout.to_string()]),
            driver_opts: None,
        })
        .collect();
    (!attached.is_empty()).then_some(attached)
}

fn task_resources(resources: &Resources) -> Result<TaskSpecResources, String> {
    let limits = resources.limits.as_ref().map(|limits| {
        Ok::<_, String>(Limit {
            nano_cpus: quantity::nano_cpus(limits.cpus.as_deref())?,
            memory_bytes: quantity::bytes(limits.memory.as_deref())?,
            pids: limits.pids.map(i64::from),
        })
    });
    let reservations = resources.reservations.as_ref().map(|reserved| {
        Ok::<_, String>(ResourceObject {
            nano_cpus: quantity::nano_cpus(reserved.cpus.as_deref())?,
            memory_bytes: quantity::bytes(reserved.memory.as_deref())?,
            generic_resources: None,
        })
    });
    Ok(TaskSpecResources {
        limits: limits.transpose()?,
        reservations: reservations.transpose()?,
        ..TaskSpecResources::default()
    })
}

fn restart_policy(policy: &RestartPolicy) -> TaskSpecRestartPolicy {
    TaskSpecRestartPolicy {
        condition: policy.condition.map(|condition| match condition {
            RestartCondition::None => TaskSpecRestartPolicyConditionEnum::NONE,
            RestartCondition::OnFailure => TaskSpecRestartPolicyConditionEnum::ON_FAILURE,
            RestartCondition::Any => TaskSpecRestartPolicyConditionEnum::ANY,
        }),
        delay: policy.delay.map(nanoseconds),
        max_attempts: policy.max_attempts.map(i64::from),
        window: policy.window.map(nanoseconds),
    }
}

fn placement(deploy: &Deploy) -> Option<TaskSpecPlacement> {
    let Placement {
        constraints,
        preferences,
        max_replicas_per_node,
    } = deploy.placement.as_ref()?;
    let spread = |descriptor: &String| TaskSpecPlacementPreferences {
        spread: Some(TaskSpecPlacementSpread {
            spread_descriptor: Some(descriptor.clone()),
        }),
    };
    Some(TaskSpecPlacement {
        constraints: Some(constraints.clone()),
        preferences: Some(preferences.iter().map(|p| spread(&p.spread)).collect()),
        max_replicas: max_replicas_per_node.map(i64::from),
        platforms: None,
    })
}

fn log_driver(logging: &Logging) -> TaskSpecLogDriver {
    TaskSpecLogDriver {
        name: logging.driver.clone(),
        options: Some(logging.options.clone().into_iter().collect()),
    }
}

/// The engine counts durations in nanoseconds.
fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis())
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn new(template: Value, reach: Reach) -> NewService {
        NewService {
            rollout: "web".parse().expect("a name"),
            revision: "0123456789".parse().expect("a revision"),
            template: serde_json::from_value::<Template>(template)
                .expect("a template")
                .into(),
            access: Access::Proxied { port: 8080, reach },
            replicas: 3,
        }
    }

    fn built(template: Value, reach: Reach) -> Value {
        build(&new(template, reach), &References::default()).expect("a spec")
    }

    #[test]
    fn a_service_is_named_labelled_and_never_behind_a_virtual_ip() {
        let spec = built(json!({"image": "app:v1"}), Reach::Network);
        assert_eq!(spec["Name"], "web-0123456789");
        assert_eq!(spec["Labels"][labels::ROLLOUT], "web");
        assert_eq!(spec["Mode"], json!({"Replicated": {"Replicas": 3}}));
        assert_eq!(spec["EndpointSpec"], json!({"Mode": "dnsrr"}));
    }

    #[test]
    fn with_reach_host_the_engine_chooses_the_nodes_port() {
        let spec = built(json!({"image": "app:v1"}), Reach::Host);
        let port = json!({"Protocol": "tcp", "TargetPort": 8080, "PublishMode": "host"});
        assert_eq!(spec["EndpointSpec"]["Ports"], json!([port]));
    }

    #[test]
    fn what_compose_and_the_engine_write_in_two_ways_is_converted() {
        let template = json!({
            "image": "app:v1", "entrypoint": ["/app"], "command": "serve --fast",
            "environment": {"B": 2, "A": ""}, "extra_hosts": ["db:fd00::9", "kv=10.0.0.9"],
            "cap_add": ["net_admin"], "stop_grace_period": "30s", "networks": ["news"],
            "healthcheck": {"test": "true", "interval": "2s"},
            "deploy": {"resources": {"limits": {"cpus": "0.5", "memory": "128M"}}},
        });
        let spec = built(template, Reach::Network);
        let task = &spec["TaskTemplate"];
        let container = &task["ContainerSpec"];
        assert_eq!(container["Command"], json!(["/app"]));
        assert_eq!(container["Args"], json!(["serve", "--fast"]));
        assert_eq!(container["Env"], json!(["A=", "B=2"]));
        assert_eq!(container["Hosts"], json!(["fd00::9 db", "10.0.0.9 kv"]));
        assert_eq!(container["CapabilityAdd"], json!(["CAP_NET_ADMIN"]));
        assert_eq!(container["StopGracePeriod"], 30_000_000_000_u64);
        assert_eq!(
            container["Healthcheck"]["Test"],
            json!(["CMD-SHELL", "true"])
        );
        assert_eq!(task["Networks"][0]["Aliases"], json!(["web"]));
        let limits = json!({"NanoCPUs": 500_000_000, "MemoryBytes": 134_217_728});
        assert_eq!(task["Resources"]["Limits"], limits);
    }

    #[test]
    fn safety_3_a_template_cannot_pose_as_another_rollout() {
        let labels = json!({labels::ROLLOUT: "other"});
        let spec = built(
            json!({"image": "a", "deploy": {"labels": labels}}),
            Reach::Network,
        );
        assert_eq!(spec["Labels"][labels::ROLLOUT], "web");
    }

    #[test]
    fn a_fresh_spec_has_not_drifted() {
        let spec = built(json!({"image": "app:v1"}), Reach::Host);
        assert_eq!(drift::find(&spec), None);
    }
}

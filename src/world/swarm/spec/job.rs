//! From a metric's job to the engine's service spec: a replicated job of one task (Engine API 1.41, `ReplicatedJob`).

use bollard::models::{
    EndpointSpec, EndpointSpecModeEnum, NetworkAttachmentConfig, ServiceSpec, ServiceSpecMode,
    ServiceSpecModeReplicatedJob, TaskSpec, TaskSpecRestartPolicy,
    TaskSpecRestartPolicyConditionEnum,
};
use serde_json::Value;

use super::super::labels;
use super::super::references::References;
use super::{as_written, container, log_driver, placement, task_resources};
use crate::action::NewJob;
use crate::api::Template;

/// Builds the spec of the service that runs `new`, as JSON; `references` are the ids of what its template names.
///
/// # Errors
/// A quantity or an address of the template that is none, with what would be right.
pub(in crate::world::swarm) fn build(
    new: &NewJob,
    references: &References,
) -> Result<Value, String> {
    let mut template = new.template.as_ref().clone();
    template.environment.0.extend(new.told.clone());
    let own = own_labels(new)?;
    let deploy = template.deploy.iter();
    let labels = deploy.flat_map(|deploy| deploy.labels.clone());
    let spec = ServiceSpec {
        name: Some(new.name()),
        labels: Some(labels.chain(own.clone()).collect()),
        task_template: Some(task(&template, own, references)?),
        mode: Some(ServiceSpecMode {
            replicated_job: Some(ServiceSpecModeReplicatedJob {
                max_concurrent: Some(1),
                total_completions: Some(1),
            }),
            ..ServiceSpecMode::default()
        }),
        // Nobody asks anything of a job: it needs no virtual IP, and no name that anybody looks up.
        endpoint_spec: Some(EndpointSpec {
            mode: Some(EndpointSpecModeEnum::DNSRR),
            ports: None,
        }),
        ..ServiceSpec::default()
    };
    as_written(&spec)
}

/// What says whose it is. It has no revision, so that nobody takes it for what serves.
fn own_labels(new: &NewJob) -> Result<[(String, String); 2], String> {
    let key = serde_json::to_string(&new.key).map_err(|err| err.to_string())?;
    Ok([
        (labels::ROLLOUT.to_owned(), new.key.rollout.to_string()),
        (labels::JOB.to_owned(), key),
    ])
}

fn task(
    template: &Template,
    own: [(String, String); 2],
    references: &References,
) -> Result<TaskSpec, String> {
    let deploy = template.deploy.as_ref();
    let resources = deploy.and_then(|deploy| deploy.resources.as_ref());
    Ok(TaskSpec {
        container_spec: Some(container::build(template, own, references)?),
        resources: resources.map(task_resources).transpose()?,
        // How often it is tried is a matter of the metric's limits.
        restart_policy: Some(TaskSpecRestartPolicy {
            condition: Some(TaskSpecRestartPolicyConditionEnum::NONE),
            ..TaskSpecRestartPolicy::default()
        }),
        placement: deploy.and_then(placement),
        networks: networks(template, references),
        log_driver: template.logging.as_ref().map(log_driver),
        ..TaskSpec::default()
    })
}

/// Without an alias: under the rollout's name are those that serve.
fn networks(template: &Template, references: &References) -> Option<Vec<NetworkAttachmentConfig>> {
    let names = template.networks.iter();
    let attached: Vec<_> = names
        .map(|name| NetworkAttachmentConfig {
            target: Some(references.network(name)),
            ..NetworkAttachmentConfig::default()
        })
        .collect();
    (!attached.is_empty()).then_some(attached)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::snapshot::SampleKey;
    use crate::world::swarm::drift;

    fn built(template: Value) -> Value {
        let new = NewJob {
            key: SampleKey {
                rollout: "web".parse().expect("a name"),
                attempt: 2,
                stage: 0,
                since: Timestamp::UNIX_EPOCH,
                metric: "tests".parse().expect("a name"),
                digest: None,
                number: 1,
            },
            template: serde_json::from_value::<Template>(template)
                .expect("a template")
                .into(),
            told: [("ROLLOUTCTL_CANARY".to_owned(), "$(rm -rf /)".to_owned())].into(),
        };
        build(&new, &References::default()).expect("a spec")
    }

    #[test]
    fn analysis_6_a_job_runs_once_and_is_never_restarted() {
        let deploy = json!({"restart_policy": {"condition": "any"}});
        let spec = built(json!({"image": "tests:1", "deploy": deploy}));
        let once = json!({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}});
        assert_eq!(spec["Mode"], once);
        let policy = &spec["TaskTemplate"]["RestartPolicy"];
        assert_eq!(policy["Condition"], "none");
        assert_eq!(
            spec.get("UpdateConfig"),
            None,
            "the engine takes none for a job"
        );
    }

    #[test]
    fn safety_3_a_job_is_known_by_labels_of_its_own_and_never_as_a_revision() {
        let posing = json!({labels::JOB: "x", labels::ROLLOUT: "other"});
        let spec = built(json!({"image": "tests:1", "deploy": {"labels": posing}}));
        assert_eq!(spec["Labels"][labels::ROLLOUT], "web");
        assert_eq!(spec["Labels"].get(labels::REVISION), None);
        let key: Value = serde_json::from_str(spec["Labels"][labels::JOB].as_str().expect("text"))
            .expect("JSON");
        assert_eq!(
            (&key["attempt"], &key["metric"]),
            (&json!(2), &json!("tests"))
        );
        assert!(spec["Name"].as_str().expect("a name").starts_with("web_"));
        assert_eq!(drift::find(&spec), None);
    }

    #[test]
    fn analysis_4_what_a_job_is_told_stands_in_its_environment_as_it_is() {
        let spec = built(json!({"image": "tests:1", "networks": ["news"],
            "environment": {"ROLLOUTCTL_CANARY": "posing", "DEEP": "yes"}}));
        let container = &spec["TaskTemplate"]["ContainerSpec"];
        let env = json!(["DEEP=yes", "ROLLOUTCTL_CANARY=$(rm -rf /)"]);
        assert_eq!(container["Env"], env);
        let network = &spec["TaskTemplate"]["Networks"][0];
        assert_eq!(
            network.get("Aliases"),
            None,
            "the rollout's name is for what serves"
        );
    }
}

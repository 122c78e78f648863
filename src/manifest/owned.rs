//! Fields of Compose, and of neighbours, that have no place in a manifest because the rollout owns
//! what they say: why, and what to write instead.

use super::path::{FieldPath, Segment};

/// The problem and remedy for the field at `path`, if it is one that users bring along.
pub(super) fn field(path: &FieldPath) -> Option<(&'static str, &'static str)> {
    let name = path.last_key()?;
    let parent = match path.0.as_slice() {
        [.., Segment::Key(list), Segment::Index(_), _] if list == "stages" => {
            return in_stage(name);
        }
        [.., Segment::Key(parent), _] => parent.as_str(),
        _ => return None,
    };
    match parent {
        "template" if path.0.contains(&Segment::Key("job".to_owned())) => in_job(name),
        "template" => in_template(name),
        "deploy" => in_deploy(name),
        "healthcheck" => in_healthcheck(name),
        "spec" => in_spec(name),
        _ => None,
    }
}

fn in_stage(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "pause" => Some((
            "a stage ends by itself, or waits for somebody",
            "write `bake: 10m` for a time, or `approval: true` for `rolloutctl promote`",
        )),
        _ => None,
    }
}

/// What of a template has another meaning, or none, for a job.
fn in_job(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "ports" | "expose" => Some((
            "nobody asks anything of a job: it asks",
            "remove it; name the networks on which it reaches the canary in `networks`",
        )),
        "scale" | "replicas" => Some(("a job is one task", "remove it")),
        "restart" => Some((
            "Swarm does not restart a job: each run is a measurement",
            "remove it; `failureLimit` says how often the job may fail before the stage does",
        )),
        _ => in_template(name),
    }
}

fn in_template(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "ports" | "expose" => (
            "the rollout publishes the port, by `spec.traffic`",
            "remove it; name the container's port in `spec.traffic.port`, and choose `spec.traffic.reach: host` for a host-mode published port",
        ),
        "container_name" => (
            "each revision is a service of its own and names its tasks itself",
            "remove it; the service is called by the rollout's name and the revision",
        ),
        "build" => (
            "nothing is built here: a revision must run the same image on every node",
            "build and push the image before, and name it in `image`",
        ),
        "depends_on" | "links" | "external_links" => (
            "Swarm starts services in no order",
            "remove it; let the program wait for what it needs, and the health check tell when it is ready",
        ),
        "env_file" => (
            "files beside the manifest are not read, so that a manifest alone tells the revision",
            "write the variables into `environment`",
        ),
        "restart" => (
            "Swarm restarts tasks by `deploy.restart_policy`",
            "remove it, or write `deploy: {restart_policy: {condition: any}}`",
        ),
        "network_mode" => (
            "a task is reached by a Swarm network or a published port",
            "remove it; name networks in `networks`, and see `spec.traffic.reach`",
        ),
        "scale" => (
            "the rollout owns the number of tasks",
            "remove it and set `spec.replicas`",
        ),
        "name" => (
            "the rollout names its services",
            "remove it; the name is in `metadata.name`",
        ),
        "privileged" | "devices" | "cgroup_parent" | "security_opt" | "pid" | "ipc"
        | "userns_mode" | "tmpfs" => (
            "Swarm services do not have this Compose field",
            "remove it; for memory mounts use `volumes` with `type: tmpfs`",
        ),
        "mem_limit" | "cpus" | "mem_reservation" => (
            "limits stand in `deploy.resources`",
            "write `deploy: {resources: {limits: {cpus: \"0.5\", memory: 128M}}}`",
        ),
        "extends" | "profiles" | "pull_policy" | "develop" => (
            "this field is for `docker compose`, which is not used here",
            "remove it",
        ),
        "replicas" => (
            "the rollout owns the number of tasks",
            "set `spec.replicas`",
        ),
        _ => return None,
    })
}

fn in_deploy(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "replicas" => (
            "the rollout owns the number of tasks",
            "remove it and set `spec.replicas`",
        ),
        "mode" => (
            "a rollout's services are replicated: shares of the traffic need a number of tasks",
            "remove it and set `spec.replicas`",
        ),
        "update_config" => (
            "the rollout replaces Swarm's own updates",
            "remove it; say in `spec.strategy` how a new revision comes in",
        ),
        "rollback_config" => (
            "the rollout replaces Swarm's own rollback",
            "remove it; say in `spec.onFailure` what happens when a stage fails",
        ),
        "endpoint_mode" => (
            "the proxies reach each task by its own address, never by a virtual IP",
            "remove it",
        ),
        _ => return None,
    })
}

fn in_healthcheck(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "disable" => (
            "a check is switched off by its test",
            "write `test: [NONE]`",
        ),
        "start_interval" => (
            "Swarm services do not have this Compose field",
            "remove it; a shorter `interval` serves the start as well",
        ),
        _ => return None,
    })
}

fn in_spec(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "stages" | "steps" | "canary" => (
            "the stages belong to a strategy",
            "write `strategy: {canary: {stages: [...]}}`",
        ),
        "selector" => (
            "a rollout owns its tasks by their service, not by labels",
            "remove it",
        ),
        "image" => (
            "the image belongs to the template",
            "write `template: {image: ...}`",
        ),
        _ => return None,
    })
}

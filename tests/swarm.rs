//! The Swarm and the store on a real engine: the lab's, if there is one (`tests/lab env`).
//!
//! Every test makes objects under names of its own and removes them again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rolloutctl::action::{Action, NewService, ServiceTarget};
use rolloutctl::api::{
    HaproxySpec, LoadBalancerSpec, Manifest, Metadata, Name, Reach, Resource, Template,
};
use rolloutctl::snapshot::{ServiceFact, TaskFact, TaskState};
use rolloutctl::world::docker::{Engine, Settings, connect};
use rolloutctl::world::store::{MAX_OBJECT, Store};
use rolloutctl::world::swarm::{Swarm, SwarmFacts};
use rolloutctl::world::{Draft, WorldError};

/// How long anything in the lab may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lab's engine, if there is a lab.
async fn lab() -> Option<Engine> {
    if std::env::var_os("LAB_DIR").is_none() {
        eprintln!("skipped: no lab; start one by `tests/lab up` and `eval \"$(tests/lab env)\"`");
        return None;
    }
    Some(
        connect(&Settings::from_env())
            .await
            .expect("the lab's engine"),
    )
}

fn network() -> String {
    std::env::var("LAB_NETWORK").expect("the lab names its network")
}

/// A name that no other run uses.
fn unique(what: &str) -> Name {
    let name = format!("it-{what}-{}", std::process::id());
    name.parse().expect("a name")
}

fn template(yaml_as_json: serde_json::Value) -> Template {
    serde_json::from_value(yaml_as_json).expect("a template")
}

fn plain(rollout: &Name, reach: Reach, replicas: u32) -> NewService {
    NewService {
        rollout: rollout.clone(),
        revision: "0123456789".parse().expect("a revision"),
        template: template(serde_json::json!({
            "image": "demo-app:v1",
            "networks": [network()],
            "environment": {"MODE": "it"},
            "stop_grace_period": "1s",
        })),
        port: 8080,
        reach,
        replicas,
    }
}

fn service<'a>(facts: &'a SwarmFacts, new: &NewService) -> Option<&'a ServiceFact> {
    facts.services.get(&new.name())
}

fn target(fact: &ServiceFact) -> ServiceTarget {
    ServiceTarget {
        id: fact.id.clone(),
        name: fact.name.clone(),
        version: fact.version,
    }
}

fn tasks<'a>(facts: &'a SwarmFacts, service: &ServiceFact) -> Vec<&'a TaskFact> {
    let tasks = facts.tasks.values();
    tasks.filter(|task| task.service == service.id).collect()
}

fn running(facts: &SwarmFacts, service: &ServiceFact) -> Vec<TaskFact> {
    let both =
        |task: &&TaskFact| task.state == TaskState::Running && task.desired == TaskState::Running;
    let tasks = tasks(facts, service).into_iter();
    tasks.filter(both).cloned().collect()
}

/// Observes until `enough` is content.
#[expect(clippy::disallowed_methods, reason = "a test polls a real engine")]
async fn until(swarm: &Swarm, what: &str, enough: impl Fn(&SwarmFacts) -> bool) -> SwarmFacts {
    let began = Instant::now();
    loop {
        let facts = swarm.observe().await.expect("a look");
        if enough(&facts) {
            return facts;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}\n{facts:#?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until the service has `count` tasks that run.
async fn until_running(swarm: &Swarm, new: &NewService, count: usize) -> SwarmFacts {
    until(swarm, "its tasks run", |facts| {
        service(facts, new).is_some_and(|fact| running(facts, fact).len() == count)
    })
    .await
}

/// Removes a service, whatever its version, and waits until its tasks have ended.
async fn clear(swarm: &Swarm, new: &NewService) {
    let facts = swarm.observe().await.expect("a look");
    let Some(fact) = service(&facts, new).cloned() else {
        return;
    };
    let service = target(&fact);
    swarm
        .act(&Action::RemoveService { service })
        .await
        .expect("removed");
    until(swarm, "its tasks are gone", |facts| {
        tasks(facts, &fact).is_empty()
    })
    .await;
}

/// Another hand: the `docker` command.
async fn docker(arguments: &[&str]) {
    let output = tokio::process::Command::new("docker")
        .args(arguments)
        .output()
        .await
        .expect("the docker command");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {said}");
}

#[tokio::test]
async fn a_created_service_runs_as_it_was_described() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    for reach in [Reach::Network, Reach::Host] {
        let new = plain(&unique("run"), reach, 2);
        swarm
            .act(&Action::CreateService(new.clone()))
            .await
            .expect("created");
        let facts = until_running(&swarm, &new, 2).await;
        let fact = service(&facts, &new).expect("there");
        assert_eq!((fact.replicas, fact.drift.as_deref()), (2, None));
        for task in running(&facts, fact) {
            assert!(task.addresses.contains_key(&network()), "{task:?}");
            assert_eq!(
                task.host_ports.contains_key(&8080),
                reach == Reach::Host,
                "{task:?}"
            );
            let node = &facts.nodes[task.node.as_ref().expect("a node")];
            assert!(node.ready && node.address.is_some(), "{node:?}");
        }
        clear(&swarm, &new).await;
    }
}

/// Every field of the template that an engine stores.
fn everything(rollout: &Name, secret: &str, config: &str) -> NewService {
    NewService {
        template: template(serde_json::json!({
            "image": "demo-app:v1",
            "entrypoint": ["/app"], "command": "--flag 'two words'",
            "environment": ["B=2", "A=", "C=x=y"],
            "networks": [network()],
            "secrets": [secret, {"source": secret, "target": "other", "mode": 256, "uid": "1"}],
            "configs": [{"source": config, "target": "/etc/app.toml"}],
            "volumes": ["data:/data", {"type": "tmpfs", "target": "/tmp"}],
            "healthcheck": {"test": ["NONE"], "interval": "2s", "timeout": "1s", "retries": 3, "start_period": "1s"},
            "stop_grace_period": "1s", "stop_signal": "SIGINT", "user": "0:0", "working_dir": "/",
            "hostname": "{{.Task.Name}}", "labels": {"a": "", "b": "1"},
            "dns": ["10.0.0.53"], "extra_hosts": ["db:10.0.0.9"],
            "cap_add": ["net_admin"], "cap_drop": ["ALL"], "sysctls": {"net.core.somaxconn": "100"},
            "read_only": true, "init": false,
            "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
            "deploy": {
                "resources": {"limits": {"cpus": "0.5", "memory": "64M", "pids": 50}, "reservations": {"cpus": "0.01", "memory": "4M"}},
                "placement": {"constraints": ["node.platform.os == linux"], "preferences": [{"spread": "node.labels.zone"}], "max_replicas_per_node": 3},
                "restart_policy": {"condition": "on-failure", "delay": "1s", "max_attempts": 0, "window": "10s"},
                "labels": {"team": "news", "empty": ""}
            }
        })),
        ..plain(rollout, Reach::Host, 0)
    }
}

/// Everything that a service with every field of the template needs; removed at the end.
struct Furnished {
    new: NewService,
    secret: String,
    config: String,
}

impl Furnished {
    async fn create(swarm: &Swarm, rollout: &Name) -> Self {
        let (secret, config) = (format!("{rollout}-s"), format!("{rollout}-c"));
        docker(&["secret", "create", &secret, "/etc/hostname"]).await;
        docker(&["config", "create", &config, "/etc/hostname"]).await;
        let new = everything(rollout, &secret, &config);
        let create = Action::CreateService(new.clone());
        swarm.act(&create).await.expect("created");
        Self {
            new,
            secret,
            config,
        }
    }

    /// What the service has become.
    async fn look(&self, swarm: &Swarm) -> ServiceFact {
        let facts = swarm.observe().await.expect("a look");
        service(&facts, &self.new).expect("there").clone()
    }

    async fn clear(self, swarm: &Swarm) {
        clear(swarm, &self.new).await;
        docker(&["secret", "rm", &self.secret]).await;
        docker(&["config", "rm", &self.config]).await;
    }
}

#[tokio::test]
async fn safety_3_what_another_hand_changed_is_named_and_put_back() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    let furnished = Furnished::create(&swarm, &unique("drift")).await;
    let name = furnished.new.name();
    for (option, value, said) in [
        ("--env-add", "PASSWORD=hunter2", "Env: PASSWORD changed"),
        (
            "--limit-cpu",
            "0.25",
            "Resources.Limits.NanoCPUs: 250000000 instead of 500000000",
        ),
        (
            "--image",
            "demo-app:v2",
            "Image: demo-app:v2 instead of demo-app:v1",
        ),
        ("--label-add", "team=sport", "Labels.team changed"),
        (
            "--label-rm",
            "rolloutctl.dev/made",
            "the label rolloutctl.dev/made is missing",
        ),
        ("--secret-rm", &furnished.secret, "Secrets taken away"),
        (
            "--publish-add",
            "mode=host,target=9",
            "EndpointSpec.Ports changed",
        ),
        (
            "--update-parallelism",
            "5",
            "UpdateConfig.Parallelism: 5 instead of 1",
        ),
        (
            "--health-retries",
            "9",
            "Healthcheck.Retries: 9 instead of 3",
        ),
    ] {
        let change = [
            "service",
            "update",
            "--detach",
            "--no-resolve-image",
            option,
            value,
            &name,
        ];
        docker(&change).await;
        let fact = furnished.look(&swarm).await;
        let drift = fact.drift.clone().unwrap_or_default();
        assert!(drift.contains(said), "{option} {value} gave {drift:?}");
        let restore = Action::RestoreService {
            service: target(&fact),
            spec: furnished.new.clone(),
        };
        swarm.act(&restore).await.expect("put back");
        assert_eq!(furnished.look(&swarm).await.drift, None, "after {option}");
        // SAFETY-1: the answer was lost, and it is done again.
        swarm.act(&restore).await.expect("put back already");
    }
    furnished.clear(&swarm).await;
}

#[tokio::test]
async fn safety_3_what_is_no_other_hand_is_no_drift() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    let furnished = Furnished::create(&swarm, &unique("still")).await;
    let name = furnished.new.name();
    assert_eq!(furnished.look(&swarm).await.drift, None, "as created");

    docker(&[
        "service",
        "update",
        "--detach",
        "--no-resolve-image",
        "--force",
        &name,
    ])
    .await;
    assert_eq!(furnished.look(&swarm).await.drift, None, "started anew");

    docker(&["service", "scale", "--detach", &format!("{name}=2")]).await;
    let fact = furnished.look(&swarm).await;
    assert_eq!(
        (fact.drift.as_deref(), fact.replicas),
        (None, 2),
        "scaled by hand"
    );

    let scale = Action::ScaleService {
        service: target(&fact),
        replicas: 0,
    };
    swarm.act(&scale).await.expect("scaled");
    let fact = furnished.look(&swarm).await;
    assert_eq!(
        (fact.drift.as_deref(), fact.replicas),
        (None, 0),
        "scaled by us"
    );
    furnished.clear(&swarm).await;
}

#[tokio::test]
async fn scaling_leaves_the_other_tasks_alone_and_wants_the_version_that_was_seen() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    let new = plain(&unique("scale"), Reach::Network, 2);
    swarm
        .act(&Action::CreateService(new.clone()))
        .await
        .expect("created");
    let facts = until_running(&swarm, &new, 2).await;
    let before = service(&facts, &new).expect("there").clone();
    let old: Vec<_> = running(&facts, &before)
        .into_iter()
        .map(|task| (task.id, task.since))
        .collect();

    let up = Action::ScaleService {
        service: target(&before),
        replicas: 3,
    };
    swarm.act(&up).await.expect("scaled");
    swarm
        .act(&up)
        .await
        .expect("it is done, so doing it again is nothing");
    let stale = Action::ScaleService {
        service: target(&before),
        replicas: 1,
    };
    let err = swarm
        .act(&stale)
        .await
        .expect_err("the service has changed");
    assert!(matches!(err, WorldError::Conflict { .. }), "{err}");

    let facts = until_running(&swarm, &new, 3).await;
    let fact = service(&facts, &new).expect("there");
    assert_eq!((fact.drift.as_deref(), fact.replicas), (None, 3));
    let now = running(&facts, fact);
    for (id, since) in old {
        assert!(
            now.iter().any(|task| task.id == id && task.since == since),
            "{id} was restarted"
        );
    }
    clear(&swarm, &new).await;
}

#[tokio::test]
async fn safety_1_creating_and_removing_twice_is_doing_it_once() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    let new = plain(&unique("twice"), Reach::Network, 0);
    let create = Action::CreateService(new.clone());
    swarm.act(&create).await.expect("created");
    swarm.act(&create).await.expect("created already");
    let facts = swarm.observe().await.expect("a look");
    let service = target(service(&facts, &new).expect("there"));
    let remove = Action::RemoveService { service };
    swarm.act(&remove).await.expect("removed");
    swarm.act(&remove).await.expect("removed already");
}

#[tokio::test]
async fn safety_4_a_service_of_another_owner_is_left_alone() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    let new = plain(&unique("foreign"), Reach::Network, 0);
    let name = new.name();
    docker(&[
        "service",
        "create",
        "--detach",
        "--no-resolve-image",
        "--replicas",
        "0",
        "--endpoint-mode",
        "dnsrr",
        "--name",
        &name,
        "demo-app:v1",
    ])
    .await;
    let err = swarm
        .act(&Action::CreateService(new.clone()))
        .await
        .expect_err("a foreign service");
    assert!(matches!(err, WorldError::Refused { .. }), "{err}");
    let facts = swarm.observe().await.expect("a look");
    assert!(service(&facts, &new).is_none(), "it is not listed as ours");
    docker(&["service", "rm", &name]).await;
}

#[tokio::test]
async fn what_a_template_names_and_is_not_there_is_told_with_its_remedy() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    for (field, remedy) in [
        (
            "networks",
            "docker network create --driver overlay it-missing",
        ),
        ("secrets", "docker secret create it-missing"),
        ("configs", "docker config create it-missing"),
    ] {
        let mut new = plain(&unique("missing"), Reach::Network, 0);
        new.template = template(serde_json::json!({"image": "demo-app:v1", field: ["it-missing"]}));
        let err = swarm
            .act(&Action::CreateService(new))
            .await
            .expect_err("nothing to name");
        assert!(matches!(err, WorldError::Refused { .. }), "{err}");
        assert!(err.to_string().contains(remedy), "{err}");
    }
}

#[tokio::test]
async fn a_change_of_the_swarm_is_hinted() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    let new = plain(&unique("hint"), Reach::Network, 0);
    let waiting = {
        let swarm = swarm.clone();
        tokio::spawn(async move { swarm.hint().await })
    };
    // The stream is open once an event of any kind has come: changes are made until then.
    let began = Instant::now();
    while !waiting.is_finished() {
        assert!(began.elapsed() < PATIENCE, "no hint within {PATIENCE:?}");
        swarm
            .act(&Action::CreateService(new.clone()))
            .await
            .expect("created");
        clear(&swarm, &new).await;
    }
}

fn draft(name: &Name, labels: BTreeMap<String, String>) -> Draft {
    Draft {
        resource: Resource::LoadBalancer(Manifest {
            metadata: Metadata {
                name: name.clone(),
                labels,
                annotations: BTreeMap::new(),
            },
            spec: LoadBalancerSpec {
                haproxy: HaproxySpec { instances: vec![] },
            },
        }),
        generation: 1,
        status: None,
        command: None,
        deletion: None,
        epoch: 1,
    }
}

#[tokio::test]
async fn a_stored_resource_is_replaced_only_at_the_version_that_was_read() {
    let Some(engine) = lab().await else { return };
    let store = Store::new(engine);
    let name = unique("cas");
    let first = draft(&name, BTreeMap::new());
    store.create(&first).await.expect("created");
    let twice = store.create(&first).await.expect_err("it is there");
    assert!(matches!(twice, WorldError::Conflict { .. }), "{twice}");

    let find = |contents: rolloutctl::world::store::Contents| {
        contents
            .resources
            .into_iter()
            .find(|stored| *stored.draft.resource.name() == name)
    };
    let stored = find(store.load().await.expect("a look")).expect("there");
    assert_eq!(stored.draft, first);
    let second = Draft {
        generation: 2,
        ..first
    };
    store
        .replace(&stored.id, stored.version, &second)
        .await
        .expect("replaced");
    let stale = store
        .replace(&stored.id, stored.version, &second)
        .await
        .expect_err("stale");
    assert!(matches!(stale, WorldError::Conflict { .. }), "{stale}");
    let again = find(store.load().await.expect("a look")).expect("there");
    assert_eq!(again.draft, second);
    assert!(again.version > stored.version && again.updated_at > stored.updated_at);

    let large = draft(
        &name,
        BTreeMap::from([("x".to_owned(), "x".repeat(MAX_OBJECT))]),
    );
    let err = store
        .replace(&again.id, again.version, &large)
        .await
        .expect_err("too large");
    assert!(matches!(err, WorldError::Refused { .. }), "{err}");
    store.remove(&again.id).await.expect("removed");
    store.remove(&again.id).await.expect("removed already");
    assert!(find(store.load().await.expect("a look")).is_none());
}

#[tokio::test]
async fn an_object_that_cannot_be_read_does_not_hide_the_others() {
    let Some(engine) = lab().await else { return };
    let store = Store::new(engine);
    let name = unique("odd");
    let odd = format!("rolloutctl.rollout.{name}");
    docker(&[
        "config",
        "create",
        "--label",
        "rolloutctl.dev/kind=rollout",
        &odd,
        "/etc/hostname",
    ])
    .await;
    store
        .create(&draft(&name, BTreeMap::new()))
        .await
        .expect("created");
    let contents = store.load().await.expect("a look");
    assert!(
        contents.unreadable.iter().any(|object| object.name == odd),
        "{contents:?}"
    );
    let sound = contents
        .resources
        .iter()
        .find(|stored| *stored.draft.resource.name() == name);
    store
        .remove(&sound.expect("there").id)
        .await
        .expect("removed");
    docker(&["config", "rm", &odd]).await;
}

#[tokio::test]
async fn safety_6_of_two_who_saw_the_same_lease_one_gets_it() {
    let Some(engine) = lab().await else { return };
    let store = Store::new(engine);
    let seen = store.lease().await.expect("a look");
    let (one, other) = tokio::join!(
        store.take_lease(seen.as_ref(), "one"),
        store.take_lease(seen.as_ref(), "other"),
    );
    let (Ok(taken), Err(err)) = (if one.is_ok() {
        (one, other)
    } else {
        (other, one)
    }) else {
        panic!("both or neither took it");
    };
    assert!(matches!(err, WorldError::Conflict { .. }), "{err}");
    assert_eq!(taken.epoch, seen.map_or(1, |seen| seen.epoch + 1));
    assert_eq!(store.lease().await.expect("a look"), Some(taken.clone()));
    // Given back, for whoever uses the lab next.
    store
        .take_lease(Some(&taken), "")
        .await
        .expect("given back");
}

#[tokio::test]
async fn the_agreed_version_is_one_that_the_engine_speaks() {
    let Some(engine) = lab().await else { return };
    let agreed = engine.api_version();
    let insisting = Settings {
        api_version: Some(agreed.clone()),
        ..Settings::from_env()
    };
    let engine = connect(&insisting).await.expect("connected");
    Swarm::new(engine).observe().await.expect("a look");
    let future = Settings {
        api_version: Some("1.999".into()),
        ..Settings::from_env()
    };
    let engine = connect(&future)
        .await
        .expect("connected: nothing was asked yet");
    let err = Swarm::new(engine)
        .observe()
        .await
        .expect_err("no engine speaks it");
    assert!(err.to_string().contains("DOCKER_API_VERSION"), "{err}");
}

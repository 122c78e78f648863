//! The Swarm and the store on a real engine: the lab's, if there is one (`tests/lab env`).
//!
//! Every test makes objects under names of its own and removes them again.

use std::time::{Duration, Instant};

use rolloutctl::action::{Action, NewService, ServiceTarget};
use rolloutctl::api::{Access, Name, Reach, Template};
use rolloutctl::snapshot::{ServiceFact, TaskFact, TaskState};
use rolloutctl::world::docker::{Engine, Settings, connect};
use rolloutctl::world::swarm::{Swarm, SwarmFacts};

mod drift;
mod services;
mod store;

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
        }))
        .into(),
        access: Access::Proxied { port: 8080, reach },
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

//! Services created, scaled, removed, and hinted of.

use std::time::Instant;

use rolloutctl::action::Action;
use rolloutctl::api::Reach;
use rolloutctl::world::WorldError;
use rolloutctl::world::swarm::Swarm;

use super::{
    PATIENCE, clear, docker, lab, network, plain, running, service, target, template, unique,
    until_running,
};

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
        new.template =
            template(serde_json::json!({"image": "demo-app:v1", field: ["it-missing"]})).into();
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

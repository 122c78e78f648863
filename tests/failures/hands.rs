//! Other hands on what is ours, and ours on what is others' (SAFETY-3, SAFETY-4, TRAFFIC-7).

use std::collections::BTreeMap;

use rolloutctl::api::{
    ConditionStatus, ConditionType, Metadata, Name, Phase, Resource, Revision, RolloutStatus,
};
use rolloutctl::snapshot::{AdminState, ServerFact};
use rolloutctl::world::Draft;
use rolloutctl::world::docker::{Settings, connect};
use rolloutctl::world::store::Store;
use serde_json::Value;

use crate::daemon::Controller;
use crate::lab::{Lab, PATIENCE};
use crate::manifest::{Manifest, gate};
use crate::site::{
    by_hand, containers, end, has_share, is_at_rest, runs, said, serve, servers, until_share,
};

fn until_said(lab: &Lab, name: &str, text: &str) -> RolloutStatus {
    lab.until_status(name, &format!("says: {text}"), |status| {
        said(status, text) == 1
    })
}

/// Changes servers of both revisions on the second proxy: each is put back.
fn change_servers(lab: &Lab, name: &str, stable: &Revision, canary: &Revision) {
    let of = |revision: &Revision| {
        let servers = servers(lab, "lb-2", name).into_keys();
        servers
            .into_iter()
            .find(|server| server.revision() == revision)
            .expect("a server")
    };
    let (of_stable, of_canary) = (of(stable), of(canary));
    by_hand(
        lab,
        1,
        &format!("set server {name}/{of_stable} state maint"),
    );
    until_said(
        lab,
        name,
        &format!("changed the server {of_stable} on lb-2"),
    );
    until_share(lab, name, canary.as_str(), 50.0);
    by_hand(lab, 1, &format!("set server {name}/{of_canary} weight 1"));
    until_said(
        lab,
        name,
        &format!("changed the server {of_canary} on lb-2"),
    );
    until_share(lab, name, canary.as_str(), 50.0);
    by_hand(
        lab,
        1,
        &format!("set server {name}/{of_stable} state maint; del server {name}/{of_stable}"),
    );
    lab.until("the deleted server is there again", PATIENCE, || {
        let back = servers(lab, "lb-2", name).get(&of_stable)?.admin == AdminState::Ready;
        (back && has_share(lab, name, canary.as_str(), 50.0)).then_some(())
    });
}

#[test]
fn safety_3_what_another_hand_changes_is_said_and_put_back() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let name = "web-14";
    let v1 = Manifest::new(&lab, name).replicas(3).stages([gate(50)]);
    let (first, load) = serve(&lab, &v1, name);
    let stable = first.stable_revision.expect("a stable revision");
    let service = format!("{name}-{stable}");

    lab.docker(&["service", "scale", "--detach", &format!("{service}=1")]);
    until_said(&lab, name, "scaled the service");
    lab.until_healthy(name);
    // The tasks that the other hand stopped take their time.
    lab.until("three tasks run, as before", PATIENCE, || {
        (containers(&lab, &service).len() == 3).then_some(())
    });

    lab.docker(&[
        "service",
        "update",
        "--detach",
        "--env-add",
        "BY=hand",
        &service,
    ]);
    let drift = until_said(&lab, name, "another hand changed the service");
    eprintln!("{}", drift.events.last().expect("an event").message);
    let format = "{{json .Spec.TaskTemplate.ContainerSpec.Env}}";
    lab.until("the variable is gone again", PATIENCE, || {
        let env = lab.docker(&["service", "inspect", "--format", format, &service]);
        (!env.contains("BY=hand")).then_some(())
    });
    lab.until_healthy(name);

    // On a proxy, in a stage: a stable and a canary server.
    v1.clone().version("v2").apply(&lab);
    let stage = lab.until_status(name, "runs stage 0", |status| {
        runs(status, 0) && status.attempt == 2
    });
    let canary = stage.canary_revision.expect("a canary");
    change_servers(&lab, name, &stable, &canary);
    end(&lab, load).assert_nothing_lost();

    // What runs in a service that is removed ends at once: nothing can be promised then.
    lab.docker(&["service", "rm", &service]);
    until_said(&lab, name, "removed the service");
    until_share(&lab, name, canary.as_str(), 50.0);
    lab.cli(&["promote", name]).ok();
    lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });
    lab.clean(name);
    controller.stop();
}

#[test]
fn safety_4_of_two_claims_on_a_back_end_the_later_one_waits() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let (first, second) = ("web-15", "web-16");
    let v1 = Manifest::new(&lab, first).stages([gate(50)]);
    let (_, load) = serve(&lab, &v1, first);
    // The command line would refuse it; of two people who apply at once, neither's sees the other.
    let second_name: Name = second.parse().expect("a name");
    lab.runtime().block_on(put(&second_name, &v1));
    let refused = lab.until_status(second, "is refused", |status| {
        status.phase == Phase::Degraded
    });
    let invalid = refused
        .conditions
        .iter()
        .find(|one| one.kind == ConditionType::InvalidSpec)
        .expect("a condition");
    assert_eq!(invalid.status, ConditionStatus::True);
    assert!(refused.message.contains(first), "{}", refused.message);
    let listed = lab.docker(&["service", "ls", "--format", "{{.Name}}"]);
    assert!(!listed.contains(second), "{listed}");
    assert_eq!(servers(&lab, "lb-1", first).len(), 2);
    end(&lab, load).assert_nothing_lost();
    lab.clean(first);
    lab.until_healthy(second);
    assert_eq!(servers(&lab, "lb-1", first).len(), 2);
    lab.clean(second);
    controller.stop();
}

/// Puts a rollout with the spec of `manifest` into the store, past the checks of `apply`.
async fn put(name: &Name, manifest: &Manifest) {
    let mut like: Value = serde_json::from_str(&manifest.yaml()).expect("JSON");
    let draft = Draft {
        resource: Resource::Rollout(rolloutctl::api::Manifest {
            metadata: Metadata {
                name: name.clone(),
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
            },
            spec: serde_json::from_value(like["spec"].take()).expect("a spec"),
        }),
        generation: 1,
        status: None,
        command: None,
        deletion: None,
        origin: None,
        epoch: 0,
    };
    let engine = connect(&Settings::from_env())
        .await
        .expect("the lab's engine");
    Store::new(engine)
        .create(&draft)
        .await
        .expect("it is stored");
}

#[test]
fn traffic_7_a_foreign_server_is_left_alone() {
    let Some(lab) = Lab::open() else { return };
    let controller = Controller::start(&lab);
    let name = "web-17";
    let answer = by_hand(
        &lab,
        0,
        &format!("add server {name}/by-hand 127.0.0.1:9 weight 7"),
    );
    let foreign = || {
        let fact = lab.observe()["lb-1"].clone().expect("lb-1 answers");
        let seen = fact.backends[name].get("by-hand").cloned();
        seen.map(|fact| ServerFact {
            unchanged_secs: 0, // It grows.
            ..fact
        })
    };
    let before = foreign();
    assert!(before.is_some(), "{answer}");
    let v1 = Manifest::new(&lab, name).stages([gate(50)]);
    let (_, load) = serve(&lab, &v1, name);
    v1.version("v2").apply(&lab);
    lab.until_status(name, "runs stage 0", |status| {
        runs(status, 0) && status.attempt == 2
    });
    assert_eq!(foreign(), before);
    lab.cli(&["promote", name]).ok();
    lab.until_status(name, "v2 is stable", |status| {
        status.phase == Phase::Healthy && is_at_rest(status)
    });
    assert_eq!(foreign(), before);
    end(&lab, load).assert_nothing_lost();
    lab.clean(name);
    assert_eq!(foreign(), before);
    by_hand(&lab, 0, &format!("del server {name}/by-hand"));
    assert_eq!(foreign(), None);
    controller.stop();
}

//! The store and the lease in the Swarm's configs.

use std::collections::BTreeMap;

use rolloutctl::api::{HaproxySpec, LoadBalancerSpec, Manifest, Metadata, Name, Resource};
use rolloutctl::world::store::{Contents, MAX_SPEC, Store};
use rolloutctl::world::{Draft, WorldError};

use super::{docker, lab, unique};

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
        origin: None,
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

    let find = |contents: Contents| {
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
        BTreeMap::from([("x".to_owned(), "x".repeat(MAX_SPEC))]),
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

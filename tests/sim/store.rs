//! The store and the lease.

use rolloutctl::api::{HaproxySpec, LoadBalancerSpec, Manifest, Resource};
use rolloutctl::sim::{FaultPlan, Form, Rates, Setup};
use rolloutctl::world::{Draft, World, WorldError};
use serde_json::json;

use crate::site::{Site, setup};

pub fn draft(name: &str) -> Draft {
    let metadata = serde_json::from_value(json!({"name": name})).expect("metadata");
    let spec = LoadBalancerSpec {
        haproxy: HaproxySpec { instances: vec![] },
    };
    Draft {
        resource: Resource::LoadBalancer(Manifest { metadata, spec }),
        generation: 1,
        status: None,
        command: None,
        deletion: None,
        origin: None,
        epoch: 1,
    }
}

fn is_conflict<T>(result: &Result<T, WorldError>) -> bool {
    matches!(result, Err(WorldError::Conflict { .. }))
}

#[test]
fn create_is_a_mutex_and_a_stale_write_is_a_conflict() {
    for form in [Form::Plain, Form::Text] {
        let site = Site::new(Setup { form, ..setup(1) });
        let world = &site.world;
        site.run(world.create(&draft("b"))).expect("created");
        site.run(world.create(&draft("a"))).expect("created");
        assert!(is_conflict(&site.run(world.create(&draft("b")))));
        let stored = site.run(world.load()).expect("the store");
        let names: Vec<_> = stored
            .iter()
            .map(|s| s.draft.resource.name().as_str())
            .collect();
        assert_eq!(names, ["a", "b"]);
        let one = &stored[1];
        let newer = Draft {
            generation: 2,
            ..draft("b")
        };
        site.run(world.replace(&one.id, one.version, &newer))
            .expect("replaced");
        assert!(is_conflict(&site.run(world.replace(
            &one.id,
            one.version,
            &newer
        ))));
        let again = site.run(world.load()).expect("the store");
        assert_eq!(again[1].draft.generation, 2);
        assert!(again[1].version > one.version && again[1].updated_at > one.updated_at);
        site.run(world.remove(&one.id)).expect("removed");
        site.run(world.remove(&one.id)).expect("done already");
        assert!(is_conflict(&site.run(world.replace(
            &one.id,
            again[1].version,
            &newer
        ))));
    }
}

#[test]
fn the_lease_goes_to_who_is_quicker() {
    let site = Site::new(setup(2));
    let world = &site.world;
    assert_eq!(site.run(world.lease()).expect("no lease"), None);
    let first = site.run(world.take_lease(None, "a")).expect("taken");
    assert!(is_conflict(&site.run(world.take_lease(None, "b"))));
    let second = site
        .run(world.take_lease(Some(&first), "b"))
        .expect("taken");
    assert_eq!((second.epoch, second.holder.as_str()), (2, "b"));
    assert!(is_conflict(&site.run(world.take_lease(Some(&first), "a"))));
    assert_eq!(site.run(world.lease()).expect("a lease"), Some(second));
}

#[test]
fn a_leader_that_is_cut_off_answers_as_it_was_up_to_10_s_ago_and_no_longer() {
    let stale = Rates {
        stale: 1.0,
        ..Rates::NONE
    };
    let faults = FaultPlan {
        healed_at: jiff::Timestamp::MAX,
        store: stale,
        lease: stale,
        ..FaultPlan::none()
    };
    let site = Site::new(Setup { faults, ..setup(3) });
    let world = &site.world;
    let first = site.run(world.take_lease(None, "a")).expect("taken");
    site.pass(20_000);
    site.run(world.take_lease(Some(&first), "b"))
        .expect("taken");
    site.run(world.create(&draft("a"))).expect("created");
    let holders: std::collections::BTreeSet<String> = (0..100)
        .filter_map(|_| site.run(world.lease()).expect("a lease"))
        .map(|lease| lease.holder)
        .collect();
    assert_eq!(holders, ["a".to_owned(), "b".to_owned()].into());
    let empty = (0..100).filter(|_| site.run(world.load()).expect("the store").is_empty());
    assert!(empty.count() > 0);
    site.pass(20_000);
    for _ in 0..100 {
        assert_eq!(
            site.run(world.lease())
                .expect("a lease")
                .map(|lease| lease.epoch),
            Some(2)
        );
        assert_eq!(site.run(world.load()).expect("the store").len(), 1);
    }
}

//! How proxies reach tasks: over the overlay network, or by a port that the task's node publishes; and a proxy without
//! the back end.

use std::collections::BTreeMap;

use rolloutctl::action::{Action, ServerVerb};
use rolloutctl::api::{Phase, Reach, WaitingOn};
use rolloutctl::snapshot::{Endpoint, InstanceFact};

use crate::toy::{Toy, name, spec};

/// Where the servers are that the next turn adds.
fn added(toy: &mut Toy) -> Vec<Endpoint> {
    let plan = toy.turn();
    let changes = plan.actions.into_iter().filter_map(|action| match action {
        Action::ChangeServers(changes) => Some(changes.changes),
        _ => None,
    });
    let verbs = changes.flatten().map(|change| change.verb);
    verbs
        .filter_map(|verb| match verb {
            ServerVerb::Add(endpoint) => Some(endpoint),
            _ => None,
        })
        .collect()
}

#[test]
fn traffic_1_a_task_that_is_reached_by_its_node_is_a_server_once_its_port_is_published() {
    let mut by_host = spec("v1");
    by_host.traffic.as_mut().expect("traffic").reach = Reach::Host;
    let mut toy = Toy::new(by_host);
    toy.turns(5);
    assert_eq!(added(&mut toy), [], "no port is published yet");
    for (task, port) in toy.snapshot.tasks.values_mut().zip(32_768..) {
        task.host_ports = BTreeMap::from([(8080, port)]);
    }
    let node = toy.snapshot.nodes.values().next().expect("a node").address;
    let mut servers = added(&mut toy);
    servers.sort_by_key(|server| server.port);
    servers.dedup();
    let ports: Vec<u16> = servers.iter().map(|server| server.port).collect();
    assert_eq!(ports, (32_768..32_774).collect::<Vec<_>>());
    assert!(servers.iter().all(|server| Some(server.address) == node));
}

#[test]
fn traffic_3_a_proxy_without_the_back_end_is_waited_for_by_name() {
    let mut toy = Toy::new(spec("v1"));
    let instances = toy.snapshot.load_balancers.get_mut("edge");
    let fact = instances.and_then(|instances| instances.get_mut("lb-2"));
    let Some(InstanceFact::Reachable(proxy)) = fact else {
        panic!("an instance that answers");
    };
    let backends = std::mem::take(&mut proxy.backends);
    toy.turns(20);
    let waits = WaitingOn::Backend {
        instance: name("lb-2"),
        backend: "news-web".to_owned(),
    };
    assert_eq!(toy.status.waiting_on, Some(waits));
    let proxy = toy.proxies().nth(1).expect("the second one");
    proxy.backends = backends;
    toy.until("it is healthy", |toy| toy.status.phase == Phase::Healthy);
}

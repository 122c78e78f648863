//! What the Swarm shows: the facts of its lists, now or some time ago.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::faults::Rates;
use super::super::state::State;
use super::super::store::{as_of, keep};
use super::{Job, Service, Swarm, Task, is_published, port_of};
use crate::snapshot::{NodeFact, ServiceFact, Snapshot, TaskFact};
use crate::world::swarm::SwarmFacts;

impl State {
    /// The Swarm's part of a look.
    pub(in crate::sim) fn swarm_snapshot(&mut self, rates: &Rates) -> Snapshot {
        let facts = self.facts();
        if self.faults.keeps_past() {
            keep(&mut self.swarm.past, self.now, facts.clone());
        }
        // Of the past there is only what somebody looked at.
        let stale = self.stale_since(rates);
        let facts = stale
            .and_then(|then| as_of(&self.swarm.past, then))
            .unwrap_or(&facts);
        Snapshot {
            taken_at: self.now.stamp(),
            services: facts.services.clone(),
            jobs: facts.jobs.clone(),
            tasks: facts.tasks.clone(),
            nodes: facts.nodes.clone(),
            load_balancers: BTreeMap::new(),
            samples: Vec::new(),
        }
    }

    fn facts(&mut self) -> Arc<SwarmFacts> {
        if let Some(seen) = &self.swarm.seen {
            return seen.clone();
        }
        let swarm = &self.swarm;
        let services = swarm.services.values().map(service);
        let jobs = swarm.jobs.values().map(Job::fact);
        let tasks = swarm.tasks.values().map(|task| task_fact(swarm, task));
        let nodes = swarm.nodes.iter().map(|node| NodeFact {
            id: node.id.clone(),
            hostname: node.hostname.clone(),
            ready: node.is_ready,
            address: Some(node.address),
        });
        let facts = Arc::new(SwarmFacts {
            services: services.map(|fact| (fact.name.clone(), fact)).collect(),
            jobs: jobs.map(|fact| (fact.name.clone(), fact)).collect(),
            tasks: tasks.map(|fact| (fact.id.clone(), fact)).collect(),
            nodes: nodes.map(|fact| (fact.id.clone(), fact)).collect(),
        });
        self.swarm.seen = Some(facts.clone());
        facts
    }
}

fn service(service: &Service) -> ServiceFact {
    ServiceFact {
        id: service.id.clone(),
        name: service.name.clone(),
        version: service.version,
        rollout: service.made.rollout.clone(),
        revision: service.made.revision.clone(),
        replicas: service.replicas,
        drift: service.drift.clone(),
        created_at: service.created_at.stamp(),
        changed_at: service.changed_at.stamp(),
    }
}

fn task_fact(swarm: &Swarm, task: &Task) -> TaskFact {
    let node = task.node.and_then(|node| swarm.nodes.get(node));
    let networks = task.made.template.networks.iter();
    let address = task.address.map(IpAddr::V4);
    let addresses = networks.filter_map(|network| Some((network.clone(), address?)));
    let host_ports = task
        .host_port
        .filter(|_| is_published(&task.made))
        .and_then(|port| Some((port_of(&task.made)?, port)));
    TaskFact {
        id: task.id.clone(),
        service: task.service_id.clone(),
        slot: task.slot,
        node: node.map(|node| node.id.clone()),
        state: task.state,
        desired: task.desired,
        addresses: addresses.collect(),
        host_ports: host_ports.into_iter().collect(),
        problem: task.problem.clone(),
        since: task.since.stamp(),
    }
}

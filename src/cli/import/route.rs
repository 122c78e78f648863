//! Where a rollout's requests go, and where else they might come from: its load balancer, and all others in the store.

use std::collections::{BTreeMap, BTreeSet};

use super::step::{Condition, Servers};
use crate::api::{HaproxyInstance, LoadBalancerSpec, Manifest, Name, Phase, Resource, RolloutSpec};
use crate::cli::exit::Failure;
use crate::snapshot::{AdminState, InstanceFact, ProxyFact};
use crate::world::haproxy::Haproxy;
use crate::world::{Stored, WorldError};

/// Where the rollout's requests go.
pub(super) struct Route {
    pub backend: String,
    pub instances: Vec<HaproxyInstance>,
    pub drain_timeout: std::time::Duration,
    pub replicas: u32,
    pub condition: Condition,
    /// The instances of the other load balancers, each once: what they send to the old service is lost with it.
    others: BTreeMap<Name, Vec<HaproxyInstance>>,
}

/// What the instances show, each of them.
pub(super) struct Seen {
    /// Those of the rollout's load balancer.
    pub proxies: BTreeMap<Name, ProxyFact>,
    /// Those of the others, as `LOADBALANCER/INSTANCE`.
    pub others: BTreeMap<String, ProxyFact>,
}

impl Route {
    /// Where the rollout `stored` in `store` has its requests from.
    ///
    /// # Errors
    /// When it has none, or its load balancer is not there.
    pub fn read(stored: &Stored, spec: &RolloutSpec, store: &[Stored]) -> Result<Self, Failure> {
        let traffic = spec.route().ok_or_else(|| {
            Failure::No("a preview takes nothing over; choose another strategy".to_owned())
        })?;
        let (own, others): (Vec<_>, Vec<_>) =
            load_balancers(store).partition(|found| found.metadata.name == traffic.load_balancer);
        let [own] = own[..] else {
            return Err(Failure::No(format!(
                "there is no loadbalancer/{}; apply it",
                traffic.load_balancer
            )));
        };
        let draft = &stored.draft;
        let healthy = draft.status.as_ref().is_some_and(|status| {
            status.phase == Phase::Healthy && status.observed_generation == draft.generation
        });
        let instances = own.spec.haproxy.instances.clone();
        Ok(Self {
            backend: traffic.backend,
            others: apart(&instances, &others),
            instances,
            drain_timeout: spec.drain_timeout().as_std(),
            replicas: spec.replicas,
            condition: if healthy {
                Condition::Healthy
            } else {
                Condition::Other
            },
        })
    }

    /// What the instances of the other load balancers show.
    ///
    /// # Errors
    /// As [`proxies`].
    pub async fn others(&self, haproxy: &Haproxy) -> Result<BTreeMap<String, ProxyFact>, Failure> {
        let mut seen = BTreeMap::new();
        for (load_balancer, instances) in &self.others {
            for (instance, proxy) in proxies(haproxy, instances).await? {
                seen.insert(format!("{load_balancer}/{instance}"), proxy);
            }
        }
        Ok(seen)
    }

    /// Asks `state` of servers in the back end.
    ///
    /// # Errors
    /// When an instance does not do it.
    pub async fn set(
        &self,
        haproxy: &Haproxy,
        servers: &Servers,
        state: AdminState,
    ) -> Result<(), Failure> {
        for instance in &self.instances {
            if let Some(names) = servers.get(&instance.name) {
                haproxy
                    .set_foreign(&instance.address, &self.backend, names, state)
                    .await?;
            }
        }
        Ok(())
    }
}

fn load_balancers(store: &[Stored]) -> impl Iterator<Item = &Manifest<LoadBalancerSpec>> {
    store
        .iter()
        .filter_map(|stored| match &stored.draft.resource {
            Resource::LoadBalancer(found) => Some(found),
            Resource::Rollout(_) | Resource::MetricSource(_) | Resource::AnalysisTemplate(_) => {
                None
            }
        })
}

/// The instances of `others` that are not among `own`: an instance may stand in two load balancers.
fn apart(
    own: &[HaproxyInstance],
    others: &[&Manifest<LoadBalancerSpec>],
) -> BTreeMap<Name, Vec<HaproxyInstance>> {
    let mut known: BTreeSet<&str> = own.iter().map(|one| one.address.as_str()).collect();
    let mut all = BTreeMap::new();
    for other in others {
        let instances = other.spec.haproxy.instances.iter();
        let new: Vec<_> = instances
            .filter(|one| known.insert(one.address.as_str()))
            .cloned()
            .collect();
        all.insert(other.metadata.name.clone(), new);
    }
    all
}

/// All instances, or nothing: one that cannot be seen may send requests anywhere.
///
/// # Errors
/// When one of them does not answer.
pub(super) async fn proxies(
    haproxy: &Haproxy,
    instances: &[HaproxyInstance],
) -> Result<BTreeMap<Name, ProxyFact>, Failure> {
    let mut seen = BTreeMap::new();
    for (name, fact) in haproxy.observe(instances).await {
        match fact {
            InstanceFact::Reachable(proxy) => {
                seen.insert(name, proxy);
            }
            InstanceFact::Unreachable { problem } => {
                return Err(Failure::World(WorldError::Unreachable {
                    what: format!("look at {name}"),
                    reason: format!("{problem}; run this again when it answers"),
                }));
            }
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::world::{Draft, StoreId};

    fn stored(manifest: serde_json::Value, kind: &str) -> Stored {
        let resource = match kind {
            "rollout" => serde_json::from_value(manifest).map(Resource::Rollout),
            _ => serde_json::from_value(manifest).map(Resource::LoadBalancer),
        };
        Stored {
            id: StoreId("1".to_owned()),
            version: 1,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            updated_at: jiff::Timestamp::UNIX_EPOCH,
            draft: Draft::new(resource.expect("a manifest")),
        }
    }

    fn load_balancer(name: &str, addresses: &[&str]) -> Stored {
        let instances = addresses.iter().zip(1..);
        let instances: Vec<_> = instances
            .map(|(address, number)| json!({"name": format!("lb-{number}"), "address": address}))
            .collect();
        let manifest =
            json!({"metadata": {"name": name}, "spec": {"haproxy": {"instances": instances}}});
        stored(manifest, "loadbalancer")
    }

    #[test]
    fn requests_may_come_from_every_load_balancer_in_the_store() {
        let manifest = json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "template": {"image": "web:1"},
                "traffic": {"loadBalancer": "edge", "backend": "web", "port": 80, "reach": "host"},
                "strategy": {"canary": {"stages": []}},
            },
        });
        let rollout = stored(manifest, "rollout");
        let spec = crate::cli::target::rollout_spec(&rollout).expect("a rollout");
        let store = [
            load_balancer("office", &["tcp://10.0.0.3:1", "tcp://10.0.0.4:1"]),
            rollout.clone(),
            load_balancer("edge", &["tcp://10.0.0.1:1", "tcp://10.0.0.2:1"]),
            // The same instance by another name is the rollout's own.
            load_balancer("spare", &["tcp://10.0.0.2:1"]),
        ];
        let route = Route::read(&rollout, spec, &store).expect("a route");
        let addresses = |instances: &[HaproxyInstance]| {
            let all = instances.iter().map(|one| one.address.clone());
            all.collect::<Vec<_>>()
        };
        assert_eq!(
            addresses(&route.instances),
            ["tcp://10.0.0.1:1", "tcp://10.0.0.2:1"]
        );
        let others: Vec<_> = route.others.values().map(|all| addresses(all)).collect();
        assert_eq!(
            others,
            [vec!["tcp://10.0.0.3:1", "tcp://10.0.0.4:1"], vec![]]
        );
        let missing = Route::read(&rollout, spec, &store[..2]);
        assert!(matches!(missing, Err(Failure::No(told)) if told.contains("loadbalancer/edge")));
    }

    #[tokio::test]
    async fn an_instance_of_another_load_balancer_that_does_not_answer_is_no_answer() {
        let other = HaproxyInstance {
            name: "lb-1".parse().expect("a name"),
            address: "unix:///nonexistent/admin.sock".to_owned(),
        };
        let route = Route {
            backend: "web".to_owned(),
            instances: Vec::new(),
            drain_timeout: std::time::Duration::ZERO,
            replicas: 1,
            condition: Condition::Healthy,
            others: BTreeMap::from([("office".parse().expect("a name"), vec![other])]),
        };
        let seen = route.others(&Haproxy::default()).await;
        assert!(matches!(seen, Err(Failure::World(_))), "{seen:?}");
    }
}

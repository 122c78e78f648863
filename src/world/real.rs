//! The real world: one Swarm with its store, each HAProxy and the metric sources, joined.
//!
//! Only joined: what each neighbour needs is in the module of its name.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::docker::{self, ConnectError, Settings};
use super::haproxy::Haproxy;
use super::http::reasons;
use super::influxdb::InfluxDb;
use super::store::Store;
use super::swarm::Swarm;
use super::{Contents, Draft, Lease, StoreId, Stored, StoredSource, World, WorldError};
use crate::action::{Action, JobTarget, Measure, ServerChanges};
use crate::api::{LoadBalancerSpec, MetricSourceSpec, Name, SourceStatus};
use crate::snapshot::{InstanceFact, SampleOutcome, Snapshot};

/// Swarm, HAProxy and InfluxDB as they are.
pub struct RealWorld {
    swarm: Swarm,
    store: Store,
    haproxy: Haproxy,
    influxdb: InfluxDb,
}

impl RealWorld {
    /// Connects to the Swarm that `settings` name. The other neighbours are reached when they are
    /// needed.
    ///
    /// # Errors
    /// When the settings name no engine, or it does not answer, or it refuses; or when there is no
    /// HTTP client to be had.
    pub async fn connect(settings: &Settings) -> Result<Self, ConnectError> {
        let engine = docker::connect(settings).await?;
        let influxdb = InfluxDb::new().map_err(|error| ConnectError::HttpClient {
            reason: reasons(&error),
        })?;
        Ok(Self {
            swarm: Swarm::new(engine.clone()),
            store: Store::new(engine),
            haproxy: Haproxy::default(),
            influxdb,
        })
    }

    async fn change_servers(
        &self,
        changes: &ServerChanges,
        load_balancers: &BTreeMap<Name, LoadBalancerSpec>,
    ) -> Result<(), WorldError> {
        let instance = load_balancers.get(&changes.load_balancer).and_then(|spec| {
            spec.haproxy
                .instances
                .iter()
                .find(|instance| instance.name == changes.instance)
        });
        let Some(instance) = instance else {
            return Err(WorldError::Conflict {
                what: format!(
                    "change servers on {}/{}",
                    changes.load_balancer, changes.instance
                ),
                reason: "the load balancer has no such instance any more".into(),
            });
        };
        self.haproxy.apply(&instance.address, changes).await
    }
}

#[async_trait]
impl World for RealWorld {
    async fn observe(
        &self,
        load_balancers: &BTreeMap<Name, LoadBalancerSpec>,
    ) -> Result<Snapshot, WorldError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a snapshot says when it was taken"
        )]
        let taken_at = Timestamp::now();
        let proxies = join_all(load_balancers.iter().map(async |(name, spec)| {
            let instances: BTreeMap<Name, InstanceFact> =
                self.haproxy.observe(&spec.haproxy.instances).await;
            (name.clone(), instances)
        }));
        let (facts, proxies) = tokio::join!(self.swarm.observe(), proxies);
        let facts = facts?;
        Ok(Snapshot {
            taken_at,
            services: facts.services,
            jobs: facts.jobs,
            tasks: facts.tasks,
            nodes: facts.nodes,
            load_balancers: proxies.into_iter().collect(),
            samples: Vec::new(),
        })
    }

    async fn act(
        &self,
        action: &Action,
        load_balancers: &BTreeMap<Name, LoadBalancerSpec>,
    ) -> Result<(), WorldError> {
        match action {
            Action::ChangeServers(changes) => self.change_servers(changes, load_balancers).await,
            Action::CreateService(_)
            | Action::RestoreService { .. }
            | Action::ScaleService { .. }
            | Action::RemoveService { .. }
            | Action::Measure(_)
            | Action::StartJob(_)
            | Action::ReadLog(_)
            | Action::RemoveJob(_)
            | Action::Forget => self.swarm.act(action).await,
        }
    }

    async fn measure(&self, question: &Measure, source: &MetricSourceSpec) -> SampleOutcome {
        self.influxdb.measure(question, source).await
    }

    async fn read_log(&self, job: &JobTarget) -> Result<Vec<String>, WorldError> {
        self.swarm.read_log(job).await
    }

    async fn load(&self) -> Result<Vec<Stored>, WorldError> {
        Ok(self.contents().await?.resources)
    }

    async fn contents(&self) -> Result<Contents, WorldError> {
        let contents = self.store.load().await?;
        for unreadable in &contents.unreadable {
            tracing::warn!(
                config = unreadable.name,
                "left alone: {}",
                unreadable.problem
            );
        }
        Ok(contents)
    }

    async fn create(&self, draft: &Draft) -> Result<(), WorldError> {
        self.store.create(draft).await
    }

    async fn replace(&self, id: &StoreId, version: u64, draft: &Draft) -> Result<(), WorldError> {
        self.store.replace(id, version, draft).await
    }

    async fn remove(&self, id: &StoreId) -> Result<(), WorldError> {
        self.store.remove(id).await
    }

    async fn sources(&self) -> Result<Vec<StoredSource>, WorldError> {
        self.store.sources().await
    }

    async fn tell_source(
        &self,
        seen: Option<&StoredSource>,
        status: &SourceStatus,
    ) -> Result<(), WorldError> {
        self.store.tell_source(seen, status).await
    }

    async fn lease(&self) -> Result<Option<Lease>, WorldError> {
        self.store.lease().await
    }

    async fn take_lease(&self, seen: Option<&Lease>, holder: &str) -> Result<Lease, WorldError> {
        self.store.take_lease(seen, holder).await
    }

    async fn hint(&self) {
        self.swarm.hint().await;
    }
}

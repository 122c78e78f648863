//! The Swarm: its services, tasks and nodes observed, and our services created, scaled, put back and
//! removed.
//!
//! A service is touched only if its labels say that it is ours (SAFETY-3). What is decided about
//! it is decided elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::query_parameters::ListNodesOptions;

use super::WorldError;
use super::docker::{Engine, ask};
use crate::api::Template;
use crate::snapshot::{JobFact, NodeFact, NodeId, ServiceFact, ServiceId, TaskFact, TaskId};

mod act;
mod adoption;
mod drift;
mod facts;
mod hints;
mod job;
mod labels;
mod references;
mod spec;

pub use adoption::{ForeignService, Running, Ways};
use facts::{RawService, RawTask};
use hints::Hints;
pub use references::Absent;
use references::References;

/// The filter `{"label":["rolloutctl.dev/rollout"]}` ([`labels::ROLLOUT`]) as a query.
const OURS: &str = "filters=%7B%22label%22%3A%5B%22rolloutctl.dev%2Frollout%22%5D%7D";

/// The Swarm behind one manager. Cheap to clone; clones share what they have learnt.
#[derive(Clone, Debug)]
pub struct Swarm {
    engine: Engine,
    drift: Arc<Mutex<DriftCache>>,
    hints: Arc<Hints>,
}

/// What was observed of the Swarm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SwarmFacts {
    /// Our labelled services, by name.
    pub services: BTreeMap<String, ServiceFact>,
    /// Our jobs, by their service's name.
    pub jobs: BTreeMap<String, JobFact>,
    /// The tasks of the services, by id, and those of ours that are gone and not yet stopped.
    pub tasks: BTreeMap<TaskId, TaskFact>,
    /// All nodes, by id.
    pub nodes: BTreeMap<NodeId, NodeFact>,
}

/// Whether a service has drifted, by its id and version: nothing is compared twice.
type DriftCache = BTreeMap<ServiceId, (u64, Option<String>)>;

impl Swarm {
    /// The Swarm of which `engine` is a manager.
    pub fn new(engine: Engine) -> Self {
        Self {
            hints: Arc::new(Hints::new(engine.clone())),
            engine,
            drift: Arc::default(),
        }
    }

    /// Lists our services, jobs among them, their tasks and all nodes: three calls at once, however many rollouts
    /// there are.
    ///
    /// # Errors
    /// When one of the lists cannot be had.
    pub async fn observe(&self) -> Result<SwarmFacts, WorldError> {
        let (listed, tasks, nodes) =
            tokio::try_join!(self.list_services(), self.list_tasks(), self.nodes())?;
        let (jobs, services): (Vec<_>, Vec<_>) = listed.into_iter().partition(RawService::is_job);
        let of_jobs = jobs.iter().map(|raw| {
            let job = raw.job(tasks.iter())?;
            Ok((job.name.clone(), job))
        });
        let jobs = facts::collect(of_jobs);
        let is_of_job = |task: &RawTask| jobs.values().any(|job| job.id.0 == task.service());
        let read = tasks.into_iter().filter(|task| !is_of_job(task));
        let tasks = facts::collect(read.map(|raw| {
            let task = facts::task(raw)?;
            Ok((task.id.clone(), task))
        }));
        Ok(SwarmFacts {
            services: self.services(services),
            jobs,
            tasks,
            nodes,
        })
    }

    /// What each of `templates` names (networks, secrets, configs) and the Swarm does not have: at most three calls.
    ///
    /// # Errors
    /// When one of the lists cannot be had.
    pub async fn missing(&self, templates: &[&Template]) -> Result<Vec<Vec<Absent>>, WorldError> {
        References::missing(&self.engine, templates).await
    }

    /// Waits until something in the Swarm may have changed. Hints get lost, and changes of tasks on
    /// other nodes make none: who waits must look now and then without one.
    pub async fn hint(&self) {
        self.hints.next().await;
    }

    async fn list_services(&self) -> Result<Vec<RawService>, WorldError> {
        let path = format!("/services?{OURS}");
        self.engine.get("list the services", &path).await
    }

    async fn list_tasks(&self) -> Result<Vec<RawTask>, WorldError> {
        let path = format!("/tasks?{OURS}");
        self.engine.get("list the tasks", &path).await
    }

    fn services(&self, listed: Vec<RawService>) -> BTreeMap<String, ServiceFact> {
        let read = listed.into_iter().map(|raw| {
            let fact = raw.fact()?;
            Ok((fact.name.clone(), (fact, raw)))
        });
        let seen = facts::collect(read);
        let mut cache = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = DriftCache::new();
        let services = seen.into_iter().map(|(name, (mut fact, raw))| {
            fact.drift = match cache.remove(&fact.id) {
                Some((version, drift)) if version == fact.version => drift,
                _ => raw.drift(),
            };
            known.insert(fact.id.clone(), (fact.version, fact.drift.clone()));
            (name, fact)
        });
        let services = services.collect();
        *cache = known;
        services
    }

    async fn nodes(&self) -> Result<BTreeMap<NodeId, NodeFact>, WorldError> {
        let client = self.engine.client();
        let listed = ask(
            "list the nodes",
            client.list_nodes(None::<ListNodesOptions>),
        )
        .await?;
        let read = listed.into_iter().filter_map(facts::node);
        Ok(read.map(|node| (node.id.clone(), node)).collect())
    }
}

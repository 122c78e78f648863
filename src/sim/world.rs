//! The simulated world behind the trait that the loops know.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::SimWorld;
use super::call::{Answer, Reply, Request};
use super::hints::Hinted;
use crate::action::{Action, JobTarget, Measure};
use crate::api::{LoadBalancerSpec, MetricSourceSpec, Name, SourceStatus};
use crate::snapshot::{SampleOutcome, Snapshot};
use crate::world::{Draft, Lease, StoreId, Stored, StoredSource, World, WorldError};

/// Each request has its own kind of reply; another one would be a defect of the simulation.
const ODD: &str = "a call is answered by a reply of its own kind";

impl SimWorld {
    async fn done(&self, request: Request) -> Result<(), WorldError> {
        match Answer::to(self, request).await {
            Reply::Done(result) => result,
            other => panic!("{ODD}: {other:?}"),
        }
    }
}

#[async_trait]
impl World for SimWorld {
    async fn observe(
        &self,
        load_balancers: &BTreeMap<Name, LoadBalancerSpec>,
    ) -> Result<Snapshot, WorldError> {
        let instances = load_balancers.iter().flat_map(|(name, spec)| {
            let instances = spec.haproxy.instances.iter();
            instances.map(move |instance| (name.clone(), instance.name.clone()))
        });
        match Answer::to(self, Request::Observe(instances.collect())).await {
            Reply::Observed(result) => result,
            other => panic!("{ODD}: {other:?}"),
        }
    }

    async fn act(
        &self,
        action: &Action,
        _: &BTreeMap<Name, LoadBalancerSpec>,
    ) -> Result<(), WorldError> {
        self.done(Request::Act(Box::new(action.clone()))).await
    }

    async fn measure(&self, question: &Measure, source: &MetricSourceSpec) -> SampleOutcome {
        let limit = source.influxdb.timeout;
        let request = Request::Measure(Box::new(question.clone()), limit);
        match Answer::to(self, request).await {
            Reply::Sampled(outcome) => outcome,
            other => panic!("{ODD}: {other:?}"),
        }
    }

    async fn read_log(&self, job: &JobTarget) -> Result<Vec<String>, WorldError> {
        match Answer::to(self, Request::ReadLog(Box::new(job.clone()))).await {
            Reply::Log(result) => result,
            other => panic!("{ODD}: {other:?}"),
        }
    }

    async fn load(&self) -> Result<Vec<Stored>, WorldError> {
        match Answer::to(self, Request::Load).await {
            Reply::Loaded(result) => result,
            other => panic!("{ODD}: {other:?}"),
        }
    }

    async fn create(&self, draft: &Draft) -> Result<(), WorldError> {
        self.done(Request::Create(Box::new(draft.clone()))).await
    }

    async fn replace(&self, id: &StoreId, version: u64, draft: &Draft) -> Result<(), WorldError> {
        let draft = Box::new(draft.clone());
        self.done(Request::Replace(id.clone(), version, draft))
            .await
    }

    async fn remove(&self, id: &StoreId) -> Result<(), WorldError> {
        self.done(Request::Remove(id.clone())).await
    }

    async fn sources(&self) -> Result<Vec<StoredSource>, WorldError> {
        match Answer::to(self, Request::Sources).await {
            Reply::Sources(result) => result,
            other => panic!("{ODD}: {other:?}"),
        }
    }

    async fn tell_source(
        &self,
        seen: Option<&StoredSource>,
        status: &SourceStatus,
    ) -> Result<(), WorldError> {
        let seen = seen.cloned().map(Box::new);
        self.done(Request::Tell(seen, Box::new(status.clone())))
            .await
    }

    async fn lease(&self) -> Result<Option<Lease>, WorldError> {
        match Answer::to(self, Request::Lease).await {
            Reply::Lease(result) => result,
            other => panic!("{ODD}: {other:?}"),
        }
    }

    async fn take_lease(&self, seen: Option<&Lease>, holder: &str) -> Result<Lease, WorldError> {
        let request = Request::TakeLease(seen.cloned(), holder.to_owned());
        match Answer::to(self, request).await {
            Reply::Taken(result) => result,
            other => panic!("{ODD}: {other:?}"),
        }
    }

    async fn hint(&self) {
        Hinted::by(self).await;
    }
}

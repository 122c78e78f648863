//! Intents: the few things that may be done to the world, each with its precondition.
//!
//! Every action is idempotent: doing it again, or doing it late, leads to the same end or is
//! refused by the world because its precondition no longer holds.

use std::sync::Arc;

use crate::api::{Access, Name, Revision, ServerWeight, Template};
use crate::snapshot::{Endpoint, JobEnd, JobFact, SampleKey, ServerName, ServiceId, Window};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create a revision's service. Precondition: no service of that name exists.
    CreateService(NewService),
    /// Put a service that another hand changed back to what it was made, with `replicas` tasks.
    RestoreService {
        /// The service, at the version that was observed.
        service: ServiceTarget,
        /// What it is to run.
        spec: NewService,
    },
    /// Ask for another number of tasks.
    ScaleService {
        /// The service, at the version that was observed.
        service: ServiceTarget,
        /// The new number.
        replicas: u32,
    },
    /// Remove a service. Precondition: it asks for no tasks, or its rollout is being deleted.
    RemoveService {
        /// The service, at the version that was observed.
        service: ServiceTarget,
    },
    /// Change servers of one back end on one instance, in the order given.
    ChangeServers(ServerChanges),
    /// Ask a metric source; the sample arrives in a later snapshot.
    Measure(Measure),
    /// Run a job. Precondition: none of its name exists.
    StartJob(NewJob),
    /// Read the end of the log of a job that is over; the sample arrives in a later snapshot.
    ReadLog(ReadLog),
    /// Remove a job: its sample is remembered, or nobody waits for it any more.
    RemoveJob(JobTarget),
    /// Remove the rollout's own config object: the last step of a deletion.
    Forget,
}

/// A service at the version that was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTarget {
    /// Its id.
    pub id: ServiceId,
    /// Its name, for messages.
    pub name: String,
    /// The object version that the action presumes.
    pub version: u64,
}

/// What a revision's service is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct NewService {
    /// The rollout that owns it.
    pub rollout: Name,
    /// The revision that it runs.
    pub revision: Revision,
    /// What its tasks run.
    pub template: Arc<Template>,
    /// How its tasks are reached: whether a port is published on the node, and which.
    pub access: Access,
    /// How many tasks it asks for.
    pub replicas: u32,
}

impl NewService {
    /// The service's name.
    pub fn name(&self) -> String {
        self.revision.service_name(&self.rollout)
    }
}

/// Changes of one back end on one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerChanges {
    /// The load balancer.
    pub load_balancer: Name,
    /// The instance.
    pub instance: Name,
    /// The back end.
    pub backend: String,
    /// What to do, in this order.
    pub changes: Vec<ServerChange>,
}

/// One change of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerChange {
    /// The server; always one of ours (TRAFFIC-7).
    pub server: ServerName,
    /// What to do to it.
    pub verb: ServerVerb,
}

/// What can be done to a server (management guide, section 9.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerVerb {
    /// `add server`, with checks, in maintenance and at weight 0.
    Add(Endpoint),
    /// `enable health` and `enable server`: out of maintenance or drain.
    Enable,
    /// `set server weight`.
    Weigh(ServerWeight),
    /// `set server state drain`.
    Drain,
    /// `set server state maint`.
    Maintain,
    /// `shutdown sessions server`: cut what is still open.
    Cut,
    /// `del server`. Precondition: in maintenance and without sessions.
    Delete,
}

/// A question to a metric source.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Which measurement it is.
    pub key: SampleKey,
    /// The `MetricSource` to ask.
    pub source: Name,
    /// The query with its placeholders.
    pub query: String,
    /// The values for the placeholders, by name; escaped where they are put in (ANALYSIS-4).
    pub values: std::collections::BTreeMap<String, String>,
    /// The time to look at (ANALYSIS-2).
    pub window: Window,
}

/// What a job is made of (ANALYSIS-6).
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Which measurement it takes, and so what it is called.
    pub key: SampleKey,
    /// What it runs.
    pub template: Arc<Template>,
    /// What it is told besides: environment variables by name.
    pub told: std::collections::BTreeMap<String, String>,
}

impl NewJob {
    /// The name of its service.
    pub fn name(&self) -> String {
        self.key.job_name()
    }
}

/// A job that was observed. Nobody writes to one once it is there, so that its version says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTarget {
    /// Its service's id.
    pub id: ServiceId,
    /// Its service's name, for messages.
    pub name: String,
    /// Which measurement it takes: what its label must say.
    pub key: SampleKey,
}

impl From<&JobFact> for JobTarget {
    fn from(job: &JobFact) -> Self {
        Self {
            id: job.id.clone(),
            name: job.name.clone(),
            key: job.key.clone(),
        }
    }
}

/// A job that is over, and what its sample will say besides the end of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadLog {
    /// The job.
    pub job: JobTarget,
    /// How it ended.
    pub end: JobEnd,
    /// From the request for it to its end.
    pub window: Window,
}

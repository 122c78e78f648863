//! The journal: every call that changes something and every event, as data.

use std::fmt;

use jiff::Timestamp;

use super::hands::Hand;
use super::traffic::Loss;
use crate::action::ServerChanges;
use crate::api::{Name, Revision};
use crate::snapshot::{CheckState, SampleKey, SampleOutcome, TaskId, TaskState, Window};

/// One life of a controller. One that is started again after a crash is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControllerId(pub u32);

impl fmt::Display for ControllerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "controller {}", self.0)
    }
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A controller, or another client with the same trait.
    Controller(ControllerId),
    /// Another hand.
    Hand,
    /// The world by itself.
    World,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub who: Who,
    /// What.
    pub what: What,
}

/// What became of something that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, or was so already.
    Done,
    /// A version or a precondition did not fit.
    Conflict,
    /// The neighbour said no.
    Refused,
    /// There was nobody to ask.
    Unreachable,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A resource was written to the store (created, replaced or removed), or that was tried.
    Stored {
        /// The object, `rollout/news-web`.
        title: String,
        /// How.
        write: Write,
        /// The epoch of who wrote.
        epoch: u64,
        /// Whether it was done.
        outcome: Outcome,
    },
    /// It was told of a GitOps source, or that was tried.
    Told {
        /// The source.
        source: Name,
        /// Whether it was done.
        outcome: Outcome,
    },
    /// The lease was written, or that was tried.
    Leased {
        /// The new epoch.
        epoch: u64,
        /// Who took it; empty when it was given back.
        holder: String,
        /// Whether it was done.
        outcome: Outcome,
    },
    /// Something was done to a service, or that was tried.
    Service {
        /// Its name.
        service: String,
        /// What.
        change: ServiceChange,
        /// Whether it was done.
        outcome: Outcome,
    },
    /// A job, by the measurement that it takes, has changed.
    Job(SampleKey, JobChange),
    /// Servers were changed, or that was tried.
    Servers {
        /// The changes.
        changes: ServerChanges,
        /// Whether all of it was done.
        outcome: Outcome,
    },
    /// A controller begins to look at the Swarm and at the proxies: a turn.
    Looked,
    /// A metric source was asked about that time.
    Asked(SampleKey, Window),
    /// A metric source has answered.
    Answered(SampleKey, SampleOutcome),
    /// A controller reached the call at which it dies.
    Crashed,
    /// A task is in another state, as the managers see it.
    Task {
        /// The task.
        task: TaskId,
        /// Its service's name.
        service: String,
        /// Its state.
        state: TaskState,
        /// What the Swarm wants it to be.
        desired: TaskState,
    },
    /// A task got its stop signal.
    Signalled(TaskId),
    /// A task's process listens now.
    Listens(TaskId),
    /// A task's process ended, with so many open requests.
    Ended(TaskId),
    /// A node, by its number, is in another state.
    Node(usize, NodeChange),
    /// A proxy's check of a server came to another result.
    Checked {
        /// The instance.
        instance: Name,
        /// The server.
        server: String,
        /// The result.
        check: CheckState,
    },
    /// A proxy is in another condition.
    Proxy(Name, ProxyChange),
    /// Requests were lost at once.
    Lost {
        /// Why.
        loss: Loss,
        /// The back end.
        backend: String,
        /// The revision that had them.
        revision: Revision,
        /// How many, on average.
        requests: f64,
    },
    /// From here on requests are lost on an instance, or are no more.
    Losing {
        /// The instance.
        instance: Name,
        /// The back end.
        backend: String,
        /// Why; nothing if they are no longer.
        loss: Option<Loss>,
    },
    /// A hand is about to do this; what follows from it has entries of its own.
    Lent(Box<Hand>),
}

/// How an object of the store was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is new.
    Create,
    /// It was there.
    Replace,
    /// It is gone.
    Remove,
}

/// What was done to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceChange {
    /// It was created with so many tasks.
    Create(u32),
    /// It was put back, with so many tasks.
    Restore(u32),
    /// It was scaled.
    Scale {
        /// How many tasks it asked for before.
        from: u32,
        /// How many it asks for now.
        to: u32,
    },
    /// It was removed.
    Remove,
    /// It was edited.
    Edit,
    /// Swarm itself wrote to it: only its version is another one.
    Bump,
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobChange {
    /// It was asked for.
    Started,
    /// No node takes it.
    Waits,
    /// Its process is there.
    Runs,
    /// The managers know that its process ended by itself, and with what.
    Ended(i64),
    /// No process came of it, or something else ended it.
    Lost,
    /// It was removed.
    Removed,
}

/// What became of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// It lost its power: what ran on it is gone.
    Crashed,
    /// The managers do not hear it; what runs on it goes on.
    CutOff,
    /// The managers call it down.
    Down,
    /// It is heard again.
    Back,
    /// It is drained.
    Drained,
    /// It takes tasks again.
    Active,
}

/// What became of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyChange {
    /// It was reloaded: another process, without what it was told.
    Reloaded,
    /// It is not running.
    Stopped,
    /// It runs again, without what it was told.
    Started,
    /// Nobody reaches its runtime API; it serves.
    Unreachable,
    /// Its runtime API takes connections and says nothing; it serves.
    Hangs,
    /// Its runtime API answers again.
    Answers,
}

/// What there is to tell, and to whom.
pub(super) struct Journal {
    /// The entries that were kept.
    pub entries: Vec<Entry>,
    /// Whether they are.
    pub keeps: bool,
    /// Whether somebody listens.
    pub is_heard: bool,
    /// What has happened since the last time that anybody was told.
    pub fresh: Vec<(Who, What)>,
}

impl Journal {
    pub const fn new(keeps: bool) -> Self {
        Self {
            entries: Vec::new(),
            keeps,
            is_heard: false,
            fresh: Vec::new(),
        }
    }

    /// Notes what happened, if anybody wants to know.
    pub fn note(&mut self, who: Who, what: impl FnOnce() -> What) {
        if self.keeps || self.is_heard {
            self.fresh.push((who, what()));
        }
    }
}

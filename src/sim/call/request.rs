//! What is asked of a neighbour, and what it answers.

use super::super::faults::Target;
use crate::action::{Action, JobTarget, Measure};
use crate::api::{Duration, Name, SourceStatus};
use crate::snapshot::{SampleOutcome, Snapshot};
use crate::world::{Draft, Lease, StoreId, Stored, StoredSource, WorldError};

/// What is asked.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Request {
    Observe(Vec<(Name, Name)>),
    Act(Box<Action>),
    Load,
    Create(Box<Draft>),
    Replace(StoreId, u64, Box<Draft>),
    Remove(StoreId),
    Sources,
    Tell(Option<Box<StoredSource>>, Box<SourceStatus>),
    Lease,
    TakeLease(Option<Lease>, String),
    Measure(Box<Measure>, Duration),
    ReadLog(Box<JobTarget>),
}

/// What is answered.
#[derive(Debug)]
pub(in crate::sim) enum Reply {
    Observed(Result<Snapshot, WorldError>),
    Done(Result<(), WorldError>),
    Loaded(Result<Vec<Stored>, WorldError>),
    Sources(Result<Vec<StoredSource>, WorldError>),
    Lease(Result<Option<Lease>, WorldError>),
    Taken(Result<Lease, WorldError>),
    Sampled(SampleOutcome),
    Log(Result<Vec<String>, WorldError>),
}

impl Request {
    pub fn target(&self) -> Target {
        match self {
            Self::Observe(_) | Self::ReadLog(_) => Target::Swarm,
            Self::Act(action) => match action.as_ref() {
                Action::ChangeServers(_) => Target::Haproxy,
                Action::CreateService(_)
                | Action::RestoreService { .. }
                | Action::ScaleService { .. }
                | Action::RemoveService { .. }
                | Action::Measure(_)
                | Action::StartJob(_)
                | Action::ReadLog(_)
                | Action::RemoveJob(_)
                | Action::Forget => Target::Swarm,
            },
            Self::Load
            | Self::Create(_)
            | Self::Replace(..)
            | Self::Remove(_)
            | Self::Sources
            | Self::Tell(..) => Target::Store,
            Self::Lease | Self::TakeLease(..) => Target::Lease,
            Self::Measure(..) => Target::Source,
        }
    }

    /// The answer of whoever hears nothing.
    pub(super) fn unanswered(&self) -> Reply {
        let error = || WorldError::Unreachable {
            what: "a call".into(),
            reason: "no answer".into(),
        };
        match self {
            Self::Observe(_) => Reply::Observed(Err(error())),
            Self::Act(_)
            | Self::Create(_)
            | Self::Replace(..)
            | Self::Remove(_)
            | Self::Tell(..) => Reply::Done(Err(error())),
            Self::ReadLog(_) => Reply::Log(Err(error())),
            Self::Load => Reply::Loaded(Err(error())),
            Self::Sources => Reply::Sources(Err(error())),
            Self::Lease => Reply::Lease(Err(error())),
            Self::TakeLease(..) => Reply::Taken(Err(error())),
            Self::Measure(..) => Reply::Sampled(SampleOutcome::Error("no answer".into())),
        }
    }
}

//! What is done to a world and its controllers, as plain data: it can be printed, kept and left out.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::action::Measure;
use crate::api::{Duration, Name, Revision};
use crate::gitops::Saying;
use crate::sim::{Answer, CrashAt, FaultPlan, Hand, View};

/// A place in which controllers live, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u8);

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seat-{}", self.0)
    }
}

/// Something that is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Another hand does something to the world.
    Hand(Hand),
    /// From here on a metric source, or every one that is not named, answers like this.
    Source(Option<Name>, Reading),
    /// From here on the GitOps source says this.
    Say(Saying),
    /// From here on this goes wrong.
    Faults(Box<FaultPlan>),
    /// A controller starts, unless one lives there.
    Start(Seat),
    /// A controller dies between two instructions (`kill -9`).
    Kill(Seat),
    /// A controller is asked to end (SIGTERM).
    Stop(Seat),
    /// A controller dies at one of its next calls.
    Crash(Seat, CrashAt),
    /// A controller's time of day jumps by so much.
    Jump(Seat, SignedDuration),
}

/// What a metric source answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// The part of its requests that the canary's image answers with 5xx, as it is in truth.
    Truth,
    /// A number.
    Value(f64),
    /// No series at all.
    NoData,
    /// A null.
    Null,
    /// An answer that was cut.
    Partial,
    /// An error.
    Error,
    /// Nothing, until the source's time limit is over.
    Never,
    /// The same, so much later.
    Late(Duration, Box<Self>),
}

impl Reading {
    /// As the simulated source takes it.
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Truth => Answer::Ask(Arc::new(|question: &Measure, view: &View<'_>| {
                error_ratio(question, *view)
            })),
            Self::Value(value) => Answer::Value(*value),
            Self::NoData => Answer::NoData,
            Self::Null => Answer::Null,
            Self::Partial => Answer::Partial,
            Self::Error => Answer::Error("the database is shutting down".to_owned()),
            Self::Never => Answer::Never,
            Self::Late(by, then) => Answer::Late(*by, Box::new(then.answer())),
        }
    }
}

/// The canary's true part of errors.
fn error_ratio(question: &Measure, view: View<'_>) -> Answer {
    let canary = question.values.get("canary");
    let canary: Option<Revision> = canary.and_then(|text| text.parse().ok());
    let status = view.status(&question.key.rollout);
    let record = canary.and_then(|canary| status?.revisions.get(&canary));
    record.map_or(Answer::NoData, |record| {
        Answer::Value(view.error_rate(&record.template.image))
    })
}

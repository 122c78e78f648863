//! The simulated metric source: what it answers, and how late.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::state::State;
use super::time::{Micros, micros};
use super::view::View;
use crate::action::Measure;
use crate::api::{Duration, Name};
use crate::snapshot::SampleOutcome;

/// What a source answers.
#[derive(Clone)]
pub enum Answer {
    /// A number.
    Value(f64),
    /// No series at all, as when there are no points.
    NoData,
    /// A null, which is no data and not 0.
    Null,
    /// An answer that was cut (`partial: true`), which is an error of the source.
    Partial,
    /// An error.
    Error(String),
    /// The same, so much later. One that comes after the source's time limit does not come.
    Late(Duration, Box<Self>),
    /// Nothing, until the source's time limit is over.
    Never,
    /// Whatever this says at the time of the question.
    Ask(Arc<dyn Oracle>),
}

/// Gives answers from the truth, or from points that are drawn from it.
pub trait Oracle: Send + Sync {
    /// The answer to `question`, in the world that `view` shows.
    fn answer(&self, question: &Measure, view: &View<'_>) -> Answer;
}

impl<F> Oracle for F
where
    F: Fn(&Measure, &View<'_>) -> Answer + Send + Sync,
{
    fn answer(&self, question: &Measure, view: &View<'_>) -> Answer {
        self(question, view)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "Value({value})"),
            Self::NoData => f.write_str("NoData"),
            Self::Null => f.write_str("Null"),
            Self::Partial => f.write_str("Partial"),
            Self::Error(problem) => write!(f, "Error({problem:?})"),
            Self::Late(by, answer) => write!(f, "Late({by}, {answer:?})"),
            Self::Never => f.write_str("Never"),
            Self::Ask(_) => f.write_str("Ask"),
        }
    }
}

/// What each source answers.
#[derive(Debug)]
pub(super) struct Source {
    answers: BTreeMap<Name, Answer>,
    other: Answer,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            answers: BTreeMap::new(),
            other: Answer::NoData,
        }
    }
}

impl Source {
    /// From here on, `source` (or every source that is not named) answers like this.
    pub fn set(&mut self, source: Option<Name>, answer: Answer) {
        match source {
            Some(name) => {
                self.answers.insert(name, answer);
            }
            None => self.other = answer,
        }
    }
}

impl State {
    /// What a source answers to a question that is sent now, and after which time. Windows end in the past:
    /// it makes no difference that the answer is worked out before the question has arrived.
    pub(super) fn sample(
        &mut self,
        question: &Measure,
        limit: Duration,
    ) -> (SampleOutcome, Micros) {
        let known = self.source.answers.get(&question.source);
        let mut answer = known.unwrap_or(&self.source.other).clone();
        let mut takes = self.random.within(self.pace.source);
        let limit = micros(limit);
        let outcome = loop {
            match answer {
                Answer::Value(value) if value.is_finite() => break SampleOutcome::Value(value),
                Answer::Value(value) => {
                    break SampleOutcome::Error(format!("the answer has the number {value}"));
                }
                Answer::NoData | Answer::Null => break SampleOutcome::NoData,
                Answer::Partial => {
                    break SampleOutcome::Error("the answer is only a part".to_owned());
                }
                Answer::Error(problem) => break SampleOutcome::Error(problem),
                Answer::Late(by, then) => {
                    takes += micros(by);
                    answer = *then;
                }
                Answer::Never => {
                    takes = limit;
                    break SampleOutcome::NoData; // Not heard by anybody.
                }
                Answer::Ask(oracle) => answer = oracle.answer(question, &View(self)),
            }
        };
        if takes < limit {
            return (outcome, takes);
        }
        let silence = SampleOutcome::Error("the source gave no answer in time".to_owned());
        (silence, limit)
    }
}

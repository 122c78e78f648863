//! The oracle: what the simulated metric source says, by the user's own query over simulated requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::gauge::Gauge;
use crate::action::Measure;
use crate::api::Name;
use crate::influxql;
use crate::sim::point::Point;
use crate::sim::query::Query;
use crate::sim::{Answer, Oracle, View};
use crate::snapshot::{SampleOutcome, Window};

/// A time in which the source is not as it should be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outage {
    pub from: Timestamp,
    pub until: Timestamp,
    pub silence: Silence,
}

/// What a source does that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// It refuses the connection.
    Refuses,
    /// It takes the question and says nothing.
    Hangs,
}

/// Answers from points that are drawn from the simulated requests, or from what the user says.
pub(super) struct Source {
    pub seed: u64,
    pub gauges: BTreeMap<Name, Gauge>,
    pub outages: Vec<Outage>,
    /// The points of each second of the stage at hand: to draw them is what takes longest.
    pub drawn: Mutex<BTreeMap<i64, Vec<Point>>>,
}

impl Oracle for Source {
    fn answer(&self, question: &Measure, view: &View<'_>) -> Answer {
        let now = view.now();
        let mut outages = self.outages.iter();
        let outage = outages.find(|outage| outage.from <= now && now < outage.until);
        match outage.map(|outage| outage.silence) {
            Some(Silence::Refuses) => return Answer::Error("connection refused".to_owned()),
            Some(Silence::Hangs) => return Answer::Never,
            None => {}
        }
        if let Some(gauge) = self.gauges.get(&question.key.metric) {
            return gauge.read(self.seed, &question.key);
        }
        match self.evaluate(question, *view) {
            Ok(SampleOutcome::Value(value)) => Answer::Value(value),
            Ok(SampleOutcome::NoData | SampleOutcome::Ran { .. }) => Answer::NoData,
            Ok(SampleOutcome::Error(problem)) | Err(problem) => Answer::Error(problem),
        }
    }
}

impl Source {
    fn evaluate(&self, question: &Measure, view: View<'_>) -> Result<SampleOutcome, String> {
        let text = influxql::fill(&question.query, &question.values, question.window)
            .map_err(|problem| problem.to_string())?;
        let query = Query::parse(&text).map_err(|problem| problem.to_string())?;
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        // No measurement looks back beyond the beginning of its stage (ANALYSIS-2).
        let begin = question.key.since.as_second();
        if drawn
            .first_key_value()
            .is_some_and(|(first, _)| *first < begin)
        {
            *drawn = drawn.split_off(&begin);
        }
        let (from, until) = seconds(question.window);
        let until = until.min(view.now().as_second());
        for second in from..until {
            let points = || view.points(second, second + 1);
            drawn.entry(second).or_insert_with(points);
        }
        let asked = drawn.range(from..until.max(from));
        Ok(query.evaluate(asked.flat_map(|(_, points)| points)))
    }
}

/// The whole seconds that a window touches.
fn seconds(window: Window) -> (i64, i64) {
    let end = window.end.as_second();
    let rest = i64::from(window.end.subsec_nanosecond() > 0);
    (window.start.as_second(), end + rest)
}

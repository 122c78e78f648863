//! The `InfluxQL` that people write as gates, over simulated points.
//!
//! A query is read once and evaluated for each measurement. Its text is what [`crate::influxql`]
//! makes of a manifest's query, and its answer is what the controller would take InfluxDB 1.x's for: no points are
//! no data and never 0; null in a computation makes it null; a division by 0 is 0. Each such rule was measured on
//! InfluxDB 1.6.7, and `tests/influxdb` compares the two.
//!
//! The way of a query: `lexer` → `parser` (to `syntax`) → `compile` (to `program`) → `run` (with `aggregate` and
//! `number`). What the points hold is in [`field`]. What is not understood is refused, with its place:
//! a simulation must not make up an answer.

use std::fmt;

use super::point::Point;
use crate::snapshot::SampleOutcome;

mod aggregate;
mod compile;
pub mod field;
mod lexer;
mod number;
mod parser;
mod program;
mod run;
mod syntax;

/// A query that can be evaluated.
#[derive(Clone, Debug)]
pub struct Query {
    program: program::Program,
    absent: Vec<Absent>,
}

/// What a query holds that has no meaning here, or that InfluxDB would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "column {column} of the query: {part} cannot be simulated; {advice}, or choose the metric's value with `--metric NAME=VALUE`"
)]
pub struct Unsupported {
    /// Where it stands: the number of its first character in the text, from 1.
    pub column: usize,
    /// What stands there, for people.
    pub part: String,
    /// What would be understood.
    pub advice: String,
}

impl Unsupported {
    fn at(column: usize, part: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            column,
            part: part.into(),
            advice: advice.into(),
        }
    }
}

/// What a query asks of that no simulated point has. InfluxDB has no data of such a name either, unless
/// somebody else writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absent {
    /// A measurement other than `haproxy`.
    Measurement(String),
    /// A field that the simulation does not fill.
    Field(String),
    /// A tag that the simulation does not fill.
    Tag(String),
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measurement(name) => write!(f, "the measurement `{name}`"),
            Self::Field(name) => write!(f, "the field `{name}`"),
            Self::Tag(name) => write!(f, "the tag `{name}`"),
        }?;
        f.write_str(" is not simulated; check its name, or choose the metric's value with `--metric NAME=VALUE`")
    }
}

impl Query {
    /// Reads a query without placeholders.
    ///
    /// # Errors
    /// When it holds what is not understood. What InfluxDB itself would refuse is among that.
    pub fn parse(text: &str) -> Result<Self, Unsupported> {
        let (program, absent) = compile::compile(&parser::parse(text)?)?;
        Ok(Self { program, absent })
    }

    /// What no simulated point has, in order and each once. Where it is not empty the query may well have no data.
    pub fn absent(&self) -> &[Absent] {
        &self.absent
    }

    /// The answer over `points`, in whatever order they come.
    pub fn evaluate<'a>(&self, points: impl Iterator<Item = &'a Point>) -> SampleOutcome {
        let mut points = points;
        run::outcome(&self.program, &mut points)
    }
}

#[cfg(test)]
mod tests;

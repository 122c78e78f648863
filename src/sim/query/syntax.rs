//! What a query says, before its names are known to mean anything.

use super::number::{Number, Operator};

/// One `SELECT`.
#[derive(Clone, Debug)]
pub(super) struct Select {
    /// What is asked for.
    pub(super) columns: Vec<Selected>,
    /// Of what.
    pub(super) source: Source,
    /// Of which part of it.
    pub(super) condition: Option<Condition>,
    /// By what it is kept apart.
    pub(super) groups: Vec<Group>,
    /// What stands for what is missing.
    pub(super) fill: Option<(Fill, usize)>,
}

/// A name and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) column: usize,
}

/// A selected column.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    pub(super) expression: Expression,
    /// What `AS` calls it.
    pub(super) alias: Option<String>,
    pub(super) column: usize,
}

/// What a column is computed from.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Number(Number),
    Name(Name),
    Call(Name, Vec<Expression>),
    Binary(Box<Expression>, Operator, Box<Expression>),
}

/// What stands after `FROM`.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Measurement(Name),
    Subquery(Box<Select>),
}

/// What stands after `WHERE`.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Compare(Operand, Comparison, Operand),
}

/// A side of a comparison.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) value: Literal,
    /// Nanoseconds that are added to an instant.
    pub(super) shift: Option<i128>,
    pub(super) column: usize,
}

/// What is compared.
#[derive(Clone, Debug)]
pub(super) enum Literal {
    Name(String),
    Text(String),
    Number(Number),
    Duration(i128),
    Regex(String),
}

/// How it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Matches,
    Differs,
}

impl Comparison {
    /// The same with its sides exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
            Self::Equal | Self::Unequal | Self::Matches | Self::Differs => self,
        }
    }
}

/// What stands after `GROUP BY`.
#[derive(Clone, Debug)]
pub(super) enum Group {
    /// Intervals of so many nanoseconds.
    Time(i128, usize),
    /// A tag.
    Tag(Name),
}

/// What stands for what is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fill {
    /// Null.
    Null,
    /// Nothing: such a row is left out.
    Nothing,
    /// A number.
    Number(Number),
}

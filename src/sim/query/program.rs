//! A query whose names are known: what is run. How it is made is in `compile`, how it runs in `run`.

use regex::Regex;

use super::aggregate::Function;
use super::field::{Field, Tag};
use super::number::{Kind, Number, Operator};
use super::syntax::{Comparison, Fill};

/// One `SELECT`.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) origin: Origin,
    pub(super) range: Range,
    pub(super) filter: Option<Filter>,
    /// The tags that keep rows apart, with their names.
    pub(super) tags: Vec<(String, TagRef)>,
    /// The length of intervals, in nanoseconds.
    pub(super) every: Option<i128>,
    pub(super) fill: Fill,
    pub(super) operands: Operands,
    pub(super) outputs: Vec<Output>,
}

/// Where records come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The collector's points.
    Points,
    /// A measurement that nobody simulates.
    Foreign,
    /// A subquery.
    Inner(Box<Program>),
}

/// The time that is looked at, in nanoseconds since 1970: `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: i128,
    pub(super) end: i128,
}

/// What columns are computed from.
#[derive(Clone, Debug)]
pub(super) enum Operands {
    /// Aggregates of fields: one row for each group and interval.
    Aggregates(Vec<Call>),
    /// Fields themselves: a row for each record.
    Fields(Vec<FieldRef>),
}

/// An aggregate of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) function: Function,
    pub(super) field: FieldRef,
    pub(super) kind: Kind,
}

/// A column of the answer.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) formula: Formula,
    pub(super) kind: Kind,
}

/// How a column is computed.
#[derive(Clone, Debug)]
pub(super) enum Formula {
    Number(Number),
    /// The operand of that index.
    Operand(usize),
    Binary(Box<Formula>, Operator, Box<Formula>),
}

/// Where a record keeps a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldRef {
    Point(Field),
    Inner(usize),
    /// No record has it.
    Absent,
}

/// Where a record keeps a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagRef {
    Point(Tag),
    Inner(usize),
    /// No record has it: it is the empty text.
    Absent,
}

/// Which records are taken.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Text(TagRef, Matcher),
    Number(FieldRef, Comparison, Number),
}

/// What a tag is compared with.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    Equal(String),
    Unequal(String),
    Matches(Regex),
    Differs(Regex),
}

/// What is looked at: a point, or a row of a subquery.
pub(super) trait Record {
    /// Its instant, in nanoseconds since 1970.
    fn nanos(&self) -> i128;
    /// A field's value, if it has one.
    fn field(&self, field: FieldRef) -> Option<Number>;
    /// A tag's value; empty if it has none.
    fn tag(&self, tag: TagRef) -> &str;
}

impl Range {
    /// All of time.
    pub(super) const ALL: Self = Self {
        start: i128::MIN,
        end: i128::MAX,
    };

    pub(super) fn contains(self, nanos: i128) -> bool {
        self.start <= nanos && nanos < self.end
    }

    /// What belongs to both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            start: self.start.max(other.start),
            end: self.end.min(other.end),
        }
    }
}

impl Formula {
    /// Null if an operand is (measured on 1.6.7).
    pub(super) fn value(&self, operands: &[Option<Number>]) -> Option<Number> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Operand(index) => operands[*index],
            Self::Binary(left, operator, right) => {
                Some(operator.apply(left.value(operands)?, right.value(operands)?))
            }
        }
    }

    pub(super) fn divides(&self) -> bool {
        match self {
            Self::Number(_) | Self::Operand(_) => false,
            Self::Binary(left, operator, right) => {
                *operator == Operator::Over || left.divides() || right.divides()
            }
        }
    }
}

impl Filter {
    pub(super) fn takes(&self, record: &impl Record) -> bool {
        match self {
            Self::And(left, right) => left.takes(record) && right.takes(record),
            Self::Or(left, right) => left.takes(record) || right.takes(record),
            Self::Text(tag, matcher) => {
                let tag = record.tag(*tag);
                match matcher {
                    Matcher::Equal(text) => tag == text,
                    Matcher::Unequal(text) => tag != text,
                    Matcher::Matches(regex) => regex.is_match(tag),
                    Matcher::Differs(regex) => !regex.is_match(tag),
                }
            }
            // A field that is not there compares with nothing, not even as unequal (measured on 1.6.7).
            Self::Number(field, comparison, number) => record
                .field(*field)
                .is_some_and(|value| holds(value, *comparison, *number)),
        }
    }
}

fn holds(value: Number, comparison: Comparison, number: Number) -> bool {
    let order = match (value, number) {
        (Number::Integer(left), Number::Integer(right)) => Some(left.cmp(&right)),
        (left, right) => left.as_f64().partial_cmp(&right.as_f64()),
    };
    let Some(order) = order else { return false };
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::Unequal => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::AtMost => order.is_le(),
        Comparison::More => order.is_gt(),
        Comparison::AtLeast => order.is_ge(),
        // The compiler gives these a text.
        Comparison::Matches | Comparison::Differs => false,
    }
}

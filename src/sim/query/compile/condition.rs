//! `WHERE`: which records are taken, and of which time.

use regex::Regex;

use super::super::Unsupported;
use super::super::program::{Filter, Matcher, Range};
use super::super::syntax::{Comparison, Condition, Literal, Name, Operand};
use super::instant::instant;
use super::{Scope, is_time, whole};

/// The time that conditions leave.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) range: Range,
    /// Where the first of them stands, if any does.
    pub(super) column: Option<usize>,
}

impl Times {
    const ALL: Self = Self {
        range: Range::ALL,
        column: None,
    };

    fn and(self, other: Self) -> Self {
        Self {
            range: self.range.and(other.range),
            column: self.column.or(other.column),
        }
    }
}

/// Takes the times out of a condition, as InfluxDB does (influxql `ast.go`, `ConditionExpr`).
pub(super) fn condition(
    condition: Option<&Condition>,
    scope: &mut Scope<'_>,
) -> Result<(Option<Filter>, Times), Unsupported> {
    match condition {
        None => Ok((None, Times::ALL)),
        Some(condition) => cut(condition, scope),
    }
}

fn cut(
    condition: &Condition,
    scope: &mut Scope<'_>,
) -> Result<(Option<Filter>, Times), Unsupported> {
    match condition {
        Condition::And(left, right) => {
            let ((left, first), (right, second)) = (cut(left, scope)?, cut(right, scope)?);
            Ok((joined(Filter::And, left, right), first.and(second)))
        }
        // Times are taken out of OR too: they are joined by AND wherever they stand (measured on 1.6.7).
        Condition::Or(left, right) => {
            let ((left, first), (right, second)) = (cut(left, scope)?, cut(right, scope)?);
            Ok((joined(Filter::Or, left, right), first.and(second)))
        }
        Condition::Compare(left, comparison, right) => compare(left, *comparison, right, scope),
    }
}

fn joined(
    join: fn(Box<Filter>, Box<Filter>) -> Filter,
    left: Option<Filter>,
    right: Option<Filter>,
) -> Option<Filter> {
    match (left, right) {
        (Some(left), Some(right)) => Some(join(Box::new(left), Box::new(right))),
        (one, other) => one.or(other),
    }
}

fn compare(
    left: &Operand,
    comparison: Comparison,
    right: &Operand,
    scope: &mut Scope<'_>,
) -> Result<(Option<Filter>, Times), Unsupported> {
    let (name, comparison, literal) = match (&left.value, &right.value) {
        (Literal::Name(_), Literal::Name(text)) => {
            return Err(Unsupported::at(
                right.column,
                format!("a comparison with the name `{text}`"),
                "put a text in single quotes, and compare with a text or a number",
            ));
        }
        (Literal::Name(name), _) => (
            Name {
                text: name.clone(),
                column: left.column,
            },
            comparison,
            right,
        ),
        (_, Literal::Name(name)) => (
            Name {
                text: name.clone(),
                column: right.column,
            },
            comparison.mirrored(),
            left,
        ),
        _ => {
            return Err(Unsupported::at(
                left.column,
                "a comparison of two literals",
                "remove it",
            ));
        }
    };
    if is_time(&name.text) {
        let range = range(comparison, literal)?;
        return Ok((
            None,
            Times {
                range,
                column: Some(name.column),
            },
        ));
    }
    if left.shift.or(right.shift).is_some() {
        return Err(Unsupported::at(
            left.column,
            "arithmetic in a comparison",
            "compare a name with a literal",
        ));
    }
    Ok((Some(filter(&name, comparison, literal, scope)?), Times::ALL))
}

fn range(comparison: Comparison, literal: &Operand) -> Result<Range, Unsupported> {
    let nanos = match &literal.value {
        Literal::Number(number) => whole(*number),
        Literal::Duration(nanos) => Some(*nanos),
        Literal::Text(text) => instant(text),
        Literal::Name(_) | Literal::Regex(_) => None,
    };
    let Some(nanos) = nanos.and_then(|nanos| nanos.checked_add(literal.shift.unwrap_or(0))) else {
        return Err(Unsupported::at(
            literal.column,
            "what `time` is compared with",
            "write '2026-01-02T03:04:05Z', nanoseconds since 1970 or a number with a unit, or `{{ window }}` alone",
        ));
    };
    let all = Range::ALL;
    Ok(match comparison {
        Comparison::Equal => Range {
            start: nanos,
            end: nanos.saturating_add(1),
        },
        Comparison::Less => Range { end: nanos, ..all },
        Comparison::AtMost => Range {
            end: nanos.saturating_add(1),
            ..all
        },
        Comparison::More => Range {
            start: nanos.saturating_add(1),
            ..all
        },
        Comparison::AtLeast => Range {
            start: nanos,
            ..all
        },
        Comparison::Unequal | Comparison::Matches | Comparison::Differs => {
            return Err(Unsupported::at(
                literal.column,
                "this comparison of `time`",
                "use `>=` and `<`",
            ));
        }
    })
}

fn filter(
    name: &Name,
    comparison: Comparison,
    literal: &Operand,
    scope: &mut Scope<'_>,
) -> Result<Filter, Unsupported> {
    match &literal.value {
        Literal::Number(number) => {
            if scope.known_tag(&name.text).is_some() && scope.known_field(&name.text).is_none() {
                let part = format!("a comparison of the tag `{}` with a number", name.text);
                return Err(Unsupported::at(
                    literal.column,
                    part,
                    "put the tag's value in single quotes",
                ));
            }
            Ok(Filter::Number(scope.field(name)?, comparison, *number))
        }
        Literal::Text(text) => {
            let matcher = match comparison {
                Comparison::Equal => Matcher::Equal(text.clone()),
                Comparison::Unequal => Matcher::Unequal(text.clone()),
                Comparison::Less
                | Comparison::AtMost
                | Comparison::More
                | Comparison::AtLeast
                | Comparison::Matches
                | Comparison::Differs => {
                    return Err(Unsupported::at(
                        literal.column,
                        "an order of texts",
                        "compare a tag by `=`, `!=`, `=~` or `!~`",
                    ));
                }
            };
            text_filter(name, matcher, literal.column, scope)
        }
        Literal::Regex(pattern) => {
            let regex = Regex::new(pattern).map_err(|_| {
                Unsupported::at(
                    literal.column,
                    format!("the pattern `/{pattern}/`"),
                    "write one of RE2's syntax",
                )
            })?;
            let matcher = match comparison {
                Comparison::Differs => Matcher::Differs(regex),
                Comparison::Matches
                | Comparison::Equal
                | Comparison::Unequal
                | Comparison::Less
                | Comparison::AtMost
                | Comparison::More
                | Comparison::AtLeast => Matcher::Matches(regex),
            };
            text_filter(name, matcher, literal.column, scope)
        }
        Literal::Duration(_) | Literal::Name(_) => Err(Unsupported::at(
            literal.column,
            "a duration here",
            "compare with a number",
        )),
    }
}

fn text_filter(
    name: &Name,
    matcher: Matcher,
    column: usize,
    scope: &mut Scope<'_>,
) -> Result<Filter, Unsupported> {
    if scope.known_field(&name.text).is_some() && scope.known_tag(&name.text).is_none() {
        let part = format!("a comparison of the field `{}` with a text", name.text);
        return Err(Unsupported::at(
            column,
            part,
            "compare a field with a number",
        ));
    }
    Ok(Filter::Text(scope.tag(name)?, matcher))
}

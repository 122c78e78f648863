//! What a query says to what is run: names are looked up, types are known, and what would have no meaning is refused.

use std::collections::BTreeSet;

use super::aggregate::Function;
use super::field::{Field, MEASUREMENT, Tag};
use super::number::{Kind, Number};
use super::program::{Call, FieldRef, Formula, Operands, Origin, Output, Program, Range, TagRef};
use super::syntax::{Expression, Fill, Group, Name, Select, Selected, Source};
use super::{Absent, Unsupported};

mod condition;
mod instant;

/// More intervals than this are a mistake.
const MOST_INTERVALS: i128 = 100_000;

/// Makes the program of a query, and says what no simulated point has.
pub(super) fn compile(select: &Select) -> Result<(Program, Vec<Absent>), Unsupported> {
    let mut absent = BTreeSet::new();
    let program = program(select, &mut absent)?;
    Ok((program, absent.into_iter().collect()))
}

/// Where a name is looked up.
struct Scope<'a> {
    origin: &'a Origin,
    absent: &'a mut BTreeSet<Absent>,
}

impl Scope<'_> {
    fn known_field(&self, name: &str) -> Option<FieldRef> {
        match self.origin {
            Origin::Points => Field::named(name).map(FieldRef::Point),
            Origin::Foreign => Some(FieldRef::Absent),
            Origin::Inner(inner) => {
                let index = inner.outputs.iter().position(|output| output.name == name);
                index.map(FieldRef::Inner)
            }
        }
    }

    fn known_tag(&self, name: &str) -> Option<TagRef> {
        match self.origin {
            Origin::Points => Tag::named(name).map(TagRef::Point),
            Origin::Foreign => Some(TagRef::Absent),
            Origin::Inner(inner) => {
                let index = inner.tags.iter().position(|(tag, _)| tag == name);
                index.map(TagRef::Inner)
            }
        }
    }

    /// The field of that name; one that nobody has is remembered.
    fn field(&mut self, name: &Name) -> Result<FieldRef, Unsupported> {
        if let Some(field) = self.known_field(&name.text) {
            return Ok(field);
        }
        if self.known_tag(&name.text).is_some() {
            return Err(Unsupported::at(
                name.column,
                format!("a computation of the tag `{}`", name.text),
                "take a field, such as \"requests\"",
            ));
        }
        if matches!(self.origin, Origin::Inner(_)) {
            return Err(no_column(name));
        }
        self.absent.insert(Absent::Field(name.text.clone()));
        Ok(FieldRef::Absent)
    }

    /// The tag of that name; one that nobody has is remembered.
    fn tag(&mut self, name: &Name) -> Result<TagRef, Unsupported> {
        if let Some(tag) = self.known_tag(&name.text) {
            return Ok(tag);
        }
        if matches!(self.origin, Origin::Inner(_)) {
            return Err(no_column(name));
        }
        self.absent.insert(Absent::Tag(name.text.clone()));
        Ok(TagRef::Absent)
    }

    fn kind(&self, field: FieldRef) -> Kind {
        match (self.origin, field) {
            (Origin::Inner(inner), FieldRef::Inner(index)) => inner.outputs[index].kind,
            (Origin::Inner(_) | Origin::Points | Origin::Foreign, _) => Kind::Integer,
        }
    }
}

fn no_column(name: &Name) -> Unsupported {
    let part = format!("`{}`, which the subquery does not have,", name.text);
    Unsupported::at(
        name.column,
        part,
        "name a column of the subquery, or a tag in its GROUP BY",
    )
}

fn program(select: &Select, absent: &mut BTreeSet<Absent>) -> Result<Program, Unsupported> {
    let mut origin = match &select.source {
        Source::Measurement(name) if name.text == MEASUREMENT => Origin::Points,
        Source::Measurement(name) => {
            absent.insert(Absent::Measurement(name.text.clone()));
            Origin::Foreign
        }
        Source::Subquery(inner) => Origin::Inner(Box::new(subquery(inner, absent)?)),
    };
    let mut scope = Scope {
        origin: &origin,
        absent,
    };
    let (filter, times) = condition::condition(select.condition.as_ref(), &mut scope)?;
    let (every, tags) = groups(select, times.range, &mut scope)?;
    let (operands, outputs) = outputs(&select.columns, &mut scope)?;
    if let (Some((_, column)), Operands::Fields(_)) = (every, &operands) {
        return Err(Unsupported::at(
            column,
            "GROUP BY time() without an aggregate",
            "select an aggregate, such as `sum(\"requests\")`",
        ));
    }
    if let (Origin::Inner(inner), Some(column)) = (&mut origin, times.column) {
        narrow(inner, times.range, column)?;
    }
    Ok(Program {
        origin,
        range: times.range,
        filter,
        tags,
        every: every.map(|(every, _)| every),
        fill: select.fill.map_or(Fill::Null, |(fill, _)| fill),
        operands,
        outputs,
    })
}

/// Pushes the time of the outer query down. InfluxDB 1.6 loses the rows of the intervals that begin before it.
fn narrow(inner: &mut Program, range: Range, column: usize) -> Result<(), Unsupported> {
    if inner.every.is_some() {
        return Err(Unsupported::at(
            column,
            "a time outside of the subquery that groups by time",
            "put `{{ window }}` into the subquery",
        ));
    }
    inner.range = inner.range.and(range);
    match &mut inner.origin {
        Origin::Inner(deeper) => narrow(deeper, range, column),
        Origin::Points | Origin::Foreign => Ok(()),
    }
}

/// A subquery: what InfluxDB 1.x does otherwise there, or wrongly, is refused.
fn subquery(select: &Select, absent: &mut BTreeSet<Absent>) -> Result<Program, Unsupported> {
    let mut inner = program(select, absent)?;
    match select.fill {
        None => inner.fill = Fill::Nothing,
        Some((Fill::Null, column)) => {
            return Err(Unsupported::at(
                column,
                "`fill(null)` in a subquery",
                "remove it",
            ));
        }
        Some((Fill::Nothing | Fill::Number(_), _)) => {}
    }
    let column = select.columns.first().map_or(1, |selected| selected.column);
    if matches!(inner.operands, Operands::Fields(_)) {
        return Err(Unsupported::at(
            column,
            "a subquery without an aggregate",
            "select an aggregate in it",
        ));
    }
    let mut names = BTreeSet::new();
    for output in &inner.outputs {
        if !names.insert(&output.name) {
            let part = format!("a second column `{}` in a subquery", output.name);
            return Err(Unsupported::at(column, part, "name it with AS"));
        }
        if output.kind == Kind::Integer && output.formula.divides() {
            return Err(Unsupported::at(
                column,
                "a quotient of integers in a subquery, which InfluxDB 1.x cuts to a whole number,",
                "multiply by 1.0, as in `sum(\"errors\") * 1.0 / sum(\"requests\")`",
            ));
        }
    }
    Ok(inner)
}

type Every = Option<(i128, usize)>;

fn groups(
    select: &Select,
    range: Range,
    scope: &mut Scope<'_>,
) -> Result<(Every, Vec<(String, TagRef)>), Unsupported> {
    let mut every = None;
    let mut tags = Vec::new();
    for group in &select.groups {
        match group {
            Group::Tag(name) => tags.push((name.text.clone(), scope.tag(name)?)),
            Group::Time(nanos, column) => {
                let refuse = |part: &str, advice: &str| Err(Unsupported::at(*column, part, advice));
                if every.is_some() {
                    return refuse("a second `time()`", "remove it");
                }
                if matches!(scope.origin, Origin::Inner(_)) {
                    return refuse(
                        "`time()` outside of a subquery",
                        "group by time in the subquery alone",
                    );
                }
                if range.start == Range::ALL.start || range.end == Range::ALL.end {
                    return refuse(
                        "GROUP BY time() without a beginning and an end of time",
                        "put `{{ window }}` into its WHERE clause",
                    );
                }
                if (range.end - range.start) / nanos > MOST_INTERVALS {
                    return refuse(
                        "GROUP BY time() with so many intervals",
                        "make the intervals longer",
                    );
                }
                every = Some((*nanos, *column));
            }
        }
    }
    Ok((every, tags))
}

fn outputs(
    columns: &[Selected],
    scope: &mut Scope<'_>,
) -> Result<(Operands, Vec<Output>), Unsupported> {
    let mut found = Found {
        scope,
        calls: Vec::new(),
        fields: Vec::new(),
        last: 1,
    };
    let mut outputs = Vec::new();
    for selected in columns {
        found.last = selected.column;
        // InfluxDB answers the time with every row, and once.
        if matches!(&selected.expression, Expression::Name(name) if is_time(&name.text)) {
            continue;
        }
        let before = found.calls.len() + found.fields.len();
        let (formula, kind) = found.formula(&selected.expression)?;
        if found.calls.len() + found.fields.len() == before {
            return Err(Unsupported::at(
                selected.column,
                "a column without a field",
                "select an aggregate of a field",
            ));
        }
        let name = selected
            .alias
            .clone()
            .unwrap_or_else(|| called(&selected.expression).join("_"));
        outputs.push(Output {
            name,
            formula,
            kind,
        });
    }
    let operands = match (found.calls.is_empty(), found.fields.is_empty()) {
        (true, true) => {
            return Err(Unsupported::at(
                found.last,
                "a query for the time alone",
                "select an aggregate of a field",
            ));
        }
        (false, true) => Operands::Aggregates(found.calls),
        (true, false) => Operands::Fields(found.fields),
        (false, false) => {
            return Err(Unsupported::at(
                found.last,
                "an aggregate beside a plain field",
                "select aggregates alone",
            ));
        }
    };
    Ok((operands, outputs))
}

/// What columns are computed from, as far as it was met.
struct Found<'a, 'b> {
    scope: &'a mut Scope<'b>,
    calls: Vec<Call>,
    fields: Vec<FieldRef>,
    /// Where the column begins that is looked at.
    last: usize,
}

impl Found<'_, '_> {
    fn formula(&mut self, expression: &Expression) -> Result<(Formula, Kind), Unsupported> {
        Ok(match expression {
            Expression::Number(number) => (Formula::Number(*number), number.kind()),
            Expression::Name(name) => {
                let field = self.scope.field(name)?;
                self.fields.push(field);
                (
                    Formula::Operand(self.fields.len() - 1),
                    self.scope.kind(field),
                )
            }
            Expression::Call(function, arguments) => {
                let call = self.call(function, arguments)?;
                self.calls.push(call);
                (Formula::Operand(self.calls.len() - 1), call.kind)
            }
            Expression::Binary(left, operator, right) => {
                let ((left, first), (right, second)) = (self.formula(left)?, self.formula(right)?);
                // So does InfluxDB, for a quotient too.
                let kind = if first == second { first } else { Kind::Float };
                (
                    Formula::Binary(Box::new(left), *operator, Box::new(right)),
                    kind,
                )
            }
        })
    }

    fn call(&mut self, name: &Name, arguments: &[Expression]) -> Result<Call, Unsupported> {
        let shown = name.text.to_ascii_lowercase();
        let wrong = |advice: &str| {
            Err(Unsupported::at(
                name.column,
                format!("what `{shown}()` is given"),
                advice,
            ))
        };
        let (function, field) = match (Function::named(&shown), shown.as_str(), arguments) {
            (Some(function), _, [Expression::Name(field)]) => (function, field),
            (Some(_), _, _) => return wrong("give it one field, and compute outside of it"),
            (None, "percentile", [Expression::Name(field), Expression::Number(percent)]) => {
                (Function::Percentile(percent.as_f64()), field)
            }
            (None, "percentile", _) => {
                return wrong("give it a field and a number, as in `percentile(\"ta_p99\", 95)`");
            }
            (None, _, _) => {
                return Err(Unsupported::at(
                    name.column,
                    format!("`{shown}()`"),
                    "take count, sum, mean, median, min, max, spread, first, last or percentile",
                ));
            }
        };
        let column = field.column;
        let field = self.scope.field(field)?;
        if let (Origin::Inner(inner), Function::First | Function::Last) =
            (self.scope.origin, function)
            && inner.every.is_none()
        {
            return Err(Unsupported::at(
                column,
                "an order of rows that have no times",
                "group by time in the subquery",
            ));
        }
        let kind = function.kind(self.scope.kind(field));
        Ok(Call {
            function,
            field,
            kind,
        })
    }
}

/// What InfluxDB calls a column without `AS`: its functions and fields.
fn called(expression: &Expression) -> Vec<String> {
    match expression {
        Expression::Number(_) => Vec::new(),
        Expression::Name(name) => vec![name.text.clone()],
        Expression::Call(function, _) => vec![function.text.to_ascii_lowercase()],
        Expression::Binary(left, _, right) => [called(left), called(right)].concat(),
    }
}

fn is_time(name: &str) -> bool {
    name.eq_ignore_ascii_case("time")
}

/// A number as an instant in nanoseconds.
fn whole(number: Number) -> Option<i128> {
    match number {
        Number::Integer(nanos) => Some(nanos.into()),
        Number::Float(_) => None,
    }
}

//! A program and points to rows, and rows to an outcome.

use std::collections::BTreeMap;

use super::aggregate::State;
use super::number::Number;
use super::program::{Call, FieldRef, Operands, Origin, Program, Record, TagRef};
use super::syntax::Fill;
use crate::sim::point::Point;
use crate::snapshot::SampleOutcome;
use crate::world::influxdb::InfluxDbError;

const NANOS: i128 = 1_000_000_000;

/// Rows of one group.
struct Series {
    tags: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    nanos: i128,
    values: Vec<Option<Number>>,
}

/// A row of a subquery, as what another one looks at.
struct Inner<'a> {
    row: &'a Row,
    tags: &'a [String],
}

impl Record for Point {
    fn nanos(&self) -> i128 {
        i128::from(self.second) * NANOS
    }

    fn field(&self, field: FieldRef) -> Option<Number> {
        match field {
            FieldRef::Point(field) => Point::field(self, field).map(Number::Integer),
            FieldRef::Inner(_) | FieldRef::Absent => None,
        }
    }

    fn tag(&self, tag: TagRef) -> &str {
        match tag {
            TagRef::Point(tag) => Point::tag(self, tag),
            TagRef::Inner(_) | TagRef::Absent => "",
        }
    }
}

impl Record for Inner<'_> {
    fn nanos(&self) -> i128 {
        self.row.nanos
    }

    fn field(&self, field: FieldRef) -> Option<Number> {
        match field {
            FieldRef::Inner(index) => self.row.values[index],
            FieldRef::Point(_) | FieldRef::Absent => None,
        }
    }

    fn tag(&self, tag: TagRef) -> &str {
        match tag {
            TagRef::Inner(index) => &self.tags[index],
            TagRef::Point(_) | TagRef::Absent => "",
        }
    }
}

/// What the controller would take InfluxDB's answer for (`world::influxdb`, ANALYSIS-1).
pub(super) fn outcome(
    program: &Program,
    points: &mut dyn Iterator<Item = &Point>,
) -> SampleOutcome {
    let series = series(program, points);
    let wrong = |found: String| SampleOutcome::Error(InfluxDbError::Shape(found).to_string());
    let rows = match series.as_slice() {
        [] => return SampleOutcome::NoData,
        [series] => &series.rows,
        more => return wrong(format!("{} series", more.len())),
    };
    let row = match rows.as_slice() {
        [] => return SampleOutcome::NoData,
        [row] => row,
        more => return wrong(format!("{} rows", more.len())),
    };
    match row.values.as_slice() {
        [None] => SampleOutcome::NoData,
        [Some(number)] if number.as_f64().is_finite() => SampleOutcome::Value(number.as_f64()),
        [Some(number)] => wrong(format!("the number {}", number.as_f64())),
        values => wrong(format!("{} values in a row", values.len())),
    }
}

/// The groups that have rows.
fn series(program: &Program, points: &mut dyn Iterator<Item = &Point>) -> Vec<Series> {
    match &program.origin {
        Origin::Foreign => Vec::new(),
        Origin::Points => {
            let inside = points.filter(|point| program.range.contains(point.nanos()));
            rows(program, inside)
        }
        Origin::Inner(inner) => {
            // The range was pushed down into the subquery when the query was read.
            let inner = series(inner, points);
            let records: Vec<Inner<'_>> = inner
                .iter()
                .flat_map(|series| {
                    series.rows.iter().map(|row| Inner {
                        row,
                        tags: &series.tags,
                    })
                })
                .collect();
            rows(program, records.iter())
        }
    }
}

fn rows<'a, R: Record + 'a>(
    program: &Program,
    records: impl Iterator<Item = &'a R>,
) -> Vec<Series> {
    let taken = records.filter(|record| {
        program
            .filter
            .as_ref()
            .is_none_or(|filter| filter.takes(*record))
    });
    match &program.operands {
        Operands::Aggregates(calls) => aggregated(program, calls, taken),
        Operands::Fields(fields) => plain(program, fields, taken),
    }
}

fn key<'a>(program: &Program, record: &'a impl Record) -> Vec<&'a str> {
    program
        .tags
        .iter()
        .map(|(_, tag)| record.tag(*tag))
        .collect()
}

fn owned(tags: Vec<&str>) -> Vec<String> {
    tags.into_iter().map(str::to_owned).collect()
}

fn row(program: &Program, nanos: i128, operands: &[Option<Number>]) -> Row {
    let values = program
        .outputs
        .iter()
        .map(|output| output.formula.value(operands))
        .collect();
    Row { nanos, values }
}

/// A row for each record that has one of the fields.
fn plain<'a, R: Record + 'a>(
    program: &Program,
    fields: &[FieldRef],
    records: impl Iterator<Item = &'a R>,
) -> Vec<Series> {
    let mut groups: BTreeMap<Vec<&str>, Vec<Row>> = BTreeMap::new();
    for record in records {
        let operands: Vec<_> = fields.iter().map(|field| record.field(*field)).collect();
        if operands.iter().any(Option::is_some) {
            let rows = groups.entry(key(program, record)).or_default();
            rows.push(row(program, record.nanos(), &operands));
        }
    }
    let series = |(tags, rows)| Series {
        tags: owned(tags),
        rows,
    };
    groups.into_iter().map(series).collect()
}

fn aggregated<'a, R: Record + 'a>(
    program: &Program,
    calls: &[Call],
    records: impl Iterator<Item = &'a R>,
) -> Vec<Series> {
    let mut groups: BTreeMap<Vec<&str>, BTreeMap<i128, Vec<State>>> = BTreeMap::new();
    for record in records {
        let nanos = record.nanos();
        let intervals = groups.entry(key(program, record)).or_default();
        let states = intervals
            .entry(interval(program, nanos))
            .or_insert_with(|| calls.iter().map(|call| State::new(call.function)).collect());
        for (call, state) in calls.iter().zip(states) {
            if let Some(number) = record.field(call.field) {
                state.add(nanos, number);
            }
        }
    }
    let series = |(tags, intervals)| Series {
        tags: owned(tags),
        rows: intervals_to_rows(program, calls, intervals),
    };
    let all = groups.into_iter().map(series);
    all.filter(|series| !series.rows.is_empty()).collect()
}

/// The beginning of the interval that an instant belongs to; intervals are counted from 1970.
fn interval(program: &Program, nanos: i128) -> i128 {
    program
        .every
        .map_or(0, |every| nanos.div_euclid(every) * every)
}

fn intervals_to_rows(
    program: &Program,
    calls: &[Call],
    intervals: BTreeMap<i128, Vec<State>>,
) -> Vec<Row> {
    let mut values: BTreeMap<i128, Vec<Option<Number>>> = BTreeMap::new();
    for (nanos, states) in intervals {
        let found: Vec<_> = states.into_iter().map(State::value).collect();
        if found.iter().any(Option::is_some) {
            values.insert(nanos, found);
        }
    }
    // Where a group has no value at all, InfluxDB fills nothing.
    if values.is_empty() {
        return Vec::new();
    }
    if let (Some(every), Fill::Null | Fill::Number(_)) = (program.every, program.fill) {
        let mut nanos = interval(program, program.range.start);
        while nanos < program.range.end {
            values
                .entry(nanos)
                .or_insert_with(|| vec![None; calls.len()]);
            nanos += every;
        }
    }
    let filled = |values: Vec<Option<Number>>| -> Vec<Option<Number>> {
        let calls = calls.iter().zip(values);
        calls
            .map(|(call, value)| value.or_else(|| substitute(program.fill, call)))
            .collect()
    };
    values
        .into_iter()
        .map(|(nanos, values)| row(program, nanos, &filled(values)))
        .collect()
}

/// `fill(0)` stands for each aggregate before anything is computed of it (measured on 1.6.7).
fn substitute(fill: Fill, call: &Call) -> Option<Number> {
    match fill {
        Fill::Null | Fill::Nothing => None,
        Fill::Number(number) => Some(number.cast(call.kind)),
    }
}

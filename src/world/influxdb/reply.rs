//! Answers of `/query` to outcomes: JSON text to types, and nothing sent.

use serde::Deserialize;
use serde_json::Value;

use super::InfluxDbError;
use crate::snapshot::SampleOutcome;

/// An answer of `/query` (InfluxDB 1.x API reference, "Query data with InfluxQL").
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    #[serde(default)]
    results: Vec<Statement>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Statement {
    #[serde(default)]
    series: Vec<Series>,
    error: Option<String>,
    #[serde(default)]
    partial: bool,
}

#[derive(Debug, Deserialize)]
struct Series {
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<Value>>,
    #[serde(default)]
    partial: bool,
}

impl Reply {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not what `/query` answers, or when it tells of an error: InfluxDB says 200
    /// before it runs a query.
    pub(super) fn read(body: &[u8]) -> Result<Self, InfluxDbError> {
        let reply: Self = serde_json::from_slice(body)
            .map_err(|error| InfluxDbError::NotJson(error.to_string()))?;
        let statements = reply.results.iter().map(|statement| &statement.error);
        if let Some(error) = statements.chain([&reply.error]).flatten().next() {
            return Err(InfluxDbError::Query(error.clone()));
        }
        let partial = |statement: &Statement| {
            statement.partial || statement.series.iter().any(|series| series.partial)
        };
        if reply.results.iter().any(partial) {
            return Err(InfluxDbError::Partial);
        }
        Ok(reply)
    }

    /// The one number that a measurement asks for (ANALYSIS-1).
    ///
    /// # Errors
    /// When there is more than one, or something else than a number.
    pub(super) fn number(&self) -> Result<SampleOutcome, InfluxDbError> {
        let shape = |found: String| InfluxDbError::Shape(found);
        let statement = match self.results.as_slice() {
            [statement] => statement,
            other => return Err(shape(format!("{} results", other.len()))),
        };
        let series = match statement.series.as_slice() {
            [] => return Ok(SampleOutcome::NoData),
            [series] => series,
            more => return Err(shape(format!("{} series", more.len()))),
        };
        let row = match series.values.as_slice() {
            [] => return Ok(SampleOutcome::NoData),
            [row] => row,
            more => return Err(shape(format!("{} rows", more.len()))),
        };
        if row.len() != series.columns.len() {
            return Err(shape("a row that does not fit its columns".to_owned()));
        }
        let values: Vec<_> = series
            .columns
            .iter()
            .zip(row)
            .filter(|(column, _)| *column != "time")
            .map(|(_, value)| value)
            .collect();
        match values.as_slice() {
            [Value::Null] => Ok(SampleOutcome::NoData),
            [Value::Number(number)] => number
                .as_f64()
                .filter(|number| number.is_finite())
                .map(SampleOutcome::Value)
                .ok_or_else(|| shape(format!("the number {number}"))),
            [Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)] => {
                Err(shape("something that is not a number".to_owned()))
            }
            other => Err(shape(format!("{} values in a row", other.len()))),
        }
    }

    /// The texts in the first column, as `SHOW DATABASES` answers.
    pub(super) fn texts(&self) -> Vec<String> {
        self.results
            .iter()
            .flat_map(|statement| &statement.series)
            .flat_map(|series| &series.values)
            .filter_map(|row| row.first().and_then(Value::as_str).map(str::to_owned))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bodies of a real InfluxDB 1.6.7, one a line, each after a title.
    const RECORDED: &str = include_str!("../../../tests/wire/influxdb-1.6.txt");

    fn outcome(body: &str) -> Result<SampleOutcome, InfluxDbError> {
        Reply::read(body.as_bytes()).and_then(|reply| reply.number())
    }

    fn recorded(title: &str) -> Result<SampleOutcome, InfluxDbError> {
        let body = RECORDED
            .lines()
            .find_map(|line| line.strip_prefix(title)?.strip_prefix(": "));
        outcome(body.expect(title))
    }

    #[test]
    fn analysis_1_a_value_no_data_and_an_error_are_told_apart() {
        assert_eq!(recorded("value").ok(), Some(SampleOutcome::Value(0.02)));
        assert_eq!(recorded("no series").ok(), Some(SampleOutcome::NoData));
        assert_eq!(recorded("null").ok(), Some(SampleOutcome::NoData));
        for (title, words) in [
            ("unknown database", "database not found: nope"),
            ("syntax", "error parsing query"),
            ("two values", "2 values in a row"),
            ("two series", "2 series"),
            ("two rows", "2 rows"),
            ("text", "not a number"),
        ] {
            let error = recorded(title).expect_err(title).to_string();
            assert!(error.contains(words), "{title}: {error}");
        }
    }

    #[test]
    fn analysis_3_half_an_answer_is_an_error() {
        for body in [
            r#"{"results":[{"partial":true,"series":[{"columns":["time","a"],"values":[[1,2]]}]}]}"#,
            r#"{"results":[{"series":[{"partial":true,"columns":["time","a"],"values":[[1,2]]}]}]}"#,
            r#"{"results":[{"series":[{"columns":["time","a"],"values":[[1]]}]}]}"#,
            r#"{"results":[{"series":[{"columns":["time"],"values":[[1]]}]}]}"#,
            r#"{"results":[]}"#,
            r#"{"results":[{}, {}]}"#,
            r#"{"error":"authorization failed"}"#,
            "{}",
            "",
            "<html>",
            "null",
        ] {
            assert!(outcome(body).is_err(), "{body} was taken for an answer");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(reply) = Reply::read(&body) {
                let _ = reply.number();
            }
        }
    }
}

//! Points and how InfluxDB's line protocol writes them. Pure.
//!
//! The syntax is that of InfluxDB 1.x, "Line protocol reference", which 2.x and 3.x keep. All our fields are
//! integers; what they count is decided elsewhere.

use std::borrow::Cow;
use std::fmt::Write as _;

/// One point of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The measurement.
    pub measurement: &'static str,
    /// The tags; one with an empty value is left out, as InfluxDB has no such thing.
    pub tags: Vec<(&'static str, String)>,
    /// The fields; a point without any is not written at all.
    pub fields: Vec<(Cow<'static, str>, u64)>,
    /// The time stamp in nanoseconds since 1970 (UTC).
    pub nanos: i64,
}

impl Point {
    /// Appends the point as one line.
    ///
    /// Integers of InfluxDB are signed: what is larger than the largest of them is written as that.
    /// Control characters and backslashes, which line protocol cannot say everywhere, become `_`.
    pub fn encode(&self, out: &mut String) {
        if self.fields.is_empty() {
            return;
        }
        escape(self.measurement, &[',', ' '], out);
        for (key, value) in &self.tags {
            if !value.is_empty() {
                out.push(',');
                escape(key, &[',', '=', ' '], out);
                out.push('=');
                escape(value, &[',', '=', ' '], out);
            }
        }
        let mut separator = ' ';
        for (key, value) in &self.fields {
            out.push(separator);
            separator = ',';
            escape(key, &[',', '=', ' '], out);
            let value = i64::try_from(*value).unwrap_or(i64::MAX);
            let _ = write!(out, "={value}i");
        }
        let _ = writeln!(out, " {}", self.nanos);
    }
}

fn escape(text: &str, special: &[char], out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push('_'),
            c if c.is_control() => out.push('_'),
            c if special.contains(&c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(point: &Point) -> String {
        let mut line = String::new();
        point.encode(&mut line);
        line
    }

    fn point(backend: &str, fields: &[(&'static str, u64)]) -> Point {
        Point {
            measurement: "haproxy",
            tags: vec![("backend", backend.to_owned()), ("code", "2xx".to_owned())],
            fields: fields.iter().map(|(k, v)| ((*k).into(), *v)).collect(),
            nanos: 1_700_000_000_000_000_007,
        }
    }

    #[test]
    fn a_point_is_one_line() {
        assert_eq!(
            encoded(&point("news web,a=b", &[("requests", 3), ("bytes", 0)])),
            "haproxy,backend=news\\ web\\,a\\=b,code=2xx requests=3i,bytes=0i 1700000000000000007\n"
        );
    }

    #[test]
    fn what_line_protocol_cannot_say_is_left_out_or_replaced() {
        assert_eq!(encoded(&point("be", &[])), "");
        assert_eq!(
            encoded(&point("", &[("bytes", u64::MAX)])),
            "haproxy,code=2xx bytes=9223372036854775807i 1700000000000000007\n"
        );
        assert!(encoded(&point("a\nb\\", &[("x", 1)])).starts_with("haproxy,backend=a_b_,code"));
    }

    /// Splits at `at` where no backslash stands before it.
    fn split(text: &str, at: char) -> Vec<String> {
        let mut parts = vec![String::new()];
        let mut escaped = false;
        for c in text.chars() {
            if c == at && !escaped {
                parts.push(String::new());
            } else {
                parts.last_mut().expect("never empty").push(c);
            }
            escaped = c == '\\' && !escaped;
        }
        parts
    }

    proptest! {
        #[test]
        fn any_tag_value_comes_back_and_never_becomes_syntax(backend in "\\PC{0,20}|[a,= \\\\\"\\n]{0,8}", value in 0..i64::MAX) {
            let value = value.unsigned_abs();
            let line = encoded(&point(&backend, &[("requests", value)]));
            prop_assert_eq!(line.matches('\n').count(), 1);
            let parts = split(line.trim_end_matches('\n'), ' ');
            prop_assert_eq!(parts.len(), 3, "{}", line);
            prop_assert_eq!(&parts[1], &format!("requests={value}i"));
            let tags = split(&parts[0], ',');
            let said = backend.replace(|c: char| c == '\\' || c.is_control(), "_");
            if said.is_empty() {
                prop_assert_eq!(tags.len(), 2);
            } else {
                let pair = split(&tags[1], '=');
                prop_assert_eq!(pair.len(), 2);
                prop_assert_eq!(pair[1].replace('\\', ""), said);
            }
        }
    }
}

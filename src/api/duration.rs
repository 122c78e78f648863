//! Lengths of time as users write them: `30s`, `5m`, `1h30m`, `250ms`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, in whole milliseconds, never negative.
///
/// Written as numbers with units from the largest to the smallest, each at most once:
/// `d`, `h`, `m`, `s`, `ms` (`1h30m`, `90s`, `250ms`). A bare number has no unit and is refused,
/// except `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

/// The units in the order in which they must be written, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration that is accepted: ten years, so that no sum of instants can overflow.
const MAX_MILLIS: u64 = 3_650 * 86_400_000;

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A duration of so many seconds, at most ten years.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1_000))
    }

    /// A duration of so many milliseconds, at most ten years.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > MAX_MILLIS {
            Self(MAX_MILLIS)
        } else {
            Self(millis)
        }
    }

    /// The length in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whether this is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The same length as the standard library's type.
    pub const fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// The instant that lies this long after `start`; the last representable one if that overflows.
    pub fn after(self, start: jiff::Timestamp) -> jiff::Timestamp {
        start
            .checked_add(self.signed())
            .unwrap_or(jiff::Timestamp::MAX)
    }

    /// The instant that lies this long before `end`; the first representable one if that overflows.
    pub fn before(self, end: jiff::Timestamp) -> jiff::Timestamp {
        end.checked_sub(self.signed())
            .unwrap_or(jiff::Timestamp::MIN)
    }

    /// The time from `start` to `end`, or zero when `end` is the earlier one.
    pub fn between(start: jiff::Timestamp, end: jiff::Timestamp) -> Self {
        let millis = end.duration_since(start).as_millis();
        Self::from_millis(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
    }

    fn signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_millis(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}

/// Why a text is not a [`Duration`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a duration; write numbers with units from large to small, as in `30s`, `5m`, `1h30m`, `250ms`"
)]
pub struct ParseDurationError {
    text: String,
}

impl FromStr for Duration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_millis(text)
            .map(Self)
            .ok_or_else(|| ParseDurationError {
                text: text.to_owned(),
            })
    }
}

fn parse_millis(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0_u64;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (_, millis) = units.find(|(unit, _)| *unit == &after[..end])?;
        total = total.checked_add(number.checked_mul(*millis)?)?;
        rest = &after[end..];
    }
    (!text.is_empty() && total <= MAX_MILLIS).then_some(total)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, millis) in UNITS {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: numbers with units from large to small (d, h, m, s, ms).",
            "pattern": "^(0|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$",
            "minLength": 1,
            "examples": ["30s", "5m", "1h30m"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        for text in ["30s", "5m", "1h30m", "250ms", "1d2h3m4s5ms", "0s"] {
            let parsed: Duration = text.parse().expect(text);
            assert_eq!(parsed.to_string(), text);
        }
        assert_eq!(
            "90s".parse::<Duration>().map(|d| d.to_string()),
            Ok("1m30s".into())
        );
    }

    #[test]
    fn durations_without_unit_order_or_sense_are_refused() {
        for text in [
            "",
            "5",
            "s",
            "5 m",
            "-5s",
            "1.5h",
            "5m1h",
            "5m5m",
            "1w",
            "99999999999999999999s",
            "999999d",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn instants_saturate_instead_of_overflowing() {
        let long = Duration::from_secs(u64::MAX);
        assert_eq!(long.after(jiff::Timestamp::MAX), jiff::Timestamp::MAX);
        assert_eq!(long.before(jiff::Timestamp::MIN), jiff::Timestamp::MIN);
    }
}

//! Instants as `InfluxQL` writes them (reference, "Dates & Times").

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// `2026-01-02T03:04:05Z`, `2026-01-02 03:04:05.5` or `2026-01-02`, in UTC unless it says otherwise, in nanoseconds
/// since 1970.
pub(super) fn instant(text: &str) -> Option<i128> {
    let plain = |c: char| c.is_ascii_digit() || "-:.T Z+".contains(c);
    let bytes = text.as_bytes();
    if !text.chars().all(plain) || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let timestamp = match bytes.get(10) {
        Some(b'T') => text.parse::<Timestamp>().ok()?,
        Some(b' ') => in_utc(text.parse().ok()?)?,
        Some(_) => return None,
        None => in_utc(text.parse::<Date>().ok()?.into())?,
    };
    Some(timestamp.as_nanosecond())
}

fn in_utc(civil: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_three_forms() {
        for (text, seconds) in [
            ("2023-11-14T22:13:21Z", Some(1_700_000_001)),
            ("2023-11-14T23:13:21+01:00", Some(1_700_000_001)),
            ("2023-11-14 22:13:21", Some(1_700_000_001)),
            ("2023-11-14", Some(1_699_920_000)),
            ("2023-11-14T22:13:21", None),
            ("2023-11-14T22:13:21Z[UTC]", None),
            ("1700000001", None),
            ("20231114", None),
            ("now", None),
            ("", None),
        ] {
            assert_eq!(
                instant(text),
                seconds.map(|seconds: i128| seconds * 1_000_000_000),
                "{text}"
            );
        }
        assert_eq!(
            instant("2023-11-14 22:13:21.5"),
            Some(1_700_000_001_500_000_000)
        );
    }
}

//! How ages, measured values and counts are written for people.

use jiff::Timestamp;

use crate::api::{Duration, SampleRecord};

/// The time from `start` to `now` as `kubectl` writes ages: two units at most, coarser with time.
pub fn age(start: Timestamp, now: Timestamp) -> String {
    let seconds = Duration::between(start, now).as_millis() / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two_units(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two_units(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two_units(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

fn two_units(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit}{small}{small_unit}")
    }
}

/// A sample as text: its value, or why there is none.
pub fn sample(sample: &SampleRecord) -> String {
    match (sample.value, &sample.problem) {
        (Some(value), _) => number(value),
        (None, Some(problem)) => problem.clone(),
        (None, None) => match sample.exit_code {
            Some(code) => format!("exit code {code}"),
            None => "no data".to_owned(),
        },
    }
}

/// A measured value with up to six significant digits.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs();
    if !(1e-4..1e9).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = if magnitude >= 1_000.0 {
        1
    } else if magnitude >= 1.0 {
        3
    } else {
        6
    };
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of things: `1 error`, `2 errors`.
pub fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_grow_coarser() {
        let start = Timestamp::UNIX_EPOCH;
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (125, "2m5s"),
            (180, "3m"),
            (3_600, "60m"),
            (11_100, "3h5m"),
            (36_000, "10h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
        ] {
            let now = Timestamp::from_second(seconds).expect("in range");
            assert_eq!(age(start, now), text);
        }
    }

    #[test]
    fn an_instant_to_come_is_no_age() {
        let now = Timestamp::UNIX_EPOCH;
        let later = Timestamp::from_second(60).expect("in range");
        assert_eq!(age(later, now), "0s");
    }

    #[test]
    fn numbers_are_short_and_never_lose_their_size() {
        for (value, text) in [
            (0.0, "0"),
            (0.002_1, "0.0021"),
            (0.1 + 0.2, "0.3"),
            (12.5, "12.5"),
            (1_234.56, "1234.6"),
            (0.000_001, "1.000e-6"),
            (-3.0, "-3"),
            (100.0, "100"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}

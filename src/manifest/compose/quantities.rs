//! Lengths of time, memory and processors as Compose files write them.

use super::super::adoption::memory;
use super::super::node::Node;
use super::reader::Reader;
use crate::api::Duration;

impl Reader<'_> {
    /// A length of time, in a template's words.
    pub fn duration(&mut self, node: &Node<'_>) -> Option<String> {
        let text = self.text(node)?;
        let nanoseconds = nanoseconds(&text);
        let Some(nanoseconds) = nanoseconds else {
            let remedy = "write numbers with units, as in `1m30s`, `10s`, `500ms`";
            self.findings
                .error(&node.path, format!("`{text}` is no length of time"), remedy);
            return None;
        };
        let duration = Duration::from_millis(nanoseconds.div_ceil(1_000_000));
        if !nanoseconds.is_multiple_of(1_000_000) {
            self.replaced(
                &node.path,
                format!("`{text}` is not a whole number of milliseconds"),
                format!("it became {duration}"),
            );
        }
        Some(duration.to_string())
    }

    /// An amount of memory, in a template's words.
    pub fn memory(&mut self, node: &Node<'_>) -> Option<String> {
        let text = self.text(node)?;
        let bytes = bytes(&text);
        if bytes.is_none() {
            let remedy = "write a number with `K`, `M` or `G`, as in `128M`";
            self.findings.error(
                &node.path,
                format!("`{text}` is no amount of memory"),
                remedy,
            );
        }
        bytes.map(memory)
    }

    /// A number of processors, in a template's words.
    pub fn processors(&mut self, node: &Node<'_>) -> Option<String> {
        let text = self.text(node)?;
        Some(match text.strip_prefix('.') {
            Some(part) => format!("0.{part}"),
            None => text,
        })
    }
}

/// A duration as Go writes it.
fn nanoseconds(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
    ];
    if text == "0" {
        return Some(0);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(end);
        let (unit, length) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        total = total.checked_add(times(number, *length)?)?;
        rest = &after[unit.len()..];
    }
    (!text.is_empty()).then_some(total)
}

/// Memory as `docker` reads it: with an optional fraction, units of 1024, `1.5g`, `64 KiB`.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let size = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "ki" | "kib" => 1 << 10,
        "m" | "mb" | "mi" | "mib" => 1 << 20,
        "g" | "gb" | "gi" | "gib" => 1 << 30,
        "t" | "tb" | "ti" | "tib" => 1 << 40,
        _ => return None,
    };
    times(number, size)
}

/// A decimal number of so many, without the fraction of one.
fn times(number: &str, size: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && part.is_empty()) || part.len() > 15 {
        return None;
    }
    let digits = |text: &str| match text {
        "" => Some(0_u128),
        text => text.parse().ok(),
    };
    let scale = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let amount = digits(whole)?
        .checked_mul(scale)?
        .checked_add(digits(part)?)?;
    u64::try_from(amount.checked_mul(size.into())? / scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_does() {
        for (text, expected) in [
            ("1m30s", Some(90_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("500ms", Some(500_000_000)),
            ("10us", Some(10_000)),
            ("0", Some(0)),
            (".5h", Some(1_800_000_000_000)),
            ("5", None),
            ("", None),
            ("s", None),
            ("-5s", None),
            ("1d", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn memory_is_read_as_docker_does() {
        for (text, expected) in [
            ("50M", Some(50 << 20)),
            ("1.5g", Some(3 << 29)),
            ("64 KiB", Some(64 << 10)),
            ("1000", Some(1000)),
            ("x", None),
            ("5x", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}

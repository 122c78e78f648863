//! Amounts of processor and memory, as Compose writes them.

/// Billionths of a processor: `0.5` is 500 000 000.
pub(super) fn nano_cpus(text: Option<&str>) -> Result<Option<i64>, String> {
    text.map(|text| {
        parse_nano(text).ok_or_else(|| {
            format!("`{text}` is no number of processors; write a decimal number such as \"0.5\"")
        })
    })
    .transpose()
}

fn parse_nano(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || part.len() > 9 || !digits(whole) || !digits(part) {
        return None;
    }
    let part: i64 = format!("{part:0<9}").parse().ok()?;
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(part)
}

/// Bytes; the units are powers of 1024: `128M` is 134 217 728.
pub(super) fn bytes(text: Option<&str>) -> Result<Option<i64>, String> {
    text.map(|text| {
        parse_bytes(text).ok_or_else(|| {
            format!(
                "`{text}` is no amount of memory; write a whole number with K, M or G, such as 128M"
            )
        })
    })
    .transpose()
}

fn parse_bytes(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_exact() {
        for (text, nano) in [
            ("0.5", Some(500_000_000)),
            ("2", Some(2_000_000_000)),
            ("0.000000001", Some(1)),
            ("0.29", Some(290_000_000)),
            ("", None),
            (".5", None),
            ("-1", None),
            ("1e3", None),
            ("99999999999999", None),
        ] {
            assert_eq!(parse_nano(text), nano, "{text}");
        }
    }

    #[test]
    fn memory_counts_in_powers_of_1024() {
        for (text, bytes) in [
            ("128M", Some(134_217_728)),
            ("1g", Some(1_073_741_824)),
            ("64kb", Some(65_536)),
            ("100", Some(100)),
            ("1.5G", None),
            ("M", None),
            ("9999999999999999G", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
    }
}

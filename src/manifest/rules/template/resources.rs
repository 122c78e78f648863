//! Rules for processors and memory: what SwarmKit accepts (`validateResources`), and limits that
//! leave room for what is set aside.

use super::super::super::diagnostic::Findings;
use super::super::super::node::Node;

/// SwarmKit's least: a thousandth of a processor.
const LEAST_NANO_CPUS: u64 = 1_000_000;

/// SwarmKit's least: 4 MiB.
const LEAST_MEMORY: u64 = 4 << 20;

pub(super) fn check(resources: &Node<'_>, findings: &mut Findings) {
    let (limits, reservations) = (resources.get("limits"), resources.get("reservations"));
    for node in [&limits, &reservations] {
        at_least(
            &node.get("cpus"),
            nano_cpus,
            LEAST_NANO_CPUS,
            "a thousandth of a processor",
            "write `\"0.001\"` or more",
            findings,
        );
        at_least(
            &node.get("memory"),
            bytes,
            LEAST_MEMORY,
            "the 4 MiB that Swarm accepts",
            "write `4M` or more",
            findings,
        );
    }
    above(
        &limits.get("cpus"),
        &reservations.get("cpus"),
        nano_cpus,
        findings,
    );
    above(
        &limits.get("memory"),
        &reservations.get("memory"),
        bytes,
        findings,
    );
}

fn at_least(
    node: &Node<'_>,
    measure: fn(&str) -> Amount,
    least: u64,
    what: &str,
    remedy: &str,
    findings: &mut Findings,
) {
    let Some(text) = node.text() else { return };
    match measure(text) {
        Amount::Known(amount) if amount < least => {
            findings.error(&node.path, format!("`{text}` is less than {what}"), remedy);
        }
        Amount::TooLarge => {
            findings.error(
                &node.path,
                "more than any machine has",
                "write a smaller amount",
            );
        }
        // The schema's pattern has said what is wrong with its form.
        Amount::Known(_) | Amount::Malformed => {}
    }
}

fn above(
    limit: &Node<'_>,
    reservation: &Node<'_>,
    measure: fn(&str) -> Amount,
    findings: &mut Findings,
) {
    let (Some(most), Some(least)) = (limit.text(), reservation.text()) else {
        return;
    };
    if let (Amount::Known(limit), Amount::Known(reserved)) = (measure(most), measure(least))
        && reserved > limit
    {
        findings.error(
            &reservation.path,
            format!("`{least}` is set aside, more than the limit of `{most}`"),
            "raise the limit, or set less aside",
        );
    }
}

#[derive(Clone, Copy)]
enum Amount {
    Known(u64),
    TooLarge,
    Malformed,
}

fn nano_cpus(text: &str) -> Amount {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        return Amount::Malformed;
    }
    let nano = whole
        .parse::<u64>()
        .ok()
        .and_then(|whole| whole.checked_mul(1_000_000_000))
        .and_then(|whole| whole.checked_add(format!("{fraction:0<9}").parse().ok()?))
        .filter(|nano| i64::try_from(*nano).is_ok());
    nano.map_or(Amount::TooLarge, Amount::Known)
}

fn bytes(text: &str) -> Amount {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let shift = match text[end..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return Amount::Malformed,
    };
    if end == 0 {
        return Amount::Malformed;
    }
    text[..end]
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .map_or(Amount::TooLarge, Amount::Known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(amount: Amount) -> Option<u64> {
        match amount {
            Amount::Known(amount) => Some(amount),
            Amount::TooLarge | Amount::Malformed => None,
        }
    }

    #[test]
    fn amounts_are_read_as_docker_does() {
        assert_eq!(known(nano_cpus("0.5")), Some(500_000_000));
        assert_eq!(known(nano_cpus("2")), Some(2_000_000_000));
        assert_eq!(known(nano_cpus("99999999999")), None);
        assert_eq!(known(bytes("128M")), Some(128 << 20));
        assert_eq!(known(bytes("1gb")), Some(1 << 30));
        assert_eq!(known(bytes("7")), Some(7));
        assert_eq!(known(bytes("99999999999999999999G")), None);
        assert_eq!(known(bytes("M")), None);
    }
}

//! Syslog datagrams as HAProxy sends them: from the bytes to the message. Pure.
//!
//! Every value of `log … format` is read (HAProxy configuration manual, section 4.2, `log`):
//! `local` (the default), `rfc3164`, `rfc5424`, `priority`, `short`, `timed`, `iso` and `raw`. What the
//! message says is not looked at here.

use std::borrow::Cow;

/// The longest datagram that UDP carries, in bytes.
pub const MAX_DATAGRAM: usize = 65_535;

/// What a datagram carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The process id of the sender, in the formats that tell it (`local`, `rfc3164`, `rfc5424`).
    pub pid: Option<u32>,
    /// The message itself.
    pub body: &'a str,
}

/// The text of a datagram, without the line end or zero byte that some senders put behind it.
///
/// HAProxy writes bytes beyond ASCII as `#XX`; what is not UTF-8 all the same is replaced.
pub fn text(datagram: &[u8]) -> Cow<'_, str> {
    let end = datagram
        .iter()
        .rposition(|b| !matches!(b, b'\n' | b'\r' | 0))
        .map_or(0, |last| last + 1);
    String::from_utf8_lossy(&datagram[..end])
}

/// Takes the header off. A text without a header is a message as a whole (`raw`).
pub fn parse(text: &str) -> Message<'_> {
    let rest = without_priority(text);
    rfc5424(rest)
        .or_else(|| rfc3164(rest))
        .unwrap_or_else(|| Message {
            pid: None,
            body: without_iso_date(rest),
        })
}

/// `<134>` or nothing.
fn without_priority(text: &str) -> &str {
    text.strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .filter(|(digits, _)| {
            matches!(digits.len(), 1..=3) && digits.bytes().all(|b| b.is_ascii_digit())
        })
        .map_or(text, |(_, rest)| rest)
}

/// `1 DATE HOST APP PID MSGID SD message` (RFC 5424, section 6).
fn rfc5424(text: &str) -> Option<Message<'_>> {
    let mut parts = text.strip_prefix("1 ")?.splitn(6, ' ');
    let date = parts.next()?;
    let pid = parts.nth(2)?.parse().ok();
    let body = without_structured_data(parts.nth(1)?)?;
    (date == "-" || is_iso_date(date)).then_some(Message { pid, body })
}

/// `-` or any number of `[id name="value"]`; inside a value `\` escapes.
fn without_structured_data(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('-') {
        return rest.strip_prefix(' ');
    }
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b' ' if !quoted && text.as_bytes()[..at].ends_with(b"]") => {
                return text.starts_with('[').then(|| &text[at + 1..]);
            }
            _ => {}
        }
    }
    None
}

/// `Mmm dd hh:mm:ss [HOST ]TAG[PID]: message` (RFC 3164, section 4.1).
fn rfc3164(text: &str) -> Option<Message<'_>> {
    const DATE: &[u8; 15] = b"Aaa _0 00:00:00";
    let fits = text.len() > DATE.len()
        && DATE
            .iter()
            .zip(text.bytes())
            .all(|(&shape, byte)| match shape {
                b'A' => byte.is_ascii_uppercase(),
                b'a' => byte.is_ascii_lowercase(),
                b'0' => byte.is_ascii_digit(),
                b'_' => byte.is_ascii_digit() || byte == b' ',
                other => byte == other,
            });
    let after = text.get(DATE.len()..).filter(|_| fits)?.strip_prefix(' ')?;
    let (first, rest) = after.split_once(' ')?;
    let (tag, body) = if first.ends_with(':') {
        (first, rest)
    } else {
        rest.split_once(' ').filter(|(tag, _)| tag.ends_with(':'))?
    };
    let pid = tag
        .strip_suffix("]:")
        .and_then(|tag| tag.rsplit_once('['))
        .and_then(|(_, pid)| pid.parse().ok());
    Some(Message { pid, body })
}

fn without_iso_date(text: &str) -> &str {
    match text.split_once(' ') {
        Some((date, rest)) if is_iso_date(date) => rest,
        _ => text,
    }
}

fn is_iso_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 19
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b'T'
        && bytes[..4].iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str = "127.0.0.1:37364 [21/Nov/2026:09:12:44.111] fe be/s 0/0/0/1/1 200 119 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"";

    /// As HAProxy 2.6.12 sends them.
    #[test]
    fn every_format_of_haproxy_gives_the_same_message() {
        for (header, pid) in [
            ("<134>Nov 21 09:12:44 haproxy[1754]: ", Some(1754)),
            ("<134>Nov  1 09:12:44 haproxy[1754]: ", Some(1754)),
            ("<134>Nov 21 09:12:44 lb-1 haproxy[1754]: ", Some(1754)),
            ("<134>Nov 21 09:12:44 lb-1 haproxy: ", None),
            (
                "<134>1 2026-11-21T09:12:44.112409+00:00 - haproxy 1754 - - ",
                Some(1754),
            ),
            (
                "<134>1 2026-11-21T09:12:44.112409+00:00 lb-1 haproxy 1754 - [a@1 b=\"c] \\\" d\"][e@2] ",
                Some(1754),
            ),
            ("<134>", None),
            ("<6>", None),
            ("<6>2026-11-21T09:12:44.112425+00:00 ", None),
            ("2026-11-21T09:12:44.112425+00:00 ", None),
            ("", None),
        ] {
            let datagram = format!("{header}{BODY}\n");
            let text = text(datagram.as_bytes());
            assert_eq!(parse(&text), Message { pid, body: BODY }, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = text(&bytes);
            prop_assert!(text.ends_with(parse(&text).body));
        }

        #[test]
        fn nothing_that_looks_like_a_header_makes_it_panic(
            text in "(<[0-9]{0,4}>)?(1 |Nov 21 09:12:44 )?([-a-z0-9\\[\\]:\"\\\\é]{0,8} ){0,8}"
        ) {
            prop_assert!(text.ends_with(parse(&text).body));
        }
    }
}

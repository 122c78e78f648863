//! Texts from outside, made short and harmless enough to be remembered and shown.

use std::borrow::Cow;

/// How many characters of a text from outside are remembered.
const LONGEST: usize = 500;

/// The text as [`printable`] shows it, or its beginning with a mark that there was more. What a neighbour says may be a whole page, and a
/// status is kept several times over and written with each change.
pub fn brief(text: &str) -> String {
    let text = printable(text);
    match text.char_indices().nth(LONGEST) {
        None => text.into_owned(),
        Some((end, _)) => format!("{} […]", &text[..end]),
    }
}

/// The text with what a terminal would obey written out, as in `\u001b`: all control characters but line ends and tabs.
/// JSON and YAML stay what they are, for they read it so.
pub fn printable(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if obeyed(c) {
            let code = format!("\\u{:04x}", u32::from(c));
            shown.push_str(&code);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_long_is_cut_and_never_within_a_character() {
        assert_eq!(brief("short"), "short");
        let long = "ä".repeat(10_000);
        assert_eq!(brief(&long).chars().count(), LONGEST + 4);
        assert!(brief(&long).ends_with("ä […]"));
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(printable("ä\tline\nnext"), "ä\tline\nnext");
        let said = "remote: \u{1b}]0;title\u{7}\rover\u{9b}2J\u{7f}";
        let shown = "remote: \\u001b]0;title\\u0007\\u000dover\\u009b2J\\u007f";
        assert_eq!(printable(said), shown);
        assert_eq!(brief(said), shown);
    }
}

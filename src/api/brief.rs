//! Texts from outside, made short enough to be remembered.

/// How many characters of a text from outside are remembered.
const LONGEST: usize = 500;

/// The text, or its beginning with a mark that there was more. What a neighbour says may be a whole page, and a
/// status is kept several times over and written with each change.
pub fn brief(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{} […]", &text[..end]),
    }
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
}

//! Lines that are broken between words, for a terminal that would break them within.

/// A column of a table is as wide as this at least when what stands in it is broken.
const LEAST: usize = 20;

/// Every line of `text` broken where it is longer than `columns`. What goes on stands below the last
/// column of the line, as two spaces or more set it apart, or else a little to the right of the
/// line's beginning. Colours take no room. A word that is too long stays whole.
pub fn wrapped(text: &str, columns: usize) -> String {
    let lines: Vec<_> = text.lines().map(|line| broken(line, columns)).collect();
    lines.join("\n")
}

fn broken(line: &str, columns: usize) -> String {
    let indent = indent(line, columns);
    let (mut text, mut at, mut in_colour) = (String::new(), 0, false);
    // Where the last space stands that a break may take the place of: in the text, and on the line.
    let mut space: Option<(usize, usize)> = None;
    for character in line.chars() {
        in_colour |= character == '\u{1b}';
        if !in_colour {
            if character == ' ' && at > indent {
                space = Some((text.len(), at));
            }
            at += 1;
        }
        text.push(character);
        in_colour &= character != 'm';
        if at > columns
            && character != ' '
            && let Some((place, column)) = space.take()
        {
            text.replace_range(place..=place, &format!("\n{:indent$}", ""));
            at = indent + at - column - 1;
        }
    }
    text
}

/// How far what goes on is moved to the right.
fn indent(line: &str, columns: usize) -> usize {
    let (mut at, mut spaces, mut in_colour) = (0, 0, false);
    let (mut beginning, mut last) = (None, None);
    for character in line.chars() {
        in_colour |= character == '\u{1b}';
        if in_colour {
            in_colour = character != 'm';
            continue;
        }
        if character == ' ' {
            spaces += 1;
        } else {
            if beginning.is_none() {
                beginning = Some(at);
            } else if spaces >= 2 && at + LEAST <= columns {
                last = Some(at);
            }
            spaces = 0;
        }
        at += 1;
    }
    last.unwrap_or(beginning.unwrap_or(0) + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_as_it_is() {
        let text = "rollout/news-web\n\n  labels:      team=news";
        assert_eq!(wrapped(text, 80), text);
        assert_eq!(wrapped("a b c", 5), "a b c");
    }

    #[test]
    fn a_sentence_goes_on_a_little_to_the_right() {
        assert_eq!(
            wrapped("  waiting for the tasks to be ready", 22),
            "  waiting for the\n    tasks to be ready"
        );
    }

    #[test]
    fn a_row_goes_on_below_its_last_column() {
        assert_eq!(
            wrapped("  Paused   False   NotPaused since ever so long ago", 40),
            "  Paused   False   NotPaused since ever\n                   so long ago"
        );
    }

    #[test]
    fn colours_take_no_room_and_words_stay_whole() {
        assert_eq!(
            wrapped("\u{1b}[31mDegraded\u{1b}[39m: it is", 12),
            "\u{1b}[31mDegraded\u{1b}[39m: it\n  is"
        );
        assert_eq!(
            wrapped("http://a-long-name/ b", 10),
            "http://a-long-name/\n  b"
        );
    }
}

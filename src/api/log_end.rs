//! The end of a log, made short and harmless enough to be remembered and shown.

/// How many lines of a log are remembered.
const LINES: usize = 20;
/// How many bytes of a log are remembered.
const BYTES: usize = 2 * 1024;

/// The last lines of `log`: at most 20 of them with 2 KiB together, and without anything that a terminal would obey.
///
/// A line that is cut begins with a mark that there was more.
pub fn log_end(log: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut room = BYTES;
    let printed = log.lines().map(harmless).rev();
    for line in printed.skip_while(String::is_empty).take(LINES) {
        if line.len() > room {
            lines.extend(tail(&line, room));
            break;
        }
        room -= line.len();
        lines.push(line);
    }
    lines.reverse();
    lines
}

/// Colours and cursor movements are taken out, and so is whatever else is not printed.
fn harmless(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' && letters.next_if_eq(&'[').is_some() {
            // ECMA-48, section 5.4: a control sequence ends with a byte from `@` to `~`.
            letters.by_ref().find(|it| ('@'..='~').contains(it));
        } else if letter == '\t' {
            kept.push(' ');
        } else if !letter.is_control() {
            kept.push(letter);
        }
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// The last `room` bytes of a line, if that is worth it.
fn tail(line: &str, room: usize) -> Option<String> {
    const MARK: &str = "[…] ";
    let room = room.checked_sub(MARK.len() + 20)?;
    let whole = |begin: &usize| line.is_char_boundary(*begin);
    let begin = (line.len() - room..line.len()).find(whole)?;
    Some(format!("{MARK}{}", &line[begin..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn analysis_6_only_the_end_of_a_log_is_kept() {
        let long: Vec<String> = (1..=100).map(|number| format!("line {number}")).collect();
        let kept = log_end(&long.join("\n"));
        assert_eq!((kept.len(), kept[0].as_str()), (20, "line 81"));
        let wide = "ä".repeat(100_000);
        let kept = log_end(&format!("{wide}\nshort\n"));
        assert_eq!((kept.len(), kept[1].as_str()), (2, "short"));
        assert!(
            kept[0].starts_with("[…] ä") && kept[0].len() <= BYTES,
            "{}",
            kept[0].len()
        );
        assert!(log_end("\n\n").is_empty());
    }

    #[test]
    fn analysis_6_nothing_in_a_log_moves_a_terminal() {
        let lines = log_end("\u{1b}[31mred\u{1b}[0m\tand\u{7}\r\n\u{1b}]0;title\u{7}x\u{9b}2J\n");
        assert_eq!(lines, ["red and", "]0;titlex2J"]);
    }
}

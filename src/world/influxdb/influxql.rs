//! Placeholders in InfluxQL: text and values to a query in which no value has become syntax (ANALYSIS-4).
//!
//! The text is cut as InfluxDB's own scanner cuts it (influxql `scanner.go`): strings, quoted
//! identifiers, comments, regular expressions, words and signs. A value may stand only between
//! quotes, where it is escaped for them. Nothing is sent here.

use std::collections::BTreeMap;

use crate::snapshot::Window;

/// The one placeholder that stands outside of quotes, and whose value is a condition.
const WINDOW: &str = "window";

/// Why a query was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// A quote, comment, regular expression or placeholder does not end.
    #[error("the query has {0} that does not end on its line")]
    Unterminated(&'static str),
    /// There is no value of that name.
    #[error("the query's `{{{{ {name} }}}}` has no value; known: {known}")]
    Unknown {
        /// The placeholder.
        name: String,
        /// The names that have one.
        known: String,
    },
    /// A value would be syntax where it stands.
    #[error(
        "the query's `{{{{ {0} }}}}` stands outside of quotes; write '{{{{ {0} }}}}' for a tag's value or \"{{{{ {0} }}}}\" for a name"
    )]
    Bare(String),
    /// The window would be text where it stands.
    #[error(
        "the query's `{{{{ window }}}}` stands in quotes; write it bare, as in `WHERE {{{{ window }}}}`"
    )]
    QuotedWindow,
    /// A value would be a pattern where it stands.
    #[error(
        "the query has a placeholder in a regular expression; compare with `=` and a quoted placeholder instead"
    )]
    Regex,
    /// A value that no InfluxQL text can hold.
    #[error("the value of `{{{{ {0} }}}}` holds a control character; give one without")]
    Control(String),
    /// The measurement would not keep to its time.
    #[error(
        "the query has no `{{{{ window }}}}`, so that it would measure other times than the stage's; add `AND {{{{ window }}}}` to its WHERE clause"
    )]
    NoWindow,
    /// It would do more than read, or more than once.
    #[error("the query must be one SELECT without INTO; {0}")]
    NotOneSelect(&'static str),
}

/// What a query text is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Letters, digits and `_`.
    Word(&'a str),
    /// What stands between two quotes, which are of the kind given.
    Quoted(char, &'a str),
    /// A regular expression with its slashes.
    Regex(&'a str),
    /// A comment with its marks.
    Comment(&'a str),
    /// White space.
    Space(&'a str),
    /// Any other character.
    Sign(&'a str),
    /// A placeholder's name.
    Placeholder(&'a str),
}

/// `query` with `values` and `window` in the places of its placeholders.
///
/// `{{ window }}` becomes `time >= START AND time < END` in nanoseconds since 1970.
///
/// # Errors
/// When a placeholder is unknown or stands where its value would be syntax, when there is no
/// window, and when the query is anything but one `SELECT` that only reads: InfluxDB 1.x carries out
/// a `DROP` that comes by GET with no more than a warning (measured on 1.6.7).
pub fn fill(
    query: &str,
    values: &BTreeMap<String, String>,
    window: Window,
) -> Result<String, FillError> {
    let pieces = cut(query)?;
    only_one_select(&pieces)?;
    let mut filled = String::with_capacity(query.len() + 64);
    let mut windows = 0;
    for piece in pieces {
        match piece {
            Piece::Word(text) | Piece::Comment(text) | Piece::Space(text) | Piece::Sign(text) => {
                filled.push_str(text);
            }
            Piece::Regex(text) if text.contains("{{") => return Err(FillError::Regex),
            Piece::Regex(text) => filled.push_str(text),
            Piece::Quoted(quote, body) => {
                filled.push(quote);
                fill_quoted(&mut filled, quote, body, values)?;
                filled.push(quote);
            }
            Piece::Placeholder(WINDOW) => {
                windows += 1;
                let (start, end) = (window.start.as_nanosecond(), window.end.as_nanosecond());
                filled.extend(["time >= ", &start.to_string()]);
                filled.extend([" AND time < ", &end.to_string()]);
            }
            Piece::Placeholder(name) => return Err(FillError::Bare(name.to_owned())),
        }
    }
    if windows == 0 {
        return Err(FillError::NoWindow);
    }
    Ok(filled)
}

fn fill_quoted(
    filled: &mut String,
    quote: char,
    body: &str,
    values: &BTreeMap<String, String>,
) -> Result<(), FillError> {
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        if first == '\\' {
            // A back slash and what follows it belong together: a placeholder is none after it.
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at);
            filled.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if let Some((name, after)) = placeholder(rest)? {
            if name == WINDOW {
                return Err(FillError::QuotedWindow);
            }
            escape(filled, quote, name, value(name, values)?)?;
            rest = after;
        } else {
            filled.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(())
}

fn value<'a>(name: &str, values: &'a BTreeMap<String, String>) -> Result<&'a str, FillError> {
    let unknown = || {
        let mut known: Vec<&str> = values.keys().map(String::as_str).collect();
        known.push(WINDOW);
        FillError::Unknown {
            name: name.to_owned(),
            known: known.join(", "),
        }
    };
    values.get(name).map(String::as_str).ok_or_else(unknown)
}

fn escape(filled: &mut String, quote: char, name: &str, value: &str) -> Result<(), FillError> {
    for c in value.chars() {
        // The scanner takes NUL for the end of the query and a line's end for the end of a string.
        if c.is_control() {
            return Err(FillError::Control(name.to_owned()));
        }
        if c == '\\' || c == quote {
            filled.push('\\');
        }
        filled.push(c);
    }
    Ok(())
}

fn only_one_select(pieces: &[Piece<'_>]) -> Result<(), FillError> {
    let mut code = pieces
        .iter()
        .filter(|piece| !matches!(piece, Piece::Space(_) | Piece::Comment(_)));
    if !matches!(code.next(), Some(Piece::Word(word)) if word.eq_ignore_ascii_case("select")) {
        return Err(FillError::NotOneSelect("begin it with SELECT"));
    }
    let mut ended = false;
    for piece in code {
        match piece {
            _ if ended => return Err(FillError::NotOneSelect("remove what follows the `;`")),
            Piece::Sign(";") => ended = true,
            Piece::Word(word) if word.eq_ignore_ascii_case("into") => {
                return Err(FillError::NotOneSelect(
                    "remove INTO, or quote it if it is a name",
                ));
            }
            Piece::Word(_)
            | Piece::Quoted(..)
            | Piece::Regex(_)
            | Piece::Comment(_)
            | Piece::Space(_)
            | Piece::Sign(_)
            | Piece::Placeholder(_) => {}
        }
    }
    Ok(())
}

fn cut(query: &str) -> Result<Vec<Piece<'_>>, FillError> {
    let mut pieces = Vec::new();
    let mut rest = query;
    while !rest.is_empty() {
        let (piece, after) = next(rest, slash_after(&pieces))?;
        pieces.push(piece);
        rest = after;
    }
    Ok(pieces)
}

/// What a `/` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slash {
    /// It begins a regular expression.
    Regex,
    /// It divides.
    Division,
}

fn next(rest: &str, slash: Slash) -> Result<(Piece<'_>, &str), FillError> {
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or_default();
    let second = chars.next();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if let Some((name, after)) = placeholder(rest)? {
        return Ok((Piece::Placeholder(name), after));
    }
    Ok(match (first, second) {
        ('\'' | '"', _) => {
            let end = closing(rest, first).ok_or(FillError::Unterminated("a quote"))?;
            (Piece::Quoted(first, &rest[1..end]), &rest[end + 1..])
        }
        ('-', Some('-')) => {
            let end = rest.find('\n').unwrap_or(rest.len());
            (Piece::Comment(&rest[..end]), &rest[end..])
        }
        ('/', Some('*')) => {
            let end = rest[2..]
                .find("*/")
                .ok_or(FillError::Unterminated("a comment"))?
                + 4;
            (Piece::Comment(&rest[..end]), &rest[end..])
        }
        ('/', _) if slash == Slash::Regex => {
            let end =
                closing(rest, '/').ok_or(FillError::Unterminated("a regular expression"))? + 1;
            (Piece::Regex(&rest[..end]), &rest[end..])
        }
        _ if word(first) => {
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            (Piece::Word(&rest[..end]), &rest[end..])
        }
        _ if first.is_whitespace() => {
            let end = rest
                .find(|c: char| !c.is_whitespace())
                .unwrap_or(rest.len());
            (Piece::Space(&rest[..end]), &rest[end..])
        }
        _ => {
            let (sign, after) = rest.split_at(first.len_utf8());
            (Piece::Sign(sign), after)
        }
    })
}

/// The placeholder at the beginning of `rest`, and what follows it.
fn placeholder(rest: &str) -> Result<Option<(&str, &str)>, FillError> {
    let Some(inner) = rest.strip_prefix("{{") else {
        return Ok(None);
    };
    let (name, after) = inner
        .split_once("}}")
        .ok_or(FillError::Unterminated("a placeholder"))?;
    Ok(Some((name.trim(), after)))
}

/// Where what begins with `mark` at the beginning of `rest` ends, on the same line; a back slash
/// takes its meaning from the character after it.
fn closing(rest: &str, mark: char) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\n' => return None,
            '\\' => {
                chars.next();
            }
            _ if c == mark => return Some(at),
            _ => {}
        }
    }
    None
}

/// What a `/` that comes now means: where an operand is due, it begins one.
fn slash_after(pieces: &[Piece<'_>]) -> Slash {
    const BEFORE_OPERANDS: [&str; 6] = ["select", "from", "by", "where", "and", "or"];
    let is_keyword = |word: &str| {
        let mut keywords = BEFORE_OPERANDS.iter();
        keywords.any(|keyword| word.eq_ignore_ascii_case(keyword))
    };
    let last = pieces
        .iter()
        .rev()
        .find(|piece| !matches!(piece, Piece::Space(_) | Piece::Comment(_)));
    match last {
        Some(Piece::Word(word)) if is_keyword(word) => Slash::Regex,
        Some(
            Piece::Word(_)
            | Piece::Sign(")")
            | Piece::Quoted(..)
            | Piece::Regex(_)
            | Piece::Placeholder(_),
        ) => Slash::Division,
        None | Some(Piece::Sign(_) | Piece::Comment(_) | Piece::Space(_)) => Slash::Regex,
    }
}

#[cfg(test)]
mod tests;

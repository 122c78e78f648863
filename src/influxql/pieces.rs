//! A query's text cut as InfluxDB's own scanner cuts it (influxql `scanner.go`): strings, quoted identifiers,
//! comments, regular expressions, words and signs; and the placeholders between them. Nothing is filled in here.

use super::{A_PLACEHOLDER, FillError};

/// What a query text is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
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

/// Cuts a whole query.
///
/// # Errors
/// When something that was opened does not end.
pub(super) fn cut(query: &str) -> Result<Vec<Piece<'_>>, FillError> {
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
        .ok_or(FillError::Unterminated(A_PLACEHOLDER))?;
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

/// What stands in quotes is made of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// What stays as it is.
    Text(&'a str),
    /// A placeholder's name.
    Placeholder(&'a str),
}

/// Takes what stands between two quotes apart.
///
/// # Errors
/// When a placeholder does not end.
pub(super) fn parts(body: &str) -> Result<Vec<Part<'_>>, FillError> {
    let mut parts = Vec::new();
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        if let Some((name, after)) = placeholder(rest)? {
            parts.push(Part::Placeholder(name));
            rest = after;
            continue;
        }
        // A back slash and what follows it belong together: a placeholder is none after it.
        let letters = if first == '\\' { 2 } else { 1 };
        let end = rest.char_indices().nth(letters);
        let (text, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        parts.push(Part::Text(text));
        rest = after;
    }
    Ok(parts)
}

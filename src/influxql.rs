//! Placeholders in InfluxQL: text and values to a query in which no value has become syntax (ANALYSIS-4).
//!
//! A value may stand only between quotes, where it is escaped for them. How the text is cut is in `pieces`, what can
//! be said of a query before it has values in `reading`. Nothing is sent here.

mod pieces;
mod reading;

use std::collections::BTreeMap;

use crate::api::Window;
use pieces::{Part, Piece, cut, parts};
pub use reading::{Effect, Flaw, Reading};

/// The placeholders that every query may use.
pub const BUILT_IN: [&str; 5] = ["backend", "rollout", "canary", "stable", WINDOW];

/// The one placeholder that stands outside of quotes, and whose value is a condition.
const WINDOW: &str = "window";

/// What a placeholder is called when it does not end.
const A_PLACEHOLDER: &str = "a placeholder";

/// Why a query was not made. Its `Display` is the problem and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; {}", self.problem(), self.remedy())]
pub enum FillError {
    /// A quote, comment, regular expression or placeholder does not end.
    Unterminated(&'static str),
    /// There is no value of that name.
    Unknown {
        /// The placeholder.
        name: String,
        /// The names that have one.
        known: String,
    },
    /// A value would be syntax where it stands.
    Bare(String),
    /// The window would be text where it stands.
    QuotedWindow,
    /// A value would be a pattern where it stands.
    Regex,
    /// A value that no InfluxQL text can hold.
    Control(String),
    /// The measurement would not keep to its time.
    NoWindow,
    /// It would do more than read, or more than once.
    NotOneSelect(&'static str),
}

impl FillError {
    /// What is wrong with the query.
    pub fn problem(&self) -> String {
        match self {
            Self::Unterminated(what) => format!("the query has {what} that does not end"),
            Self::Unknown { name, .. } => format!("the query's `{{{{ {name} }}}}` has no value"),
            Self::Bare(name) => {
                format!("the query's `{{{{ {name} }}}}` stands outside of quotes")
            }
            Self::QuotedWindow => "the query's `{{ window }}` stands in quotes".to_owned(),
            Self::Regex => "the query has a placeholder in a regular expression".to_owned(),
            Self::Control(name) => {
                format!("the value of `{{{{ {name} }}}}` holds a control character")
            }
            Self::NoWindow => {
                "the query has no `{{ window }}`, so it would count what happened outside the stage"
                    .to_owned()
            }
            Self::NotOneSelect(_) => "the query must be one SELECT without INTO".to_owned(),
        }
    }

    /// What would be right.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unterminated(A_PLACEHOLDER) => "close it with `}}`".to_owned(),
            Self::Unterminated(_) => {
                "close it; a quote and a regular expression end on their line".to_owned()
            }
            Self::Unknown { known, .. } => format!("known: {known}"),
            Self::Bare(name) => format!(
                "write '{{{{ {name} }}}}' for a tag's value or \"{{{{ {name} }}}}\" for a name"
            ),
            Self::QuotedWindow => "write it bare, as in `WHERE {{ window }}`".to_owned(),
            Self::Regex => "compare with `=` and a quoted placeholder instead".to_owned(),
            Self::Control(_) => "give one without".to_owned(),
            Self::NoWindow => {
                "add `AND {{ window }}` to its WHERE clause, and leave out time conditions of your own"
                    .to_owned()
            }
            Self::NotOneSelect(remedy) => (*remedy).to_owned(),
        }
    }
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
    for part in parts(body)? {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Placeholder(WINDOW) => return Err(FillError::QuotedWindow),
            Part::Placeholder(name) => escape(filled, quote, name, value(name, values)?)?,
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

#[cfg(test)]
mod tests;

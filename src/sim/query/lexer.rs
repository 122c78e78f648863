//! Text to tokens, as InfluxDB's own scanner cuts it (influxql `scanner.go`). What they mean together is
//! for the parser.

use super::Unsupported;

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// What it is.
    pub(super) word: Word,
    /// The number of its first character, from 1.
    pub(super) column: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A name without quotes, which may be a keyword.
    Bare(String),
    /// A name in double quotes.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// Digits.
    Integer(i64),
    /// Digits with a point.
    Float(f64),
    /// A duration in nanoseconds.
    Duration(i128),
    /// What stands between the slashes.
    Regex(String),
    /// One of [`SIGNS`].
    Sign(&'static str),
    /// After the last character.
    End,
}

/// More words than anybody writes: what is read is a tree, and a deep one would exhaust the stack.
const MOST: usize = 1_000;

/// The longer ones first.
const SIGNS: [&str; 22] = [
    "!=", "<>", "=~", "!~", "<=", ">=", "::", "=", "<", ">", "+", "-", "*", "/", "%", "&", "|",
    "^", "(", ")", ",", ".",
];

/// The units of durations, in nanoseconds.
const UNITS: [(&str, i128); 9] = [
    ("ns", 1),
    ("u", 1_000),
    ("µ", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

impl Word {
    /// Whether it is that keyword; a name in quotes never is one.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Bare(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// How a message names it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Bare(text) => format!("`{text}`"),
            Self::Quoted(text) => format!("`\"{text}\"`"),
            Self::Text(text) => format!("`'{text}'`"),
            Self::Integer(number) => format!("`{number}`"),
            Self::Float(number) => format!("`{number}`"),
            Self::Duration(_) => "a duration".to_owned(),
            Self::Regex(text) => format!("`/{text}/`"),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end of the query".to_owned(),
        }
    }
}

/// All the tokens of `text`; the last one is [`Word::End`]. A `;` ends a query as the text's end does.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Unsupported> {
    let mut lexer = Lexer {
        rest: text,
        column: 1,
    };
    let mut tokens: Vec<Token> = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let column = lexer.column;
        if tokens.len() == MOST {
            return Err(Unsupported::at(
                column,
                format!("a query of more than {MOST} words"),
                "make it shorter",
            ));
        }
        // A `/` begins a regular expression where one can be compared with; else it divides.
        let pattern = matches!(
            tokens.last(),
            Some(Token {
                word: Word::Sign("=~" | "!~"),
                ..
            })
        );
        let word = lexer.word(pattern)?;
        let ended = word == Word::End;
        tokens.push(Token { word, column });
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Lexer<'a> {
    /// Goes on by `bytes`, which ends between two characters.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.column += taken.chars().count();
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn skip_blanks(&mut self) -> Result<(), Unsupported> {
        loop {
            let before = self.column;
            self.take_while(char::is_whitespace);
            if self.rest.starts_with("--") {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else {
                    return Err(Unsupported::at(
                        self.column,
                        "a comment without an end",
                        "write `*/` after it",
                    ));
                };
                self.take(end + 2);
            }
            if self.column == before {
                return Ok(());
            }
        }
    }

    fn word(&mut self, pattern: bool) -> Result<Word, Unsupported> {
        let mut chars = self.rest.chars();
        let (first, second) = (chars.next(), chars.next());
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        Ok(match first {
            None => Word::End,
            Some(';') => {
                let column = self.column;
                self.take(1);
                self.skip_blanks()?;
                if !self.rest.is_empty() {
                    return Err(Unsupported::at(
                        column,
                        "more than one statement",
                        "remove what follows the `;`",
                    ));
                }
                Word::End
            }
            Some('\'') => Word::Text(self.quoted('\'')?),
            Some('"') => Word::Quoted(self.quoted('"')?),
            Some('/') if pattern => Word::Regex(self.regex()?),
            Some('.') if digit(second) => self.number()?,
            Some(c) if c.is_ascii_digit() => self.number()?,
            Some(c) if is_letter(c) => Word::Bare(
                self.take_while(|c| is_letter(c) || c.is_ascii_digit())
                    .to_owned(),
            ),
            Some(c) => {
                let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) else {
                    return Err(Unsupported::at(
                        self.column,
                        format!("the character `{}`", c.escape_debug()),
                        "put names in double quotes and texts in single quotes",
                    ));
                };
                self.take(sign.len());
                Word::Sign(sign)
            }
        })
    }

    /// What stands between two quotes of one kind.
    fn quoted(&mut self, quote: char) -> Result<String, Unsupported> {
        let column = self.column;
        let unclosed = || {
            Unsupported::at(
                column,
                "a quote without an end",
                format!("write `{quote}` after it, on the same line"),
            )
        };
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' => return Err(unclosed()),
                _ if c == quote => {
                    self.take(at + 1);
                    return Ok(text);
                }
                '\\' => match chars.next().ok_or_else(unclosed)?.1 {
                    'n' => text.push('\n'),
                    escaped @ ('\\' | '\'' | '"') => text.push(escaped),
                    other => {
                        return Err(Unsupported::at(
                            column,
                            format!("`\\{}` in quotes", other.escape_debug()),
                            "write `\\\\` for a back slash",
                        ));
                    }
                },
                c => text.push(c),
            }
        }
        Err(unclosed())
    }

    fn regex(&mut self) -> Result<String, Unsupported> {
        let column = self.column;
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' => break,
                '/' => {
                    self.take(at + 1);
                    return Ok(text);
                }
                '\\' if chars.next_if(|(_, next)| *next == '/').is_some() => text.push('/'),
                c => text.push(c),
            }
        }
        Err(Unsupported::at(
            column,
            "a regular expression without an end",
            "write `/` after it, on the same line",
        ))
    }

    fn number(&mut self) -> Result<Word, Unsupported> {
        let column = self.column;
        let wrong = |text: &str| {
            Unsupported::at(
                column,
                format!("the number `{text}`"),
                "write it with fewer digits and without an exponent",
            )
        };
        let digits = self.take_while(|c| c.is_ascii_digit());
        if self.rest.starts_with('.') {
            self.take(1);
            let text = format!("0{digits}.{}0", self.take_while(|c| c.is_ascii_digit()));
            let number = text.parse().ok().filter(|number: &f64| number.is_finite());
            return number.map(Word::Float).ok_or_else(|| wrong(&text));
        }
        if !self.rest.starts_with(is_unit) {
            return digits.parse().map(Word::Integer).map_err(|_| wrong(digits));
        }
        let text = format!(
            "{digits}{}",
            self.take_while(|c| is_unit(c) || c.is_ascii_digit())
        );
        duration(&text).map(Word::Duration).ok_or_else(|| {
            Unsupported::at(
                column,
                format!("the duration `{text}`"),
                "write a number and one of ns, u, ms, s, m, h, d, w",
            )
        })
    }
}

/// `1h30m` in nanoseconds.
fn duration(text: &str) -> Option<i128> {
    let mut rest = text;
    let mut sum = 0_i128;
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(
            after
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(after.len()),
        );
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let count: i64 = digits.parse().ok()?;
        sum = sum.checked_add(i128::from(count).checked_mul(*nanos)?)?;
        rest = after;
    }
    i64::try_from(sum).ok()?;
    Some(sum)
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_unit(c: char) -> bool {
    is_letter(c) || c == 'µ'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        let tokens = tokens(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        tokens.into_iter().map(|token| token.word).collect()
    }

    #[test]
    fn numbers_and_durations() {
        assert_eq!(
            words("5 5. .5 1h30m 2µ 10ms 3w"),
            [
                Word::Integer(5),
                Word::Float(5.0),
                Word::Float(0.5),
                Word::Duration(5_400_000_000_000),
                Word::Duration(2_000),
                Word::Duration(10_000_000),
                Word::Duration(1_814_400_000_000_000),
                Word::End
            ]
        );
        for text in ["1e3", "5x", "1h3", "99999999999999999999", "99999999999w"] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_slash_divides_unless_a_pattern_is_wanted() {
        assert_eq!(
            words(r"a =~ /b\/\d/ / c"),
            [
                Word::Bare("a".to_owned()),
                Word::Sign("=~"),
                Word::Regex(r"b/\d".to_owned()),
                Word::Sign("/"),
                Word::Bare("c".to_owned()),
                Word::End
            ]
        );
    }

    #[test]
    fn quotes_comments_and_the_end() {
        assert_eq!(
            words("'it\\'s' /* no */ \"a b\" -- no\n;  -- no"),
            [
                Word::Text("it's".to_owned()),
                Word::Quoted("a b".to_owned()),
                Word::End
            ]
        );
        for text in ["'a", "\"a\n\"", "'\\x'", "/* a", "a; b", "ä", "a =~ /b"] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }

    #[test]
    fn columns_count_characters() {
        let tokens = tokens("'äö' x").expect("tokens");
        assert_eq!(tokens[1].column, 6);
    }
}

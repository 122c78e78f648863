//! What the text of a query tells before it has values: its placeholders, why it can never be filled, and what is the
//! matter with the answer that it would have. A measurement is one number: one series with one row and one value.

use super::pieces::{Part, Piece, cut, parts};
use super::{FillError, WINDOW, only_one_select};

/// A query that was read, and has no values yet.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// Everything but white space and comments.
    code: Vec<Piece<'a>>,
    placeholders: Vec<&'a str>,
    refusals: Vec<FillError>,
}

/// What is the matter with the answer of a query that can be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Parentheses that do not belong together.
    Parentheses,
    /// It reads from nowhere.
    NoFrom,
    /// The window stands where no condition can stand.
    StrayWindow,
    /// So many values in each row.
    Values(usize),
    /// A row for each interval.
    Intervals,
    /// A series for each tag's value.
    Tags,
    /// A row for each point.
    Points,
    /// Another condition of the time.
    SecondTime,
}

/// What a flaw does to measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// There can be none.
    Never,
    /// There may be none, or they are not of the stage's whole window.
    Perhaps,
}

impl Flaw {
    /// What it does to measurements.
    pub const fn effect(self) -> Effect {
        match self {
            Self::Parentheses | Self::NoFrom | Self::StrayWindow | Self::Values(_) => Effect::Never,
            Self::Intervals | Self::Tags | Self::Points | Self::SecondTime => Effect::Perhaps,
        }
    }

    /// What is wrong with the query.
    pub fn problem(self) -> String {
        match self {
            Self::Parentheses => "the query's parentheses do not match".to_owned(),
            Self::NoFrom => "the query's SELECT has no FROM".to_owned(),
            Self::StrayWindow => {
                "the query's `{{ window }}` is a condition, and none can stand where it does"
                    .to_owned()
            }
            Self::Values(count) => {
                format!("the query selects {count} values, and a measurement is one number")
            }
            Self::Intervals => {
                "the query has a row for each interval of `GROUP BY time`, and more than one is an error"
                    .to_owned()
            }
            Self::Tags => {
                "the query has a series for each value of the tags in `GROUP BY`, and more than one is an error"
                    .to_owned()
            }
            Self::Points => {
                "the query has a row for each point, and more than one is an error".to_owned()
            }
            Self::SecondTime => {
                "the query has a condition of `time` besides `{{ window }}`: only what keeps both is measured"
                    .to_owned()
            }
        }
    }

    /// What would be right.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Parentheses => "close each `(` by a `)`",
            Self::NoFrom => "write `SELECT … FROM \"MEASUREMENT\" WHERE {{ window }}`",
            Self::StrayWindow => "write it after WHERE, AND or OR, as in `WHERE {{ window }}`",
            Self::Values(_) => "select one, and give each other one a metric of its own",
            Self::Intervals => "leave `GROUP BY` out, or aggregate a subquery's rows to one",
            Self::Tags => "leave `GROUP BY` out, and compare the tag in the WHERE clause",
            Self::Points => "aggregate them, as in `sum(\"requests\")`",
            Self::SecondTime => "remove it",
        }
    }
}

impl<'a> Reading<'a> {
    /// Reads a query.
    ///
    /// # Errors
    /// When it cannot be cut, because something that was opened does not end.
    pub fn of(query: &'a str) -> Result<Self, FillError> {
        let mut code = cut(query)?;
        let mut refusals: Vec<_> = only_one_select(&code).err().into_iter().collect();
        code.retain(|piece| !matches!(piece, Piece::Space(_) | Piece::Comment(_)));
        let mut placeholders = Vec::new();
        for piece in &code {
            match piece {
                Piece::Placeholder(name) => {
                    placeholders.push(*name);
                    if *name != WINDOW {
                        refusals.push(FillError::Bare((*name).to_owned()));
                    }
                }
                Piece::Quoted(_, body) => {
                    for part in parts(body)? {
                        let Part::Placeholder(name) = part else {
                            continue;
                        };
                        placeholders.push(name);
                        if name == WINDOW {
                            refusals.push(FillError::QuotedWindow);
                        }
                    }
                }
                Piece::Regex(text) if text.contains("{{") => refusals.push(FillError::Regex),
                Piece::Regex(_)
                | Piece::Word(_)
                | Piece::Comment(_)
                | Piece::Space(_)
                | Piece::Sign(_) => {}
            }
        }
        if !code.contains(&Piece::Placeholder(WINDOW)) {
            refusals.push(FillError::NoWindow);
        }
        refusals.dedup();
        Ok(Self {
            code,
            placeholders,
            refusals,
        })
    }

    /// The names of its placeholders outside of comments and regular expressions, in order.
    pub fn placeholders(&self) -> &[&'a str] {
        &self.placeholders
    }

    /// Why [`super::fill`] refuses it, whatever the values.
    pub fn refusals(&self) -> &[FillError] {
        &self.refusals
    }

    /// What is the matter with its answer.
    pub fn flaws(&self) -> Vec<Flaw> {
        let Some(outer) = self.outer() else {
            return vec![Flaw::Parentheses];
        };
        let Some(from) = outer.iter().position(|piece| is_word(piece, "from")) else {
            return vec![Flaw::NoFrom];
        };
        let (selected, rest) = outer.split_at(from);
        let mut flaws = Vec::new();
        if self.has_stray_window() {
            flaws.push(Flaw::StrayWindow);
        }
        let values = values(selected);
        if values > 1 {
            flaws.push(Flaw::Values(values));
        }
        let has = |word| rest.iter().any(|piece| is_word(piece, word));
        let groups = groups(rest);
        if groups.intervals && !has("limit") {
            flaws.push(Flaw::Intervals);
        }
        if groups.tags && !has("slimit") {
            flaws.push(Flaw::Tags);
        }
        let is_subquery = matches!(rest.get(1), Some(Outer::Nested));
        let is_computed = selected.contains(&Outer::Nested);
        if !is_subquery && !is_computed && !has("limit") {
            flaws.push(Flaw::Points);
        }
        // Without a window it is said already that a time of its own is none.
        if self.code.contains(&Piece::Placeholder(WINDOW)) && self.has_time_of_its_own() {
            flaws.push(Flaw::SecondTime);
        }
        flaws
    }

    /// The outermost query, its parentheses each as one; none if they do not match.
    fn outer(&self) -> Option<Vec<Outer<'a>>> {
        let mut outer = Vec::new();
        let mut depth = 0_usize;
        for piece in &self.code {
            match piece {
                Piece::Sign("(") => {
                    if depth == 0 {
                        outer.push(Outer::Nested);
                    }
                    depth += 1;
                }
                Piece::Sign(")") => depth = depth.checked_sub(1)?,
                piece if depth == 0 => outer.push(Outer::Piece(*piece)),
                _ => {}
            }
        }
        (depth == 0).then_some(outer)
    }

    fn has_stray_window(&self) -> bool {
        let mut windows = self.code.iter().enumerate();
        windows.any(|(at, piece)| {
            let mut before = self.code[..at].iter().rev();
            let opener = before.find(|piece| **piece != Piece::Sign("("));
            *piece == Piece::Placeholder(WINDOW)
                && !["where", "and", "or"].iter().any(|word| {
                    matches!(opener, Some(Piece::Word(text)) if text.eq_ignore_ascii_case(word))
                })
        })
    }

    /// Whether `time` is compared.
    fn has_time_of_its_own(&self) -> bool {
        let is_comparison =
            |piece: Option<&Piece<'_>>| matches!(piece, Some(Piece::Sign("<" | ">" | "=" | "!")));
        let mut pieces = self.code.iter().enumerate();
        pieces.any(|(at, piece)| {
            let before = at.checked_sub(1).and_then(|before| self.code.get(before));
            is_time(piece) && (is_comparison(before) || is_comparison(self.code.get(at + 1)))
        })
    }
}

/// What the outermost query is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outer<'a> {
    Piece(Piece<'a>),
    /// Parentheses with what is in them.
    Nested,
}

fn is_word(piece: &Outer<'_>, word: &str) -> bool {
    matches!(piece, Outer::Piece(Piece::Word(text)) if text.eq_ignore_ascii_case(word))
}

fn is_time(piece: &Piece<'_>) -> bool {
    matches!(piece, Piece::Word(text) | Piece::Quoted('"', text) if text.eq_ignore_ascii_case("time"))
}

/// How many values a row has at least. The time stands in each row and is none.
fn values(selected: &[Outer<'_>]) -> usize {
    let listed = selected.get(1..).unwrap_or_default();
    let fields = listed.split(|piece| *piece == Outer::Piece(Piece::Sign(",")));
    fields
        .filter(|field| !matches!(field, [Outer::Piece(piece)] if is_time(piece)))
        .count()
}

/// By what the answer is cut into rows and series.
struct Groups {
    intervals: bool,
    tags: bool,
}

fn groups(rest: &[Outer<'_>]) -> Groups {
    const AFTER: [&str; 7] = [
        "fill", "order", "limit", "offset", "slimit", "soffset", "tz",
    ];
    let is_after = |piece: &Outer<'_>| AFTER.iter().any(|word| is_word(piece, word));
    let begin = rest.iter().position(|piece| is_word(piece, "group"));
    let listed = begin.map_or(&[][..], |begin| rest.get(begin + 2..).unwrap_or_default());
    let end = listed.iter().position(is_after).unwrap_or(listed.len());
    let mut groups = Groups {
        intervals: false,
        tags: false,
    };
    for dimension in listed[..end].split(|piece| *piece == Outer::Piece(Piece::Sign(","))) {
        match dimension {
            [] => {}
            [Outer::Piece(piece), Outer::Nested, ..] if is_time(piece) => groups.intervals = true,
            _ => groups.tags = true,
        }
    }
    groups
}

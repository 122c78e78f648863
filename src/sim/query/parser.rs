//! Tokens to what a query says, by recursive descent (InfluxQL reference, "Query"). What names mean is decided
//! in `compile`.

use super::Unsupported;
use super::lexer::{Token, Word, tokens};
use super::number::{Number, Operator};
use super::syntax::{Expression, Fill, Group, Name, Select, Selected, Source};

mod condition;

/// How deep parentheses and subqueries may stand in each other, so that no text exhausts the stack.
const DEEPEST: usize = 40;

/// Reads one `SELECT`.
pub(super) fn parse(text: &str) -> Result<Select, Unsupported> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    let select = parser.select()?;
    parser.end()?;
    Ok(select)
}

struct Parser {
    /// The last one is the end.
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn after_next(&self) -> &Word {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].word
    }

    fn advance(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn takes_keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().word.is(keyword);
        if found {
            self.advance();
        }
        found
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek().word, Word::Sign(other) if other == sign);
        if found {
            self.advance();
        }
        found
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), Unsupported> {
        if self.takes_keyword(keyword) {
            return Ok(());
        }
        Err(self.unexpected(format!("write `{keyword}` there")))
    }

    fn sign(&mut self, sign: &str) -> Result<(), Unsupported> {
        if self.takes_sign(sign) {
            return Ok(());
        }
        Err(self.unexpected(format!("write `{sign}` there")))
    }

    fn unexpected(&self, advice: impl Into<String>) -> Unsupported {
        let token = self.peek();
        Unsupported::at(token.column, token.word.shown(), advice)
    }

    /// Reads a part that may hold itself.
    fn nested<T>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, Unsupported>,
    ) -> Result<T, Unsupported> {
        if self.depth == DEEPEST {
            return Err(Unsupported::at(
                self.peek().column,
                format!("more than {DEEPEST} levels of parentheses"),
                "remove some",
            ));
        }
        self.depth += 1;
        let read = part(self);
        self.depth -= 1;
        read
    }

    fn select(&mut self) -> Result<Select, Unsupported> {
        self.keyword("SELECT")?;
        let mut columns = vec![self.selected()?];
        while self.takes_sign(",") {
            columns.push(self.selected()?);
        }
        self.keyword("FROM")?;
        let source = self.source()?;
        let condition = if self.takes_keyword("WHERE") {
            Some(self.condition()?)
        } else {
            None
        };
        let groups = if self.takes_keyword("GROUP") {
            self.groups()?
        } else {
            Vec::new()
        };
        let fill = self.fill()?;
        Ok(Select {
            columns,
            source,
            condition,
            groups,
            fill,
        })
    }

    fn end(&mut self) -> Result<(), Unsupported> {
        let advice = match &self.peek().word {
            Word::End => return Ok(()),
            Word::Bare(word) => match word.to_ascii_lowercase().as_str() {
                "order" | "limit" | "offset" | "slimit" | "soffset" => {
                    "remove it: one aggregate is one row; `last` and `first` choose by time"
                }
                "tz" => "remove it: instants are in UTC",
                "into" => "remove it: a measurement only reads",
                _ => "remove it, or put names in double quotes and texts in single quotes",
            },
            Word::Quoted(_)
            | Word::Text(_)
            | Word::Integer(_)
            | Word::Float(_)
            | Word::Duration(_)
            | Word::Regex(_)
            | Word::Sign(_) => "end the query before it",
        };
        Err(self.unexpected(advice))
    }

    fn selected(&mut self) -> Result<Selected, Unsupported> {
        let column = self.peek().column;
        let expression = self.sum()?;
        let alias = if self.takes_keyword("AS") {
            Some(self.name()?.text)
        } else {
            None
        };
        Ok(Selected {
            expression,
            alias,
            column,
        })
    }

    /// A name, in double quotes or not.
    fn name(&mut self) -> Result<Name, Unsupported> {
        let token = self.peek().clone();
        match token.word {
            Word::Bare(text) if is_keyword(&text) => {
                Err(self.unexpected("put a name that is a keyword in double quotes"))
            }
            Word::Bare(text) | Word::Quoted(text) => {
                self.advance();
                Ok(Name {
                    text,
                    column: token.column,
                })
            }
            Word::Text(_) => Err(self.unexpected("put a name in double quotes")),
            Word::Integer(_)
            | Word::Float(_)
            | Word::Duration(_)
            | Word::Regex(_)
            | Word::Sign(_)
            | Word::End => Err(self.unexpected("write a name there")),
        }
    }

    fn sum(&mut self) -> Result<Expression, Unsupported> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek().word {
                Word::Sign("+") => Operator::Plus,
                Word::Sign("-") => Operator::Minus,
                _ => return Ok(left),
            };
            self.advance();
            left = Expression::Binary(Box::new(left), operator, Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expression, Unsupported> {
        let mut left = self.factor()?;
        loop {
            let operator = match self.peek().word {
                Word::Sign("*") => Operator::Times,
                Word::Sign("/") => Operator::Over,
                Word::Sign("%" | "&" | "|" | "^" | "::") => {
                    return Err(self.unexpected("compute with `+`, `-`, `*` and `/` alone"));
                }
                _ => return Ok(left),
            };
            self.advance();
            left = Expression::Binary(Box::new(left), operator, Box::new(self.factor()?));
        }
    }

    fn factor(&mut self) -> Result<Expression, Unsupported> {
        let token = self.peek().clone();
        match token.word {
            Word::Integer(number) => {
                self.advance();
                Ok(Expression::Number(Number::Integer(number)))
            }
            Word::Float(number) => {
                self.advance();
                Ok(Expression::Number(Number::Float(number)))
            }
            Word::Sign("(") => {
                self.advance();
                let inner = self.nested(Self::sum)?;
                self.sign(")")?;
                Ok(inner)
            }
            Word::Sign("+") => {
                self.advance();
                self.nested(Self::factor)
            }
            Word::Sign("-") => {
                self.advance();
                let minus = Expression::Number(Number::Integer(-1));
                let operand = self.nested(Self::factor)?;
                Ok(Expression::Binary(
                    Box::new(minus),
                    Operator::Times,
                    Box::new(operand),
                ))
            }
            Word::Sign("*" | "/") => Err(self.unexpected("name one field")),
            Word::Bare(_) if *self.after_next() == Word::Sign("(") => self.call(),
            Word::Bare(_) | Word::Quoted(_) => Ok(Expression::Name(self.name()?)),
            Word::Text(_) => Err(self.unexpected("put a field's name in double quotes")),
            Word::Duration(_) | Word::Regex(_) | Word::Sign(_) | Word::End => {
                Err(self
                    .unexpected("write an aggregate of a field there, such as `sum(\"requests\")`"))
            }
        }
    }

    fn call(&mut self) -> Result<Expression, Unsupported> {
        let function = self.name()?;
        self.sign("(")?;
        let mut arguments = Vec::new();
        if !self.takes_sign(")") {
            arguments.push(self.nested(Self::sum)?);
            while self.takes_sign(",") {
                arguments.push(self.nested(Self::sum)?);
            }
            self.sign(")")?;
        }
        Ok(Expression::Call(function, arguments))
    }

    fn source(&mut self) -> Result<Source, Unsupported> {
        if self.takes_sign("(") {
            let select = self.nested(Self::select)?;
            self.sign(")")?;
            self.one_source()?;
            return Ok(Source::Subquery(Box::new(select)));
        }
        if matches!(self.peek().word, Word::Sign("/")) {
            return Err(self.unexpected("name one measurement, not a pattern"));
        }
        let mut name = self.name()?;
        // `measurement`, `policy.measurement`, `database.policy.measurement` or `database..measurement`.
        for _ in 0..2 {
            if self.takes_sign(".") {
                self.takes_sign(".");
                name = self.name()?;
            }
        }
        self.one_source()?;
        Ok(Source::Measurement(name))
    }

    fn one_source(&self) -> Result<(), Unsupported> {
        match self.peek().word {
            Word::Sign(",") => Err(self.unexpected("select from one measurement")),
            _ => Ok(()),
        }
    }

    fn groups(&mut self) -> Result<Vec<Group>, Unsupported> {
        self.keyword("BY")?;
        let mut groups = vec![self.group()?];
        while self.takes_sign(",") {
            groups.push(self.group()?);
        }
        Ok(groups)
    }

    fn group(&mut self) -> Result<Group, Unsupported> {
        let column = self.peek().column;
        if !(self.peek().word.is("time") && *self.after_next() == Word::Sign("(")) {
            return Ok(Group::Tag(self.name()?));
        }
        self.advance();
        self.advance();
        let Word::Duration(every) = self.peek().word else {
            return Err(self.unexpected("write a duration, as in `time(10s)`"));
        };
        if every <= 0 {
            return Err(self.unexpected("write a duration of more than nothing"));
        }
        self.advance();
        if matches!(self.peek().word, Word::Sign(",")) {
            return Err(self.unexpected("write `time()` without an offset"));
        }
        self.sign(")")?;
        Ok(Group::Time(every, column))
    }

    fn fill(&mut self) -> Result<Option<(Fill, usize)>, Unsupported> {
        let column = self.peek().column;
        if !self.takes_keyword("fill") {
            return Ok(None);
        }
        self.sign("(")?;
        let negative = self.takes_sign("-");
        let sign = if negative { -1 } else { 1 };
        let token = self.peek().clone();
        let fill = match token.word {
            Word::Integer(number) => Fill::Number(Number::Integer(sign * number)),
            Word::Float(number) => {
                Fill::Number(Operator::Times.apply(Number::Integer(sign), Number::Float(number)))
            }
            word if word.is("null") && !negative => Fill::Null,
            word if word.is("none") && !negative => Fill::Nothing,
            _ => return Err(self.unexpected("write `fill(null)`, `fill(none)` or `fill(0)`")),
        };
        self.advance();
        self.sign(")")?;
        Ok(Some((fill, column)))
    }
}

fn is_keyword(word: &str) -> bool {
    const KEYWORDS: [&str; 14] = [
        "select", "from", "where", "and", "or", "group", "by", "as", "order", "limit", "offset",
        "into", "distinct", "in",
    ];
    KEYWORDS
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
}

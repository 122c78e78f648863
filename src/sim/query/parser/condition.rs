//! What stands after `WHERE`.

use super::super::Unsupported;
use super::super::lexer::Word;
use super::super::number::Number;
use super::super::syntax::{Comparison, Condition, Literal, Operand};
use super::Parser;

impl Parser {
    /// `OR` binds less than `AND`, and `AND` less than a comparison.
    pub(super) fn condition(&mut self) -> Result<Condition, Unsupported> {
        let mut left = self.conjunction()?;
        while self.takes_keyword("OR") {
            left = Condition::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Condition, Unsupported> {
        let mut left = self.comparison()?;
        while self.takes_keyword("AND") {
            left = Condition::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Condition, Unsupported> {
        if self.takes_sign("(") {
            let inner = self.nested(Self::condition)?;
            self.sign(")")?;
            return Ok(inner);
        }
        let left = self.operand()?;
        let operator = match self.peek().word {
            Word::Sign("=") => Comparison::Equal,
            Word::Sign("!=" | "<>") => Comparison::Unequal,
            Word::Sign("<") => Comparison::Less,
            Word::Sign("<=") => Comparison::AtMost,
            Word::Sign(">") => Comparison::More,
            Word::Sign(">=") => Comparison::AtLeast,
            Word::Sign("=~") => Comparison::Matches,
            Word::Sign("!~") => Comparison::Differs,
            _ => {
                return Err(
                    self.unexpected("compare a tag, a field or `time` with a text or a number")
                );
            }
        };
        self.advance();
        let right = self.operand()?;
        if matches!(operator, Comparison::Matches | Comparison::Differs)
            != matches!(right.value, Literal::Regex(_))
        {
            return Err(Unsupported::at(
                right.column,
                "what is compared with here",
                "write a /pattern/ after `=~` and `!~`, and only there",
            ));
        }
        Ok(Condition::Compare(left, operator, right))
    }

    /// A literal or a name; an instant may be shifted by durations.
    fn operand(&mut self) -> Result<Operand, Unsupported> {
        let column = self.peek().column;
        let value = self.literal()?;
        let mut shift = None;
        loop {
            let sign = match self.peek().word {
                Word::Sign("+") => 1,
                Word::Sign("-") => -1,
                Word::Sign("*" | "/" | "%" | "&" | "|" | "^" | "::") => {
                    return Err(self.unexpected("compare a name with a literal, without computing"));
                }
                _ => {
                    return Ok(Operand {
                        value,
                        shift,
                        column,
                    });
                }
            };
            self.advance();
            let nanos = match self.peek().word {
                Word::Duration(nanos) => nanos,
                Word::Integer(nanos) => nanos.into(),
                _ => return Err(self.unexpected("add a duration, as in `- 5m`")),
            };
            self.advance();
            // Neither can overflow: each is less than 2^64, and there are less than 2^63 of them.
            shift = Some(shift.unwrap_or(0) + sign * nanos);
        }
    }

    fn literal(&mut self) -> Result<Literal, Unsupported> {
        let negative = self.takes_sign("-");
        let sign = if negative { -1 } else { 1 };
        let token = self.peek().clone();
        let literal = match token.word {
            Word::Integer(number) => Literal::Number(Number::Integer(sign * number)),
            Word::Float(number) if negative => Literal::Number(Number::Float(-number)),
            Word::Float(number) => Literal::Number(Number::Float(number)),
            Word::Duration(nanos) => Literal::Duration(i128::from(sign) * nanos),
            _ if negative => return Err(self.unexpected("write a number after the `-`")),
            Word::Text(text) => Literal::Text(text),
            Word::Regex(text) => Literal::Regex(text),
            Word::Bare(_) if *self.after_next() == Word::Sign("(") => {
                return Err(self.unexpected(
                    "compare with a literal: `{{ window }}` already says which time is meant",
                ));
            }
            Word::Bare(word) if word.eq_ignore_ascii_case("not") => {
                return Err(self.unexpected("write `!=` or `!~`; InfluxQL has no NOT"));
            }
            Word::Bare(_) | Word::Quoted(_) => return Ok(Literal::Name(self.name()?.text)),
            Word::Sign(_) | Word::End => {
                return Err(
                    self.unexpected("compare a tag, a field or `time` with a text or a number")
                );
            }
        };
        self.advance();
        Ok(literal)
    }
}

//! Numbers of `InfluxQL` and their arithmetic. Null is `None`, and decided elsewhere.

/// A number with InfluxDB's type of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// An integer of 64 bits.
    Integer(i64),
    /// A float of 64 bits.
    Float(f64),
}

/// InfluxDB's type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Holds [`Number::Integer`].
    Integer,
    /// Holds [`Number::Float`].
    Float,
}

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
    /// `/`
    Over,
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "as InfluxDB converts them")]
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Integer(_) => Kind::Integer,
            Self::Float(_) => Kind::Float,
        }
    }

    /// As a value of a column of that type: an integer column cuts the fraction off.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "that is what InfluxDB does"
    )]
    pub(super) fn cast(self, kind: Kind) -> Self {
        match (kind, self) {
            (Kind::Integer, Self::Float(float)) => Self::Integer(float as i64),
            (Kind::Float, Self::Integer(_)) => Self::Float(self.as_f64()),
            (Kind::Integer, Self::Integer(_)) | (Kind::Float, Self::Float(_)) => self,
        }
    }
}

impl Operator {
    /// InfluxDB 1.x: integers stay integers and wrap around, but for a quotient, which is a float; a division
    /// by 0 is 0 (influxql `ast.go`, `evalBinaryExpr`; measured on 1.6.7).
    pub(super) fn apply(self, left: Number, right: Number) -> Number {
        if let (Number::Integer(left), Number::Integer(right)) = (left, right) {
            match self {
                Self::Plus => return Number::Integer(left.wrapping_add(right)),
                Self::Minus => return Number::Integer(left.wrapping_sub(right)),
                Self::Times => return Number::Integer(left.wrapping_mul(right)),
                Self::Over => {}
            }
        }
        let (left, right) = (left.as_f64(), right.as_f64());
        Number::Float(match self {
            Self::Plus => left + right,
            Self::Minus => left - right,
            Self::Times => left * right,
            Self::Over if right == 0.0 => 0.0,
            Self::Over => left / right,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(left: Number, operator: Operator, right: Number) -> Number {
        operator.apply(left, right)
    }

    #[test]
    fn integers_stay_integers_but_for_a_quotient() {
        use Number::{Float, Integer};
        for (left, operator, right, wanted) in [
            (Integer(7), Operator::Plus, Integer(2), Integer(9)),
            (Integer(7), Operator::Minus, Integer(9), Integer(-2)),
            (Integer(7), Operator::Times, Integer(2), Integer(14)),
            (Integer(7), Operator::Over, Integer(2), Float(3.5)),
            (Integer(7), Operator::Plus, Float(0.5), Float(7.5)),
            (Float(7.0), Operator::Times, Integer(2), Float(14.0)),
            (
                Integer(i64::MAX),
                Operator::Plus,
                Integer(1),
                Integer(i64::MIN),
            ),
        ] {
            assert_eq!(
                apply(left, operator, right),
                wanted,
                "{left:?} {operator:?} {right:?}"
            );
        }
    }

    #[test]
    fn a_division_by_nothing_is_nothing() {
        for zero in [Number::Integer(0), Number::Float(0.0), Number::Float(-0.0)] {
            for left in [Number::Integer(0), Number::Integer(5), Number::Float(5.0)] {
                assert_eq!(apply(left, Operator::Over, zero), Number::Float(0.0));
            }
        }
    }
}

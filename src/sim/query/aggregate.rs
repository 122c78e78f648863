//! Aggregates of a field's values: many numbers to one, or to null.

use std::cmp::Ordering;

use super::number::{Kind, Number, Operator};

/// An aggregate or selector of `InfluxQL` (reference, "Functions").
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Count,
    Sum,
    Mean,
    Median,
    Min,
    Max,
    Spread,
    First,
    Last,
    /// By nearest rank.
    Percentile(f64),
}

/// What those without an argument are called.
const NAMES: [(&str, Function); 9] = [
    ("count", Function::Count),
    ("sum", Function::Sum),
    ("mean", Function::Mean),
    ("median", Function::Median),
    ("min", Function::Min),
    ("max", Function::Max),
    ("spread", Function::Spread),
    ("first", Function::First),
    ("last", Function::Last),
];

impl Function {
    /// The function of that name that wants nothing but a field.
    pub(super) fn named(name: &str) -> Option<Self> {
        let found = NAMES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, function)| *function)
    }

    /// The type of its value, when it is of a field of type `field`.
    pub(super) fn kind(self, field: Kind) -> Kind {
        match self {
            Self::Count => Kind::Integer,
            Self::Mean | Self::Median => Kind::Float,
            Self::Sum
            | Self::Min
            | Self::Max
            | Self::Spread
            | Self::First
            | Self::Last
            | Self::Percentile(_) => field,
        }
    }
}

/// An aggregate on its way. Of no values it is null.
#[derive(Clone, Debug)]
pub(super) struct State {
    function: Function,
    count: i64,
    /// The sum, or the value chosen so far.
    value: Option<Number>,
    /// The least one, or the instant of the one chosen.
    least: Option<Number>,
    instant: i128,
    /// All of them, where they must be put in order.
    all: Vec<Number>,
}

impl State {
    pub(super) fn new(function: Function) -> Self {
        Self {
            function,
            count: 0,
            value: None,
            least: None,
            instant: 0,
            all: Vec::new(),
        }
    }

    /// Adds a value of the instant `nanos`.
    pub(super) fn add(&mut self, nanos: i128, number: Number) {
        self.count += 1;
        match self.function {
            Function::Count => {}
            Function::Sum | Function::Mean => {
                self.value = Some(
                    self.value
                        .map_or(number, |sum| Operator::Plus.apply(sum, number)),
                );
            }
            Function::Min => self.least = Some(chosen(self.least, number, Ordering::Less)),
            Function::Max => self.value = Some(chosen(self.value, number, Ordering::Greater)),
            Function::Spread => {
                self.least = Some(chosen(self.least, number, Ordering::Less));
                self.value = Some(chosen(self.value, number, Ordering::Greater));
            }
            Function::First => self.choose(nanos, number, Ordering::Less),
            Function::Last => self.choose(nanos, number, Ordering::Greater),
            Function::Median | Function::Percentile(_) => self.all.push(number),
        }
    }

    /// Of values of one instant the greatest is taken. InfluxDB takes one of them, and which one depends on how
    /// it shared the series out among processors (measured on 1.6.7): nobody can rely on it.
    fn choose(&mut self, nanos: i128, number: Number, wanted: Ordering) {
        let takes = self.value.is_none_or(|value| {
            let order = nanos.cmp(&self.instant);
            order == wanted || (order.is_eq() && compare(number, value).is_gt())
        });
        if takes {
            self.value = Some(number);
            self.instant = nanos;
        }
    }

    /// The value, or null.
    pub(super) fn value(mut self) -> Option<Number> {
        self.all.sort_by(|left, right| compare(*left, *right));
        match self.function {
            Function::Count => (self.count > 0).then_some(Number::Integer(self.count)),
            Function::Sum | Function::Max | Function::First | Function::Last => self.value,
            Function::Min => self.least,
            Function::Spread => Some(Operator::Minus.apply(self.value?, self.least?)),
            Function::Mean => {
                let (sum, count) = (self.value?.as_f64(), Number::Integer(self.count).as_f64());
                Some(Number::Float(sum / count))
            }
            Function::Median => median(&self.all),
            Function::Percentile(percent) => percentile(&self.all, percent),
        }
    }
}

fn compare(left: Number, right: Number) -> Ordering {
    match (left, right) {
        (Number::Integer(left), Number::Integer(right)) => left.cmp(&right),
        (left, right) => left.as_f64().total_cmp(&right.as_f64()),
    }
}

fn chosen(value: Option<Number>, number: Number, wanted: Ordering) -> Number {
    match value {
        Some(value) if compare(number, value) != wanted => value,
        Some(_) | None => number,
    }
}

fn median(sorted: &[Number]) -> Option<Number> {
    let middle = sorted.len() / 2;
    let high = sorted.get(middle)?.as_f64();
    if sorted.len() % 2 == 1 {
        return Some(Number::Float(high));
    }
    let low = sorted[middle - 1].as_f64();
    Some(Number::Float(low + (high - low) / 2.0))
}

/// The value at `⌊n · percent / 100 + 0.5⌋`, counted from 1; null below the first and above the last
/// (influxdb `query/call_iterator.go`, `newPercentileIterator`).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank of some values; what is negative or too large was found before"
)]
fn percentile(sorted: &[Number], percent: f64) -> Option<Number> {
    let rank = (sorted.len() as f64 * percent / 100.0 + 0.5).floor();
    if !(rank >= 1.0 && rank <= sorted.len() as f64) {
        return None;
    }
    sorted.get(rank as usize - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: Function, values: &[i64]) -> Option<Number> {
        let mut state = State::new(function);
        for (nanos, value) in (0..).zip(values) {
            state.add(nanos, Number::Integer(*value));
        }
        state.value()
    }

    #[test]
    fn aggregates_of_integers() {
        use Number::{Float, Integer};
        let values = [10, 2, 7, 5, 0, 20];
        for (function, wanted) in [
            (Function::Count, Integer(6)),
            (Function::Sum, Integer(44)),
            (Function::Mean, Float(44.0 / 6.0)),
            (Function::Median, Float(6.0)),
            (Function::Min, Integer(0)),
            (Function::Max, Integer(20)),
            (Function::Spread, Integer(20)),
            (Function::First, Integer(10)),
            (Function::Last, Integer(20)),
            (Function::Percentile(50.0), Integer(5)),
            (Function::Percentile(99.5), Integer(20)),
            (Function::Percentile(101.0), Integer(20)),
        ] {
            assert_eq!(of(function, &values), Some(wanted), "{function:?}");
        }
        assert_eq!(of(Function::Median, &[3, 1, 2]), Some(Float(2.0)));
    }

    #[test]
    fn of_no_values_all_are_null() {
        for (_, function) in NAMES {
            assert_eq!(of(function, &[]), None, "{function:?}");
        }
        assert_eq!(of(Function::Percentile(50.0), &[]), None);
        for percent in [0.0, 1.0, -1.0, 200.0] {
            assert_eq!(
                of(Function::Percentile(percent), &[1, 2, 3]),
                None,
                "{percent}"
            );
        }
    }

    #[test]
    fn of_one_instant_the_greater_value_is_first_and_last() {
        for function in [Function::First, Function::Last] {
            let mut state = State::new(function);
            for value in [5, 9, 7] {
                state.add(3, Number::Integer(value));
            }
            assert_eq!(state.value(), Some(Number::Integer(9)), "{function:?}");
        }
    }
}

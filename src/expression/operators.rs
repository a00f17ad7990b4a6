//! Operators on two values: which types they take, and what they give.

use std::borrow::Cow;
use std::cmp::Ordering;

use towpath_sdk::json::Documents;

use crate::data::Data;
use crate::fault::Why;
use crate::syntax::Operator;
use crate::types::Types;

/// An operator, what stands on its left and right, and what comes out.
const ARITHMETIC: [(Operator, Types, Types, Types); 13] = {
    use Operator::{Add, Divide, Multiply, Remainder, Subtract};
    const NUMBER: Types = Types::NUMBER;
    const TIME: Types = Types::TIMESTAMP;
    const SPAN: Types = Types::DURATION;
    [
        (Add, NUMBER, NUMBER, NUMBER),
        (Add, Types::STRING, Types::STRING, Types::STRING),
        (Add, Types::LIST, Types::LIST, Types::LIST),
        (Add, TIME, SPAN, TIME),
        (Add, SPAN, TIME, TIME),
        (Add, SPAN, SPAN, SPAN),
        (Subtract, NUMBER, NUMBER, NUMBER),
        (Subtract, TIME, TIME, SPAN),
        (Subtract, TIME, SPAN, TIME),
        (Subtract, SPAN, SPAN, SPAN),
        (Multiply, NUMBER, NUMBER, NUMBER),
        (Divide, NUMBER, NUMBER, NUMBER),
        (Remainder, NUMBER, NUMBER, NUMBER),
    ]
};

/// What has an order among its own.
const ORDERED: [Types; 4] = [
    Types::NUMBER,
    Types::STRING,
    Types::TIMESTAMP,
    Types::DURATION,
];

/// What may come out; none when the sides can never suit the operator.
pub(crate) fn outcome(operator: Operator, left: Types, right: Types) -> Types {
    let possible = match operator {
        Operator::Equal | Operator::Unequal => left.meets(right),
        Operator::In => right.meets(Types::LIST.or(Types::OBJECT)),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            ORDERED.iter().any(|one| left.and(right).meets(*one))
        }
        _ => {
            let rows = ARITHMETIC.iter().filter(|(known, on_left, on_right, _)| {
                *known == operator && left.meets(*on_left) && right.meets(*on_right)
            });
            return rows.fold(Types::NONE, |all, (.., gives)| all.or(*gives));
        }
    };
    match possible {
        true => Types::BOOLEAN,
        false => Types::NONE,
    }
}

/// The order of two scalars of one type; `None` when there is none (NaN).
pub(crate) fn order(
    left: &Data<'_>,
    right: &Data<'_>,
    documents: &Documents,
) -> Result<Option<Ordering>, Why> {
    Ok(match (left, right) {
        (Data::Integer(left), Data::Integer(right)) => Some(left.cmp(right)),
        (Data::String(left), Data::String(right)) => Some(left.cmp(right)),
        (Data::Timestamp(left), Data::Timestamp(right)) => Some(left.cmp(right)),
        (Data::Duration(left), Data::Duration(right)) => Some(left.cmp(right)),
        _ => match (number(left, documents), number(right, documents)) {
            (Some(left), Some(right)) => left.order(right),
            _ => return Err(sides(left, right, documents)),
        },
    })
}

fn sides(left: &Data<'_>, right: &Data<'_>, documents: &Documents) -> Why {
    Why::Sides {
        left: left.types(documents),
        right: right.types(documents),
    }
}

/// A number to be compared: exact up to 128 bits.
#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Double(f64),
}

fn number(data: &Data<'_>, documents: &Documents) -> Option<Number> {
    Some(match data {
        Data::Integer(number) => Number::Whole((*number).into()),
        Data::Double(number) => Number::Double(*number),
        Data::Large(node) => {
            let text = documents.text(*node);
            match (text.parse(), text.parse()) {
                (Ok(number), _) => Number::Whole(number),
                (_, Ok(number)) => Number::Double(number),
                _ => return None,
            }
        }
        _ => return None,
    })
}

impl Number {
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Some(left.cmp(&right)),
            (Self::Double(left), Self::Double(right)) => left.partial_cmp(&right),
            (Self::Whole(left), Self::Double(right)) => order_mixed(left, right),
            (Self::Double(left), Self::Whole(right)) => {
                order_mixed(right, left).map(Ordering::reverse)
            }
        }
    }
}

/// Compares without rounding the whole number to a double.
fn order_mixed(whole: i128, double: f64) -> Option<Ordering> {
    // 2^127: the first double beyond every i128.
    const BEYOND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if double.is_nan() {
        return None;
    }
    if double >= BEYOND {
        return Some(Ordering::Less);
    }
    if double < -BEYOND {
        return Some(Ordering::Greater);
    }
    let floor = double.floor();
    let fraction = if double > floor {
        Ordering::Less
    } else {
        Ordering::Equal
    };
    Some(whole.cmp(&(floor as i128)).then(fraction))
}

/// Whether two scalars are equal; `None` when one is a list or an object. Values of different
/// types are not equal.
pub(crate) fn equal_scalars(
    left: &Data<'_>,
    right: &Data<'_>,
    documents: &Documents,
) -> Option<bool> {
    let tree = |data: &Data<'_>| data.types(documents).meets(Types::LIST.or(Types::OBJECT));
    match (left, right) {
        (Data::Null, Data::Null) => Some(true),
        (Data::Boolean(left), Data::Boolean(right)) => Some(left == right),
        (Data::Bytes(left), Data::Bytes(right)) => Some(left == right),
        (Data::String(left), Data::String(right)) => Some(left == right),
        _ if tree(left) && tree(right) => None,
        _ => Some(order(left, right, documents) == Ok(Some(Ordering::Equal))),
    }
}

const OVERFLOW: Why = Why::Unfit("the result does not fit 64 bits");
const TIME_OVERFLOW: Why = Why::Unfit("the result is beyond what a time can be");

/// `+ - * / %`. Whole numbers stay whole, as in CEL; with a double on either side the result is
/// one. Lists are joined by the caller.
pub(crate) fn arithmetic<'a>(
    operator: Operator,
    left: Data<'a>,
    right: Data<'a>,
    documents: &Documents,
) -> Result<Data<'a>, Why> {
    match (operator, left, right) {
        (_, Data::Integer(left), Data::Integer(right)) => whole(operator, left, right),
        (_, Data::Integer(left), Data::Double(right)) => double(operator, left as f64, right),
        (_, Data::Double(left), Data::Integer(right)) => double(operator, left, right as f64),
        (_, Data::Double(left), Data::Double(right)) => double(operator, left, right),
        (_, Data::Large(_), Data::Integer(_) | Data::Double(_) | Data::Large(_))
        | (_, Data::Integer(_) | Data::Double(_), Data::Large(_)) => Err(Why::Unfit(
            "a number does not fit 64 bits; `double(...)` rounds it",
        )),
        (Operator::Add, Data::String(left), Data::String(right)) => {
            let mut text = left.into_owned();
            text.push_str(&right);
            Ok(Data::String(Cow::Owned(text)))
        }
        (Operator::Add, Data::Timestamp(time), Data::Duration(span))
        | (Operator::Add, Data::Duration(span), Data::Timestamp(time)) => {
            let sum = time.checked_add(span).map_err(|_| TIME_OVERFLOW)?;
            Ok(Data::Timestamp(sum))
        }
        (Operator::Subtract, Data::Timestamp(time), Data::Duration(span)) => {
            let rest = time.checked_sub(span).map_err(|_| TIME_OVERFLOW)?;
            Ok(Data::Timestamp(rest))
        }
        (Operator::Subtract, Data::Timestamp(left), Data::Timestamp(right)) => {
            Ok(Data::Duration(left.duration_since(right)))
        }
        (Operator::Add, Data::Duration(left), Data::Duration(right)) => {
            let sum = left.checked_add(right).ok_or(TIME_OVERFLOW)?;
            Ok(Data::Duration(sum))
        }
        (Operator::Subtract, Data::Duration(left), Data::Duration(right)) => {
            let rest = left.checked_sub(right).ok_or(TIME_OVERFLOW)?;
            Ok(Data::Duration(rest))
        }
        (_, left, right) => Err(sides(&left, &right, documents)),
    }
}

fn whole<'a>(operator: Operator, left: i64, right: i64) -> Result<Data<'a>, Why> {
    if right == 0 && matches!(operator, Operator::Divide | Operator::Remainder) {
        return Err(Why::Unfit("division by zero"));
    }
    let number = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    number.map(Data::Integer).ok_or(OVERFLOW)
}

fn double<'a>(operator: Operator, left: f64, right: f64) -> Result<Data<'a>, Why> {
    Ok(Data::Double(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        _ => return Err(Why::Unfit("a remainder is of whole numbers")),
    }))
}

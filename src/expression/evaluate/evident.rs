//! The commonest condition, the short way: a field of the value compared with a constant.
//!
//! It is told from the bytes as they stand, without making data of either side. What is not evident
//! so (another type, an escape, a number of many digits, a field that is not there) is left to the
//! general way, so that every outcome and every fault is that of the general way, and so are the
//! steps.

use std::cmp::Ordering;

use towpath_sdk::json::Kind;
use towpath_sdk::{Cell, Side};

use super::{BYTES_READ, Run};
use crate::data::Data;
use crate::operation::{Action, Operation};
use crate::syntax::Operator;

/// What the general way spends: on the comparison, the field, the value and the constant.
const STEPS: usize = 4;
/// Any whole number of so many digits fits 64 bits.
const DIGITS_MAX: usize = 18;

impl<'a> Run<'a> {
    /// Whether `of` holds, when it is such a condition and evident.
    #[inline]
    pub(super) fn evident(&mut self, of: &'a Operation) -> Option<bool> {
        let Action::Binary(operator, sides) = &of.action else {
            return None;
        };
        let [left, right] = &**sides;
        let (Action::Member(root, steps), Action::Constant(constant)) =
            (&left.action, &right.action)
        else {
            return None;
        };
        let Cell::Document(value) = self.batch.cell(self.row, Side::Value) else {
            return None;
        };
        if !root.is_value() {
            return None;
        }
        let node = steps
            .iter()
            .try_fold(value, |node, step| self.documents.step(node, step))?;
        let text = self.documents.text_bytes(node);
        let order = match (self.documents.kind(node), constant) {
            (Kind::Number, Data::Integer(constant)) => whole(text)?.cmp(constant),
            (Kind::String, Data::String(constant)) => plain(text)?.cmp(constant.as_bytes()),
            _ => return None,
        };
        let holds = accepts(*operator, order)?;
        self.spend(STEPS, of.place).ok()?;
        Some(holds)
    }
}

fn accepts(operator: Operator, order: Ordering) -> Option<bool> {
    Some(match operator {
        Operator::Equal => order.is_eq(),
        Operator::Unequal => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        _ => return None,
    })
}

/// The whole number that `text` says, when it is short.
#[inline]
fn whole(text: &[u8]) -> Option<i64> {
    let (digits, sign) = match text {
        [b'-', digits @ ..] => (digits, -1),
        digits => (digits, 1),
    };
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let number = digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    });
    number.map(|number| sign * number)
}

/// What stands between the quotes of a short string without escapes. UTF-8 has the order of its
/// bytes.
#[inline]
fn plain(text: &[u8]) -> Option<&[u8]> {
    let [b'"', inside @ .., b'"'] = text else {
        return None;
    };
    let is_plain = inside.len() < BYTES_READ && !inside.contains(&b'\\');
    is_plain.then_some(inside)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use towpath_record::BatchBuilder;
    use towpath_sdk::WorkingBatch;
    use towpath_sdk::config::Format;

    use super::*;
    use crate::compile::compile_tree;
    use crate::tests::runner;

    fn decoded(value: &str) -> WorkingBatch {
        let mut builder = BatchBuilder::default();
        let pushed = builder.push(0, None, Some(value.as_bytes()), &[]);
        pushed.expect("a small record");
        let mut batch = WorkingBatch::default();
        let loaded = builder.finish().expect("a record");
        batch.load(&loaded, Format::Json, 0).expect("records");
        batch.root(0, Side::Value).expect("JSON");
        batch
    }

    /// Numbers and strings, about as wide as what is told from the bytes, and everything else.
    fn scalar() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?(0|[1-9][0-9]{0,2})",
            "-?[1-9][0-9]{15,20}",
            "-?[0-9]\\.[05]0?(e[0-9])?",
            "\"[ab]{0,2}\"",
            "\"a{60,68}[ab]?\"",
            "\"(a|ß|\\\\u0061|\\\\n|\\\\\"){0,3}\"",
            prop::sample::select(vec!["null", "true", "[1]", "{}"]).prop_map(str::to_owned),
        ]
    }

    #[test]
    fn what_is_evident_is_what_the_general_way_says() {
        let operators = vec!["==", "!=", "<", "<=", ">", ">=", "in", "+"];
        let paths = vec!["value.a", "value.b[1]", "value.b.c", "value.none", "key.a"];
        let cases = (
            prop::sample::select(paths),
            prop::sample::select(operators),
            scalar(),
            scalar(),
        );
        let evident = std::cell::Cell::new(0);
        let ran = runner(20_000).run(&cases, |(path, operator, constant, found)| {
            let record = format!(r#"{{"a":{found},"b":[0,{found}],"b":{{"c":1}}}}"#);
            let batch = decoded(&record);
            let Ok(tree) = compile_tree(&format!("{path} {operator} {constant}")) else {
                return Ok(());
            };
            let mut short = Run::new(&batch, 0, false);
            let mut general = Run::new(&batch, 0, false);
            if let Some(yes) = short.evident(&tree) {
                evident.set(evident.get() + 1);
                let said = general.value(&tree);
                prop_assert!(
                    matches!(said, Ok(Data::Boolean(said)) if said == yes),
                    "{said:?}"
                );
            }
            prop_assert_eq!(short.steps_left, general.steps_left);
            Ok(())
        });
        ran.unwrap();
        assert!(evident.get() > 500, "only {} were evident", evident.get());
    }

    #[test]
    fn the_last_steps_are_spent_alike() {
        let batch = decoded(r#"{"a":1}"#);
        let tree = compile_tree("value.a == 1").expect("an expression");
        for steps in 0..=5 {
            let mut short = Run::new(&batch, 0, false);
            let mut general = Run::new(&batch, 0, false);
            (short.steps_left, general.steps_left) = (steps, steps);
            let (short, general) = (short.boolean(&tree), general.value(&tree));
            let why = |fault: crate::fault::Fault| (fault.place, fault.why);
            let general = general.map(|data| matches!(data, Data::Boolean(true)));
            assert_eq!(short.map_err(why), general.map_err(why), "{steps} steps");
        }
    }
}

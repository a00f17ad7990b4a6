//! Evaluating an operation tree on one row of the working batch.
//!
//! Evaluation only reads. Where it needs a key or value that is not decoded yet it stops with
//! [`Why::Undecoded`]; the caller decodes it and starts anew, at most once for each of the two.

mod call;
mod each;
mod evident;
mod member;
mod output;

use std::borrow::Cow;

use towpath_sdk::WorkingBatch;
use towpath_sdk::json::Documents;

use crate::data::Data;
use crate::fault::{Fault, Why};
use crate::operation::{Action, Operation};
use crate::operators;
use crate::syntax::{Operator, Place};
use crate::types::Types;

/// Steps for one record: an operation is one, and so are so many bytes read or made.
const STEPS_MAX: u32 = 4 << 20;
/// Bytes that are looked through in one step.
const BYTES_READ: usize = 64;
/// Bytes that a regular expression looks through, or that are made, in one step.
const BYTES_MADE: usize = 16;
/// Steps for an item of a list that is made.
const ITEM: usize = 8;
/// Levels of lists and objects that are compared.
const LEVELS_MAX: u32 = 256;

type Outcome<'a> = Result<Data<'a>, Fault>;

/// The evaluation of an expression for one row.
pub(crate) struct Run<'a> {
    batch: &'a WorkingBatch,
    documents: &'a Documents,
    row: usize,
    /// Whether the key was found to be no JSON.
    key_is_text: bool,
    steps_left: u32,
    /// The items at hand of the macros around.
    locals: Vec<Data<'a>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(batch: &'a WorkingBatch, row: usize, key_is_text: bool) -> Self {
        Self {
            batch,
            documents: batch.documents(),
            row,
            key_is_text,
            steps_left: STEPS_MAX,
            locals: Vec::new(),
        }
    }

    /// What `of` comes out as.
    pub(crate) fn value(&mut self, of: &'a Operation) -> Outcome<'a> {
        self.spend(1, of.place)?;
        match &of.action {
            Action::Constant(data) => Ok(data.borrowed()),
            Action::Variable(variable) => self.variable(*variable, of.place),
            Action::Local(depth) => Ok(self.locals.get(*depth).map_or(Data::Null, Data::clone)),
            Action::Member(root, steps) => self.member(root, steps, of.place),
            Action::Index(sides) => self.index(sides, of.place),
            Action::Has(path) => match self.value(path) {
                Ok(_) => Ok(Data::Boolean(true)),
                Err(fault) if fault.why == Why::Missing => Ok(Data::Boolean(false)),
                Err(fault) => Err(fault),
            },
            Action::Default(sides) => match self.value(&sides[0]) {
                Err(fault) if fault.why == Why::Missing => self.value(&sides[1]),
                Ok(data) if data.types(self.documents) == Types::NULL => self.value(&sides[1]),
                other => other,
            },
            Action::Not(side) => Ok(Data::Boolean(!self.boolean(side)?)),
            Action::Negate(side) => self.negate(side, of.place),
            Action::And(all) => self.until(all, false),
            Action::Or(all) => self.until(all, true),
            Action::Choice(parts) => match self.boolean(&parts[0])? {
                true => self.value(&parts[1]),
                false => self.value(&parts[2]),
            },
            Action::Binary(operator, sides) => self.binary(*operator, sides, of.place),
            Action::Matches(text, regex) => {
                let string = self.string(text)?;
                self.spend(string.len() / BYTES_MADE, of.place)?;
                Ok(Data::Boolean(regex.is_match(&string)))
            }
            Action::Call(function, arguments) => self.call(*function, arguments, of.place),
            Action::Each(each, parts) => self.each(*each, parts, of.place),
            Action::List(items) => {
                self.spend(ITEM * items.len(), of.place)?;
                let items = items.iter().map(|item| self.value(item));
                items.collect::<Result<_, _>>().map(Data::List)
            }
            Action::Map(entries) => {
                self.spend(ITEM * entries.len(), of.place)?;
                let entry = |(name, of): &'a (String, Operation)| Ok((&**name, self.value(of)?));
                entries
                    .iter()
                    .map(entry)
                    .collect::<Result<_, _>>()
                    .map(Data::Map)
            }
        }
    }

    /// What `of` comes out as, to be looked at.
    #[inline]
    fn scalar(&mut self, of: &'a Operation) -> Outcome<'a> {
        Ok(self.value(of)?.scalar(self.documents))
    }

    pub(crate) fn boolean(&mut self, of: &'a Operation) -> Result<bool, Fault> {
        if let Some(yes) = self.evident(of) {
            return Ok(yes);
        }
        match self.scalar(of)? {
            Data::Boolean(yes) => Ok(yes),
            other => Err(self.unfit_type(&other, Types::BOOLEAN, of.place)),
        }
    }

    fn string(&mut self, of: &'a Operation) -> Result<Cow<'a, str>, Fault> {
        match self.scalar(of)? {
            Data::String(text) => Ok(text),
            other => Err(self.unfit_type(&other, Types::STRING, of.place)),
        }
    }

    fn integer(&mut self, of: &'a Operation) -> Result<i64, Fault> {
        match self.scalar(of)? {
            Data::Integer(number) => Ok(number),
            Data::Double(_) | Data::Large(_) => Err(Fault {
                place: of.place,
                why: Why::Unfit("a whole number of 64 bits is needed"),
            }),
            other => Err(self.unfit_type(&other, Types::NUMBER, of.place)),
        }
    }

    fn unfit_type(&self, data: &Data<'_>, takes: Types, place: Place) -> Fault {
        let found = data.types(self.documents);
        Fault {
            place,
            why: Why::Type { found, takes },
        }
    }

    #[inline]
    fn spend(&mut self, steps: usize, place: Place) -> Result<(), Fault> {
        let left = u32::try_from(steps)
            .ok()
            .and_then(|steps| self.steps_left.checked_sub(steps));
        self.steps_left = left.ok_or(Fault {
            place,
            why: Why::Steps,
        })?;
        Ok(())
    }

    /// `&&` and `||`: whether any of `all` is `decisive`. As in CEL a side that settles the matter
    /// makes up for a fault of another, on whichever side.
    fn until(&mut self, all: &'a [Operation], decisive: bool) -> Outcome<'a> {
        let mut first_fault = None;
        for side in all {
            match self.boolean(side) {
                Ok(yes) if yes == decisive => return Ok(Data::Boolean(decisive)),
                Ok(_) => {}
                Err(fault) if fault.is_final() => return Err(fault),
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        match first_fault {
            Some(fault) => Err(fault),
            None => Ok(Data::Boolean(!decisive)),
        }
    }

    fn negate(&mut self, of: &'a Operation, place: Place) -> Outcome<'a> {
        let why = |why| Fault { place, why };
        match self.scalar(of)? {
            Data::Double(number) => Ok(Data::Double(-number)),
            Data::Duration(span) => Ok(Data::Duration(-span)),
            number @ (Data::Integer(_) | Data::Large(_)) => {
                let zero = Data::Integer(0);
                operators::arithmetic(Operator::Subtract, zero, number, self.documents).map_err(why)
            }
            other => Err(self.unfit_type(&other, Types::NUMBER, of.place)),
        }
    }

    fn binary(
        &mut self,
        operator: Operator,
        sides: &'a [Operation; 2],
        place: Place,
    ) -> Outcome<'a> {
        let left = self.scalar(&sides[0])?;
        let right = self.scalar(&sides[1])?;
        let fault = |why| Fault { place, why };
        let yes = match operator {
            Operator::Equal => self.equal(left, right, place)?,
            Operator::Unequal => !self.equal(left, right, place)?,
            Operator::In => self.is_in(left, right, &sides[1])?,
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => {
                let order = operators::order(&left, &right, self.documents).map_err(fault)?;
                order.is_some_and(|order| match operator {
                    Operator::Less => order.is_lt(),
                    Operator::LessOrEqual => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
            _ => return self.arithmetic(operator, left, right, place),
        };
        Ok(Data::Boolean(yes))
    }

    fn arithmetic(
        &mut self,
        operator: Operator,
        left: Data<'a>,
        right: Data<'a>,
        place: Place,
    ) -> Outcome<'a> {
        if let (Data::String(left), Data::String(right)) = (&left, &right) {
            self.spend((left.len() + right.len()) / BYTES_MADE, place)?;
        }
        let lists = |data: &Data<'_>| data.types(self.documents) == Types::LIST;
        if operator == Operator::Add && lists(&left) && lists(&right) {
            let mut items = Vec::new();
            for list in [left, right] {
                self.items(list, place, |run, item| {
                    run.spend(ITEM, place)?;
                    items.push(item);
                    Ok(true)
                })?;
            }
            return Ok(Data::List(items));
        }
        operators::arithmetic(operator, left, right, self.documents)
            .map_err(|why| Fault { place, why })
    }

    fn equal(&mut self, left: Data<'a>, right: Data<'a>, place: Place) -> Result<bool, Fault> {
        match operators::equal_scalars(&left, &right, self.documents) {
            Some(equal) => {
                if let (Data::String(left), true) = (&left, equal) {
                    self.spend(left.len() / BYTES_READ, place)?;
                }
                Ok(equal)
            }
            None => self.equal_trees(left, right, place, 0),
        }
    }
}

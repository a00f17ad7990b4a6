//! The operation tree: an expression with all names resolved, ready to be evaluated.

use regex::Regex;
use towpath_sdk::Step;

use crate::data::Data;
use crate::function::Function;
use crate::syntax::{Operator, Place};
use crate::types::Types;

/// A part of an expression.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) place: Place,
    /// What it may come out as.
    pub(crate) types: Types,
    pub(crate) action: Action,
}

impl Operation {
    /// Whether it asks for fields or items of the value.
    pub(crate) fn needs_fields(&self) -> bool {
        let any = |parts: &[Self]| parts.iter().any(Self::needs_fields);
        match &self.action {
            Action::Constant(_) | Action::Variable(_) | Action::Local(_) => false,
            Action::Member(of, _) => of.is_value() || of.needs_fields(),
            Action::Index(parts) => parts[0].is_value() || any(&parts[..]),
            Action::Has(of) | Action::Not(of) | Action::Negate(of) | Action::Matches(of, _) => {
                of.needs_fields()
            }
            Action::Default(parts) | Action::Binary(_, parts) | Action::Each(_, parts) => {
                any(&parts[..])
            }
            Action::Choice(parts) => any(&parts[..]),
            Action::And(parts)
            | Action::Or(parts)
            | Action::Call(_, parts)
            | Action::List(parts) => any(parts),
            Action::Map(entries) => entries.iter().any(|(_, part)| part.needs_fields()),
        }
    }

    pub(crate) fn is_value(&self) -> bool {
        matches!(self.action, Action::Variable(Variable::Value))
    }
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    Constant(Data<'static>),
    Variable(Variable),
    /// The item at hand of the n-th of the macros around it.
    Local(usize),
    Member(Box<Operation>, Vec<Step>),
    Index(Box<[Operation; 2]>),
    Has(Box<Operation>),
    Default(Box<[Operation; 2]>),
    Not(Box<Operation>),
    Negate(Box<Operation>),
    And(Vec<Operation>),
    Or(Vec<Operation>),
    Choice(Box<[Operation; 3]>),
    Binary(Operator, Box<[Operation; 2]>),
    Matches(Box<Operation>, Regex),
    Call(Function, Vec<Operation>),
    /// A macro over the items of a list.
    Each(Each, Box<[Operation; 2]>),
    List(Vec<Operation>),
    Map(Vec<(String, Operation)>),
}

/// What an expression sees of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    Key,
    Value,
    Headers,
    Topic,
    Partition,
    Offset,
    Timestamp,
}

impl Variable {
    /// With their names, and what they may be.
    pub(crate) const ALL: [(&'static str, Self, Types); 7] = [
        ("key", Self::Key, Types::ANY),
        ("value", Self::Value, Types::ANY),
        ("headers", Self::Headers, Types::OBJECT),
        ("topic", Self::Topic, Types::STRING.or(Types::NULL)),
        ("partition", Self::Partition, Types::NUMBER.or(Types::NULL)),
        ("offset", Self::Offset, Types::NUMBER.or(Types::NULL)),
        ("timestamp", Self::Timestamp, Types::TIMESTAMP),
    ];
}

/// A macro over a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Each {
    Exists,
    All,
    Filter,
    Map,
}

impl Each {
    /// With their names.
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("exists", Self::Exists),
        ("all", Self::All),
        ("filter", Self::Filter),
        ("map", Self::Map),
    ];
}

impl Operation {
    /// Whether it comes out the same for every record, its parts being folded already.
    pub(crate) fn is_constant(&self) -> bool {
        let constant = |of: &Operation| matches!(of.action, Action::Constant(_));
        match &self.action {
            Action::Member(of, _)
            | Action::Not(of)
            | Action::Negate(of)
            | Action::Matches(of, _) => constant(of),
            Action::Index(sides) | Action::Binary(_, sides) => sides.iter().all(constant),
            Action::Choice(parts) => parts.iter().all(constant),
            Action::And(all) | Action::Or(all) | Action::Call(_, all) | Action::List(all) => {
                all.iter().all(constant)
            }
            _ => false,
        }
    }
}

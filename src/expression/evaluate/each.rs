//! The macros over lists, and walking through a list whatever it is made of.

use towpath_sdk::json::Kind;

use super::{ITEM, Outcome, Run};
use crate::data::Data;
use crate::fault::Fault;
use crate::operation::{Each, Operation};
use crate::syntax::Place;
use crate::types::Types;

impl<'a> Run<'a> {
    /// Hands the items of `list` to `visit` until that says false.
    pub(super) fn items(
        &mut self,
        list: Data<'a>,
        place: Place,
        mut visit: impl FnMut(&mut Self, Data<'a>) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let mut go_on = |run: &mut Self, item| {
            run.spend(1, place)?;
            visit(run, item)
        };
        let documents = self.documents;
        match list {
            Data::Node(node) if documents.kind(node) == Kind::Array => {
                for item in documents.children(node) {
                    if !go_on(self, Data::Node(item))? {
                        break;
                    }
                }
            }
            Data::Items(items) => {
                for item in items {
                    if !go_on(self, item.borrowed())? {
                        break;
                    }
                }
            }
            Data::List(items) => {
                for item in items {
                    if !go_on(self, item)? {
                        break;
                    }
                }
            }
            other => return Err(self.unfit_type(&other, Types::LIST, place)),
        }
        Ok(())
    }

    pub(super) fn each(
        &mut self,
        each: Each,
        parts: &'a [Operation; 2],
        place: Place,
    ) -> Outcome<'a> {
        let [list, body] = parts;
        let items = self.value(list)?;
        match each {
            Each::Exists => self.any(items, body, list.place, true),
            Each::All => self.any(items, body, list.place, false),
            Each::Filter | Each::Map => {
                let mut made = Vec::new();
                self.items(items, list.place, |run, item| {
                    run.spend(ITEM, place)?;
                    match each {
                        Each::Map => made.push(run.with(item, |run| run.value(body))?),
                        _ => {
                            if run.with(item.clone(), |run| run.boolean(body))? {
                                made.push(item);
                            }
                        }
                    }
                    Ok(true)
                })?;
                Ok(Data::List(made))
            }
        }
    }

    /// Whether `body` comes out as `decisive` for any item; an item that settles the matter makes
    /// up for a fault of another, as with `&&` and `||`.
    fn any(
        &mut self,
        items: Data<'a>,
        body: &'a Operation,
        place: Place,
        decisive: bool,
    ) -> Outcome<'a> {
        let mut settled = false;
        let mut first_fault = None;
        self.items(items, place, |run, item| {
            match run.with(item, |run| run.boolean(body)) {
                Ok(yes) => settled = yes == decisive,
                Err(fault) if fault.is_final() => return Err(fault),
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
            Ok(!settled)
        })?;
        match first_fault {
            Some(fault) if !settled => Err(fault),
            _ => Ok(Data::Boolean(settled == decisive)),
        }
    }

    /// Evaluates with `item` as the innermost local.
    fn with<T>(&mut self, item: Data<'a>, evaluate: impl FnOnce(&mut Self) -> T) -> T {
        self.locals.push(item);
        let outcome = evaluate(self);
        self.locals.pop();
        outcome
    }
}

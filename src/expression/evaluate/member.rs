//! Variables, their fields and items, and what they are compared with.

use std::borrow::Cow;

use towpath_sdk::json::Kind;
use towpath_sdk::{Cell, Side, Step};

use super::{BYTES_READ, ITEM, LEVELS_MAX, Outcome, Run};
use crate::data::Data;
use crate::fault::{Fault, Why};
use crate::operation::{Action, Operation, Variable};
use crate::operators;
use crate::syntax::Place;
use crate::types::Types;

impl<'a> Run<'a> {
    pub(super) fn variable(&mut self, variable: Variable, place: Place) -> Outcome<'a> {
        let unfit = |what| Fault {
            place,
            why: Why::Unfit(what),
        };
        Ok(match variable {
            Variable::Key => return self.side(Side::Key, place),
            Variable::Value => return self.side(Side::Value, place),
            Variable::Headers => Data::Headers,
            Variable::Topic => match self.batch.topic(self.row) {
                Some(topic) => Data::String((&**topic).into()),
                None => Data::Null,
            },
            Variable::Partition => number(self.batch.partition().map(i64::from)),
            Variable::Offset => number(self.batch.offset(self.row)),
            Variable::Timestamp => {
                let millis = self.batch.timestamp_ms(self.row);
                let time = jiff::Timestamp::from_millisecond(millis);
                Data::Timestamp(time.map_err(|_| unfit("it lies beyond the year 9999"))?)
            }
        })
    }

    /// The key or value. A key has no declared format: one that looks like an object or list, and
    /// is one, is JSON, any other is text.
    fn side(&mut self, side: Side, place: Place) -> Outcome<'a> {
        let undecoded = Err(Fault {
            place,
            why: Why::Undecoded(side),
        });
        match self.batch.cell(self.row, side) {
            Cell::Null => Ok(Data::Null),
            Cell::Document(node) => Ok(Data::Node(node)),
            Cell::Json(_) => undecoded,
            Cell::Text(span) => {
                let bytes = self.documents.bytes(span);
                let looks_decodable = matches!(bytes.first(), Some(b'{' | b'['));
                if side == Side::Key && looks_decodable && !self.key_is_text {
                    return undecoded;
                }
                Ok(text_or_bytes(bytes))
            }
            Cell::Bytes(span) => Ok(Data::Bytes(self.documents.bytes(span))),
        }
    }

    pub(super) fn member(
        &mut self,
        root: &'a Operation,
        steps: &'a [Step],
        place: Place,
    ) -> Outcome<'a> {
        let mut data = self.value(root)?;
        let is_value = matches!(root.action, Action::Variable(Variable::Value));
        if is_value && matches!(data, Data::String(_) | Data::Bytes(_)) {
            // A value that is no JSON: whoever decodes it says so best.
            return Err(Fault {
                place,
                why: Why::Undecoded(Side::Value),
            });
        }
        for step in steps {
            let found = match step {
                Step::Field(name) => self.field(data, name),
                Step::Index(index) => self.item(data, *index as usize),
            };
            data = found.ok_or(Fault {
                place,
                why: Why::Missing,
            })?;
        }
        Ok(data)
    }

    pub(super) fn index(&mut self, sides: &'a [Operation; 2], place: Place) -> Outcome<'a> {
        let of = self.member(&sides[0], &[], place)?;
        let found = match self.scalar(&sides[1])? {
            Data::String(name) => self.field(of, &name),
            Data::Integer(index) => usize::try_from(index)
                .ok()
                .and_then(|index| self.item(of, index)),
            other => {
                let takes = Types::STRING.or(Types::NUMBER);
                return Err(self.unfit_type(&other, takes, sides[1].place));
            }
        };
        found.ok_or(Fault {
            place,
            why: Why::Missing,
        })
    }

    fn field(&self, of: Data<'a>, name: &str) -> Option<Data<'a>> {
        match of {
            Data::Node(node) => self.documents.field(node, name).map(Data::Node),
            Data::Headers => self.header(name),
            Data::Map(entries) => {
                let mut entries = entries.into_iter();
                entries
                    .find(|(known, _)| *known == name)
                    .map(|(_, data)| data)
            }
            _ => None,
        }
    }

    /// The last header of that name.
    fn header(&self, name: &str) -> Option<Data<'a>> {
        let headers = self.batch.headers(self.row).iter().flatten();
        let found = headers
            .filter(|header| header.key == name.as_bytes())
            .last()?;
        Some(found.value.map_or(Data::Null, text_or_bytes))
    }

    /// Each header whose name is UTF-8, the last of those of one name.
    pub(super) fn headers(&self) -> Vec<(Cow<'a, str>, Data<'a>)> {
        let mut found: Vec<(Cow<'a, str>, Data<'a>)> = Vec::new();
        for header in self.batch.headers(self.row).iter().flatten() {
            let Ok(name) = std::str::from_utf8(header.key) else {
                continue;
            };
            let data = header.value.map_or(Data::Null, text_or_bytes);
            match found.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = data,
                None => found.push((name.into(), data)),
            }
        }
        found
    }

    fn item(&self, of: Data<'a>, index: usize) -> Option<Data<'a>> {
        match of {
            Data::Node(node) => {
                let item = self.documents.item(node, u32::try_from(index).ok()?);
                item.map(Data::Node)
            }
            Data::Items(items) => items.get(index).map(Data::borrowed),
            Data::List(items) => items.into_iter().nth(index),
            _ => None,
        }
    }

    /// `left in right`, where `right` came out of `list`.
    pub(super) fn is_in(
        &mut self,
        left: Data<'a>,
        right: Data<'a>,
        list: &'a Operation,
    ) -> Result<bool, Fault> {
        if right.types(self.documents) == Types::OBJECT {
            return Ok(match &left {
                Data::String(name) => self.field(right, name).is_some(),
                _ => false,
            });
        }
        if right.types(self.documents) != Types::LIST {
            let takes = Types::LIST.or(Types::OBJECT);
            return Err(self.unfit_type(&right, takes, list.place));
        }
        let mut found = false;
        self.items(right, list.place, |run, item| {
            let item = item.scalar(run.documents);
            found = match operators::equal_scalars(&left, &item, run.documents) {
                Some(equal) => equal,
                None => run.equal_trees(left.clone(), item, list.place, 0)?,
            };
            Ok(!found)
        })?;
        Ok(found)
    }

    /// Whether two lists or objects are equal; the order of fields does not matter.
    pub(super) fn equal_trees(
        &mut self,
        left: Data<'a>,
        right: Data<'a>,
        place: Place,
        level: u32,
    ) -> Result<bool, Fault> {
        self.spend(ITEM, place)?;
        let (left, right) = (left.scalar(self.documents), right.scalar(self.documents));
        if let Some(equal) = operators::equal_scalars(&left, &right, self.documents) {
            return Ok(equal);
        }
        let types = left.types(self.documents);
        if level == LEVELS_MAX || types != right.types(self.documents) {
            return Ok(false);
        }
        if types == Types::LIST {
            let (left, right) = (self.all_items(left, place)?, self.all_items(right, place)?);
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.into_iter().zip(right) {
                if !self.equal_trees(left, right, place, level + 1)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let names = self.names(&left, place)?;
        if names.len() != self.names(&right, place)?.len() {
            return Ok(false);
        }
        for name in names {
            let (Some(left), Some(right)) = (
                self.field(left.clone(), &name),
                self.field(right.clone(), &name),
            ) else {
                return Ok(false);
            };
            self.spend(ITEM + name.len() / BYTES_READ, place)?;
            if !self.equal_trees(left, right, place, level + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn all_items(&mut self, list: Data<'a>, place: Place) -> Result<Vec<Data<'a>>, Fault> {
        let mut items = Vec::new();
        self.items(list, place, |run, item| {
            run.spend(ITEM, place)?;
            items.push(item);
            Ok(true)
        })?;
        Ok(items)
    }

    /// The names of an object's fields, each once.
    pub(super) fn names(&mut self, of: &Data<'a>, place: Place) -> Result<Vec<String>, Fault> {
        let mut names: Vec<String> = match of {
            Data::Node(node) if self.documents.kind(*node) == Kind::Object => {
                let children = self.documents.children(*node);
                children
                    .map(|child| self.documents.name(child).into_owned())
                    .collect()
            }
            Data::Headers => {
                let headers = self.headers().into_iter();
                headers.map(|(name, _)| name.into_owned()).collect()
            }
            Data::Map(entries) => entries.iter().map(|(name, _)| (*name).to_owned()).collect(),
            _ => Vec::new(),
        };
        names.sort_unstable();
        names.dedup();
        self.spend(ITEM * names.len(), place)?;
        Ok(names)
    }
}

fn number<'a>(number: Option<i64>) -> Data<'a> {
    number.map_or(Data::Null, Data::Integer)
}

fn text_or_bytes(bytes: &[u8]) -> Data<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Data::String(text.into()),
        Err(_) => Data::Bytes(bytes),
    }
}

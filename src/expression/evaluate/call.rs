//! Calls of functions.

use std::borrow::Cow;

use jiff::Timestamp;
use towpath_sdk::json::Kind;

use super::{BYTES_MADE, BYTES_READ, ITEM, Outcome, Run};
use crate::data::Data;
use crate::fault::{Fault, Why};
use crate::function::Function;
use crate::operation::Operation;
use crate::syntax::Place;
use crate::types::Types;
use crate::{text, time};

impl<'a> Run<'a> {
    pub(super) fn call(
        &mut self,
        function: Function,
        arguments: &'a [Operation],
        place: Place,
    ) -> Outcome<'a> {
        let Some((first, rest)) = arguments.split_first() else {
            return Ok(Data::Null);
        };
        let fault = |why| Fault { place, why };
        match function {
            Function::Size | Function::Int | Function::Double => self.number_of(function, first),
            Function::String => self.text_of(first),
            Function::Timestamp | Function::Duration => self.time_of(function, first),
            _ => {
                let string = self.string(first)?;
                self.spend(string.len() / BYTES_READ, place)?;
                Ok(match (function, rest) {
                    (Function::LowerAscii, _) => Data::String(text::lower(string)),
                    (Function::UpperAscii, _) => Data::String(text::upper(string)),
                    (Function::Trim, _) => Data::String(text::trim(string)),
                    (Function::Substring, [start, end @ ..]) => {
                        let start = self.integer(start)?;
                        let end = end.first().map(|end| self.integer(end)).transpose()?;
                        Data::String(text::substring(string, start, end).map_err(fault)?)
                    }
                    (Function::Replace, [from, to]) => {
                        let (from, to) = (self.string(from)?, self.string(to)?);
                        self.replace(&string, &from, &to, place)?
                    }
                    (_, [other, ..]) => {
                        let other = self.string(other)?;
                        self.with_other(function, string, &other, place)?
                    }
                    (_, []) => Data::Null,
                })
            }
        }
    }

    /// A function of two strings.
    fn with_other(
        &mut self,
        function: Function,
        string: Cow<'a, str>,
        other: &str,
        place: Place,
    ) -> Outcome<'a> {
        Ok(match function {
            Function::StartsWith => Data::Boolean(string.starts_with(other)),
            Function::EndsWith => Data::Boolean(string.ends_with(other)),
            Function::Split => {
                self.spend(ITEM * text::pieces_count(&string, other), place)?;
                let pieces = text::split(string, other).into_iter();
                Data::List(pieces.map(Data::String).collect())
            }
            _ => Data::Boolean(string.contains(other)),
        })
    }

    fn replace(&mut self, string: &str, from: &str, to: &str, place: Place) -> Outcome<'a> {
        let count = string.matches(from).count();
        let bytes = string.len().saturating_add(count.saturating_mul(to.len()));
        self.spend(bytes / BYTES_MADE, place)?;
        Ok(Data::String(string.replace(from, to).into()))
    }

    fn number_of(&mut self, function: Function, of: &'a Operation) -> Outcome<'a> {
        let data = self.scalar(of)?;
        let place = of.place;
        let unfit = |what| Fault {
            place,
            why: Why::Unfit(what),
        };
        const NOT_WHOLE: &str = "it is no whole number of 64 bits";
        match (function, data) {
            (Function::Size, data) => self.size(data, of),
            (Function::Int, Data::Integer(number)) => Ok(Data::Integer(number)),
            (Function::Int, Data::Double(number)) => {
                // 2^63: the first double beyond every i64; the lowest i64 is a double.
                const BEYOND: f64 = 9_223_372_036_854_775_808.0;
                let fits = (-BEYOND..BEYOND).contains(&number);
                let whole = fits.then_some(Data::Integer(number as i64));
                whole.ok_or(unfit(NOT_WHOLE))
            }
            (Function::Int, Data::String(text)) => text
                .parse()
                .map(Data::Integer)
                .map_err(|_| unfit(NOT_WHOLE)),
            (Function::Int, Data::Timestamp(time)) => Ok(Data::Integer(time.as_second())),
            (Function::Int, Data::Large(_)) => Err(unfit(NOT_WHOLE)),
            (_, Data::Integer(number)) => Ok(Data::Double(number as f64)),
            (_, Data::Double(number)) => Ok(Data::Double(number)),
            (_, Data::Large(node)) => {
                let number = self.documents.text(node).parse();
                number
                    .map(Data::Double)
                    .map_err(|_| unfit("it is no number"))
            }
            (_, Data::String(text)) => {
                let number = text.parse().map(Data::Double);
                number.map_err(|_| unfit("it is no number"))
            }
            (_, other) => {
                let takes = Types::NUMBER.or(Types::STRING);
                Err(self.unfit_type(&other, takes, place))
            }
        }
    }

    /// Of a string in characters.
    fn size(&mut self, data: Data<'a>, of: &'a Operation) -> Outcome<'a> {
        let size = match &data {
            Data::String(text) => {
                self.spend(text.len() / BYTES_READ, of.place)?;
                text.chars().count()
            }
            Data::Bytes(bytes) => bytes.len(),
            Data::Items(items) => items.len(),
            Data::List(items) => items.len(),
            Data::Node(node) if self.documents.kind(*node) == Kind::Array => {
                self.documents.children(*node).count()
            }
            Data::Node(_) | Data::Headers | Data::Map(_) => self.names(&data, of.place)?.len(),
            other => {
                let takes = Types::STRING
                    .or(Types::BYTES)
                    .or(Types::LIST)
                    .or(Types::OBJECT);
                return Err(self.unfit_type(other, takes, of.place));
            }
        };
        Ok(Data::Integer(size as i64))
    }

    fn text_of(&mut self, of: &'a Operation) -> Outcome<'a> {
        let data = self.value(of)?;
        if let Data::Node(node) = data
            && self.documents.kind(node) == Kind::Number
        {
            // With every digit it came with.
            return Ok(Data::String(self.documents.text(node).into()));
        }
        let text = match data.scalar(self.documents) {
            Data::String(text) => text,
            Data::Boolean(true) => "true".into(),
            Data::Boolean(false) => "false".into(),
            Data::Integer(number) => number.to_string().into(),
            Data::Double(number) => text::double_text(number).into(),
            Data::Timestamp(time) => time::timestamp_text(time).into(),
            Data::Duration(span) => time::duration_text(span).into(),
            Data::Bytes(bytes) => {
                self.spend(bytes.len() / BYTES_READ, of.place)?;
                let text = std::str::from_utf8(bytes).map_err(|_| Fault {
                    place: of.place,
                    why: Why::Unfit("the bytes are no UTF-8"),
                })?;
                text.into()
            }
            other => return Err(self.unfit_type(&other, Types::STRING, of.place)),
        };
        Ok(Data::String(text))
    }

    fn time_of(&mut self, function: Function, of: &'a Operation) -> Outcome<'a> {
        let unfit = |what| Fault {
            place: of.place,
            why: Why::Unfit(what),
        };
        match (function, self.scalar(of)?) {
            (Function::Timestamp, Data::Timestamp(time)) => Ok(Data::Timestamp(time)),
            (Function::Timestamp, Data::Integer(seconds)) => {
                let time = Timestamp::from_second(seconds);
                time.map(Data::Timestamp)
                    .map_err(|_| unfit("it lies beyond the year 9999"))
            }
            (Function::Timestamp, Data::String(text)) => {
                let time = text.parse().map(Data::Timestamp);
                time.map_err(|_| unfit("it is no time such as 2026-01-01T00:00:00Z"))
            }
            (Function::Duration, Data::Duration(span)) => Ok(Data::Duration(span)),
            (Function::Duration, Data::String(text)) => {
                self.spend(text.len() / BYTES_READ, of.place)?;
                let span = time::duration(&text).map(Data::Duration);
                span.ok_or(unfit("it is no duration such as 1h30m, 1.5s or 7d"))
            }
            (_, other) => Err(self.unfit_type(&other, Types::STRING, of.place)),
        }
    }
}

//! What parts of an expression come out as.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use towpath_sdk::json::{Documents, Kind, NodeId};

use crate::types::Types;

/// A value while an expression is evaluated; what it can borrow it borrows.
#[derive(Debug, Clone)]
pub(crate) enum Data<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// A whole number of a record that does not fit 64 bits.
    Large(NodeId),
    Double(f64),
    String(Cow<'a, str>),
    Bytes(&'a [u8]),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    /// A part of the record that nobody had to look into yet: passed on, it stays as written.
    Node(NodeId),
    /// The record's headers, as an object.
    Headers,
    /// A list that is part of the expression.
    Items(&'a [Data<'a>]),
    List(Vec<Data<'a>>),
    Map(Vec<(&'a str, Data<'a>)>),
}

impl<'a> Data<'a> {
    /// The same, borrowing text and items.
    pub(crate) fn borrowed(&'a self) -> Data<'a> {
        match self {
            Self::String(text) => Self::String(Cow::Borrowed(text)),
            Self::List(items) => Self::Items(items),
            other => other.clone(),
        }
    }

    /// The same, borrowing nothing; `None` for what is of a record.
    pub(crate) fn into_static(self) -> Option<Data<'static>> {
        Some(match self {
            Self::Null => Data::Null,
            Self::Boolean(yes) => Data::Boolean(yes),
            Self::Integer(number) => Data::Integer(number),
            Self::Double(number) => Data::Double(number),
            Self::String(text) => Data::String(Cow::Owned(text.into_owned())),
            Self::Timestamp(time) => Data::Timestamp(time),
            Self::Duration(duration) => Data::Duration(duration),
            Self::Items(items) => {
                let items = items.iter().cloned().map(Data::into_static);
                Data::List(items.collect::<Option<_>>()?)
            }
            Self::List(items) => {
                let items = items.into_iter().map(Data::into_static);
                Data::List(items.collect::<Option<_>>()?)
            }
            Self::Large(_) | Self::Bytes(_) | Self::Node(_) | Self::Headers | Self::Map(_) => {
                return None;
            }
        })
    }

    /// A scalar node as what it says; anything else as it is.
    #[inline]
    pub(crate) fn scalar(self, documents: &'a Documents) -> Data<'a> {
        let Self::Node(node) = self else { return self };
        match documents.kind(node) {
            Kind::Null => Self::Null,
            Kind::Boolean => Self::Boolean(documents.text(node) == "true"),
            Kind::Number => number(documents.text(node), node),
            Kind::String => Self::String(documents.string(node).unwrap_or_default()),
            Kind::Array | Kind::Object => self,
        }
    }

    /// What it is.
    pub(crate) fn types(&self, documents: &Documents) -> Types {
        match self {
            Self::Null => Types::NULL,
            Self::Boolean(_) => Types::BOOLEAN,
            Self::Integer(_) | Self::Large(_) | Self::Double(_) => Types::NUMBER,
            Self::String(_) => Types::STRING,
            Self::Bytes(_) => Types::BYTES,
            Self::Timestamp(_) => Types::TIMESTAMP,
            Self::Duration(_) => Types::DURATION,
            Self::Headers | Self::Map(_) => Types::OBJECT,
            Self::Items(_) | Self::List(_) => Types::LIST,
            Self::Node(node) => match documents.kind(*node) {
                Kind::Null => Types::NULL,
                Kind::Boolean => Types::BOOLEAN,
                Kind::Number => Types::NUMBER,
                Kind::String => Types::STRING,
                Kind::Array => Types::LIST,
                Kind::Object => Types::OBJECT,
            },
        }
    }
}

/// The number that `text`, of `node`, says.
fn number<'a>(text: &str, node: NodeId) -> Data<'a> {
    if let Ok(number) = text.parse() {
        return Data::Integer(number);
    }
    let is_whole = !text.contains(['.', 'e', 'E']);
    match text.parse() {
        _ if is_whole => Data::Large(node),
        Ok(number) => Data::Double(number),
        Err(_) => Data::Double(f64::NAN),
    }
}

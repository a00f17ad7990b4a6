//! Why an expression has no value for a record.

use towpath_sdk::{Error, Side};

use crate::syntax::Place;
use crate::types::Types;

/// What went wrong, and in which part of the expression. Made for each record that lacks a field,
/// so it owns nothing; words are found when it becomes an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) why: Why,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// No fault of the record: its key or value has to be decoded first.
    Undecoded(Side),
    /// There is no such field or item.
    Missing,
    /// A part is of another type than is needed.
    Type { found: Types, takes: Types },
    /// An operator's sides do not suit it.
    Sides { left: Types, right: Types },
    /// A number, string or time that cannot be used so.
    Unfit(&'static str),
    /// More work than a record may cause.
    Steps,
}

impl Fault {
    /// Whether the other side of `&&` and `||`, or another item, cannot make up for it.
    pub(crate) fn is_final(self) -> bool {
        matches!(self.why, Why::Undecoded(_) | Why::Steps)
    }

    /// What went wrong, in words.
    pub(crate) fn message(self, source: &str) -> String {
        let part = excerpt(
            source
                .get(self.place.start as usize..self.place.end as usize)
                .unwrap_or(source),
        );
        match self.why {
            Why::Undecoded(side) => format!("the {} is not decoded", side.as_str()),
            Why::Missing => format!("`{part}` is missing"),
            Why::Type { found, takes } => format!("`{part}` is {found}, not {takes}"),
            Why::Sides { left, right } => {
                format!("`{part}` has {left} on the left and {right} on the right")
            }
            Why::Unfit(what) => format!("`{part}`: {what}"),
            Why::Steps => format!("`{part}`: more work than one record may cause"),
        }
    }

    /// As the error of a record.
    pub(crate) fn error(self, source: &str) -> Error {
        let error = Error::record("evaluate", format!("`{}`", excerpt(source)))
            .because(self.message(source));
        match self.why {
            Why::Missing => error.remedy("ask `has(...)` first, or give a `default(..., ...)`"),
            Why::Steps => error.remedy("make the expression simpler, or the record smaller"),
            _ => error,
        }
    }
}

/// At most 100 characters of `text`, in one line.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 100;
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(SHOWN) {
        words.truncate(cut);
        words.push_str("...");
    }
    words
}

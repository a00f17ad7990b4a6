//! The functions: their names, what they take and what they give.

use crate::types::Types;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Int,
    Double,
    String,
    Timestamp,
    Duration,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
    Substring,
    Replace,
    Split,
}

/// How a function is called.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) function: Function,
    pub(crate) style: Style,
    /// What it takes; of a method the first is what stands before the dot.
    pub(crate) takes: &'static [Types],
    /// How many of the last may be left out.
    pub(crate) optional: usize,
    pub(crate) gives: Types,
}

/// Where the first argument stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `name(first)`
    Plain,
    /// `first.name()`
    Method,
    /// Either.
    Both,
}

const TEXT: Types = Types::STRING;
const TEXTUAL: Types = TEXT.or(Types::NUMBER);
const SIZED: Types = TEXT.or(Types::BYTES).or(Types::LIST).or(Types::OBJECT);
const PRINTABLE: Types = TEXTUAL
    .or(Types::BOOLEAN)
    .or(Types::BYTES)
    .or(Types::TIMESTAMP)
    .or(Types::DURATION);

/// All functions that are called with values; `has`, `default`, `matches` and the macros are not.
pub(crate) const FUNCTIONS: [Signature; 15] = {
    use Function::*;
    const NUMBER: Types = Types::NUMBER;
    const INT: Types = TEXTUAL.or(Types::TIMESTAMP);
    const TIME: Types = TEXTUAL.or(Types::TIMESTAMP);
    const SPAN: Types = TEXT.or(Types::DURATION);
    [
        new("size", Size, Style::Both, &[SIZED], NUMBER),
        new("int", Int, Style::Plain, &[INT], NUMBER),
        new("double", Double, Style::Plain, &[TEXTUAL], NUMBER),
        new("string", String, Style::Plain, &[PRINTABLE], TEXT),
        new(
            "timestamp",
            Timestamp,
            Style::Plain,
            &[TIME],
            Types::TIMESTAMP,
        ),
        new("duration", Duration, Style::Plain, &[SPAN], Types::DURATION),
        method("contains", Contains, &[TEXT, TEXT], Types::BOOLEAN),
        method("startsWith", StartsWith, &[TEXT, TEXT], Types::BOOLEAN),
        method("endsWith", EndsWith, &[TEXT, TEXT], Types::BOOLEAN),
        method("lowerAscii", LowerAscii, &[TEXT], TEXT),
        method("upperAscii", UpperAscii, &[TEXT], TEXT),
        method("trim", Trim, &[TEXT], TEXT),
        Signature {
            optional: 1,
            ..method("substring", Substring, &[TEXT, NUMBER, NUMBER], TEXT)
        },
        method("replace", Replace, &[TEXT, TEXT, TEXT], TEXT),
        method("split", Split, &[TEXT, TEXT], Types::LIST),
    ]
};

const fn new(
    name: &'static str,
    function: Function,
    style: Style,
    takes: &'static [Types],
    gives: Types,
) -> Signature {
    Signature {
        name,
        function,
        style,
        takes,
        optional: 0,
        gives,
    }
}

const fn method(
    name: &'static str,
    function: Function,
    takes: &'static [Types],
    gives: Types,
) -> Signature {
    new(name, function, Style::Method, takes, gives)
}

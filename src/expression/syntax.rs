//! The syntax tree: what was written, before anything is known of its meaning.

/// A part of an expression, and where it stands in the text.
#[derive(Debug, Clone)]
pub(crate) struct Syntax {
    pub(crate) part: Part,
    pub(crate) place: Place,
    /// How deep the tree below it is, itself counted.
    pub(crate) depth: usize,
}

/// From the first byte to the one behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// What was written.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    String(String),
    List(Vec<Syntax>),
    Map(Vec<(Syntax, Syntax)>),
    Name(String),
    /// `of.name`
    Field(Box<Syntax>, String),
    /// `of[index]`
    Index(Box<Syntax>, Box<Syntax>),
    /// `name(...)`, or `of.name(...)`.
    Call(Option<Box<Syntax>>, String, Vec<Syntax>),
    Not(Box<Syntax>),
    Negate(Box<Syntax>),
    Binary(Operator, Box<Syntax>, Box<Syntax>),
    /// `a && b && ...`: side by side, not nested, so that long conditions are not deep.
    And(Vec<Syntax>),
    /// `a || b || ...`
    Or(Vec<Syntax>),
    /// `condition ? then : otherwise`
    Choice(Box<[Syntax; 3]>),
}

/// An operator with two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// As it is written, and how tightly it binds.
    pub(crate) const ALL: [(Self, &'static str, u8); 12] = [
        (Self::Equal, "==", 1),
        (Self::Unequal, "!=", 1),
        (Self::Less, "<", 1),
        (Self::LessOrEqual, "<=", 1),
        (Self::Greater, ">", 1),
        (Self::GreaterOrEqual, ">=", 1),
        (Self::In, "in", 1),
        (Self::Add, "+", 2),
        (Self::Subtract, "-", 2),
        (Self::Multiply, "*", 3),
        (Self::Divide, "/", 3),
        (Self::Remainder, "%", 3),
    ];

    /// As it is written.
    pub(crate) fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(operator, ..)| *operator == self);
        found.map_or("", |(_, text, _)| text)
    }
}

impl Syntax {
    /// The syntax trees directly below.
    pub(crate) fn children(&self) -> Vec<&Syntax> {
        match &self.part {
            Part::Null
            | Part::Boolean(_)
            | Part::Integer(_)
            | Part::Double(_)
            | Part::String(_)
            | Part::Name(_) => Vec::new(),
            Part::List(items) | Part::And(items) | Part::Or(items) => items.iter().collect(),
            Part::Map(entries) => entries.iter().flat_map(|(key, of)| [key, of]).collect(),
            Part::Field(of, _) | Part::Not(of) | Part::Negate(of) => vec![of],
            Part::Index(left, right) | Part::Binary(_, left, right) => vec![left, right],
            Part::Call(of, _, arguments) => of.iter().map(|of| &**of).chain(arguments).collect(),
            Part::Choice(parts) => parts.iter().collect(),
        }
    }
}

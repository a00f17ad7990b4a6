//! From words and signs to the syntax tree, by recursive descent.

use crate::syntax::{Operator, Part, Place, Syntax};
use crate::token::{Token, tokens};
use crate::{CompileError, DEPTH_MAX, SOURCE_BYTES_MAX};

type Parsed = Result<Syntax, CompileError>;

/// Reads an expression.
pub(crate) fn parse(source: &str) -> Parsed {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(CompileError::new(
            SOURCE_BYTES_MAX,
            "the expression is longer than 64 KiB",
        ));
    }
    let mut parser = Parser {
        tokens: tokens(source)?,
        next: 0,
        depth: 0,
    };
    let parsed = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(parsed),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser {
    /// Of which [`Token::End`] is the last.
    tokens: Vec<(Token, usize, usize)>,
    next: usize,
    /// How many expressions are open.
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.next)
            .map_or(&Token::End, |(token, ..)| token)
    }

    /// Where the next token begins.
    fn at(&self) -> usize {
        let last = self.tokens.len() - 1;
        self.tokens[self.next.min(last)].1
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn accept(&mut self, sign: &'static str) -> bool {
        let found = *self.peek() == Token::Sign(sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), CompileError> {
        match self.accept(sign) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{sign}`"))),
        }
    }

    fn unexpected(&self, wanted: &str) -> CompileError {
        let found = self.peek().describe();
        CompileError::new(self.at(), format!("expected {wanted}, found {found}"))
    }

    fn too_deep(&self) -> CompileError {
        CompileError::new(
            self.at(),
            format!("the expression is nested more than {DEPTH_MAX} deep"),
        )
    }

    /// A tree of what was read since `start`.
    fn tree(&self, start: usize, part: Part) -> Parsed {
        let end = self.tokens[self.next.max(1) - 1].2;
        let mut tree = Syntax {
            part,
            place: Place {
                start: start as u32,
                end: end as u32,
            },
            depth: 0,
        };
        let below = tree.children().iter().map(|child| child.depth).max();
        tree.depth = 1 + below.unwrap_or(0);
        match tree.depth > DEPTH_MAX {
            true => Err(self.too_deep()),
            false => Ok(tree),
        }
    }

    /// Everything that nests comes through here.
    fn expression(&mut self) -> Parsed {
        self.nested(Self::choice)
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth == DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let parsed = read(self);
        self.depth -= 1;
        parsed
    }

    fn choice(&mut self) -> Parsed {
        let start = self.at();
        let condition = self.row("||", Part::Or, |parser| {
            parser.row("&&", Part::And, |parser| parser.binary(1))
        })?;
        if !self.accept("?") {
            return Ok(condition);
        }
        let then = self.expression()?;
        self.expect(":")?;
        let otherwise = self.expression()?;
        self.tree(start, Part::Choice(Box::new([condition, then, otherwise])))
    }

    /// One, or several with `sign` between them.
    fn row(
        &mut self,
        sign: &'static str,
        part: fn(Vec<Syntax>) -> Part,
        read: impl Fn(&mut Self) -> Parsed,
    ) -> Parsed {
        let start = self.at();
        let first = read(self)?;
        if *self.peek() != Token::Sign(sign) {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.accept(sign) {
            all.push(read(self)?);
        }
        self.tree(start, part(all))
    }

    /// Operators that bind at least as tightly as `least`.
    fn binary(&mut self, least: u8) -> Parsed {
        let start = self.at();
        let mut left = self.unary()?;
        loop {
            let written = match self.peek() {
                Token::Sign(sign) => *sign,
                Token::Name(name) if name == "in" => "in",
                _ => return Ok(left),
            };
            let known = Operator::ALL.iter();
            let found = known
                .into_iter()
                .find(|(_, text, binds)| *text == written && *binds >= least);
            let Some((operator, _, binds)) = found else {
                return Ok(left);
            };
            self.next += 1;
            let right = self.binary(binds + 1)?;
            left = self.tree(start, Part::Binary(*operator, left.into(), right.into()))?;
        }
    }

    fn unary(&mut self) -> Parsed {
        let start = self.at();
        if self.accept("!") {
            let of = self.nested(Self::unary)?;
            return self.tree(start, Part::Not(of.into()));
        }
        if !self.accept("-") {
            return self.member();
        }
        // The lowest whole number has no positive counterpart.
        if let Token::Whole(digits) = self.peek()
            && let Ok(number) = format!("-{digits}").parse()
        {
            self.next += 1;
            let number = self.tree(start, Part::Integer(number))?;
            return self.members_of(start, number);
        }
        let of = self.nested(Self::unary)?;
        self.tree(start, Part::Negate(of.into()))
    }

    fn member(&mut self) -> Parsed {
        let start = self.at();
        let of = self.primary()?;
        self.members_of(start, of)
    }

    fn members_of(&mut self, start: usize, mut of: Syntax) -> Parsed {
        loop {
            let part = if self.accept(".") {
                let (name, is_quoted) = match self.take() {
                    Token::Name(name) => (name, false),
                    Token::Quoted(name) => (name, true),
                    _ => {
                        self.next -= 1;
                        return Err(self.unexpected("a field or function"));
                    }
                };
                match !is_quoted && self.accept("(") {
                    true => Part::Call(Some(of.into()), name, self.list(")")?),
                    false => Part::Field(of.into(), name),
                }
            } else if self.accept("[") {
                let index = self.expression()?;
                self.expect("]")?;
                Part::Index(of.into(), index.into())
            } else {
                return Ok(of);
            };
            of = self.tree(start, part)?;
        }
    }

    /// What stands between brackets, of which the first has been read.
    fn list(&mut self, close: &'static str) -> Result<Vec<Syntax>, CompileError> {
        let mut items = Vec::new();
        while !self.accept(close) {
            items.push(self.expression()?);
            if !self.accept(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn map(&mut self) -> Result<Part, CompileError> {
        let mut entries = Vec::new();
        while !self.accept("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.accept(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Part::Map(entries))
    }

    fn primary(&mut self) -> Parsed {
        let start = self.at();
        let part = match self.take() {
            Token::Name(name) => self.name(start, name)?,
            Token::Whole(digits) => match digits.parse() {
                Ok(number) => Part::Integer(number),
                Err(_) => return Err(CompileError::new(start, "the number does not fit 64 bits")),
            },
            Token::Fraction(number) => Part::Double(number),
            Token::String(text) => Part::String(text),
            Token::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => Part::List(self.list("]")?),
            Token::Sign("{") => self.map()?,
            _ => {
                self.next -= 1;
                return Err(self.unexpected("a value"));
            }
        };
        self.tree(start, part)
    }

    fn name(&mut self, start: usize, name: String) -> Result<Part, CompileError> {
        Ok(match name.as_str() {
            "null" => Part::Null,
            "true" => Part::Boolean(true),
            "false" => Part::Boolean(false),
            "in" => return Err(CompileError::new(start, "expected a value, found `in`")),
            _ if self.accept("(") => Part::Call(None, name, self.list(")")?),
            _ => Part::Name(name),
        })
    }
}

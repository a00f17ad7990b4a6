//! From the syntax tree to the operation tree: names resolved, types checked as far as they are
//! known, constants folded, regular expressions compiled.

mod call;

use towpath_sdk::{Step, WorkingBatch};

use crate::CompileError;
use crate::data::Data;
use crate::evaluate::Run;
use crate::operation::{Action, Operation, Variable};
use crate::operators;
use crate::parse::parse;
use crate::syntax::{Operator, Part, Place, Syntax};
use crate::types::Types;

type Compiled = Result<Operation, CompileError>;

/// Compiles `source`.
pub(crate) fn compile_tree(source: &str) -> Compiled {
    let syntax = parse(source)?;
    let mut compiler = Compiler {
        source,
        locals: Vec::new(),
    };
    compiler.operation(&syntax)
}

struct Compiler<'a> {
    source: &'a str,
    /// Names of the items at hand of the macros around.
    locals: Vec<String>,
}

impl Compiler<'_> {
    fn operation(&mut self, syntax: &Syntax) -> Compiled {
        let place = syntax.place;
        let action = match &syntax.part {
            Part::Null => Action::Constant(Data::Null),
            Part::Boolean(yes) => Action::Constant(Data::Boolean(*yes)),
            Part::Integer(number) => Action::Constant(Data::Integer(*number)),
            Part::Double(number) => Action::Constant(Data::Double(*number)),
            Part::String(text) => Action::Constant(Data::String(text.clone().into())),
            Part::List(items) => Action::List(self.operations(items)?),
            Part::Map(entries) => self.map(entries)?,
            Part::Name(name) => return self.name(name, place),
            Part::Field(of, name) => {
                let of = self.operation(of)?;
                return self.step(of, Step::Field(name.clone()), place);
            }
            Part::Index(of, index) => return self.index(of, index, place),
            Part::Call(of, name, arguments) => {
                return self.call(of.as_deref(), name, arguments, place);
            }
            Part::Not(of) => {
                let of = self.of_type(of, Types::BOOLEAN)?;
                return self.made(place, Types::BOOLEAN, Action::Not(of.into()));
            }
            Part::Negate(of) => {
                let of = self.of_type(of, Types::NUMBER.or(Types::DURATION))?;
                let types = of.types.and(Types::NUMBER.or(Types::DURATION));
                return self.made(place, types, Action::Negate(of.into()));
            }
            Part::And(all) => Action::And(self.conditions(all)?),
            Part::Or(all) => Action::Or(self.conditions(all)?),
            Part::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                let condition = self.of_type(condition, Types::BOOLEAN)?;
                let (then, otherwise) = (self.operation(then)?, self.operation(otherwise)?);
                let types = then.types.or(otherwise.types);
                let action = Action::Choice(Box::new([condition, then, otherwise]));
                return self.made(place, types, action);
            }
            Part::Binary(operator, left, right) => {
                return self.binary(*operator, left, right, place);
            }
        };
        let types = match &action {
            Action::Constant(data) => data.types(WorkingBatch::default().documents()),
            Action::List(_) => Types::LIST,
            Action::Map(_) => Types::OBJECT,
            _ => Types::BOOLEAN,
        };
        self.made(place, types, action)
    }

    fn operations(&mut self, all: &[Syntax]) -> Result<Vec<Operation>, CompileError> {
        all.iter().map(|one| self.operation(one)).collect()
    }

    fn conditions(&mut self, all: &[Syntax]) -> Result<Vec<Operation>, CompileError> {
        all.iter()
            .map(|one| self.of_type(one, Types::BOOLEAN))
            .collect()
    }

    /// `syntax`, which may come out as one of `takes`.
    fn of_type(&mut self, syntax: &Syntax, takes: Types) -> Compiled {
        let operation = self.operation(syntax)?;
        self.check_type(&operation, takes)?;
        Ok(operation)
    }

    fn check_type(&self, operation: &Operation, takes: Types) -> Result<(), CompileError> {
        if operation.types.meets(takes) {
            return Ok(());
        }
        let Place { start, end } = operation.place;
        let part = &self.source[start as usize..end as usize];
        let message = format!("`{part}` is {}, not {takes}", operation.types);
        Err(CompileError::new(start as usize, message))
    }

    /// An operation; evaluated at once when nothing of it depends on a record.
    fn made(&self, place: Place, types: Types, action: Action) -> Compiled {
        let operation = Operation {
            place,
            types,
            action,
        };
        if !operation.is_constant() {
            return Ok(operation);
        }
        let batch = WorkingBatch::default();
        let data = Run::new(&batch, 0, false)
            .value(&operation)
            .map_err(|fault| {
                CompileError::new(fault.place.start as usize, fault.message(self.source))
            })?;
        let types = data.types(batch.documents());
        Ok(match data.into_static() {
            Some(data) => Operation {
                place,
                types,
                action: Action::Constant(data),
            },
            None => operation,
        })
    }

    fn name(&self, name: &str, place: Place) -> Compiled {
        if let Some(depth) = self.locals.iter().rposition(|known| known == name) {
            return self.made(place, Types::ANY, Action::Local(depth));
        }
        let known = Variable::ALL.iter().find(|(known, ..)| *known == name);
        if let Some((_, variable, types)) = known {
            return self.made(place, *types, Action::Variable(*variable));
        }
        let at = place.start as usize;
        let error = CompileError::new(at, format!("unknown name `{name}`"));
        let locals = self.locals.iter().map(String::as_str);
        let names: Vec<_> = Variable::ALL
            .iter()
            .map(|(name, ..)| *name)
            .chain(locals)
            .collect();
        let before = self.source[..at].strip_suffix('-');
        if before.is_some_and(|before| before.ends_with(char::is_alphanumeric)) {
            return Err(error
                .help("`-` subtracts; a field with `-` in its name is written value.`like-this`"));
        }
        match towpath_sdk::config::nearest(name, names.iter().copied()) {
            Some(near) => Err(error.help(format!("did you mean `{near}`?"))),
            None => Err(error.help(format!(
                "a field of the value is `value.{name}`; a string stands in quotes; names are {}",
                names.join(", ")
            ))),
        }
    }

    fn step(&self, of: Operation, step: Step, place: Place) -> Compiled {
        let takes = match step {
            Step::Field(_) => Types::OBJECT,
            Step::Index(_) => Types::LIST,
        };
        self.check_type(&of, takes)?;
        match of.action {
            Action::Member(root, mut steps) => {
                steps.push(step);
                self.made(place, Types::ANY, Action::Member(root, steps))
            }
            _ => self.made(place, Types::ANY, Action::Member(of.into(), vec![step])),
        }
    }

    fn index(&mut self, of: &Syntax, index: &Syntax, place: Place) -> Compiled {
        let of = self.of_type(of, Types::LIST.or(Types::OBJECT))?;
        let index = self.of_type(index, Types::NUMBER.or(Types::STRING))?;
        match &index.action {
            Action::Constant(Data::String(name)) => {
                return self.step(of, Step::Field(name.to_string()), place);
            }
            Action::Constant(Data::Integer(number)) => {
                let number = u32::try_from(*number).map_err(|_| {
                    let at = index.place.start as usize;
                    CompileError::new(at, "an index is a whole number from 0")
                })?;
                return self.step(of, Step::Index(number), place);
            }
            _ => {}
        }
        self.made(place, Types::ANY, Action::Index(Box::new([of, index])))
    }

    fn map(&mut self, entries: &[(Syntax, Syntax)]) -> Result<Action, CompileError> {
        let mut made: Vec<(String, Operation)> = Vec::new();
        for (key, of) in entries {
            let at = key.place.start as usize;
            let Part::String(name) = &key.part else {
                return Err(CompileError::new(
                    at,
                    "a key in `{...}` is a string in quotes",
                ));
            };
            if made.iter().any(|(known, _)| known == name) {
                return Err(CompileError::new(at, format!("`{name}` comes twice")));
            }
            made.push((name.clone(), self.operation(of)?));
        }
        Ok(Action::Map(made))
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &Syntax,
        right: &Syntax,
        place: Place,
    ) -> Compiled {
        let (left, right) = (self.operation(left)?, self.operation(right)?);
        let types = operators::outcome(operator, left.types, right.types);
        if types.is_none() {
            let message = format!(
                "`{}` cannot stand between {} and {}",
                operator.as_str(),
                left.types,
                right.types
            );
            let error = CompileError::new(place.start as usize, message);
            let time = left.types.or(right.types).meets(Types::TIMESTAMP);
            return Err(
                match time && left.types.or(right.types).meets(Types::STRING) {
                    true => error.help("make a time of the string: `timestamp(\"...\")`"),
                    false => error,
                },
            );
        }
        self.made(
            place,
            types,
            Action::Binary(operator, Box::new([left, right])),
        )
    }
}

//! Calls: functions, macros, and the few forms that are neither.

use regex::RegexBuilder;

use super::{Compiled, Compiler};
use crate::CompileError;
use crate::data::Data;
use crate::function::{FUNCTIONS, Signature, Style};
use crate::operation::{Action, Each};
use crate::syntax::{Part, Place, Syntax};
use crate::types::Types;

/// The largest program a regular expression may become, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// What is no function of values.
const FORMS: [(&str, Style); 3] = [
    ("has", Style::Plain),
    ("default", Style::Plain),
    ("matches", Style::Method),
];

impl Compiler<'_> {
    pub(super) fn call(
        &mut self,
        of: Option<&Syntax>,
        name: &str,
        arguments: &[Syntax],
        place: Place,
    ) -> Compiled {
        let each = Each::ALL.iter().find(|(known, _)| *known == name);
        match (of, name, each) {
            (None, "has", _) => self.has(arguments, place),
            (None, "default", _) => self.default(arguments, place),
            (Some(of), "matches", _) => self.matches(of, arguments, place),
            (Some(of), _, Some((_, each))) => self.each(*each, of, arguments, place),
            _ => self.function(of, name, arguments, place),
        }
    }

    fn has(&mut self, arguments: &[Syntax], place: Place) -> Compiled {
        let path = match arguments {
            [path] => self.operation(path)?,
            _ => return Err(count(place, "has", "a field")),
        };
        match path.action {
            Action::Member(..) | Action::Index(_) => {
                self.made(place, Types::BOOLEAN, Action::Has(path.into()))
            }
            _ => Err(CompileError::new(
                path.place.start as usize,
                "`has` asks for a field, such as `has(value.name)`",
            )),
        }
    }

    fn default(&mut self, arguments: &[Syntax], place: Place) -> Compiled {
        let [of, otherwise] = arguments else {
            return Err(count(place, "default", "a field and what stands in for it"));
        };
        let sides = [self.operation(of)?, self.operation(otherwise)?];
        let types = sides[0].types.or(sides[1].types);
        self.made(place, types, Action::Default(Box::new(sides)))
    }

    fn matches(&mut self, of: &Syntax, arguments: &[Syntax], place: Place) -> Compiled {
        let text = self.of_type(of, Types::STRING)?;
        let [pattern] = arguments else {
            return Err(count(place, "matches", "a regular expression"));
        };
        let pattern = self.of_type(pattern, Types::STRING)?;
        let at = pattern.place.start as usize;
        let Action::Constant(Data::String(pattern)) = &pattern.action else {
            let message = "the regular expression of `matches` is a string in quotes";
            return Err(CompileError::new(at, message).help("it is compiled once, not per record"));
        };
        let regex = RegexBuilder::new(pattern)
            .size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|error| {
                // Its own message is a picture of several lines; the last one says it.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                let why = last.trim_start_matches("error: ");
                CompileError::new(at, format!("the regular expression is wrong: {why}"))
            })?;
        self.made(place, Types::BOOLEAN, Action::Matches(text.into(), regex))
    }

    fn each(&mut self, each: Each, of: &Syntax, arguments: &[Syntax], place: Place) -> Compiled {
        let list = self.of_type(of, Types::LIST)?;
        let (name, body) = match arguments {
            [
                Syntax {
                    part: Part::Name(name),
                    ..
                },
                body,
            ] => (name, body),
            _ => {
                let message = "a name and an expression are expected";
                return Err(CompileError::new(place.start as usize, message)
                    .help("such as `value.items.exists(item, item.price > 10)`"));
            }
        };
        self.locals.push(name.clone());
        let body = match each {
            Each::Map => self.operation(body),
            _ => self.of_type(body, Types::BOOLEAN),
        };
        self.locals.pop();
        let types = match each {
            Each::Exists | Each::All => Types::BOOLEAN,
            Each::Filter | Each::Map => Types::LIST,
        };
        self.made(place, types, Action::Each(each, Box::new([list, body?])))
    }

    fn function(
        &mut self,
        of: Option<&Syntax>,
        name: &str,
        arguments: &[Syntax],
        place: Place,
    ) -> Compiled {
        let fits = |style: Style| match of {
            Some(_) => style != Style::Plain,
            None => style != Style::Method,
        };
        let found = FUNCTIONS
            .iter()
            .find(|known| known.name == name && fits(known.style));
        let Some(signature) = found else {
            return Err(unknown(name, fits, place));
        };
        let given: Vec<&Syntax> = of.into_iter().chain(arguments).collect();
        check_count(signature, given.len(), of.is_some(), place)?;
        let mut made = Vec::new();
        for (argument, takes) in given.into_iter().zip(signature.takes) {
            made.push(self.of_type(argument, *takes)?);
        }
        self.made(
            place,
            signature.gives,
            Action::Call(signature.function, made),
        )
    }
}

fn count(place: Place, name: &str, takes: &str) -> CompileError {
    CompileError::new(place.start as usize, format!("`{name}` takes {takes}"))
}

fn check_count(
    signature: &Signature,
    given: usize,
    is_method: bool,
    place: Place,
) -> Result<(), CompileError> {
    let most = signature.takes.len();
    let least = most - signature.optional;
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let receiver = usize::from(is_method);
    let takes = match (least - receiver, most - receiver) {
        (0, 0) => "no argument".to_owned(),
        (1, 1) => "one argument".to_owned(),
        (least, most) if least == most => format!("{most} arguments"),
        (least, most) => format!("{least} or {most} arguments"),
    };
    let message = format!(
        "`{}` takes {takes}, not {}",
        signature.name,
        given - receiver
    );
    Err(CompileError::new(place.start as usize, message))
}

fn unknown(name: &str, fits: impl Fn(Style) -> bool, place: Place) -> CompileError {
    let functions = FUNCTIONS.iter().map(|known| (known.name, known.style));
    let macros = Each::ALL.iter().map(|(name, _)| (*name, Style::Method));
    let all: Vec<(&str, Style)> = functions.chain(FORMS).chain(macros).collect();
    let error = CompileError::new(place.start as usize, format!("unknown function `{name}`"));
    match all.iter().find(|(known, _)| *known == name) {
        Some((_, Style::Method)) => {
            error.help(format!("it stands behind a value: `value.x.{name}(...)`"))
        }
        Some(_) => error.help(format!("it takes the value in brackets: `{name}(value.x)`")),
        None => {
            let names = all
                .iter()
                .filter(|(_, style)| fits(*style))
                .map(|(known, _)| *known);
            error.suggest(name, names)
        }
    }
}

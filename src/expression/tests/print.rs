//! A syntax tree as text again: with all its brackets, so that it reads back as the same tree.

use std::fmt;

use crate::syntax::{Part, Syntax};

impl fmt::Display for Syntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Null => f.write_str("null"),
            Part::Boolean(yes) => write!(f, "{yes}"),
            Part::Integer(number) => write!(f, "{number}"),
            Part::Double(number) => write!(f, "{number:?}"),
            Part::String(text) => f.write_str(&quoted(text)),
            Part::Name(name) => f.write_str(name),
            Part::List(items) => write!(f, "[{}]", joined(items, ", ")),
            Part::Map(entries) => {
                let entry = |(name, of): &(Syntax, Syntax)| format!("{name}: {of}");
                let entries: Vec<_> = entries.iter().map(entry).collect();
                write!(f, "{{{}}}", entries.join(", "))
            }
            Part::Field(of, name) => write!(f, "({of}).`{}`", name.replace('`', "``")),
            Part::Index(of, index) => write!(f, "({of})[{index}]"),
            Part::Call(Some(of), name, arguments) => {
                write!(f, "({of}).{name}({})", joined(arguments, ", "))
            }
            Part::Call(None, name, arguments) => write!(f, "{name}({})", joined(arguments, ", ")),
            Part::Not(of) => write!(f, "!({of})"),
            Part::Negate(of) => write!(f, "-({of})"),
            Part::Binary(operator, left, right) => {
                write!(f, "({left}) {} ({right})", operator.as_str())
            }
            Part::And(all) => write!(f, "({})", joined(all, ") && (")),
            Part::Or(all) => write!(f, "({})", joined(all, ") || (")),
            Part::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                write!(f, "({condition}) ? ({then}) : ({otherwise})")
            }
        }
    }
}

fn joined(all: &[Syntax], between: &str) -> String {
    let all: Vec<_> = all.iter().map(Syntax::to_string).collect();
    all.join(between)
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

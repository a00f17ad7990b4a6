//! `towpath transforms`: what can be done to records on their way.

use clap::Args;
use serde::Serialize;
use towpath_sdk::config::nearest;
use towpath_sdk::{TransformExample, TransformType};

use super::connectors::{OptionAnswer, option_lines, options};
use super::failure::Failure;
use super::output::{Align, Output, Table};
use crate::registry::registry;

/// List transform types, or the options of one, with examples
#[derive(Debug, Args)]
pub struct TransformsArgs {
    /// A transform type, such as `parse_json`
    r#type: Option<String>,
}

/// A transform type.
#[derive(Debug, Serialize)]
struct TransformAnswer {
    name: &'static str,
    summary: &'static str,
    description: String,
    options: Vec<OptionAnswer>,
    examples: Vec<ExampleAnswer>,
}

/// What it makes of a record.
#[derive(Debug, Serialize)]
struct ExampleAnswer {
    title: &'static str,
    options: &'static str,
    input: &'static str,
    /// The values that leave, one a line.
    output: &'static str,
}

pub fn transforms(args: &TransformsArgs, output: Output) -> Result<(), Failure> {
    let registry = registry();
    let Some(name) = &args.r#type else {
        let types = registry.transforms().iter();
        let all: Vec<TransformAnswer> = types.map(TransformAnswer::of).collect();
        return output.data(&all, |all| list(all));
    };
    let Some(found) = registry.transform(name) else {
        let names = registry.transforms().iter().map(|known| known.name);
        let help = match nearest(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`towpath transforms` lists them".to_owned(),
        };
        return Err(Failure::input(format!(
            "unknown transform `{name}`; {help}"
        )));
    };
    output.data(&TransformAnswer::of(found), detail)
}

impl TransformAnswer {
    fn of(transform: &TransformType) -> Self {
        let spec = (transform.spec)();
        Self {
            name: transform.name,
            summary: transform.summary,
            options: options(&spec),
            description: spec.doc,
            examples: transform.examples.iter().map(ExampleAnswer::of).collect(),
        }
    }
}

impl ExampleAnswer {
    fn of(example: &TransformExample) -> Self {
        let TransformExample {
            title,
            options,
            input,
            output,
        } = *example;
        Self {
            title,
            options,
            input,
            output,
        }
    }
}

fn list(types: &[TransformAnswer]) -> String {
    let mut table = Table::new(&[("TYPE", Align::Left), ("WHAT IT DOES", Align::Left)]);
    for transform in types {
        table.row([transform.name.to_owned(), transform.summary.to_owned()]);
    }
    let hint = "\n`towpath transforms TYPE` shows the options of a type, and examples.\n";
    table.render("no transforms in this build") + hint
}

fn detail(answer: &TransformAnswer) -> String {
    let mut out = format!("{}: {}\n", answer.name, answer.summary);
    if !answer.description.is_empty() {
        out.push_str(&format!("{}\n", answer.description.replace('`', "")));
    }
    out.push_str("\nOptions, beside `type` and `when` (an expression: the records it is for):\n");
    out.push_str(&option_lines(&answer.options));
    for example in &answer.examples {
        out.push_str(&format!("\nExample: {}\n", example.title));
        out.push_str(&indented(example.options));
        out.push_str(&format!("  {}\n", example.input));
        match example.output {
            "" => out.push_str("  -> nothing\n"),
            output => {
                for line in output.lines() {
                    out.push_str(&format!("  -> {line}\n"));
                }
            }
        }
    }
    out
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

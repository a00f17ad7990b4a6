//! `towpath schemas`: the types of records, as their sources have told them.

use clap::{Args, Subcommand};
use towpath_runtime::control::{FieldText, SchemaSubject, SchemaVersion};
use towpath_sdk::printable;

use super::client::{Client, Purpose, escape};
use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Align, Output, Table};

/// List the schemas of records, or show one
#[derive(Debug, Args)]
pub struct SchemasArgs {
    #[command(subcommand)]
    command: SchemasCommand,
}

#[derive(Debug, Subcommand)]
enum SchemasCommand {
    /// List which topics have schemas
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Show the fields of a schema
    Show {
        /// A topic; `TOPIC/key` for the schemas of its keys
        subject: String,
        /// Which of its versions [default: the latest]
        #[arg(long, value_name = "N")]
        version: Option<u32>,
        #[command(flatten)]
        data: DataArgs,
    },
}

pub async fn schemas(args: SchemasArgs, output: Output) -> Result<(), Failure> {
    match args.command {
        SchemasCommand::List { data } => {
            let mut client = Client::connect(&data, Purpose::Look).await?;
            let subjects: Result<Vec<SchemaSubject>, _> = client.get("/v1/schemas").await;
            client.close()?;
            output.data(&subjects?, |subjects| list(subjects))
        }
        SchemasCommand::Show {
            subject,
            version,
            data,
        } => {
            let mut client = Client::connect(&data, Purpose::Look).await?;
            let path = format!("/v1/schemas/{}", escape(&subject));
            let found: Result<SchemaSubject, _> = client.get(&path).await;
            client.close()?;
            let found = found?;
            let latest = found.versions.len() as u32;
            let wanted = version.unwrap_or(latest);
            let mut versions = found.versions.iter();
            let Some(shown) = versions.find(|held| held.version == wanted) else {
                return Err(Failure::input(format!(
                    "{subject} has no version {wanted}: there are 1 to {latest}"
                )));
            };
            output.data(shown, |shown| show(&subject, latest, shown))
        }
    }
}

fn list(subjects: &[SchemaSubject]) -> String {
    let mut table = Table::new(&[
        ("SUBJECT", Align::Left),
        ("VERSIONS", Align::Right),
        ("LATEST", Align::Left),
        ("FIELDS", Align::Right),
        ("NAME", Align::Left),
    ]);
    for subject in subjects {
        let Some(latest) = subject.versions.last() else {
            continue;
        };
        table.row([
            subject.subject.clone(),
            subject.versions.len().to_string(),
            latest.id.clone(),
            latest.schema.fields.len().to_string(),
            printable(&latest.schema.name),
        ]);
    }
    table.render("no schemas")
}

fn show(subject: &str, latest: u32, shown: &SchemaVersion) -> String {
    let mut out = format!(
        "{subject}: version {} of {latest}, {}, id {}\n",
        shown.version,
        printable(&shown.schema.name),
        shown.id
    );
    let mut table = Table::new(&[
        ("FIELD", Align::Left),
        ("TYPE", Align::Left),
        ("IT IS", Align::Left),
    ]);
    rows(&shown.schema.fields, "", &mut table);
    out.push_str(&table.render("no fields"));
    out
}

/// One row a field; those of an object stand below it, with where they are in front.
fn rows(fields: &[FieldText], within: &str, table: &mut Table) {
    for field in fields {
        let path = format!("{within}{}", printable(&field.name));
        let words = [
            (field.nullable, "nullable"),
            (field.defaulted, "defaulted"),
            (field.key, "part of the key"),
        ];
        let words = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word);
        table.row([
            path.clone(),
            field.field_type.clone(),
            words.collect::<Vec<_>>().join(", "),
        ]);
        // `array<map<object>>`: a field of it is at `path[].*.name`.
        let steps = field.field_type.split('<').map(|step| match step {
            "array" => "[]",
            "map" => ".*",
            _ => "",
        });
        let steps: String = steps.collect();
        rows(&field.fields, &format!("{path}{steps}."), table);
    }
}

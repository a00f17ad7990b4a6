//! CSV (RFC 4180, with the delimiter, quote and escape of one's choice), one object a record.
//!
//! A record ends at a line break outside quotes, or with the text. Names come from a header or from
//! the options. A blank line is no record. An unquoted empty field can stand for null; a quoted one
//! is the empty string.

mod decode;
mod encode;
mod field;

use std::collections::HashSet;

use towpath_sdk::config::{CsvOptions, TextType};
use towpath_sdk::{Field, FieldType, Schema, json};

pub(crate) use decode::CsvDecoder;
pub(crate) use encode::CsvWriter;
use field::Fields;

use crate::parse::{Fault, Parser, utf8, whole_or_nothing};
use crate::typed::put_typed;

/// A parser of CSV.
#[derive(Debug, Clone)]
pub struct Csv {
    options: CsvOptions,
    /// Known from the start, or once the header was seen.
    columns: Option<Vec<Column>>,
    /// The text of the field at hand where it is not as written.
    unescaped: String,
    /// The number of the field in which the last record has its fault, if it has one.
    faulty: Option<usize>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// The name as JSON with its colon.
    quoted: Vec<u8>,
    value: TextType,
}

impl Column {
    fn new(name: String, value: TextType) -> Self {
        let mut quoted = Vec::new();
        json::put_string(&name, &mut quoted);
        quoted.push(b':');
        Self {
            name,
            quoted,
            value,
        }
    }
}

impl Csv {
    /// A parser for texts with these options.
    ///
    /// # Errors
    /// Those of [`CsvOptions::check`].
    pub fn new(options: CsvOptions) -> Result<Self, String> {
        options.check()?;
        let columns = (!options.header).then(|| {
            let columns = options.columns.iter();
            columns
                .map(|(name, value)| Column::new(name.clone(), value.clone()))
                .collect()
        });
        Ok(Self {
            options,
            columns,
            unescaped: String::new(),
            faulty: None,
        })
    }

    /// Whether the next record is the header.
    pub(crate) fn wants_header(&self) -> bool {
        self.columns.is_none()
    }

    /// What all records are, once the columns are known; see [`CsvOptions::knows_types`].
    pub(crate) fn schema(&self) -> Option<Schema> {
        let columns = self.columns.as_ref()?;
        let field = |column: &Column| Field {
            nullable: self.options.empty_is_null,
            ..Field::required(&*column.name, field_type(&column.value))
        };
        self.options.knows_types().then(|| Schema {
            name: "row".to_owned(),
            fields: columns.iter().map(field).collect(),
        })
    }

    /// Takes the names from the record at byte `from`, and gives the byte behind it.
    ///
    /// # Errors
    /// A fault in the record, a name that comes twice, or a column of the options that is not
    /// there; the header is still wanted then.
    pub fn header(&mut self, text: &str, from: usize) -> Result<usize, Fault> {
        // Spreadsheets begin a file with a byte order mark.
        let bom = text[from..].starts_with('\u{feff}');
        let mut fields = Fields::new(text, from + if bom { 3 } else { 0 }, &self.options);
        let mut names: Vec<String> = Vec::new();
        while let Some(field) = fields.next(&mut self.unescaped)? {
            names.push(field.text.to_owned());
        }
        let fault = |what| Err(Fault { at: from, what });
        let mut seen = HashSet::new();
        if !names.iter().all(|name| seen.insert(name)) {
            return fault("a header that names a column twice");
        }
        let typed = &self.options.columns;
        if !self.options.lenient && typed.iter().any(|(name, _)| !names.contains(name)) {
            return fault("a header without a column that `columns` names");
        }
        let type_of = |name: &str| typed.iter().find(|(typed, _)| typed == name);
        let column = |name: String| {
            let value = type_of(&name).map_or(TextType::String, |(_, value)| value.clone());
            Column::new(name, value)
        };
        self.columns = Some(names.into_iter().map(column).collect());
        Ok(fields.end())
    }

    /// Appends the record at byte `from` as an object, and gives the byte behind it.
    ///
    /// # Errors
    /// The first fault; nothing is appended then.
    pub fn record(&mut self, text: &str, from: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut end = from;
        whole_or_nothing(out, |out| {
            end = self.put_record(text, from, out)?;
            Ok(())
        })?;
        Ok(end)
    }

    fn put_record(&mut self, text: &str, from: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let Some(columns) = &self.columns else {
            return Err(Fault {
                at: from,
                what: "a record before the header",
            });
        };
        let lenient = self.options.lenient;
        self.faulty = Some(0);
        let mut fields = Fields::new(text, from, &self.options);
        let mut index = 0;
        out.push(b'{');
        while let Some(field) = fields.next(&mut self.unescaped)? {
            if index > 0 {
                out.push(b',');
            }
            let fault = |what| Fault { at: field.at, what };
            match columns.get(index) {
                Some(column) => {
                    out.extend_from_slice(&column.quoted);
                    if field.text.is_empty() && !field.quoted && self.options.empty_is_null {
                        out.extend_from_slice(b"null");
                    } else if let Err(what) = put_typed(&column.value, field.text, out) {
                        if !lenient {
                            return Err(fault(what));
                        }
                        json::put_string(field.text, out);
                    }
                }
                None if lenient => {
                    json::put_string(&format!("column_{}", index + 1), out);
                    out.push(b':');
                    json::put_string(field.text, out);
                }
                None => return Err(fault("more fields than columns")),
            }
            index += 1;
            self.faulty = Some(index);
        }
        if index < columns.len() && !lenient {
            return Err(Fault {
                at: fields.end(),
                what: "fewer fields than columns",
            });
        }
        out.push(b'}');
        self.faulty = None;
        Ok(fields.end())
    }

    /// `text` as characters, of which nothing is known to be faulty yet.
    fn begin<'t>(&mut self, text: &'t [u8]) -> Result<&'t str, Fault> {
        self.faulty = None;
        utf8(text)
    }
}

/// The type of a column. `int` and `float` keep digits beyond 64 bits: a sink of exact types refuses
/// such a value.
fn field_type(text: &TextType) -> FieldType {
    match text {
        TextType::String => FieldType::String,
        TextType::Integer => FieldType::Int64,
        TextType::Float => FieldType::Float64,
        TextType::Boolean => FieldType::Boolean,
        TextType::Timestamp { .. } => FieldType::Timestamp,
    }
}

impl Parser for Csv {
    fn name(&self) -> &'static str {
        "CSV"
    }

    fn explain(&self, fault: Fault) -> String {
        let Some(index) = self.faulty else {
            return fault.to_string();
        };
        let columns = self.columns.as_deref().unwrap_or_default();
        match columns.get(index) {
            Some(column) => format!("{fault}, in column `{}`", column.name),
            None => format!("{fault}, in field {}", index + 1),
        }
    }

    /// One record, with or without its line break; never a header.
    fn parse(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let text = self.begin(text)?;
        whole_or_nothing(out, |out| match self.put_record(text, 0, out)? {
            end if end == text.len() => Ok(()),
            at => Err(Fault {
                at,
                what: "a second record",
            }),
        })
    }
}

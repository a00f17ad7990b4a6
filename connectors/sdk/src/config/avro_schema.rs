//! An Avro schema (Avro 1.11), read from its JSON: plain data, for who reads and writes Avro.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{Kind, Literal, Node, NodeValue, OptionType, Problem, Problems};
use crate::json::{self, Documents, NodeId};
use crate::printable;

/// Types in one schema at most.
const TYPES_MAX: usize = 10_000;

/// A schema; types refer to each other, and to themselves, by their index.
#[derive(Clone, PartialEq, Eq)]
pub struct AvroSchema {
    text: String,
    types: Vec<AvroType>,
    root: AvroTypeId,
    name: Option<String>,
}

/// A type's place in its schema.
pub type AvroTypeId = usize;

/// A type, with what its logical type makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AvroType {
    /// `null`.
    Null,
    /// `boolean`.
    Boolean,
    /// `int`.
    Int,
    /// `long`.
    Long,
    /// `float`.
    Float,
    /// `double`.
    Double,
    /// `bytes`.
    Bytes,
    /// `string`.
    String,
    /// So many bytes.
    Fixed(usize),
    /// Its symbols.
    Enum(Vec<String>),
    /// A list of this type.
    Array(AvroTypeId),
    /// Names with values of this type.
    Map(AvroTypeId),
    /// One of these types.
    Union(Vec<AvroTypeId>),
    /// Its fields.
    Record(Vec<AvroField>),
    /// Days since 1970.
    Date,
    /// Time of day, in so many units a second. An int and a long are written alike.
    Time(u32),
    /// Since 1970 in UTC, in so many units a second.
    Timestamp(u32),
    /// Since 1970 in no zone, in so many units a second.
    LocalTimestamp(u32),
    /// A number with all its digits.
    Decimal {
        /// How many; `None` when the schema does not say it.
        precision: Option<u32>,
        /// How many of them stand behind the point.
        scale: u32,
        /// The bytes it takes, if they are fixed.
        size: Option<usize>,
    },
    /// Any JSON, as its text.
    Json,
    /// A UUID as text.
    UuidString,
    /// A UUID as 16 bytes.
    UuidFixed,
    /// Months, days and milliseconds.
    Duration,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvroField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub value: AvroTypeId,
    /// Whether the schema has a value for it where data lack it.
    pub defaulted: bool,
}

/// Without the text, which may come from a reference.
impl std::fmt::Debug for AvroSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AvroSchema").finish_non_exhaustive()
    }
}

impl AvroSchema {
    /// Nesting at most: of a schema as it is written, and of a value.
    pub const DEPTH_MAX: usize = 64;

    /// Reads a schema from its JSON text.
    ///
    /// # Errors
    /// Says in one line what is wrong with it; a piece of the text stands between backticks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut documents = Documents::default();
        documents.reset(Bytes::new());
        let span = documents.make(|made| made.extend_from_slice(text.as_bytes()));
        let root = documents
            .parse(span)
            .map_err(|fault| format!("the schema is no JSON: {fault}"))?;
        let mut reader = Reader {
            json: &documents,
            types: Vec::new(),
            names: HashMap::new(),
        };
        let root = reader.read(root, "", 0)?;
        let mut names = reader.names.into_iter();
        Ok(Self {
            name: names.find_map(|(name, id)| (id == root).then_some(name)),
            text: text.to_owned(),
            types: reader.types,
            root,
        })
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The type of a value.
    pub fn root(&self) -> AvroTypeId {
        self.root
    }

    /// The full name of that type, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The type with this index, which must be one of the schema's own.
    pub fn get(&self, id: AvroTypeId) -> &AvroType {
        &self.types[id]
    }
}

impl OptionType for AvroSchema {
    fn kind() -> Kind {
        Kind::Either(Vec::new())
    }

    /// Text of JSON, or the same as YAML.
    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        // A name alone is text in YAML, and is quoted in JSON.
        let text = match &node.value {
            NodeValue::String(text) if json::validate(text.as_bytes()).is_ok() => text.clone(),
            NodeValue::String(text) if node.reference.is_some() => text.clone(),
            _ => Literal::parse(node, problems)?.0,
        };
        let parsed = Self::parse(&text);
        if let Err(why) = &parsed {
            // What a reference led to is never shown.
            let why = match &node.reference {
                Some(_) => why.split('`').next().unwrap_or_default().trim_end(),
                None => why,
            };
            let problem = Problem::new(node.span, format!("not an Avro schema: {why}"));
            problems.push(problem.help("write it as JSON or YAML, or `${file:PATH}` for a file's"));
        }
        parsed.ok()
    }
}

struct Reader<'a> {
    json: &'a Documents,
    types: Vec<AvroType>,
    /// Full names.
    names: HashMap<String, AvroTypeId>,
}

impl<'a> Reader<'a> {
    fn add(&mut self, new: AvroType) -> Result<AvroTypeId, String> {
        if self.types.len() == TYPES_MAX {
            return Err(format!("the schema has more than {TYPES_MAX} types"));
        }
        self.types.push(new);
        Ok(self.types.len() - 1)
    }

    fn read(&mut self, node: NodeId, namespace: &str, depth: usize) -> Result<AvroTypeId, String> {
        if depth == AvroSchema::DEPTH_MAX {
            let most = AvroSchema::DEPTH_MAX;
            return Err(format!("the schema is nested more than {most} deep"));
        }
        let json = self.json;
        match json.kind(node) {
            json::Kind::String => {
                let name = json.string(node).unwrap_or_default();
                self.named(&name, namespace)
            }
            json::Kind::Array => {
                let branch = |branch| self.read(branch, namespace, depth + 1);
                let branches = json.children(node).map(branch).collect::<Result<_, _>>()?;
                self.add(AvroType::Union(branches))
            }
            json::Kind::Object => self.complex(node, namespace, depth),
            json::Kind::Null => Err("null without quotes; the type is \"null\"".to_owned()),
            _ => Err("a type is a name, a list or an object".to_owned()),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<AvroTypeId, String> {
        let primitive = match name {
            "null" => AvroType::Null,
            "boolean" => AvroType::Boolean,
            "int" => AvroType::Int,
            "long" => AvroType::Long,
            "float" => AvroType::Float,
            "double" => AvroType::Double,
            "bytes" => AvroType::Bytes,
            "string" => AvroType::String,
            _ => {
                let known = self.names.get(&full_name(name, namespace));
                let known = known.or_else(|| self.names.get(name)).copied();
                return known.ok_or_else(|| format!("unknown type `{}`", printable(name)));
            }
        };
        self.add(primitive)
    }

    fn text(&self, node: NodeId, key: &str) -> Option<Cow<'a, str>> {
        self.json.string(self.json.field(node, key)?)
    }

    fn complex(
        &mut self,
        node: NodeId,
        namespace: &str,
        depth: usize,
    ) -> Result<AvroTypeId, String> {
        let kind = match self.json.field(node, "type") {
            Some(inner) => match self.json.string(inner) {
                Some(kind) => kind,
                // `{ "type": { "type": "record", ... } }`
                None => return self.read(inner, namespace, depth + 1),
            },
            None => return Err("a type without `type`".to_owned()),
        };
        let json = self.json;
        let part = |key: &str| {
            let part = json.field(node, key);
            part.ok_or_else(|| format!("a type `{}` without `{key}`", printable(&kind)))
        };
        match &*kind {
            "array" | "map" => {
                let key = if kind == "array" { "items" } else { "values" };
                let inner = self.read(part(key)?, namespace, depth + 1)?;
                self.add(match &*kind {
                    "array" => AvroType::Array(inner),
                    _ => AvroType::Map(inner),
                })
            }
            "record" | "error" | "enum" | "fixed" => {
                let name = self.text(node, "name");
                let name = name.ok_or_else(|| format!("a type `{kind}` without `name`"))?;
                let own = self.text(node, "namespace");
                let full = full_name(&name, own.as_deref().unwrap_or(namespace));
                let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace);
                let id = self.add(AvroType::Null)?;
                if self.names.insert(full.clone(), id).is_some() {
                    return Err(format!("type `{}` is defined twice", printable(&full)));
                }
                self.types[id] = match &*kind {
                    "enum" => AvroType::Enum(self.symbols(part("symbols")?)?),
                    "fixed" => self.fixed(node, part("size")?)?,
                    _ => AvroType::Record(self.fields(part("fields")?, namespace, depth)?),
                };
                Ok(id)
            }
            _ => {
                let id = self.named(&kind, namespace)?;
                // Only a primitive can be told to mean more; a name stays what it is.
                let primitive = id + 1 == self.types.len() && !self.names.contains_key(&*kind);
                match self.logical(&self.types[id], node) {
                    Some(logical) if primitive => self.types[id] = logical,
                    _ => {}
                }
                Ok(id)
            }
        }
    }

    fn fields(
        &mut self,
        list: NodeId,
        namespace: &str,
        depth: usize,
    ) -> Result<Vec<AvroField>, String> {
        let json = self.json;
        if json.kind(list) != json::Kind::Array {
            return Err("`fields` is no list".to_owned());
        }
        let mut read: Vec<AvroField> = Vec::new();
        for field in json.children(list) {
            let value = json.field(field, "type").ok_or("a field without `type`")?;
            let name = self.text(field, "name").ok_or("a field without `name`")?;
            read.push(AvroField {
                name: name.into_owned(),
                value: self.read(value, namespace, depth + 1)?,
                defaulted: json.field(field, "default").is_some(),
            });
        }
        let mut seen = HashSet::new();
        match read.iter().find(|field| !seen.insert(&field.name)) {
            Some(twice) => Err(format!("two fields `{}`", printable(&twice.name))),
            None => Ok(read),
        }
    }

    fn symbols(&self, list: NodeId) -> Result<Vec<String>, String> {
        if self.json.kind(list) != json::Kind::Array {
            return Err("`symbols` is no list".to_owned());
        }
        let symbol = |symbol| self.json.string(symbol).map(Cow::into_owned);
        let symbols = self.json.children(list).map(symbol).collect::<Option<_>>();
        symbols.ok_or_else(|| "a symbol that is no string".to_owned())
    }

    fn fixed(&self, node: NodeId, size: NodeId) -> Result<AvroType, String> {
        let size = self.json.text(size).parse::<usize>();
        let size = size.map_err(|_| "`size` is no whole number")?;
        Ok(match (self.text(node, "logicalType").as_deref(), size) {
            (Some("decimal"), _) => AvroType::Decimal {
                precision: self.precision(node),
                scale: self.scale(node).unwrap_or(0),
                size: Some(size),
            },
            (Some("duration"), 12) => AvroType::Duration,
            (Some("uuid"), 16) => AvroType::UuidFixed,
            _ => AvroType::Fixed(size),
        })
    }

    /// What a primitive means; one that is unknown, or does not fit, means nothing.
    fn logical(&self, primitive: &AvroType, node: NodeId) -> Option<AvroType> {
        let word = self.text(node, "logicalType")?;
        Some(match (primitive, &*word) {
            (AvroType::Int, "date") => AvroType::Date,
            (AvroType::Int, "time-millis") => AvroType::Time(1_000),
            (AvroType::Long, "time-micros") => AvroType::Time(1_000_000),
            (AvroType::Long, "timestamp-millis") => AvroType::Timestamp(1_000),
            (AvroType::Long, "timestamp-micros") => AvroType::Timestamp(1_000_000),
            (AvroType::Long, "timestamp-nanos") => AvroType::Timestamp(1_000_000_000),
            (AvroType::Long, "local-timestamp-millis") => AvroType::LocalTimestamp(1_000),
            (AvroType::Long, "local-timestamp-micros") => AvroType::LocalTimestamp(1_000_000),
            (AvroType::Long, "local-timestamp-nanos") => AvroType::LocalTimestamp(1_000_000_000),
            (AvroType::Bytes, "decimal") => AvroType::Decimal {
                precision: self.precision(node),
                scale: self.scale(node)?,
                size: None,
            },
            (AvroType::String, "uuid") => AvroType::UuidString,
            (AvroType::String, "json") => AvroType::Json,
            _ => return None,
        })
    }

    fn precision(&self, node: NodeId) -> Option<u32> {
        let precision = self.json.field(node, "precision")?;
        self.json.text(precision).parse().ok()
    }

    /// A decimal's scale, of no more digits than a number may sensibly have.
    fn scale(&self, node: NodeId) -> Option<u32> {
        let scale = match self.json.field(node, "scale") {
            Some(scale) => self.json.text(scale).parse().ok()?,
            None => 0,
        };
        Some(scale).filter(|scale| *scale <= 1_000)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

//! An Avro schema, read from its JSON.

use std::collections::HashMap;

use serde_json::Value;
use towpath_sdk::printable;

/// Types in one schema at most.
const TYPES_MAX: usize = 10_000;
/// Nesting at most: of the schema as it is written, and of a value.
pub(super) const DEPTH_MAX: usize = 64;

/// A schema; types refer to each other, and to themselves, by their index.
#[derive(Debug, Clone)]
pub struct AvroSchema {
    /// The text it was read from.
    pub(super) text: String,
    pub(super) types: Vec<Type>,
    pub(super) root: TypeId,
}

pub(super) type TypeId = usize;

#[derive(Debug, Clone)]
pub(super) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record(Vec<Field>),
    Date,
    /// Of these three, how many units a second has. An int and a long are written alike.
    Time(u32),
    Timestamp(u32),
    LocalTimestamp(u32),
    /// Scale, and the bytes it takes, if they are fixed.
    Decimal(u32, Option<usize>),
    UuidString,
    UuidFixed,
    Duration,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub name: String,
    pub value: TypeId,
}

impl AvroSchema {
    /// Reads a schema from its JSON text.
    ///
    /// # Errors
    /// Says in one line what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text)
            .map_err(|error| format!("the schema is no JSON: {error}"))?;
        let mut reader = Reader::default();
        let root = reader.read(&json, "", 0)?;
        Ok(Self {
            text: text.to_owned(),
            types: reader.types,
            root,
        })
    }
}

#[derive(Default)]
struct Reader {
    types: Vec<Type>,
    /// Full names.
    names: HashMap<String, TypeId>,
}

impl Reader {
    fn add(&mut self, new: Type) -> Result<TypeId, String> {
        if self.types.len() == TYPES_MAX {
            return Err(format!("the schema has more than {TYPES_MAX} types"));
        }
        self.types.push(new);
        Ok(self.types.len() - 1)
    }

    fn read(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<TypeId, String> {
        if depth == DEPTH_MAX {
            return Err(format!("the schema is nested more than {DEPTH_MAX} deep"));
        }
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branch = |branch| self.read(branch, namespace, depth + 1);
                let branches = branches.iter().map(branch).collect::<Result<_, _>>()?;
                self.add(Type::Union(branches))
            }
            Value::Object(_) => self.complex(json, namespace, depth),
            _ => Err("a type is a name, a list or an object".to_owned()),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<TypeId, String> {
        let primitive = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::String,
            _ => {
                let known = self.names.get(&full_name(name, namespace));
                let known = known.or_else(|| self.names.get(name)).copied();
                return known.ok_or_else(|| format!("unknown type `{}`", printable(name)));
            }
        };
        self.add(primitive)
    }

    fn complex(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<TypeId, String> {
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        let kind = match json.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            // `{ "type": { "type": "record", ... } }`
            Some(inner) => return self.read(inner, namespace, depth + 1),
            None => return Err("a type without `type`".to_owned()),
        };
        let part = |key: &str| {
            json.get(key)
                .ok_or_else(|| format!("a type `{}` without `{key}`", printable(kind)))
        };
        match kind {
            "array" | "map" => {
                let key = if kind == "array" { "items" } else { "values" };
                let inner = self.read(part(key)?, namespace, depth + 1)?;
                self.add(match kind {
                    "array" => Type::Array(inner),
                    _ => Type::Map(inner),
                })
            }
            "record" | "error" | "enum" | "fixed" => {
                let name = text("name").ok_or_else(|| format!("a type `{kind}` without `name`"))?;
                let namespace = text("namespace").unwrap_or(namespace);
                let full = full_name(name, namespace);
                let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace);
                let id = self.add(Type::Null)?;
                if self.names.insert(full.clone(), id).is_some() {
                    return Err(format!("type `{}` is defined twice", printable(&full)));
                }
                self.types[id] = match kind {
                    "enum" => Type::Enum(symbols(part("symbols")?)?),
                    "fixed" => fixed(json, part("size")?)?,
                    _ => Type::Record(self.fields(part("fields")?, namespace, depth)?),
                };
                Ok(id)
            }
            _ => {
                let id = self.named(kind, namespace)?;
                // Only a primitive can be told to mean more; a name stays what it is.
                let primitive = id + 1 == self.types.len() && !self.names.contains_key(kind);
                match logical(&self.types[id], json) {
                    Some(logical) if primitive => self.types[id] = logical,
                    _ => {}
                }
                Ok(id)
            }
        }
    }

    fn fields(
        &mut self,
        json: &Value,
        namespace: &str,
        depth: usize,
    ) -> Result<Vec<Field>, String> {
        let fields = json.as_array().ok_or("`fields` is no list")?;
        let mut read = Vec::with_capacity(fields.len());
        for field in fields {
            let name = field.get("name").and_then(Value::as_str);
            let value = field.get("type").ok_or("a field without `type`")?;
            read.push(Field {
                name: name.ok_or("a field without `name`")?.to_owned(),
                value: self.read(value, namespace, depth + 1)?,
            });
        }
        Ok(read)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

fn symbols(json: &Value) -> Result<Vec<String>, String> {
    let symbols = json.as_array().ok_or("`symbols` is no list")?;
    let symbol = |symbol: &Value| symbol.as_str().map(str::to_owned);
    let symbols = symbols.iter().map(symbol).collect::<Option<_>>();
    symbols.ok_or_else(|| "a symbol that is no string".to_owned())
}

fn fixed(json: &Value, size: &Value) -> Result<Type, String> {
    let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or("`size` is no whole number")?;
    let word = json.get("logicalType").and_then(Value::as_str);
    Ok(match (word, size) {
        (Some("decimal"), _) => Type::Decimal(scale(json).unwrap_or(0), Some(size)),
        (Some("duration"), 12) => Type::Duration,
        (Some("uuid"), 16) => Type::UuidFixed,
        _ => Type::Fixed(size),
    })
}

/// What a primitive means; one that is unknown, or does not fit, means nothing.
fn logical(primitive: &Type, json: &Value) -> Option<Type> {
    let word = json.get("logicalType")?.as_str()?;
    Some(match (primitive, word) {
        (Type::Int, "date") => Type::Date,
        (Type::Int, "time-millis") => Type::Time(1_000),
        (Type::Long, "time-micros") => Type::Time(1_000_000),
        (Type::Long, "timestamp-millis") => Type::Timestamp(1_000),
        (Type::Long, "timestamp-micros") => Type::Timestamp(1_000_000),
        (Type::Long, "timestamp-nanos") => Type::Timestamp(1_000_000_000),
        (Type::Long, "local-timestamp-millis") => Type::LocalTimestamp(1_000),
        (Type::Long, "local-timestamp-micros") => Type::LocalTimestamp(1_000_000),
        (Type::Long, "local-timestamp-nanos") => Type::LocalTimestamp(1_000_000_000),
        (Type::Bytes, "decimal") => Type::Decimal(scale(json)?, None),
        (Type::String, "uuid") => Type::UuidString,
        _ => return None,
    })
}

/// A decimal's scale, of no more digits than a number may sensibly have.
fn scale(json: &Value) -> Option<u32> {
    let scale = json.get("scale").map_or(Some(0), Value::as_u64)?;
    u32::try_from(scale).ok().filter(|scale| *scale <= 1_000)
}

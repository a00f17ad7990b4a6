//! What the types of a database are here, and their values' text form as JSON.
//!
//! The text form is that of `DateStyle` ISO, `IntervalStyle` iso_8601, `TimeZone` UTC and
//! `bytea_output` hex, which every session sets. Numbers keep every digit; a decimal is a string;
//! times are ISO 8601, with years before Christ counted as there (1 BC is `0000`); what JSON has no
//! number for (`NaN`, `Infinity`) is a string. A type nobody knows is its text.

use towpath_sdk::json::{put_base64, put_on_one_line, put_string};
use towpath_sdk::{Field, FieldType};

/// How arrays may be nested: what PostgreSQL allows.
const DIMENSIONS_MAX: usize = 6;

/// How the text of a value is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    /// Precision and scale.
    Numeric(Option<(u32, i32)>),
    Text,
    Bytea,
    Json,
    Uuid,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Hstore,
    /// Its items, and what stands between them.
    Array(Box<Type>, u8),
    /// Attributes with their types.
    Composite(Vec<(String, Type)>),
}

/// Why a text is no value of its type.
pub type Malformed = &'static str;

impl Type {
    /// The built-in scalar type with this oid (`pg_type.dat`), with the modifier of its column.
    pub fn scalar(oid: u32, modifier: i32) -> Option<Self> {
        Some(match oid {
            16 => Self::Boolean,
            17 => Self::Bytea,
            21 => Self::Int16,
            23 => Self::Int32,
            // oid, xid and cid are unsigned.
            20 | 26 | 28 | 29 => Self::Int64,
            700 => Self::Float32,
            701 => Self::Float64,
            1700 => Self::Numeric(precision_and_scale(modifier)),
            114 | 3802 => Self::Json,
            2950 => Self::Uuid,
            1082 => Self::Date,
            1083 => Self::Time,
            1266 => Self::TimeTz,
            1114 => Self::Timestamp,
            1184 => Self::TimestampTz,
            1186 => Self::Interval,
            _ => return None,
        })
    }

    /// Its type in a schema.
    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Boolean => FieldType::Boolean,
            Self::Int16 => FieldType::Int16,
            Self::Int32 => FieldType::Int32,
            Self::Int64 => FieldType::Int64,
            Self::Float32 => FieldType::Float32,
            Self::Float64 => FieldType::Float64,
            Self::Numeric(precision_and_scale) => FieldType::Decimal {
                precision_and_scale: *precision_and_scale,
            },
            Self::Text | Self::TimeTz => FieldType::String,
            Self::Bytea => FieldType::Bytes,
            Self::Json => FieldType::Json,
            Self::Uuid => FieldType::Uuid,
            Self::Date => FieldType::Date,
            Self::Time => FieldType::Time,
            Self::Timestamp => FieldType::LocalTimestamp,
            Self::TimestampTz => FieldType::Timestamp,
            Self::Interval => FieldType::Interval,
            Self::Hstore => FieldType::Map(Box::new(FieldType::String)),
            Self::Array(item, _) => FieldType::Array(Box::new(item.field_type())),
            Self::Composite(attributes) => FieldType::Object(
                attributes
                    .iter()
                    .map(|(name, of)| Field {
                        nullable: true,
                        ..Field::required(name, of.field_type())
                    })
                    .collect(),
            ),
        }
    }

    /// Appends the value with this text as JSON.
    #[inline]
    pub fn put(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::Int16 | Self::Int32 | Self::Int64 | Self::Float32 | Self::Float64 => {
                put_number(text, out);
            }
            Self::Text | Self::Uuid => put_string(utf8(text)?, out),
            // Digits, `NaN` or `Infinity`: nothing in them to escape.
            Self::Numeric(_) | Self::Interval | Self::Time => put_string(utf8(text)?, out),
            Self::Boolean => out.extend_from_slice(match text {
                b"t" => b"true",
                b"f" => b"false",
                _ => return Err("a boolean that is neither t nor f"),
            }),
            Self::Date => put_time(text, "", out)?,
            Self::Timestamp => put_time(text, "", out)?,
            Self::TimestampTz => put_time(text, "Z", out)?,
            Self::TimeTz => put_zoned(text, out)?,
            Self::Bytea => put_bytea(text, out)?,
            Self::Json => {
                put_on_one_line(text, out).map_err(|_| "JSON with a line break in a string")?
            }
            Self::Array(item, delimiter) => put_array(item, *delimiter, text, out)?,
            Self::Composite(attributes) => put_composite(attributes, text, out)?,
            Self::Hstore => put_hstore(text, out)?,
        }
        Ok(())
    }
}

/// Of the modifier of a `numeric`; a scale may be negative since PostgreSQL 15.
fn precision_and_scale(modifier: i32) -> Option<(u32, i32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    let scale = packed & 0x7ff;
    let scale = if scale > 1023 { scale - 2048 } else { scale };
    Some(((packed >> 16) as u32 & 0xffff, scale))
}

fn utf8(text: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(text).map_err(|_| "text that is not UTF-8")
}

/// What is no JSON number becomes a string.
fn put_number(text: &[u8], out: &mut Vec<u8>) {
    let is_number = text.last().is_some_and(u8::is_ascii_digit);
    if !is_number {
        out.push(b'"');
    }
    out.extend_from_slice(text);
    if !is_number {
        out.push(b'"');
    }
}

/// `2026-01-02 03:04:05.6+00`, with ` BC` behind; `infinity` stays as it is. `zone` takes the place
/// of `+00`.
fn put_time(text: &[u8], zone: &str, out: &mut Vec<u8>) -> Result<(), Malformed> {
    const MALFORMED: Malformed = "a time that is none";
    out.push(b'"');
    if text.ends_with(b"infinity") {
        out.extend_from_slice(text);
        out.push(b'"');
        return Ok(());
    }
    let (text, before_christ) = match text.strip_suffix(b" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let text = match zone {
        "" => text,
        _ => text.strip_suffix(b"+00").ok_or(MALFORMED)?,
    };
    let dash = memchr::memchr(b'-', text).ok_or(MALFORMED)?;
    let (year, rest) = text.split_at(dash);
    if before_christ || year.len() > 4 {
        let year: i64 = utf8(year)?.parse().map_err(|_| MALFORMED)?;
        let year = if before_christ { 1 - year } else { year };
        // ISO 8601: a sign before a year that is not of four digits.
        let year = match year {
            0..=9999 => format!("{year:04}"),
            10_000.. => format!("+{year}"),
            _ => format!("-{:04}", -year),
        };
        out.extend_from_slice(year.as_bytes());
    } else {
        out.extend_from_slice(year);
    }
    let from = out.len();
    out.extend_from_slice(rest);
    if let Some(space) = out[from..].iter().position(|byte| *byte == b' ') {
        out[from + space] = b'T';
    }
    out.extend_from_slice(zone.as_bytes());
    out.push(b'"');
    Ok(())
}

/// `12:00:00+02` or `+02:30`: the offset gets its minutes.
fn put_zoned(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let sign = memchr::memrchr2(b'+', b'-', text).ok_or("a time without its zone")?;
    out.push(b'"');
    out.extend_from_slice(text);
    if text.len() - sign == 3 {
        out.extend_from_slice(b":00");
    }
    out.push(b'"');
    Ok(())
}

fn put_bytea(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    const MALFORMED: Malformed = "bytes that are not hexadecimal";
    let digits = text.strip_prefix(b"\\x").ok_or(MALFORMED)?;
    if digits.len() % 2 != 0 {
        return Err(MALFORMED);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(MALFORMED);
    let bytes = digits
        .chunks_exact(2)
        .map(|pair| Ok((digit(pair[0])? << 4 | digit(pair[1])?) as u8));
    let bytes = bytes.collect::<Result<Vec<u8>, Malformed>>()?;
    put_base64(&bytes, out);
    Ok(())
}

/// The text of one item of an array or attribute of a row, which may stand in quotes. `ends` tells
/// what stands behind it. Returns the text, whether it was quoted, and what is left.
fn item<'a>(
    text: &'a [u8],
    ends: impl Fn(u8) -> bool,
    taken: &mut Vec<u8>,
) -> Result<(bool, &'a [u8]), Malformed> {
    const MALFORMED: Malformed = "a list that does not end";
    taken.clear();
    let mut quoted = false;
    let mut inside = false;
    let mut at = 0;
    loop {
        let byte = *text.get(at).ok_or(MALFORMED)?;
        at += 1;
        match byte {
            b'\\' => {
                taken.push(*text.get(at).ok_or(MALFORMED)?);
                at += 1;
            }
            // A row doubles a quote that stands in quotes.
            b'"' if inside && text.get(at) == Some(&b'"') => {
                taken.push(b'"');
                at += 1;
            }
            b'"' => (inside, quoted) = (!inside, true),
            byte if !inside && ends(byte) => return Ok((quoted, &text[at - 1..])),
            byte => taken.push(byte),
        }
    }
}

/// `{1,NULL,"a b"}` (PostgreSQL manual, "Array Input and Output Syntax"), `{{1,2},{3,4}}`, and with
/// bounds in front `[2:3]={1,2}`.
fn put_array(of: &Type, delimiter: u8, text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    const MALFORMED: Malformed = "an array that is none";
    let mut rest = match text.first() {
        Some(b'[') => &text[memchr::memchr(b'=', text).ok_or(MALFORMED)? + 1..],
        _ => text,
    };
    let (mut depth, mut taken) = (0_usize, Vec::new());
    loop {
        match rest.first().ok_or(MALFORMED)? {
            b'{' => {
                depth += 1;
                if depth > DIMENSIONS_MAX {
                    return Err(MALFORMED);
                }
                out.push(b'[');
                rest = &rest[1..];
                if rest.first() == Some(&b'}') {
                    continue;
                }
                continue;
            }
            b'}' => {
                depth = depth.checked_sub(1).ok_or(MALFORMED)?;
                out.push(b']');
                rest = &rest[1..];
                if depth == 0 {
                    return if rest.is_empty() {
                        Ok(())
                    } else {
                        Err(MALFORMED)
                    };
                }
            }
            byte if *byte == delimiter && depth > 0 => {
                out.push(b',');
                rest = &rest[1..];
            }
            _ if depth == 0 => return Err(MALFORMED),
            _ => {
                let (quoted, left) =
                    item(rest, |byte| byte == delimiter || byte == b'}', &mut taken)?;
                rest = left;
                match !quoted && taken.eq_ignore_ascii_case(b"NULL") {
                    true => out.extend_from_slice(b"null"),
                    false => of.put(&taken, out)?,
                }
            }
        }
    }
}

/// `(1,,"a b")`: nothing between commas is null (PostgreSQL manual, "Composite Type Input and Output
/// Syntax").
fn put_composite(
    attributes: &[(String, Type)],
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    const MALFORMED: Malformed = "a row that is none";
    let mut rest = text.strip_prefix(b"(").ok_or(MALFORMED)?;
    let mut taken = Vec::new();
    out.push(b'{');
    for (index, (name, of)) in attributes.iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b",").ok_or(MALFORMED)?;
            out.push(b',');
        }
        put_string(name, out);
        out.push(b':');
        let (quoted, left) = item(rest, |byte| matches!(byte, b',' | b')'), &mut taken)?;
        rest = left;
        match !quoted && taken.is_empty() {
            true => out.extend_from_slice(b"null"),
            false => of.put(&taken, out)?,
        }
    }
    out.push(b'}');
    if rest == b")" { Ok(()) } else { Err(MALFORMED) }
}

/// `"a"=>"1", "b"=>NULL` (PostgreSQL manual, "hstore"): an object of strings.
fn put_hstore(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    const MALFORMED: Malformed = "an hstore that is none";
    // Behind the last pair stands what ends it.
    let whole = [text, b","].concat();
    let (mut rest, mut taken) = (&whole[..], Vec::new());
    out.push(b'{');
    let mut first = true;
    while rest.len() > 1 {
        if !first {
            out.push(b',');
        }
        first = false;
        let (_, behind) = item(rest, |byte| byte == b'=', &mut taken)?;
        put_string(utf8(&taken)?, out);
        out.push(b':');
        let (quoted, behind) = item(
            behind.strip_prefix(b"=>").ok_or(MALFORMED)?,
            |byte| byte == b',',
            &mut taken,
        )?;
        match !quoted && taken == b"NULL" {
            true => out.extend_from_slice(b"null"),
            false => put_string(utf8(&taken)?, out),
        }
        rest = behind.strip_prefix(b", ").unwrap_or(&[]);
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(of: Type, text: &str, json: &str) {
        let mut out = Vec::new();
        of.put(text.as_bytes(), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, json, "{of:?} {text}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap();
    }

    #[test]
    fn scalars_keep_what_they_say() {
        check(Type::Boolean, "t", "true");
        check(Type::Int64, "-9223372036854775808", "-9223372036854775808");
        check(Type::Float64, "1e+300", "1e+300");
        check(Type::Float32, "-Infinity", "\"-Infinity\"");
        check(Type::Numeric(None), "NaN", "\"NaN\"");
        check(Type::Numeric(None), "1.500", "\"1.500\"");
        check(Type::Text, "a\"\n\u{1}é", "\"a\\\"\\n\\u0001é\"");
        check(Type::Bytea, "\\x00ff10", "\"AP8Q\"");
        check(Type::Json, "{\"a\":\n 1.50}", "{\"a\":1.50}");
        check(Type::Interval, "P1Y2M3DT4H5M6.7S", "\"P1Y2M3DT4H5M6.7S\"");
    }

    #[test]
    fn times_are_iso_8601() {
        check(Type::Date, "2026-11-22", "\"2026-11-22\"");
        check(Type::Date, "0044-03-15 BC", "\"-0043-03-15\"");
        check(Type::Date, "0001-01-01 BC", "\"0000-01-01\"");
        check(Type::Date, "294276-12-31", "\"+294276-12-31\"");
        check(Type::Date, "-infinity", "\"-infinity\"");
        check(
            Type::Timestamp,
            "2026-11-22 01:02:03.5",
            "\"2026-11-22T01:02:03.5\"",
        );
        check(
            Type::TimestampTz,
            "2026-11-22 01:02:03+00",
            "\"2026-11-22T01:02:03Z\"",
        );
        check(
            Type::TimestampTz,
            "0002-01-01 00:00:00+00 BC",
            "\"-0001-01-01T00:00:00Z\"",
        );
        check(Type::TimestampTz, "infinity", "\"infinity\"");
        check(Type::TimeTz, "12:00:00-02", "\"12:00:00-02:00\"");
        check(Type::TimeTz, "12:00:00+05:30", "\"12:00:00+05:30\"");
    }

    #[test]
    fn lists_rows_and_maps_are_nested() {
        let array = |of| Type::Array(Box::new(of), b',');
        check(array(Type::Int32), "{1,NULL,3}", "[1,null,3]");
        check(array(Type::Int32), "{}", "[]");
        check(
            array(Type::Int32),
            "[0:1][2:3]={{1,2},{3,4}}",
            "[[1,2],[3,4]]",
        );
        check(
            array(Type::Text),
            r#"{a,"b c","NULL","q\"\\",""}"#,
            r#"["a","b c","NULL","q\"\\",""]"#,
        );
        check(
            Type::Array(Box::new(Type::Text), b';'),
            "{(1,1),(0,0);(2,2),(1,1)}",
            "[\"(1,1),(0,0)\",\"(2,2),(1,1)\"]",
        );
        let row = Type::Composite(vec![
            ("a".to_owned(), Type::Int32),
            ("b".to_owned(), Type::Text),
            ("c".to_owned(), array(Type::Int32)),
        ]);
        check(
            row.clone(),
            r#"(1,"x ""y""\\","{1,2}")"#,
            r#"{"a":1,"b":"x \"y\"\\","c":[1,2]}"#,
        );
        check(row, r#"(,"",)"#, r#"{"a":null,"b":"","c":null}"#);
        check(
            Type::Hstore,
            r#""a"=>"1", "b \"c\""=>NULL, "d"=>"NULL""#,
            r#"{"a":"1","b \"c\"":null,"d":"NULL"}"#,
        );
        check(Type::Hstore, "", "{}");
    }

    #[test]
    fn whatever_the_text_nothing_panics() {
        let types = [
            Type::Boolean,
            Type::Date,
            Type::TimestampTz,
            Type::TimeTz,
            Type::Bytea,
            Type::Json,
            Type::Hstore,
            Type::Array(Box::new(Type::Array(Box::new(Type::Int32), b',')), b','),
            Type::Composite(vec![("a".to_owned(), Type::Bytea)]),
        ];
        proptest::proptest!(|(text in proptest::collection::vec(
            proptest::sample::select(&b"{}()[]\\\",;=>- :+0x1aBCNUL\xff\n"[..]), 0..24))| {
            for of in &types {
                let _ = of.put(&text, &mut Vec::new());
            }
        });
    }

    #[test]
    fn the_modifier_of_a_numeric() {
        assert_eq!(precision_and_scale(-1), None);
        assert_eq!(precision_and_scale(((10 << 16) | 2) + 4), Some((10, 2)));
        assert_eq!(precision_and_scale(((2 << 16) | 0x7fd) + 4), Some((2, -3)));
    }
}

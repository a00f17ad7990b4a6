//! The columns of a row group, put together to records again.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::errors::ParquetError;
use towpath_sdk::json;

use super::shape::{Form, Place, Repeated, Scalar};
use crate::avro::{logical, put_display, put_float};

/// Why no record can be made.
pub(super) type Fault = &'static str;

const DAMAGED: Fault = "columns that do not fit together";
const RANGE: Fault = "a value beyond what its type can hold";

/// A column of a row group, and how far it is read.
pub(super) struct Column {
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    definition_max: i16,
    /// How many levels and values are taken.
    levels_at: usize,
    values_at: usize,
}

/// The reader of a column's type, and values that it has read.
enum Values {
    Booleans(ColumnReaderImpl<BoolType>, Vec<bool>),
    Ints(ColumnReaderImpl<Int32Type>, Vec<i32>),
    Longs(ColumnReaderImpl<Int64Type>, Vec<i64>),
    Int96s(ColumnReaderImpl<Int96Type>, Vec<Int96>),
    Floats(ColumnReaderImpl<FloatType>, Vec<f32>),
    Doubles(ColumnReaderImpl<DoubleType>, Vec<f64>),
    Bytes(ColumnReaderImpl<ByteArrayType>, Vec<ByteArray>),
    Fixed(
        ColumnReaderImpl<FixedLenByteArrayType>,
        Vec<FixedLenByteArray>,
    ),
}

/// `$do` with the reader and the values of whatever type.
macro_rules! typed {
    ($of:expr, $reader:ident, $values:ident => $do:expr) => {
        match $of {
            Values::Booleans($reader, $values) => $do,
            Values::Ints($reader, $values) => $do,
            Values::Longs($reader, $values) => $do,
            Values::Int96s($reader, $values) => $do,
            Values::Floats($reader, $values) => $do,
            Values::Doubles($reader, $values) => $do,
            Values::Bytes($reader, $values) => $do,
            Values::Fixed($reader, $values) => $do,
        }
    };
}

impl Column {
    pub fn new(reader: ColumnReader, definition_max: i16) -> Self {
        let values = match reader {
            ColumnReader::BoolColumnReader(reader) => Values::Booleans(reader, Vec::new()),
            ColumnReader::Int32ColumnReader(reader) => Values::Ints(reader, Vec::new()),
            ColumnReader::Int64ColumnReader(reader) => Values::Longs(reader, Vec::new()),
            ColumnReader::Int96ColumnReader(reader) => Values::Int96s(reader, Vec::new()),
            ColumnReader::FloatColumnReader(reader) => Values::Floats(reader, Vec::new()),
            ColumnReader::DoubleColumnReader(reader) => Values::Doubles(reader, Vec::new()),
            ColumnReader::ByteArrayColumnReader(reader) => Values::Bytes(reader, Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                Values::Fixed(reader, Vec::new())
            }
        };
        Self {
            values,
            definitions: Vec::new(),
            repetitions: Vec::new(),
            definition_max,
            levels_at: 0,
            values_at: 0,
        }
    }

    /// Reads the next `records` records whole, in place of those before, which are taken.
    pub fn fill(&mut self, records: usize) -> Result<(), ParquetError> {
        (self.levels_at, self.values_at) = (0, 0);
        self.definitions.clear();
        self.repetitions.clear();
        typed!(&mut self.values, reader, values => {
            values.clear();
            let mut read = 0;
            while read < records {
                let (more, _, _) = reader.read_records(
                    records - read,
                    Some(&mut self.definitions),
                    Some(&mut self.repetitions),
                    values,
                )?;
                if more == 0 {
                    break;
                }
                read += more;
            }
        });
        Ok(())
    }

    /// Passes over `records` records.
    pub fn skip(&mut self, records: usize) -> Result<(), ParquetError> {
        typed!(&mut self.values, reader, _values => reader.skip_records(records)).map(|_| ())
    }

    /// Up to where what stands next is there.
    fn definition(&self) -> Result<i16, Fault> {
        match self.definition_max {
            0 => Ok(0),
            _ => self.definitions.get(self.levels_at).copied().ok_or(DAMAGED),
        }
    }

    /// Which list what stands next goes on with; 0 for a new record, and at the end.
    fn repetition(&self) -> i16 {
        self.repetitions.get(self.levels_at).copied().unwrap_or(0)
    }

    /// Appends the value that stands next.
    fn put(&mut self, scalar: Scalar, out: &mut Vec<u8>) -> Result<(), Fault> {
        let at = self.values_at;
        self.values_at += 1;
        self.levels_at += 1;
        match &self.values {
            Values::Booleans(_, values) => put_display(values.get(at).ok_or(DAMAGED)?, out),
            Values::Ints(_, values) => {
                let value = *values.get(at).ok_or(DAMAGED)?;
                match scalar {
                    Scalar::Unsigned => put_display(value.cast_unsigned(), out),
                    _ => return put_whole(scalar, value.into(), out),
                }
            }
            Values::Longs(_, values) => {
                let value = *values.get(at).ok_or(DAMAGED)?;
                match scalar {
                    Scalar::Unsigned => put_display(value.cast_unsigned(), out),
                    _ => return put_whole(scalar, value, out),
                }
            }
            Values::Int96s(_, values) => {
                return put_whole(scalar, values.get(at).ok_or(DAMAGED)?.to_nanos(), out);
            }
            Values::Floats(_, values) => {
                let value = *values.get(at).ok_or(DAMAGED)?;
                put_float(value.into(), &value, out);
            }
            Values::Doubles(_, values) => {
                let value = *values.get(at).ok_or(DAMAGED)?;
                put_float(value, &value, out);
            }
            Values::Bytes(_, values) => {
                return put_bytes(scalar, values.get(at).ok_or(DAMAGED)?.data(), out);
            }
            Values::Fixed(_, values) => {
                return put_bytes(scalar, values.get(at).ok_or(DAMAGED)?.data(), out);
            }
        }
        Ok(())
    }
}

/// Appends the object of `places` that stands next in `columns`.
pub(super) fn put_object(
    places: &[Place],
    columns: &mut [Column],
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    out.push(b'{');
    for (index, place) in places.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::put_string(&place.name, out);
        out.push(b':');
        put(place, columns, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn put(place: &Place, columns: &mut [Column], out: &mut Vec<u8>) -> Result<(), Fault> {
    // A group without columns is empty wherever it is.
    let Some(first) = columns
        .get(place.columns.start)
        .filter(|_| !place.columns.is_empty())
    else {
        out.extend_from_slice(b"{}");
        return Ok(());
    };
    if first.definition()? < place.definition {
        out.extend_from_slice(b"null");
        pass(place, columns);
        return Ok(());
    }
    match &place.form {
        Form::Scalar(scalar) => columns[place.columns.start].put(*scalar, out),
        Form::Object(places) => put_object(places, columns, out),
        Form::List(repeated, item) => {
            out.push(b'[');
            put_items(place, *repeated, columns, out, |columns, out| {
                put(item, columns, out)
            })?;
            out.push(b']');
            Ok(())
        }
        Form::Map(repeated, key, value) => {
            out.push(b'{');
            put_items(place, *repeated, columns, out, |columns, out| {
                put_name(key, columns, out)?;
                out.push(b':');
                match value {
                    Some(value) => put(value, columns, out),
                    None => {
                        out.extend_from_slice(b"null");
                        Ok(())
                    }
                }
            })?;
            out.push(b'}');
            Ok(())
        }
    }
}

/// Appends what a list or map holds, with `put` for each item.
fn put_items(
    place: &Place,
    repeated: Repeated,
    columns: &mut [Column],
    out: &mut Vec<u8>,
    mut put: impl FnMut(&mut [Column], &mut Vec<u8>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let first = place.columns.start;
    if columns[first].definition()? < repeated.definition {
        pass(place, columns);
        return Ok(());
    }
    loop {
        let before = columns[first].levels_at;
        put(columns, out)?;
        if columns[first].repetition() < repeated.repetition {
            return Ok(());
        }
        if columns[first].levels_at == before {
            return Err(DAMAGED);
        }
        out.push(b',');
    }
}

/// A map's key as the name of a field.
fn put_name(key: &Place, columns: &mut [Column], out: &mut Vec<u8>) -> Result<(), Fault> {
    let at = out.len();
    put(key, columns, out)?;
    if out.get(at) != Some(&b'"') {
        let name = String::from_utf8_lossy(&out[at..]).into_owned();
        out.truncate(at);
        json::put_string(&name, out);
    }
    Ok(())
}

/// Goes behind a value that is not there.
fn pass(place: &Place, columns: &mut [Column]) {
    for column in &mut columns[place.columns.clone()] {
        column.levels_at += 1;
    }
}

fn put_whole(scalar: Scalar, value: i64, out: &mut Vec<u8>) -> Result<(), Fault> {
    let text = match scalar {
        Scalar::Date => i32::try_from(value).ok().and_then(logical::date),
        Scalar::Time(units) => logical::time(value, units),
        Scalar::Timestamp(units) => logical::timestamp(value, units),
        Scalar::LocalTimestamp(units) => logical::local_timestamp(value, units),
        Scalar::Decimal { scale, .. } => logical::decimal(&value.to_be_bytes(), scale),
        _ => {
            put_display(value, out);
            return Ok(());
        }
    };
    json::put_string(&text.ok_or(RANGE)?, out);
    Ok(())
}

fn put_bytes(scalar: Scalar, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    match scalar {
        Scalar::Text => {
            let text = std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8")?;
            json::put_string(text, out);
        }
        Scalar::Decimal { scale, .. } => {
            json::put_string(&logical::decimal(bytes, scale).ok_or(RANGE)?, out);
        }
        Scalar::Uuid => {
            let bytes = bytes.try_into().map_err(|_| RANGE)?;
            json::put_string(&logical::uuid(bytes), out);
        }
        Scalar::Interval => {
            let (parts, _) = bytes.as_chunks::<4>();
            let parts: [[u8; 4]; 3] = parts.try_into().map_err(|_| RANGE)?;
            json::put_string(&logical::duration(parts.map(u32::from_le_bytes)), out);
        }
        Scalar::Float16 => {
            let bits = bytes.try_into().map_err(|_| RANGE)?;
            let number = half(u16::from_le_bytes(bits));
            put_float(number.into(), &number, out);
        }
        _ => json::put_base64(bytes, out),
    }
    Ok(())
}

/// A number of 16 bits with a floating point (IEEE 754 binary16).
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    sign * match bits >> 10 & 0x1f {
        0 => fraction * 2f32.powi(-14),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        exponent => (1.0 + fraction) * 2f32.powi(i32::from(exponent) - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn half_floats_are_what_they_are() {
        for (bits, number) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x0000, 0.0),
        ] {
            assert!(
                (half(bits) - number).abs() <= f32::EPSILON * number.abs(),
                "{bits:x}"
            );
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }
}

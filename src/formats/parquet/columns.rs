//! Records of Avro's binary form, dealt out to columns with the levels that Parquet gives values in
//! nested records (Dremel's: how much of the way to a value is there, and which list goes on).

use bytes::Bytes;
use parquet::basic::Type as Physical;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedRowGroupWriter;
use towpath_sdk::config::AvroType as Type;

use super::layout::{Column, Layout, Part, Shape};
use crate::avro::{Input, logical};
use crate::parse::Fault;

/// The columns of one row group in the making.
pub(super) struct Columns {
    /// What the values of text and bytes are slices of.
    buffer: Bytes,
    columns: Vec<Filled>,
}

/// One column.
struct Filled {
    values: Values,
    /// Of a value of fixed length.
    length: usize,
    /// Empty where each value is there, or none repeats.
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    definition_max: i16,
    is_repeated: bool,
}

enum Values {
    Booleans(Vec<bool>),
    Ints(Vec<i32>),
    Longs(Vec<i64>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

/// The levels of a value.
#[derive(Clone, Copy)]
struct Level {
    definition: i16,
    repetition: i16,
}

impl Columns {
    /// Deals out the `records` records of `buffer`.
    ///
    /// # Errors
    /// They are not what the layout's schema says.
    pub fn fill(layout: &Layout, records: u64, buffer: Vec<u8>) -> Result<Self, Fault> {
        let filled = layout.columns.iter().map(Filled::new);
        let mut columns = Self {
            buffer: buffer.into(),
            columns: filled.collect(),
        };
        let buffer = columns.buffer.clone();
        let mut input = Input::new(&buffer);
        let level = Level {
            definition: 0,
            repetition: 0,
        };
        for _ in 0..records {
            for part in &layout.fields {
                columns.part(part, &mut input, level)?;
            }
        }
        match input.is_empty() {
            true => Ok(columns),
            false => Err(input.fault("a block with bytes behind its records")),
        }
    }

    /// Deals out the value of `part` that stands next in `input`.
    fn part(&mut self, part: &Part, input: &mut Input<'_>, mut level: Level) -> Result<(), Fault> {
        if let Some(null) = part.null {
            if input.size()? == null {
                self.nothing(part, level);
                return Ok(());
            }
            level.definition += 1;
        }
        match &part.shape {
            Shape::Leaf(scalar) => {
                self.columns[part.columns.start].push(scalar, input, &self.buffer, level)
            }
            Shape::Group(parts) => parts.iter().try_for_each(|of| self.part(of, input, level)),
            Shape::List(items, repetition) => {
                self.items(part, *repetition, input, level, |columns, input, level| {
                    columns.part(items, input, level)
                })
            }
            Shape::Map(values, repetition) => {
                let names = part.columns.start;
                self.items(part, *repetition, input, level, |columns, input, level| {
                    columns.columns[names].push(&Type::String, input, &columns.buffer, level)?;
                    columns.part(values, input, level)
                })
            }
        }
    }

    /// The items of a list or map, which repeat at level `repetition`.
    fn items(
        &mut self,
        part: &Part,
        repetition: i16,
        input: &mut Input<'_>,
        mut level: Level,
        mut item: impl FnMut(&mut Self, &mut Input<'_>, Level) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut count = input.block()?;
        if count == 0 {
            self.nothing(part, level);
            return Ok(());
        }
        level.definition += 1;
        while count > 0 {
            for _ in 0..count {
                item(self, input, level)?;
                level.repetition = repetition;
            }
            count = input.block()?;
        }
        Ok(())
    }

    /// Says of all columns beneath `part` that there is no more than `level` tells.
    fn nothing(&mut self, part: &Part, level: Level) {
        for column in &mut self.columns[part.columns.clone()] {
            column.level(level);
        }
    }

    /// Writes them as the columns of a row group.
    pub fn write(
        self,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<(), ParquetError> {
        for column in self.columns {
            let Some(mut writer) = group.next_column()? else {
                return Err(ParquetError::General(
                    "a schema of fewer columns".to_owned(),
                ));
            };
            column.write(writer.untyped())?;
            writer.close()?;
        }
        Ok(())
    }
}

impl Filled {
    fn new(column: &Column) -> Self {
        let values = match column.physical {
            Physical::BOOLEAN => Values::Booleans(Vec::new()),
            Physical::INT32 => Values::Ints(Vec::new()),
            Physical::FLOAT => Values::Floats(Vec::new()),
            Physical::DOUBLE => Values::Doubles(Vec::new()),
            Physical::BYTE_ARRAY => Values::Bytes(Vec::new()),
            Physical::FIXED_LEN_BYTE_ARRAY => Values::Fixed(Vec::new()),
            // Nothing is laid out as INT96.
            Physical::INT64 | Physical::INT96 => Values::Longs(Vec::new()),
        };
        Self {
            values,
            length: column.length,
            definitions: Vec::new(),
            repetitions: Vec::new(),
            definition_max: column.definition_max,
            is_repeated: column.repetition_max > 0,
        }
    }

    fn level(&mut self, level: Level) {
        if self.definition_max > 0 {
            self.definitions.push(level.definition);
        }
        if self.is_repeated {
            self.repetitions.push(level.repetition);
        }
    }

    /// Takes the value of `scalar` that stands next in `input`, which reads `buffer`.
    fn push(
        &mut self,
        scalar: &Type,
        input: &mut Input<'_>,
        buffer: &Bytes,
        level: Level,
    ) -> Result<(), Fault> {
        self.level(level);
        match &mut self.values {
            Values::Booleans(values) => values.push(input.array()? == [1]),
            Values::Ints(values) => values.push(input.int()?),
            Values::Longs(values) => values.push(input.long()?),
            Values::Floats(values) => values.push(f32::from_le_bytes(input.array()?)),
            Values::Doubles(values) => values.push(f64::from_le_bytes(input.array()?)),
            Values::Bytes(values) => values.push(match scalar {
                Type::Enum(symbols) => {
                    let symbol = symbols.get(input.size()?).map(String::as_bytes);
                    let symbol = symbol.ok_or_else(|| input.fault("an unknown symbol"))?;
                    Bytes::copy_from_slice(symbol).into()
                }
                _ => {
                    let length = input.size()?;
                    let start = input.at();
                    input.take(length)?;
                    buffer.slice(start..start + length).into()
                }
            }),
            Values::Fixed(values) => {
                let bytes = fixed(scalar, self.length, input)?;
                values.push(ByteArray::from(bytes).into());
            }
        }
        Ok(())
    }

    fn write(self, writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let definitions = (self.definition_max > 0).then_some(&*self.definitions);
        let repetitions = self.is_repeated.then_some(&*self.repetitions);
        macro_rules! put {
            ($writer:expr, $values:expr) => {
                $writer.write_batch($values, definitions, repetitions)
            };
        }
        let written = match (writer, &self.values) {
            (ColumnWriter::BoolColumnWriter(writer), Values::Booleans(values)) => {
                put!(writer, values)
            }
            (ColumnWriter::Int32ColumnWriter(writer), Values::Ints(values)) => put!(writer, values),
            (ColumnWriter::Int64ColumnWriter(writer), Values::Longs(values)) => {
                put!(writer, values)
            }
            (ColumnWriter::FloatColumnWriter(writer), Values::Floats(values)) => {
                put!(writer, values)
            }
            (ColumnWriter::DoubleColumnWriter(writer), Values::Doubles(values)) => {
                put!(writer, values)
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Bytes(values)) => {
                put!(writer, values)
            }
            (ColumnWriter::FixedLenByteArrayColumnWriter(writer), Values::Fixed(values)) => {
                put!(writer, values)
            }
            _ => Err(ParquetError::General("a column of another type".to_owned())),
        };
        written.map(|_| ())
    }
}

/// A value of `length` bytes.
fn fixed(scalar: &Type, length: usize, input: &mut Input<'_>) -> Result<Vec<u8>, Fault> {
    match scalar {
        Type::UuidString => {
            let text = input.str()?;
            let bytes = logical::uuid_bytes(text).ok_or_else(|| input.fault("no UUID"))?;
            Ok(bytes.to_vec())
        }
        Type::Decimal { size, .. } => {
            let bytes = match size {
                Some(size) => input.take(*size)?,
                None => input.bytes()?,
            };
            let sign = match bytes.first() {
                Some(first) if *first >= 0x80 => 0xff,
                _ => 0,
            };
            // What the schema has room for beyond the precision is sign.
            let digits = &bytes[bytes.len().saturating_sub(length)..];
            let mut value = vec![sign; length - digits.len()];
            value.extend_from_slice(digits);
            Ok(value)
        }
        _ => Ok(input.take(length)?.to_vec()),
    }
}

//! Parquet files (format 2), from records and back to JSON.
//!
//! A record goes two ways. [`crate::Encoder::encode`] makes Avro's binary form of it, which checks
//! it against the schema and is small; [`ParquetWriter::block`] makes a row group of many of them,
//! column by column. So what does not fit is refused record by record, and no row group is in the
//! making while a place rests.
//!
//! | Avro schema | Parquet |
//! |---|---|
//! | record | group |
//! | array, map | `LIST` and `MAP` in their three-level forms |
//! | union of null and another type | that type, optional; other unions cannot be written |
//! | boolean, int, long, float, double | `BOOLEAN`, `INT32`, `INT64`, `FLOAT`, `DOUBLE` |
//! | string, enum | `BYTE_ARRAY` as `STRING` |
//! | string with the logical type `json` | `BYTE_ARRAY` as `JSON` |
//! | bytes, fixed | `BYTE_ARRAY`, `FIXED_LEN_BYTE_ARRAY` |
//! | decimal | `FIXED_LEN_BYTE_ARRAY` as `DECIMAL`, as short as its precision allows |
//! | uuid | `FIXED_LEN_BYTE_ARRAY(16)` as `UUID` |
//! | date, time, timestamp | `DATE`, `TIME`, `TIMESTAMP` in UTC |
//! | local timestamp | `TIMESTAMP` in no zone |
//! | duration | `FIXED_LEN_BYTE_ARRAY(12)` as `INTERVAL` |
//!
//! The crate `parquet` does pages, encodings and the footer; without `arrow` it takes half of the
//! packages. Its writer wants a whole file in one go, so each row group is written as a file of its
//! own, of which the footer is kept as the block's note; the end of the real file is one footer of
//! all of them, with the places moved.

mod columns;
mod container;
mod content;
mod decode;
mod delta;
mod layout;
mod pages;
mod rows;
mod shape;

pub(crate) use container::ParquetWriter;
pub(crate) use decode::ParquetDecoder;

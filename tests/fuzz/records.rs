//! What is read as bytes: record batches, compressed streams, Avro and Parquet files.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use towpath_formats::{StandardCodecs, decoder, encoder};
use towpath_record::{Batch, BatchBuilder};
use towpath_sdk::config::{
    AvroCodec, AvroOutput, AvroSchema, Compression, Fields, Format, InputFormat, OutputFormat,
};
use towpath_sdk::testing::FakeSchemas;
use towpath_sdk::{Codecs, Envelope, ErrorKind, Schemas, SinkBatch, SinkTopic, json};

/// Where a batch has its length, what the length counts from, and its checksum.
const LENGTH_AT: usize = 8;
const LENGTH_FROM: usize = 12;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;

/// As it is, and with the right length and checksum, so that what is behind them is reached.
pub fn batch(bytes: &[u8]) {
    read_batch(bytes);
    let mut sealed = bytes.to_vec();
    if sealed.len() > CRC_FROM {
        let length = (sealed.len() - LENGTH_FROM) as u32;
        sealed[LENGTH_AT..LENGTH_FROM].copy_from_slice(&length.to_be_bytes());
        // What checksum it would have: the reader says.
        if let Err(towpath_record::BatchError::Crc { computed, .. }) =
            Batch::parse(Bytes::copy_from_slice(&sealed))
        {
            sealed[CRC_AT..CRC_FROM].copy_from_slice(&computed.to_be_bytes());
        }
        read_batch(&sealed);
    }
}

/// A batch whose records are sound is the same after its records were copied to another.
fn read_batch(bytes: &[u8]) {
    let Ok(batch) = Batch::parse(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    for record in batch.records().flatten() {
        record.headers.iter().for_each(drop);
    }
    if batch.check_records().is_err() {
        return;
    }
    let mut builder = BatchBuilder::default();
    for record in batch.records() {
        let record = record.unwrap();
        let delta = record.offset - batch.header().base_offset;
        builder.skip_to(delta as u32);
        if builder.copy(&record).is_err() {
            return;
        }
    }
    let copied = builder.finish_at(batch.header().base_offset);
    let records = |batch: &Batch| -> Vec<String> {
        let record = |record| format!("{:?}", Result::unwrap(record));
        batch.records().map(record).collect()
    };
    assert_eq!(
        copied.as_ref().map(records).unwrap_or_default(),
        records(&batch)
    );
}

/// A few bytes must not become more than a reader wants to have.
pub fn compression(bytes: &[u8]) {
    const WANTED: u64 = 1 << 20;
    for compression in [
        Compression::Gzip { level: 6 },
        Compression::Zstd { level: 3 },
        Compression::Snappy,
    ] {
        let input = Box::new(std::io::Cursor::new(bytes.to_vec()));
        if let Ok(reader) = StandardCodecs.decompressor(&compression, input) {
            let mut out = Vec::new();
            // An error is an answer.
            let _: std::io::Result<usize> = reader.take(WANTED).read_to_end(&mut out);
        }
    }
}

/// The values that `format` reads from `payload`; `None` when it is refused.
pub fn decoded(format: InputFormat, payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut out = BatchBuilder::default();
    let schemas: Arc<dyn Schemas> = Arc::new(FakeSchemas::default());
    let mut decoder = decoder(format, &schemas).unwrap()();
    let read = decoder.decode(payload, &Envelope::default(), &mut out);
    let batch = out.finish();
    if let Err(error) = read {
        assert_eq!(error.kind(), ErrorKind::Record, "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert!(batch.is_none(), "records of what was refused");
        return None;
    }
    let records = batch.iter().flat_map(|batch| batch.records());
    let values: Vec<_> = records
        .map(|record| record.unwrap().value.expect("a value").to_vec())
        .collect();
    for value in &values {
        json::validate(value).unwrap();
    }
    Some(values)
}

/// `values` as `format` writes them into one file; `None` when it refuses one.
pub fn encoded(format: OutputFormat, values: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut builder = BatchBuilder::default();
    for value in values {
        builder.push(0, None, Some(value), &[]).unwrap();
    }
    let topic = SinkTopic {
        name: "t".into(),
        id: "id".into(),
        format: Format::Json,
    };
    let batches = builder.finish().into_iter().collect();
    let batch = SinkBatch::new(Arc::new(topic), 0, 0, batches);
    let mut encoder = encoder(Some(format), &Fields::default()).unwrap();
    let mut block = Vec::new();
    for record in batch.records() {
        encoder.encode(&batch, &record.unwrap(), &mut block).ok()?;
    }
    let mut file = encoder.head().to_vec();
    if !values.is_empty() {
        encoder.block(values.len() as u64, &mut block).ok()?;
        file.append(&mut block);
    }
    Some(file)
}

/// What is read from a file is the same after it was written with the file's schema.
pub fn avro(bytes: &[u8]) {
    let Some(values) = decoded(InputFormat::Avro, bytes) else {
        return;
    };
    // A block of no bytes can hold a million nulls.
    if values.len() > 1000 {
        return;
    }
    // A union takes the first branch that a number fits, and a float rounds it.
    let text = schema_of(bytes).filter(|text| !text.contains("float"));
    let Some(schema) = text.and_then(|text| AvroSchema::parse(&text).ok()) else {
        return;
    };
    let codec = AvroCodec::Null;
    let output = OutputFormat::Avro(AvroOutput {
        schema: Some(schema),
        codec,
    });
    if let Some(file) = encoded(output, &values) {
        let again = decoded(InputFormat::Avro, &file).expect("what was written can be read");
        let text = |values: &[Vec<u8>]| String::from_utf8_lossy(&values.join(&b'\n')).into_owned();
        assert_eq!(text(&again), text(&values));
    }
}

/// Damaged or not, a file is read or refused.
pub fn parquet(bytes: &[u8]) {
    decoded(InputFormat::Parquet, bytes);
}

/// The schema in a file's head: a length in zigzag, and text.
fn schema_of(file: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"avro.schema";
    let at = file.windows(NAME.len()).position(|window| window == NAME)?;
    let rest = &file[at + NAME.len()..];
    let end = rest.iter().position(|byte| *byte < 0x80)?;
    let zigzag = (0..=end.min(8)).fold(0_u64, |length, index| {
        length | u64::from(rest[index] & 0x7f) << (7 * index)
    });
    let text = rest[end + 1..].get(..(zigzag / 2) as usize)?;
    String::from_utf8(text.to_vec()).ok()
}

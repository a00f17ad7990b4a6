//! Files of records `{"text": ...}` for the source to read, made with our own encoders.

use towpath_formats::encoder;
use towpath_record::BatchBuilder;
use towpath_sdk::config::{
    AvroCodec, AvroOutput, AvroSchema, Compression, Fields, Format, OutputFormat, ParquetOutput,
};
use towpath_sdk::{Block, SinkBatch, SinkTopic};

fn schema() -> AvroSchema {
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"text","type":"string"}]}"#;
    AvroSchema::parse(schema).unwrap()
}

pub fn avro() -> OutputFormat {
    let (schema, codec) = (Some(schema()), AvroCodec::Null);
    OutputFormat::Avro(AvroOutput { schema, codec })
}

pub fn parquet() -> OutputFormat {
    OutputFormat::Parquet(ParquetOutput {
        schema: Some(schema()),
        leaves_out: false,
        compression: Compression::None,
    })
}

/// A file of a block of `values`, JSON, again and again; each part has one.
pub fn parts(
    format: Option<OutputFormat>,
    values: &[String],
    blocks: usize,
) -> impl Iterator<Item = Vec<u8>> {
    let mut builder = BatchBuilder::default();
    for value in values {
        builder.push(0, None, Some(value.as_bytes()), &[]).unwrap();
    }
    let topic = SinkTopic {
        name: "t".to_owned(),
        id: "1".to_owned(),
        format: Format::Json,
    };
    let batch = SinkBatch::new(topic.into(), 0, 0, builder.finish().into_iter().collect());
    let mut encoder = encoder(format, &Fields::default()).unwrap();
    let mut block = Vec::new();
    for record in batch.records() {
        let record = record.unwrap();
        encoder.encode(&batch, &record, &mut block).unwrap();
    }
    let note = encoder.block(values.len() as u64, &mut block).unwrap();
    let (mut position, mut notes) = (0, Vec::new());
    (0..blocks).map(move |number| {
        let mut part = Vec::new();
        if number == 0 {
            part.extend_from_slice(encoder.head());
        }
        notes.push(Block {
            position: position + part.len() as u64,
            note: note.clone(),
        });
        part.extend_from_slice(&block);
        position += part.len() as u64;
        if number + 1 == blocks {
            part.extend(encoder.end(&notes).unwrap());
        }
        part
    })
}

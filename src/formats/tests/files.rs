//! Formats that themselves find the records of a file: read in steps, and gone on with at every
//! position, they give what the whole file gives as a payload.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use towpath_record::BatchBuilder;
use towpath_sdk::config::InputFormat;
use towpath_sdk::{Content, ErrorKind, RecordFile, Result};

use super::decoder;

fn values(mut out: BatchBuilder) -> Vec<String> {
    let batch = out.finish();
    let records = batch.iter().flat_map(|batch| batch.records());
    let value = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    records
        .map(|record| value(record.unwrap().value.unwrap()))
        .collect()
}

fn open(
    format: InputFormat,
    content: impl Content + 'static,
    position: u64,
) -> Result<Box<dyn RecordFile>> {
    let opened = decoder(format).open(Box::new(content), position);
    opened.expect("a format that finds its records")
}

/// What comes of `file` from `position` on, step by step, and the position behind each step.
fn steps(format: InputFormat, file: &'static [u8], position: u64) -> Vec<(Vec<String>, u64)> {
    let mut file = open(format, Cursor::new(file), position).unwrap();
    let mut steps = Vec::new();
    loop {
        let mut out = BatchBuilder::default();
        let more = file.read(&Default::default(), 1, &mut out).unwrap();
        if !more {
            assert!(values(out).is_empty());
            return steps;
        }
        steps.push((values(out), file.position()));
    }
}

fn check(format: InputFormat, file: &'static [u8], steps_min: usize) {
    let mut whole = BatchBuilder::default();
    let mut of_payload = decoder(format.clone());
    of_payload
        .decode(file, &Default::default(), &mut whole)
        .unwrap();
    let whole = values(whole);
    let all = steps(format.clone(), file, 0);
    assert!(all.len() >= steps_min, "{} steps", all.len());
    let joined = |steps: &[(Vec<String>, u64)]| -> Vec<String> {
        steps
            .iter()
            .flat_map(|(records, _)| records.clone())
            .collect()
    };
    assert_eq!(joined(&all), whole);
    for (behind, (_, position)) in all.iter().enumerate() {
        let rest = steps(format.clone(), file, *position);
        assert_eq!(joined(&rest), joined(&all[behind + 1..]), "from {position}");
    }
}

#[test]
fn files_are_gone_on_with_at_every_position() {
    for file in super::avro::FILES {
        check(InputFormat::Avro, file, 2);
    }
    for (_, file) in super::parquet::FILES {
        check(InputFormat::Parquet, file, 1);
    }
    let file: &'static [u8] = super::parquet::many_groups().leak();
    check(InputFormat::Parquet, file, 5);
}

/// What breaks off behind so many bytes.
struct Breaking {
    content: Cursor<&'static [u8]>,
    bytes: usize,
}

impl Read for Breaking {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = into.len().min(self.bytes);
        if room == 0 {
            return Err(io::Error::other("the network is gone"));
        }
        let read = self.content.read(&mut into[..room])?;
        self.bytes -= read;
        Ok(read)
    }
}

impl Seek for Breaking {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.content.seek(to)
    }
}

/// Content that breaks off is no damage: it passes.
#[test]
fn a_content_that_breaks_off_is_not_damaged() {
    let parquet: &'static [u8] = super::parquet::many_groups().leak();
    let cases = [
        (InputFormat::Avro, super::avro::FILES[0]),
        (InputFormat::Parquet, parquet),
    ];
    for (format, file) in cases {
        for bytes in [0, 10, file.len() / 2, file.len()] {
            let content = Breaking {
                content: Cursor::new(file),
                bytes,
            };
            let read = open(format.clone(), content, 0).and_then(|mut file| {
                let mut out = BatchBuilder::default();
                file.read(&Default::default(), usize::MAX, &mut out)
            });
            let error = read.expect_err("the end is never seen");
            assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
            assert!(error.to_string().contains("the network is gone"), "{error}");
        }
    }
}

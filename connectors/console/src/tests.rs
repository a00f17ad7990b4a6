use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use towpath_record::BatchBuilder;
use towpath_sdk::config::{Format, InputFormat, Key, Node, NodeValue, Problems, Size, Span};
use towpath_sdk::testing::{
    SinkSubject, SourceSubject, check_sink, check_source, sink_context, source_context,
};
use towpath_sdk::{
    Error, ErrorKind, OnError, Sink, SinkBatch, SinkContext, SinkTopic, Source, SourceContext,
    async_trait,
};

use crate::stdin::{Feed, Framing, Stdin, StdinOptions};
use crate::stdout::Stdout;

/// Lines of all kinds, in pieces that cut them anywhere.
struct Pieces(&'static [u8], usize);

const INPUT: &[u8] = b"one\n\ntwo\r\n\0poison\n0123456789\n01234567890\n\xff\0\nlast";

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(self.0.len()).min(out.len());
        out[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

fn options(framing: Framing) -> StdinOptions {
    StdinOptions {
        format: InputFormat::Text,
        framing,
        max_line: Size(10),
    }
}

fn context(on_error: OnError) -> SourceContext {
    SourceContext {
        on_error: on_error.into(),
        ..source_context(Arc::default(), false)
    }
}

/// Standard input that holds lines, and the one reader of it.
#[derive(Default)]
struct Lines {
    input: Vec<u8>,
    shared: Arc<tokio::sync::Mutex<Option<Feed>>>,
}

#[async_trait]
impl SourceSubject for Lines {
    fn source(&self) -> Box<dyn Source> {
        let options = StdinOptions {
            max_line: Size(100),
            ..options(Framing::Lines)
        };
        let input = self.input.clone();
        let open_input = move || Box::new(Cursor::new(input.clone())) as Box<dyn Read + Send>;
        Box::new(Stdin::new(options, self.shared.clone(), open_input))
    }

    async fn produce(&mut self, values: &[Vec<u8>]) {
        self.input = [values.join(&b'\n'), b"\n".to_vec()].concat();
    }

    fn can_be_read_again(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn stdin_passes_the_kit() {
    check_source(Lines::default).await;
}

/// Reads all of stdin: records, refused payloads, and the error at the end.
async fn read(
    options: StdinOptions,
    on_error: OnError,
    open_input: fn() -> Box<dyn Read + Send>,
) -> (Vec<Vec<u8>>, Vec<Bytes>, Option<Error>) {
    let mut stdin = Stdin::new(options, Arc::default(), open_input);
    stdin.open(context(on_error)).await.unwrap();
    let (mut records, mut refused) = (Vec::new(), Vec::new());
    loop {
        match stdin.read().await {
            Ok(None) => return (records, refused, None),
            Err(error) => return (records, refused, Some(error)),
            Ok(Some(batch)) => {
                for record in batch.parts.iter().flat_map(|part| part.batch.records()) {
                    records.push(record.unwrap().value.unwrap().to_vec());
                }
                let payloads = batch
                    .refused
                    .into_iter()
                    .filter_map(|refused| refused.record.value);
                refused.extend(payloads);
            }
        }
    }
}

#[tokio::test]
async fn lines_are_cut_anywhere_and_come_whole() {
    let whole: fn() -> Box<dyn Read + Send> = || Box::new(Pieces(INPUT, 1000));
    let bytes: fn() -> Box<dyn Read + Send> = || Box::new(Pieces(INPUT, 1));
    let threes: fn() -> Box<dyn Read + Send> = || Box::new(Pieces(INPUT, 3));
    for input in [whole, bytes, threes] {
        let (records, refused, error) = read(options(Framing::Lines), OnError::Skip, input).await;
        let expected: [&[u8]; 6] = [b"one", b"", b"two\r", b"0123456789", b"\xff\0", b"last"];
        assert_eq!(records, expected);
        assert_eq!(refused.len(), 2, "the bad one and the one of 11 bytes");
        assert_eq!(&refused[0][..], b"\0poison");
        assert!(error.is_none());

        let (records, _, error) = read(options(Framing::Lines), OnError::Fail, input).await;
        assert_eq!(records, expected[..3], "what came before goes first");
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Record);
        assert!(error.to_string().contains("stdin at byte 10:"), "{error}");
    }
}

#[tokio::test]
async fn the_whole_input_can_be_one_record() {
    let input: fn() -> Box<dyn Read + Send> = || Box::new(Pieces(b"a\nb\n", 3));
    let (records, ..) = read(options(Framing::Whole), OnError::Fail, input).await;
    assert_eq!(records, [b"a\nb\n"]);
    let long: fn() -> Box<dyn Read + Send> = || Box::new(Pieces(INPUT, 7));
    let (records, refused, _) = read(options(Framing::Whole), OnError::Skip, long).await;
    assert_eq!(
        (records.len(), refused[0].len()),
        (0, 11),
        "no more is kept than shows it"
    );
    let empty: fn() -> Box<dyn Read + Send> = || Box::new(io::empty());
    assert!(
        read(options(Framing::Whole), OnError::Fail, empty)
            .await
            .0
            .is_empty()
    );
}

/// Lines of `a`, `b`, `c` and `d`, one a read.
struct Letters(u8);

const LETTERS: usize = 100;

impl Read for Letters {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.0 > b'd' {
            return Ok(0);
        }
        out[..LETTERS].fill(self.0);
        out[LETTERS] = b'\n';
        self.0 += 1;
        Ok(LETTERS + 1)
    }
}

/// The first bytes of the records of the next batch.
async fn next_letters(stdin: &mut Stdin) -> Option<String> {
    let batch = stdin.read().await.unwrap()?;
    let records = batch.parts.iter().flat_map(|part| part.batch.records());
    let letters = records.map(|record| char::from(record.unwrap().value.unwrap()[0]));
    Some(letters.collect())
}

#[tokio::test]
async fn what_was_read_and_not_durable_comes_again_in_the_next_life() {
    let options = || StdinOptions {
        max_line: Size(LETTERS as u64),
        ..options(Framing::Lines)
    };
    let shared = Arc::default();
    let open_input: fn() -> Box<dyn Read + Send> = || Box::new(Letters(b'a'));
    let life = || Stdin::new(options(), Arc::clone(&shared), open_input);

    let mut first = life();
    first.open(context(OnError::Fail)).await.unwrap();
    let mut batches = Vec::new();
    while let Some(letters) = next_letters(&mut first).await {
        batches.push(letters);
    }
    assert_eq!(batches.concat(), "abcd");
    assert!(batches.len() > 1, "{batches:?}");
    first.ack(1).await.unwrap();
    drop(first);

    // The second life ends in the middle of what comes again: nothing of it is durable.
    let mut second = life();
    second.open(context(OnError::Fail)).await.unwrap();
    assert_eq!(next_letters(&mut second).await.as_ref(), Some(&batches[1]));
    drop(second);

    let mut third = life();
    third.open(context(OnError::Fail)).await.unwrap();
    for (count, letters) in (1..).zip(&batches[1..]) {
        assert_eq!(next_letters(&mut third).await.as_ref(), Some(letters));
        third.ack(count).await.unwrap();
        third.ack(count).await.unwrap();
    }
    assert_eq!(next_letters(&mut third).await, None);
    drop(third);

    let mut last = life();
    last.open(context(OnError::Fail)).await.unwrap();
    assert_eq!(next_letters(&mut last).await, None, "all is durable");
}

/// An input that cannot be read at first.
struct Broken(bool);

impl Read for Broken {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.0) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Letters(b'd' + u8::from(out[0] == b'd')).read(out)
    }
}

#[tokio::test]
async fn an_input_that_cannot_be_read_is_tried_again_by_the_next_life() {
    let shared = Arc::default();
    let life = || {
        let options = StdinOptions {
            max_line: Size(LETTERS as u64),
            ..options(Framing::Lines)
        };
        Stdin::new(options, Arc::clone(&shared), || Box::new(Broken(true)))
    };
    let mut first = life();
    first.open(context(OnError::Fail)).await.unwrap();
    let error = first.read().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    drop(first);
    let mut second = life();
    second.open(context(OnError::Fail)).await.unwrap();
    assert_eq!(next_letters(&mut second).await.as_deref(), Some("d"));
    assert_eq!(next_letters(&mut second).await, None);
}

#[test]
fn stdin_has_an_end_and_one_reader() {
    let source = crate::connector_types()[0].source.clone().unwrap();
    let parse = |options: Vec<(Key, Node)>| {
        let node = Node::new(Span::NONE, NodeValue::Map(options));
        (source.parse)(&node, &mut Problems::new())
    };
    let config = parse(Vec::new()).unwrap();
    assert!(config.has_end() && config.tasks_max() == 1);
    assert_eq!(config.far_side(), "stdin");
    for (size, sound) in [("0B", false), ("1B", true), ("1GiB", true), ("2GiB", false)] {
        let key = Key {
            name: "max_line".to_owned(),
            span: Span::NONE,
        };
        let config = parse(vec![(key, Node::new(Span::NONE, size))]);
        assert_eq!(config.is_some(), sound, "{size}");
    }
}

/// Where a test reads what was printed; a broken pipe once it is full.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>, Option<usize>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut printed = self.0.lock().unwrap();
        if self
            .1
            .is_some_and(|most| printed.len() + bytes.len() > most)
        {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        printed.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl SinkSubject for Printed {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Stdout::new(Arc::default(), Box::new(self.clone())))
    }

    fn at_least_once(&self) -> bool {
        true
    }

    async fn arrived(&mut self) -> Vec<Vec<u8>> {
        let printed = self.0.lock().unwrap();
        let lines = printed.split_inclusive(|byte| *byte == b'\n');
        lines.map(|line| line[..line.len() - 1].to_vec()).collect()
    }
}

#[tokio::test]
async fn stdout_passes_the_kit() {
    check_sink(Printed::default).await;
}

async fn stdout(printed: &Printed, on_error: OnError) -> Stdout {
    let mut stdout = Stdout::new(Arc::default(), Box::new(printed.clone()));
    let context = SinkContext {
        on_error: on_error.into(),
        ..sink_context(Arc::default())
    };
    stdout.open(context).await.unwrap();
    stdout
}

fn batch(values: &[&str], from_offset: u64) -> SinkBatch {
    let mut builder = BatchBuilder::default();
    for value in values {
        builder.push(0, None, Some(value.as_bytes()), &[]).unwrap();
    }
    let topic = SinkTopic {
        name: "t".into(),
        id: "1".into(),
        format: Format::Text,
    };
    SinkBatch::new(
        topic.into(),
        0,
        from_offset,
        vec![builder.finish().unwrap()],
    )
}

#[tokio::test]
async fn records_are_printed_from_the_offset_on() {
    let printed = Printed::default();
    let mut stdout = stdout(&printed, OnError::Skip).await;
    stdout
        .write(vec![batch(&["a", "b", "\0poison", "c"], 1)])
        .await
        .unwrap();
    assert!(printed.0.lock().unwrap().is_empty(), "buffered");
    let flushed = stdout.flush(false).await.unwrap();
    assert_eq!(*printed.0.lock().unwrap(), b"b\nc\n");
    assert_eq!((flushed.offsets[0].offset, flushed.refused.len()), (4, 1));
    let large = "x".repeat(300 << 10);
    stdout.write(vec![batch(&[&large], 0)]).await.unwrap();
    assert!(
        printed.0.lock().unwrap().len() > 300 << 10,
        "more than the buffer is printed at once"
    );
}

#[tokio::test]
async fn a_bad_record_ends_the_task_behind_what_came_before() {
    let printed = Printed::default();
    let mut stdout = stdout(&printed, OnError::Fail).await;
    let written = stdout.write(vec![batch(&["a", "\0poison", "c"], 0)]).await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Record);
    assert_eq!(stdout.flush(false).await.unwrap().offsets[0].offset, 1);
    assert_eq!(*printed.0.lock().unwrap(), b"a\n");
}

#[tokio::test]
async fn a_reader_that_has_gone_is_said_so() {
    let printed = Printed(Arc::default(), Some(1));
    let mut stdout = stdout(&printed, OnError::Fail).await;
    stdout.write(vec![batch(&["a", "b"], 0)]).await.unwrap();
    let error = stdout.flush(false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("its reader has gone"), "{error}");
}

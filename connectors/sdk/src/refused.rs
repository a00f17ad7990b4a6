//! Bad records: what is kept of each, and how many of them a task bears.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use towpath_record::{Header, Headers, Record};

use crate::config::Format;
use crate::{Envelope, Error, Origin, Result};

/// A source ends its batch when so many of its records were refused, as a refused one takes more
/// memory than one that is taken.
pub const REFUSED_MAX: usize = 10_000;

/// A sink flushes when the records refused since it flushed last take so many bytes: their dead
/// letters are one append set.
pub const REFUSED_BYTES: u64 = 16 << 20;

/// A share ([`Limits::rate`]) is taken of this many records at least, so that a bad one among the
/// first few is not already too much.
pub const RATE_RECORDS_MIN: u64 = 1_000;

/// The header of a dead letter with what its value cannot be decoded without
/// ([`crate::Decoder::head`]).
pub const HEAD_HEADER: &str = "__towpath.head";

/// A record that could not be taken.
#[derive(Debug)]
pub struct Refused {
    /// What was being done with it.
    pub stage: Stage,
    /// Why, and where the record came from (file and position, topic and offset).
    pub error: Error,
    /// The record as it came.
    pub record: Original,
}

impl Refused {
    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        let Original {
            key,
            value,
            headers,
            ..
        } = &self.record;
        size_of::<Self>() + 256 + length(key) + length(value) + headers.len()
    }
}

/// What was being done with a record when it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A source decoded it.
    Decode,
    /// A transform was to change it.
    Transform,
    /// It was to get its topic and key.
    Route,
    /// A sink was to write it.
    Deliver,
}

impl Stage {
    /// Kafka Connect's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "VALUE_CONVERTER",
            Self::Transform => "TRANSFORMATION",
            Self::Route => "KAFKA_PRODUCE",
            Self::Deliver => "TASK_PUT",
        }
    }
}

/// A record as it came: the very bytes, so that it can be kept, looked at and tried again.
#[derive(Debug, Clone, Default)]
pub struct Original {
    /// `None` where there is none; of what a source could not decode, the source's own key.
    pub key: Option<Bytes>,
    /// The value; of what a source could not decode, the undecoded bytes.
    pub value: Option<Bytes>,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Where it stands in the log, if it does.
    pub place: Option<Place>,
    /// Where it came from, if that is a source's own system.
    pub origin: Option<Arc<Origin>>,
    /// How far it came; `None` when it is not whole, so that it can never go on.
    pub reached: Option<Reached>,
    /// The topic that was decided for it before it was refused.
    pub topic: Option<Arc<str>>,
    /// Whether its key was decided then.
    pub key_stands: bool,
    headers: Bytes,
    headers_count: usize,
}

/// How far a record came on its way: there it goes on when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// A source has it as it stands in its own system.
    Undecoded,
    /// It is before the transforms, and this is what its value is.
    Decoded(Format),
    /// It is behind them.
    Transformed(Format),
}

/// Where a record stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The topic's name.
    pub topic: Arc<str>,
    /// One of its partitions.
    pub partition: u32,
    /// The offset there.
    pub offset: u64,
}

impl Original {
    /// A copy of `record`, which came so far. What else is known of it is for the caller to add.
    pub fn of(record: &Record<'_>, reached: Reached) -> Self {
        Self {
            key: record.key.map(Bytes::copy_from_slice),
            value: record.value.map(Bytes::copy_from_slice),
            timestamp_ms: record.timestamp_ms,
            reached: Some(reached),
            headers: Bytes::copy_from_slice(record.headers.as_bytes()),
            headers_count: record.headers.len(),
            ..Self::default()
        }
    }

    /// What of `origin` did not become a record, with the `head` of its decoder.
    pub fn undecoded(
        origin: &Arc<Origin>,
        payload: &[u8],
        envelope: &Envelope<'_>,
        head: Option<&[u8]>,
    ) -> Self {
        let mut headers = Vec::new();
        envelope
            .headers
            .iter()
            .for_each(|header| header.put(&mut headers));
        if head.is_some() {
            let key = HEAD_HEADER.as_bytes();
            Header { key, value: head }.put(&mut headers);
        }
        Self {
            key: envelope.key.map(Bytes::copy_from_slice),
            value: Some(Bytes::copy_from_slice(payload)),
            timestamp_ms: envelope.timestamp_ms,
            origin: Some(origin.clone()),
            reached: Some(Reached::Undecoded),
            headers: headers.into(),
            headers_count: envelope.headers.len() + usize::from(head.is_some()),
            ..Self::default()
        }
    }

    /// The headers.
    pub fn headers(&self) -> Headers<'_> {
        Headers::encoded(self.headers_count, &self.headers)
    }
}

/// What `on_error` says about bad records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The task fails at the first one. What came before it is delivered, but for what a source has
    /// read together with a record that a transform or template refuses: that is read again.
    #[default]
    Fail,
    /// They are counted, logged and left out.
    Skip,
    /// They are counted, logged, and kept as they came in a topic of their own.
    DeadLetter,
}

/// How many bad records may be left out. They are counted from when a task was opened, which
/// happens again after a transient error.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// So many; any number when `None`.
    pub count: Option<u64>,
    /// This share of the records that came, from 0 to 1; of [`RATE_RECORDS_MIN`] at least.
    pub rate: Option<f64>,
}

/// What a task does with bad records, and how many more of them it bears. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Tolerance {
    on_error: OnError,
    limits: Limits,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    records: AtomicU64,
    refused: AtomicU64,
    refused_bytes: AtomicU64,
}

impl From<OnError> for Tolerance {
    fn from(on_error: OnError) -> Self {
        Self::new(on_error, Limits::default())
    }
}

impl Tolerance {
    /// Nothing was refused yet.
    pub fn new(on_error: OnError, limits: Limits) -> Self {
        Self {
            on_error,
            limits,
            counts: Arc::default(),
        }
    }

    /// Adds `record` to the refused ones of the batch at hand, or gives an error when the task
    /// must end. The caller then hands over what came before the record, and returns the error
    /// after it.
    ///
    /// # Errors
    /// A record error: the record's own when `on_error` is `fail`, otherwise that it is one too
    /// many.
    pub fn refuse(&self, refused: &mut Vec<Refused>, record: Refused) -> Result<()> {
        if self.left() == 0 {
            return Err(self.one_too_many(record.error));
        }
        self.counts.refused.fetch_add(1, Relaxed);
        let bytes = record.bytes() as u64;
        self.counts.refused_bytes.fetch_add(bytes, Relaxed);
        refused.push(record);
        Ok(())
    }

    /// So many that were refused last are not left out after all: they will be read again, or were
    /// never there.
    pub fn take_back(&self, records: usize) {
        self.counts.refused.fetch_sub(records as u64, Relaxed);
    }

    /// How many more records may be refused.
    pub fn left(&self) -> u64 {
        if self.on_error == OnError::Fail {
            return 0;
        }
        let records = self.counts.records.load(Relaxed).max(RATE_RECORDS_MIN);
        let by_rate = self.limits.rate.map(|rate| (rate * records as f64) as u64);
        let most = self.limits.count.into_iter().chain(by_rate).min();
        most.map_or(u64::MAX, |most| most.saturating_sub(self.refused()))
    }

    /// What the task ends with when a record met `error` and none may be refused any more.
    pub fn one_too_many(&self, error: Error) -> Error {
        if self.on_error == OnError::Fail {
            return error.remedy("mend it, or set `on_error` to `skip` or `dead_letter`");
        }
        let refused = self.refused();
        let limit = match (self.limits.count, self.limits.rate) {
            (Some(count), _) if refused >= count => "max_count",
            _ => "max_rate",
        };
        Error::record("leave out one more bad record", "")
            .because(format!(
                "{refused} were left out, as many as `{limit}` of `on_error` allows; this one: \
                 {error}"
            ))
            .remedy(format!(
                "mend what makes them bad or raise `{limit}`; a restart of the connector goes on \
                 here and counts anew"
            ))
    }

    /// So many more records came, good and bad ones.
    pub fn came(&self, records: u64) {
        self.counts.records.fetch_add(records, Relaxed);
    }

    /// How many records were refused.
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Relaxed)
    }

    /// About what all that were refused took in memory.
    pub fn refused_bytes(&self) -> u64 {
        self.counts.refused_bytes.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad() -> Refused {
        Refused {
            stage: Stage::Decode,
            error: Error::record("parse", "a line"),
            record: Original::default(),
        }
    }

    /// How many bad records in a row are left out, 20 at most, and what the next one ends with.
    fn check(tolerance: &Tolerance, expected: usize, told: &str) {
        let mut refused = Vec::new();
        let ended = (0..20).find_map(|_| tolerance.refuse(&mut refused, bad()).err());
        assert_eq!(refused.len(), expected);
        let ended = ended.map(|error| error.to_string()).unwrap_or_default();
        assert!(ended.contains(told), "{ended}");
        assert_eq!(ended.is_empty(), told.is_empty(), "{ended}");
    }

    #[test]
    fn each_action_and_limit_ends_where_it_says() {
        let new = |count, rate| Tolerance::new(OnError::DeadLetter, Limits { count, rate });
        check(&OnError::Fail.into(), 0, "cannot parse a line");
        check(&OnError::Skip.into(), 20, "");
        check(&OnError::DeadLetter.into(), 20, "");
        check(&new(Some(0), None), 0, "`max_count`");
        check(
            &new(Some(3), None),
            3,
            "3 were left out, as many as `max_count`",
        );
        check(
            &new(Some(3), Some(0.002)),
            2,
            "2 were left out, as many as `max_rate`",
        );
        check(&new(None, Some(0.002)), 2, "this one: cannot parse a line");
    }

    #[test]
    fn a_share_grows_with_the_records_that_came() {
        let rate = Some(0.001);
        let tolerance = Tolerance::new(OnError::Skip, Limits { count: None, rate });
        tolerance.came(500);
        assert_eq!(tolerance.left(), 1, "of 1000 at least");
        tolerance.came(9_500);
        assert_eq!(tolerance.clone().left(), 10);
        check(&tolerance, 10, "`max_rate`");
        tolerance.take_back(4);
        check(&tolerance, 4, "`max_rate`");
    }

    #[test]
    fn an_original_keeps_every_byte() {
        let mut builder = towpath_record::BatchBuilder::default();
        let header = towpath_record::Header {
            key: b"h",
            value: None,
        };
        builder
            .push(7, Some(b""), None, &[header])
            .expect("a small record");
        let batch = builder.finish().expect("a record");
        let record = batch.records().next().expect("a record").expect("sound");
        let kept = Original::of(&record, Reached::Decoded(Format::Text));
        assert_eq!(
            (kept.key.as_deref(), kept.value.as_deref()),
            (Some(&b""[..]), None)
        );
        assert_eq!(kept.timestamp_ms, 7);
        let headers: Vec<_> = kept.headers().iter().map(Result::unwrap).collect();
        assert_eq!(headers, [header]);
    }
}

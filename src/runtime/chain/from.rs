//! Where records on their way into the log come from, and what follows from that.

use std::borrow::Cow;
use std::sync::Arc;

use towpath_sdk::config::Format;
use towpath_sdk::{Reached, RefusedRow, SinkBatch};

use crate::reading::Read;
use crate::step::Sequence;
use crate::stretch::{Early, Stretch};

/// Where records on their way into the log come from.
#[derive(Clone, Copy)]
pub(crate) enum From<'a> {
    /// What is given before the transforms, and as which records they see them.
    Source(&'a Early, &'a Sequence),
    Log(&'a Read),
    /// What is retried of either.
    Retried(Again<'a>),
}

/// Letters' records on their way into the log.
#[derive(Clone, Copy)]
pub(crate) struct Again<'a> {
    /// Of a source.
    pub early: Option<&'a Early>,
    /// How far they came.
    pub reached: Reached,
    /// What the values are to be where they go.
    pub output: Format,
}

impl<'a> From<'a> {
    /// Where it was read, if that is the log.
    fn read(self) -> Option<&'a SinkBatch> {
        match self {
            Self::Source(..) | Self::Retried(_) => None,
            Self::Log(read) => Some(&read.batch),
        }
    }

    /// What is given before the transforms.
    pub fn early(self) -> Option<&'a Early> {
        match self {
            Self::Source(early, _) => Some(early),
            Self::Log(_) => None,
            Self::Retried(again) => again.early,
        }
    }

    /// As which records transforms see them.
    pub fn sequence(self) -> Cow<'a, Sequence> {
        match self {
            Self::Source(_, sequence) => Cow::Borrowed(sequence),
            Self::Log(read) => Cow::Owned(Sequence::of(&read.batch.topic, read.batch.partition)),
            Self::Retried(_) => Cow::Owned(Sequence::Retried),
        }
    }

    /// The first offset that counts.
    pub fn offset(self) -> i64 {
        let from = self.read().map_or(0, |read| read.from_offset);
        i64::try_from(from).unwrap_or(i64::MAX)
    }

    /// The topic and partition that transforms see of `part`.
    pub fn place(self, part: &Stretch) -> (Option<Arc<str>>, Option<u32>) {
        match self.early() {
            Some(early) => (early.fixed_topic.clone(), None),
            None => (Some(part.origin.name.as_str().into()), part.partition),
        }
    }

    /// What the values are before the transforms.
    pub fn input(self) -> Format {
        match self {
            Self::Source(early, _) => early.input,
            Self::Log(read) => read.format,
            Self::Retried(again) => match again.reached {
                Reached::Decoded(format) | Reached::Transformed(format) => format,
                Reached::Undecoded => Format::Bytes,
            },
        }
    }

    /// How far what the transforms refuse has come.
    pub fn reached(self) -> Reached {
        match self {
            Self::Retried(again) => again.reached,
            Self::Source(..) | Self::Log(_) => Reached::Decoded(self.input()),
        }
    }

    /// What the values are behind them.
    pub fn output(self) -> Format {
        match self {
            Self::Source(early, _) => early.output,
            Self::Log(read) => read.batch.topic.format,
            Self::Retried(again) => again.output,
        }
    }

    /// Where the record of a row of `part` came from.
    pub fn tell(self, part: &Stretch, row: &RefusedRow) -> String {
        match self.read() {
            Some(read) => place(read, row.offset),
            None => part.place(row.index),
        }
    }
}

/// Where a record stands in the log.
pub(super) fn place(read: &SinkBatch, offset: i64) -> String {
    format!("{}-{} offset {offset}", read.topic.name, read.partition)
}

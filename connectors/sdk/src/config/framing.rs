//! What a record is in a stream of bytes, as options say it: the same for files and objects.

use super::{
    Compression, Duration, InputFormat, Kind, Node, OptionType, Pattern, Problem, Problems,
};
use crate::{RECORD_BYTES_MAX, choice, options};

choice! {
    /// What a record is.
    pub enum Framing {
        /// The bytes in front of each newline.
        Lines = "lines",
        /// All of a file or object.
        Whole = "whole",
    }

    /// What to do with a record longer than `max_line`.
    pub enum Oversize {
        /// Its first `max_line` bytes are the record. What cannot be read in part (`avro`, a list of
        /// `json`) is a bad record.
        Truncate = "truncate",
        /// It is left out and counted as refused.
        Skip = "skip",
        /// It is a bad record: `on_error` decides.
        Fail = "fail",
    }

    /// How what is read is compressed.
    pub enum InputCompression {
        /// Found by the first bytes of each file or object.
        Auto = "auto",
        /// As they are.
        None = "none",
        /// gzip, any number of members.
        Gzip = "gzip",
        /// zstd, any number of frames.
        Zstd = "zstd",
        /// Snappy's framing format, any number of streams.
        Snappy = "snappy",
    }
}

options! {
    /// How lines are joined; one of `start` and `continue`.
    struct MultilineOptions {
        /// A line that matches begins a record.
        start: Option<Pattern>,
        /// A line that matches continues the record of the line before.
        r#continue: Option<Pattern>,
        /// A record is complete when no line came for so long.
        timeout: Duration = "1s",
    }
}

/// Which lines belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Multiline {
    pattern: Pattern,
    /// Whether a match begins a record, or continues one.
    begins: bool,
    /// A record is complete when nothing came for so long.
    pub timeout: std::time::Duration,
}

impl Multiline {
    /// Whether `line` is the first of a record.
    pub fn begins_record(&self, line: &[u8]) -> bool {
        self.pattern.is_match(line) == self.begins
    }
}

impl InputCompression {
    /// How something is compressed that begins with `head`: all of it, or four bytes.
    pub fn of(self, head: &[u8]) -> Compression {
        match self {
            Self::None => Compression::None,
            Self::Gzip => Compression::GZIP,
            Self::Zstd => Compression::ZSTD,
            Self::Snappy => Compression::Snappy,
            Self::Auto if head.starts_with(&[0x1f, 0x8b]) => Compression::GZIP,
            Self::Auto if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => Compression::ZSTD,
            // The chunk that identifies a stream, and its length.
            Self::Auto if head.starts_with(&[0xff, 6, 0, 0]) => Compression::Snappy,
            Self::Auto => Compression::None,
        }
    }
}

impl OptionType for Multiline {
    fn kind() -> Kind {
        MultilineOptions::kind()
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let options = MultilineOptions::parse(node, problems)?;
        let timeout = options.timeout.0;
        match (options.start, options.r#continue) {
            (Some(pattern), None) => Some(Self {
                pattern,
                begins: true,
                timeout,
            }),
            (None, Some(pattern)) => Some(Self {
                pattern,
                begins: false,
                timeout,
            }),
            _ => {
                let problem = Problem::new(node.span, "expected one of `start` and `continue`");
                let help = "`start` matches the first line of a record, `continue` all others";
                problems.push(problem.help(help));
                None
            }
        }
    }
}

/// What a record is, of all options that say so.
#[derive(Debug, Clone)]
pub struct FramingRules {
    /// `framing`
    pub framing: Framing,
    /// `multiline`
    pub multiline: Option<Multiline>,
    /// `max_line`, in bytes.
    pub max_line: usize,
    /// `oversize`
    pub oversize: Oversize,
    /// Whether `format` is one of which no part can be read.
    pub whole_format: bool,
}

impl FramingRules {
    /// Reports what does not go together, at the options of `node`.
    pub fn check(&self, format: &InputFormat, node: &Node, problems: &mut Problems) {
        if self.framing == Framing::Whole && self.multiline.is_some() {
            let message = "`multiline` joins lines, but `framing: whole` has none";
            problems.add(node.span_of("multiline"), message);
        }
        if self.framing == Framing::Lines {
            format.refuse_in_lines(node, problems);
        }
        if !(1..=RECORD_BYTES_MAX).contains(&(self.max_line as u64)) {
            problems.add(node.span_of("max_line"), "expected a size from 1B to 1GiB");
        }
    }
}

//! The options of the S3 source.

use std::sync::Arc;

use towpath_sdk::config::{
    Duration, Framing, FramingRules, InputCompression, InputFormat, Kind, Multiline, Node,
    NodeValue, OneOrMany, OptionType, OptionsSpec, Oversize, Problem, Problems, Size, Start,
};
use towpath_sdk::{Source, SourceConfig, choice, options};

use super::S3Source;
use super::done::SHARDS;
use super::selection::{KeyGlob, Selection};
use crate::bucket::{Bucket, Checksum, Credentials};

options! {
    /// Reads the objects of a bucket.
    pub struct S3SourceOptions {
        /// The bucket.
        pub bucket: String,
        /// Where it is; default: as the machine says (environment, profile, instance).
        pub region: Option<String>,
        /// The store's URL, when it is not Amazon's.
        pub endpoint: Option<String>,
        /// Whether the bucket stands in the path of a URL, not in its host; default: with `endpoint`.
        pub path_style: Option<bool>,
        /// Who one is to the store; default: as the machine says (environment, profile, container,
        /// instance).
        pub credentials: Option<Credentials>,
        /// Whether checksums are checked.
        pub checksum: Checksum = "when_required",
        /// How long a call may take until its answer begins.
        pub timeout: Duration = "60s",
        /// What the keys to read begin with.
        pub prefix: String = "",
        /// Globs of the keys to read, whole keys; `**` matches any number of folders.
        pub include: OneOrMany<KeyGlob> = ["**"],
        /// Globs of keys to leave out; one without `/` is matched against what stands behind a
        /// key's last `/`.
        pub exclude: OneOrMany<KeyGlob> = [],
        /// Where to begin the first time: `earliest` reads all objects that are there, `latest` none
        /// of them, a time or an age those modified since. Every later object is read.
        pub start: Start = "earliest",
        /// In which order objects are read that are there at the same time.
        pub order: Order = "key",
        /// What the records are.
        pub format: InputFormat = "text",
        /// What a record is; `avro` and `parquet` know that themselves.
        pub framing: Framing = "lines",
        /// Joins lines to records; a map with `start` or `continue`.
        pub multiline: Option<Multiline>,
        /// The longest line or whole object; a longer one is treated as `oversize` says.
        pub max_line: Size = "1MiB",
        /// What to do with a record longer than `max_line`.
        pub oversize: Oversize = "truncate",
        /// How the objects are compressed, whatever their keys and `Content-Encoding` say.
        pub compression: InputCompression = "auto",
        /// What to do with an object once it was read to its end and all of it is durable: `keep`,
        /// `delete`, `tag` (with `towpath` = `read`) or `{ move: PREFIX }`.
        pub after: After = "keep",
        /// How long to wait between one listing and the next.
        pub poll_interval: Duration = "30s",
    }

    /// Where to move objects.
    struct MoveOptions {
        /// What takes the place of `prefix` in a key.
        r#move: String,
    }
}

choice! {
    /// In which order objects are read that are there at the same time.
    pub enum Order {
        /// Of the bytes of their keys.
        Key = "key",
        /// In which they were modified, then by key.
        LastModified = "last_modified",
    }

    /// The words of `after`.
    enum AfterWord {
        /// It stays.
        Keep = "keep",
        /// It is deleted.
        Delete = "delete",
        /// It gets a tag.
        Tag = "tag",
    }
}

/// What happens to an object that was read and is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    Keep,
    Delete,
    Tag,
    /// To this prefix.
    Move(String),
}

impl OptionType for After {
    fn kind() -> Kind {
        Kind::Either(vec![AfterWord::kind(), MoveOptions::kind()])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        if matches!(node.value, NodeValue::Map(_)) {
            return Some(Self::Move(MoveOptions::parse(node, problems)?.r#move));
        }
        Some(match AfterWord::parse(node, problems)? {
            AfterWord::Keep => Self::Keep,
            AfterWord::Delete => Self::Delete,
            AfterWord::Tag => Self::Tag,
        })
    }
}

/// The checked options.
#[derive(Debug, Clone)]
pub struct S3SourceConfig {
    options: Arc<S3SourceOptions>,
}

impl S3SourceConfig {
    pub fn spec() -> OptionsSpec {
        S3SourceOptions::spec()
    }

    /// Reads the options and checks what no single one can tell.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SourceConfig>> {
        let options = S3SourceOptions::parse(node, problems)?;
        let before = problems.len();
        options.bucket().check(node, problems);
        match options.format.finds_records() {
            true => options.refuse_framing(node, problems),
            false => options.rules().check(&options.format, node, problems),
        }
        if options.include.is_empty() {
            problems.add(node.span_of("include"), "no key is included");
        }
        if options.poll_interval.0.is_zero() {
            problems.add(
                node.span_of("poll_interval"),
                "expected a duration of 1ms or more",
            );
        }
        if let After::Move(to) = &options.after
            && options.prefix.starts_with(to)
        {
            let message = "what stands there is not read, and that is every key of `prefix`";
            let help = "move objects to a prefix that none to be read begins with";
            problems.push(Problem::new(node.span_of("after"), message).help(help));
        }
        let sound = problems.len() == before;
        sound.then(|| {
            Arc::new(Self {
                options: Arc::new(options),
            }) as Arc<dyn SourceConfig>
        })
    }
}

impl S3SourceOptions {
    /// Which bucket.
    pub fn bucket(&self) -> Bucket {
        Bucket {
            name: self.bucket.clone(),
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            path_style: self.path_style,
            credentials: self.credentials.clone(),
            checksum: self.checksum,
            timeout: self.timeout.0,
        }
    }

    /// Which of its keys.
    pub fn selection(&self) -> Selection {
        Selection::new(self)
    }

    /// For a format that itself finds the records: reports options that say what a record is.
    fn refuse_framing(&self, node: &Node, problems: &mut Problems) {
        let frames = [
            ("framing", self.framing != Framing::Lines),
            ("multiline", self.multiline.is_some()),
        ];
        for (name, _) in frames.into_iter().filter(|(_, given)| *given) {
            let message = format!("`{name}` is for text: this format itself says what a record is");
            let help = "leave it out; files of any size are read";
            problems.push(Problem::new(node.span_of(name), message).help(help));
        }
    }

    /// What a record is.
    pub fn rules(&self) -> FramingRules {
        FramingRules {
            framing: self.framing,
            multiline: self.multiline.clone(),
            max_line: usize::try_from(self.max_line.0).unwrap_or(usize::MAX),
            oversize: self.oversize,
            whole_format: self.format.is_whole(),
        }
    }
}

impl SourceConfig for S3SourceConfig {
    fn far_side(&self) -> String {
        let bucket = self.options.bucket();
        format!("{}, {}", bucket.far_side(), self.options.selection())
    }

    fn has_end(&self) -> bool {
        true
    }

    fn format(&self) -> InputFormat {
        self.options.format.clone()
    }

    fn tasks_max(&self) -> u32 {
        u32::from(SHARDS)
    }

    fn source(&self) -> Box<dyn Source> {
        Box::new(S3Source::new(self.options.clone()))
    }
}

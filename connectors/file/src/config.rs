//! The options of the file source.

use std::path::PathBuf;
use std::sync::Arc;

use towpath_sdk::config::{
    Duration, Framing, FramingRules, InputCompression, InputFormat, Kind, Multiline, Node,
    NodeValue, OneOrMany, OptionType, OptionsSpec, Oversize, Problems, Size, Start, choice,
    options,
};
use towpath_sdk::{Source, SourceConfig};

use crate::source::FileSource;
use crate::source::finder::{Finder, Glob, Listing};

options! {
    /// Reads files and follows them through rotation.
    pub struct FileSourceOptions {
        /// Globs of the files to read; `**` matches any number of folders.
        pub include: OneOrMany<Glob>,
        /// Globs of files to leave out; one without `/` is matched against the file's name.
        pub exclude: OneOrMany<Glob> = [],
        /// Where to begin in files that are there at the first start: `earliest` reads all of
        /// them, `latest` none, a time or an age those modified since. What is appended afterwards,
        /// and every later file, is read whole.
        pub start: Start = "earliest",
        /// What the records are.
        pub format: InputFormat = "text",
        /// What a record is.
        pub framing: Framing = "lines",
        /// Joins lines to records; a map with `start` or `continue`, and `timeout`.
        pub multiline: Option<Multiline>,
        /// The longest record; a longer one is treated as `oversize` says.
        pub max_line: Size = "1MiB",
        /// What to do with a record longer than `max_line`.
        pub oversize: Oversize = "truncate",
        /// How the files are compressed.
        pub compression: InputCompression = "auto",
        /// Headers to give each record.
        pub headers: OneOrMany<FileHeader> = [],
        /// What to do with a file once it was read to its end and all of it is durable: `keep`,
        /// `delete`, or `{ move: DIR }`.
        pub after: After = "keep",
        /// How often to look for new files, and for new data where notifications do not work.
        pub poll_interval: Duration = "1s",
    }

    /// Where to move files.
    pub struct MoveOptions {
        /// The folder, on the same file system; made when it is not there.
        pub r#move: String,
    }
}

choice! {
    /// A header that tells where a record comes from.
    pub enum FileHeader {
        /// The file's path when it was first seen.
        Path = "path",
        /// Where in the (decompressed) file the record begins, in bytes.
        Position = "position",
        /// The name of the machine.
        Host = "host",
    }

    /// The words of `after`.
    pub enum KeepOrDelete {
        /// It stays.
        Keep = "keep",
        /// It is deleted.
        Delete = "delete",
    }
}

/// What happens to a file that was read and is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    Keep,
    Delete,
    Move(PathBuf),
}

impl OptionType for After {
    fn kind() -> Kind {
        Kind::Either(vec![KeepOrDelete::kind(), MoveOptions::kind()])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        if matches!(node.value, NodeValue::Map(_)) {
            let folder = MoveOptions::parse(node, problems)?.r#move;
            return Some(Self::Move(PathBuf::from(folder)));
        }
        Some(match KeepOrDelete::parse(node, problems)? {
            KeepOrDelete::Keep => Self::Keep,
            KeepOrDelete::Delete => Self::Delete,
        })
    }
}

/// The checked options.
#[derive(Debug, Clone)]
pub struct FileSourceConfig {
    options: Arc<FileSourceOptions>,
}

impl FileSourceConfig {
    pub fn spec() -> OptionsSpec {
        FileSourceOptions::spec()
    }

    /// Reads the options and checks what no single one can tell.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SourceConfig>> {
        let options = FileSourceOptions::parse(node, problems)?;
        let before = problems.len();
        if options.include.is_empty() {
            problems.add(node.span_of("include"), "no file is included");
        }
        options.rules().check(&options.format, node, problems);
        let headers = &options.headers;
        if (1..headers.len()).any(|at| headers[..at].contains(&headers[at])) {
            problems.add(node.span_of("headers"), "a header stands twice");
        }
        if options.poll_interval.0.is_zero() {
            problems.add(
                node.span_of("poll_interval"),
                "expected a duration of 1ms or more",
            );
        }
        let sound = problems.len() == before;
        sound.then(|| {
            Arc::new(Self {
                options: Arc::new(options),
            }) as Arc<dyn SourceConfig>
        })
    }
}

impl FileSourceOptions {
    /// What a record is.
    pub(crate) fn rules(&self) -> FramingRules {
        FramingRules {
            framing: self.framing,
            multiline: self.multiline.clone(),
            max_line: usize::try_from(self.max_line.0).unwrap_or(usize::MAX),
            oversize: self.oversize,
            whole_format: self.format.is_whole(),
        }
    }

    /// What finds the files.
    pub(crate) fn finder(&self) -> Finder {
        let moved_to = match &self.after {
            After::Move(folder) => Some(folder.clone()),
            After::Keep | After::Delete => None,
        };
        Finder::new(&self.include, &self.exclude, moved_to)
    }
}

impl SourceConfig for FileSourceConfig {
    fn far_side(&self) -> String {
        let patterns: Vec<&str> = self.options.include.iter().map(Glob::as_str).collect();
        format!("file {}", patterns.join(" "))
    }

    fn has_end(&self) -> bool {
        true
    }

    fn format(&self) -> InputFormat {
        self.options.format.clone()
    }

    fn notes(&self) -> Vec<String> {
        let Listing {
            unmatched,
            problems,
            ..
        } = self.options.finder().list();
        let problems = problems
            .into_iter()
            .map(|(path, error)| format!("cannot look at {}: {error}", path.display()));
        let unmatched = unmatched
            .into_iter()
            .map(|glob| format!("no file matches `{glob}` now"));
        problems.chain(unmatched).collect()
    }

    fn source(&self) -> Box<dyn Source> {
        Box::new(FileSource::new(self.options.clone()))
    }
}

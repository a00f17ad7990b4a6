//! The options of the file sink, and what makes them safe together.

use std::sync::Arc;

use towpath_sdk::config::{
    Compression, Duration, Fields, Node, OutputFormat, PathTemplate, Problem, Problems, Size,
    Timezone,
};
use towpath_sdk::{Sink, SinkConfig, SinkType, Template, TemplateName, choice, options};

use super::FileSink;

options! {
    /// Writes records to files, one a line, exactly once.
    pub(super) struct FileSinkOptions {
        /// Where each record goes; folders are created.
        pub(super) path: PathTemplate,
        /// What a record becomes; by default what the topic holds.
        pub(super) format: Option<OutputFormat>,
        /// What of each record is written; other than `[value]` only with `json`, `csv` and `avro`.
        pub(super) fields: Fields = ["value"],
        /// Whether the files are compressed.
        pub(super) compression: Compression = "none",
        /// When to go on with a new file; needs `{start_offset}` in `path`.
        pub(super) rotate: Option<Rotate>,
        /// What to do with a file that is there but that this sink did not write.
        pub(super) if_exists: IfExists = "fail",
        /// The zone of the times in `path`.
        pub(super) timezone: Timezone = "UTC",
    }

    /// When a file is full.
    pub(super) struct Rotate {
        /// When it has reached this size.
        pub(super) size: Option<Size>,
        /// So long after its first record.
        pub(super) time: Option<Duration>,
    }
}

choice! {
    /// What to do with a file that is there but unknown.
    pub(super) enum IfExists {
        /// Refuse to touch it.
        Fail = "fail",
        /// Write behind what it holds.
        Append = "append",
    }
}

/// The sink side of the connector type `file`.
pub(crate) fn sink_type() -> SinkType {
    SinkType {
        spec: FileSinkOptions::spec,
        parse,
    }
}

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SinkConfig>> {
    let options = FileSinkOptions::parse(node, problems)?;
    let text = node
        .get("path")
        .and_then(Node::text)
        .unwrap_or_default()
        .to_owned();
    let before = problems.len();
    check(&options, node, problems);
    let config = FileSinkConfig {
        options: Arc::new(options),
        path: text,
    };
    (problems.len() == before).then(|| Arc::new(config) as Arc<dyn SinkConfig>)
}

fn check(options: &FileSinkOptions, node: &Node, problems: &mut Problems) {
    let PathTemplate(path) = &options.path;
    let numbered = path.names().any(|name| *name == TemplateName::StartOffset);
    match &options.rotate {
        None if numbered => {
            let message = "`{start_offset}` has no meaning without `rotate`";
            let help = "add `rotate: { size: 64MiB }`, or leave it out";
            problems.push(Problem::new(node.span_of("path"), message).help(help));
        }
        None => {}
        Some(rotate) => {
            if rotate.size.is_none() && rotate.time.is_none() {
                let problem = Problem::new(node.span_of("rotate"), "`rotate` says no limit");
                problems.push(problem.help("give `size`, `time` or both"));
            }
            if !numbered {
                let message = "with `rotate` two files would get one name";
                let help = format!("write {}", safe_path(node, &["{start_offset:020}"]));
                problems.push(Problem::new(node.span_of("path"), message).help(help));
            }
            if options.if_exists == IfExists::Append {
                let message = "`if_exists: append` has no meaning with `rotate`";
                let help = "rotated files have names of their own, so one that exists is not ours";
                problems.push(Problem::new(node.span_of("if_exists"), message).help(help));
            }
        }
    }
}

fn safe_path(node: &Node, missing: &[&str]) -> String {
    let text = node
        .get("path")
        .and_then(Node::written)
        .unwrap_or_else(|| "out.txt".to_owned());
    with_names(&text, missing)
}

/// `path` with the places `missing` in front of its extension.
fn with_names(path: &str, missing: &[&str]) -> String {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = path[name_at..].find('.').filter(|dot| *dot > 0);
    let at = dot.map_or(path.len(), |dot| name_at + dot);
    format!("`{}-{}{}`", &path[..at], missing.join("-"), &path[at..])
}

/// A checked configuration.
#[derive(Debug)]
struct FileSinkConfig {
    options: Arc<FileSinkOptions>,
    /// `path` as text.
    path: String,
}

impl FileSinkConfig {
    fn has(&self, wanted: TemplateName) -> bool {
        self.options.path.0.names().any(|name| *name == wanted)
    }
}

impl SinkConfig for FileSinkConfig {
    fn far_side(&self) -> String {
        self.path.clone()
    }

    fn path(&self) -> Option<&Template> {
        Some(&self.options.path.0)
    }

    fn format(&self) -> (Option<OutputFormat>, Fields) {
        (self.options.format.clone(), self.options.fields.clone())
    }

    /// A file has one writer.
    fn tasks_max(&self) -> u32 {
        if self.has(TemplateName::Partition) {
            u32::MAX
        } else {
            1
        }
    }

    fn check_topics(&self, topics: &[(String, u32)]) -> Result<(), String> {
        let several_topics = topics.len() > 1;
        let several_partitions = topics.iter().any(|(_, partitions)| *partitions > 1);
        let mut missing = Vec::new();
        let rotated = self.options.rotate.is_some();
        // Without rotation one task may write several topics or partitions to one file.
        if several_topics
            && !self.has(TemplateName::Topic)
            && (rotated || self.has(TemplateName::Partition))
        {
            missing.push("{topic}");
        }
        if several_partitions && rotated && !self.has(TemplateName::Partition) {
            missing.push("{partition}");
        }
        if missing.is_empty() {
            return Ok(());
        }
        let whose = if several_topics {
            "topics"
        } else {
            "partitions"
        };
        let proposal = with_names(&self.path, &missing);
        Err(format!(
            "files of different {whose} would get one name; write {proposal}"
        ))
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(FileSink::new(self.options.clone()))
    }
}

//! The options of the S3 sink, and what makes them safe together.

use std::num::NonZeroU64;
use std::sync::Arc;

use towpath_sdk::config::{
    Compression, Duration, Fields, Format, Named, Node, ObjectFormat, OutputFormat, PathTemplate,
    Problem, Problems, Size, Timezone,
};
use towpath_sdk::{Sink, SinkConfig, SinkType, Template, TemplateName, choice, options};

use super::S3Sink;
use super::limits::{PART_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX};
use crate::bucket::{Bucket, Checksum, Credentials};
use crate::client::NewObject;

options! {
    /// Writes records to the objects of a bucket, exactly once.
    pub(super) struct S3SinkOptions {
        /// The bucket; it must be there.
        pub(super) bucket: String,
        /// Where it is; default: as the machine says (environment, profile, instance).
        pub(super) region: Option<String>,
        /// The store's URL, when it is not Amazon's.
        pub(super) endpoint: Option<String>,
        /// Whether the bucket stands in the path of a URL, not in its host; default: with `endpoint`.
        pub(super) path_style: Option<bool>,
        /// Who one is to the store; default: as the machine says (environment, profile, container,
        /// instance).
        pub(super) credentials: Option<Credentials>,
        /// When a checksum goes with each part.
        pub(super) checksum: Checksum = "when_required",
        /// How long a call may take until its answer begins.
        pub(super) timeout: Duration = "60s",
        /// The key of the object that a record goes to; needs `{start_offset}`, and `{partition}` and
        /// `{topic}` where there are several.
        pub(super) path: PathTemplate,
        /// What a record becomes; by default what the topic holds.
        pub(super) format: Option<ObjectFormat>,
        /// What of each record is written; other than `[value]` only with `json`, `csv`, `avro` and
        /// `parquet`.
        pub(super) fields: Fields = ["value"],
        /// Whether the objects are compressed; of `parquet`, the pages inside.
        pub(super) compression: Compression = "none",
        /// When an object is full.
        pub(super) rotate: Rotate,
        /// What to do with a record that has no value.
        pub(super) on_null: OnNull = "write",
        /// The zone of the times in `path`, and of `rotate.schedule`.
        pub(super) timezone: Timezone = "UTC",
        /// What is sent at a time, 5MiB to 32MiB. An object has 5,000 parts at most, so a large
        /// `rotate.size` makes them larger.
        pub(super) part_size: Size = "5MiB",
        /// The storage class of the objects, such as `STANDARD_IA`.
        pub(super) storage_class: Option<String>,
        /// How the store encrypts them: `AES256`, `aws:kms` or `aws:kms:dsse`.
        pub(super) server_side_encryption: Option<String>,
        /// The id or ARN of the key, with `aws:kms`.
        pub(super) kms_key: Option<String>,
        /// Their tags.
        pub(super) tags: Named<String> = {},
        /// Their canned ACL, such as `bucket-owner-full-control`.
        pub(super) acl: Option<String>,
    }

    /// When an object is full: at the first of these.
    pub(super) struct Rotate {
        /// When it has this size, compressed; it may be larger by what is being compressed, a few
        /// MiB.
        pub(super) size: Option<Size>,
        /// When it has so many records.
        pub(super) records: Option<NonZeroU64>,
        /// So long after its first record came, whether another one comes or not.
        pub(super) time: Option<Duration>,
        /// So often by the clock, counted from midnight: `1h` is at every full hour.
        pub(super) schedule: Option<Duration>,
    }
}

choice! {
    /// What to do with a record that has no value, as deletions have none.
    pub(super) enum OnNull {
        /// Leave it out.
        Skip = "skip",
        /// Write what the format has for it: `null`, or an empty line.
        Write = "write",
        /// It is a bad record: `on_error` decides.
        Fail = "fail",
    }
}

impl S3SinkOptions {
    pub(super) fn bucket(&self) -> Bucket {
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

    /// What the records become.
    fn format(&self) -> Option<OutputFormat> {
        let ObjectFormat(mut format) = self.format.clone()?;
        if let OutputFormat::Parquet(output) = &mut format {
            output.compression = self.compression;
        }
        Some(format)
    }

    /// How what the format makes is compressed.
    pub(super) fn compression_of_whole(&self) -> Compression {
        match self.format {
            Some(ObjectFormat(OutputFormat::Parquet(_))) => Compression::None,
            _ => self.compression,
        }
    }

    /// What an object is, of topics of `topic`; `None` when that differs. There is no
    /// `Content-Encoding`: who decompresses by it unasked leaves a `.gz` that is none.
    fn content_type(&self, topic: Option<Format>) -> Option<&'static str> {
        Some(match self.compression_of_whole() {
            Compression::Gzip { .. } => "application/gzip",
            Compression::Zstd { .. } => "application/zstd",
            Compression::Snappy => "application/x-snappy-framed",
            Compression::None => match self.format().or(topic.map(OutputFormat::from))? {
                OutputFormat::Text => "text/plain; charset=utf-8",
                OutputFormat::Json => "application/x-ndjson",
                OutputFormat::Csv(_) => "text/csv; charset=utf-8",
                OutputFormat::Avro(_) => "application/avro",
                OutputFormat::Parquet(_) => "application/vnd.apache.parquet",
                OutputFormat::Bytes => "application/octet-stream",
            },
        })
    }

    /// What every object is given, of topics of `topic`; `None` when they differ.
    pub(super) fn new_object(&self, topic: Option<Format>) -> NewObject {
        NewObject {
            storage_class: self.storage_class.clone(),
            server_side_encryption: self.server_side_encryption.clone(),
            kms_key: self.kms_key.clone(),
            acl: self.acl.clone(),
            tags: self.tags.0.clone(),
            content_type: self.content_type(topic).map(str::to_owned),
        }
    }

    fn check(&self, node: &Node, problems: &mut Problems) {
        self.bucket().check(node, problems);
        self.check_path(node, problems);
        self.check_rotate(node, problems);
        if !(PART_BYTES_MIN..=PART_BYTES_MAX).contains(&self.part_size.0) {
            let message = "a part has from 5MiB to 32MiB";
            let help = "S3 takes none that is smaller, and each is in memory while it is sent";
            problems.push(Problem::new(node.span_of("part_size"), message).help(help));
        }
        let by_kms = self.server_side_encryption.as_deref();
        if self.kms_key.is_some() && !by_kms.is_some_and(|by| by.starts_with("aws:kms")) {
            let message = "`kms_key` has no meaning without `server_side_encryption: aws:kms`";
            problems.add(node.span_of("kms_key"), message);
        }
    }

    fn check_path(&self, node: &Node, problems: &mut Problems) {
        let PathTemplate(path) = &self.path;
        let written = node.get("path").and_then(Node::written);
        let written = written.as_deref().unwrap_or("{topic}-{partition}.jsonl");
        if !path.path_tells(&TemplateName::StartOffset) {
            let message = match path.names().any(|name| *name == TemplateName::StartOffset) {
                true => "two objects could get one name: `{start_offset}` is not set apart in it",
                false => "two objects would get one name",
            };
            // Right however many partitions there will be.
            let partition = (!path.path_tells(&TemplateName::Partition)).then_some("{partition}");
            let missing: Vec<_> = partition
                .into_iter()
                .chain(["{start_offset:020}"])
                .collect();
            let help = format!("write {}", with_names(written, &missing));
            problems.push(Problem::new(node.span_of("path"), message).help(help));
        }
        let text = path.as_str();
        if text.starts_with('/') || text.ends_with('/') || text.contains("//") {
            let message = "an empty name in the path: many tools cannot reach such objects";
            let names: Vec<_> = text.split('/').filter(|name| !name.is_empty()).collect();
            let help = format!("write `{}`", names.join("/"));
            problems.push(Problem::new(node.span_of("path"), message).help(help));
        }
    }

    fn check_rotate(&self, node: &Node, problems: &mut Problems) {
        let span = node.span_of("rotate");
        let Rotate {
            size,
            records,
            time,
            schedule,
        } = &self.rotate;
        if size.is_none() && records.is_none() && time.is_none() && schedule.is_none() {
            let problem = Problem::new(span, "`rotate` says no limit");
            let help = "give one or more of `size`, `records`, `time` and `schedule`, such as \
                        { size: 64MiB, time: 5m }";
            problems.push(problem.help(help));
        }
        if size.is_some_and(|size| size.0 > PARTS_MAX * PART_BYTES_MAX / 2) {
            let message = "an object of more than 78GiB";
            problems.push(Problem::new(span, message).help("give a smaller `size`"));
        }
        for (name, every) in [("time", time), ("schedule", schedule)] {
            if every.is_some_and(|every| every.0.is_zero()) {
                problems.add(span, format!("`{name}` is to be 1ms or more"));
            }
        }
    }
}

/// The sink side of the connector type `s3`.
pub(crate) fn sink_type() -> SinkType {
    SinkType {
        spec: S3SinkOptions::spec,
        parse,
    }
}

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SinkConfig>> {
    let options = S3SinkOptions::parse(node, problems)?;
    let before = problems.len();
    options.check(node, problems);
    let config = S3SinkConfig {
        options: Arc::new(options),
    };
    (problems.len() == before).then(|| Arc::new(config) as Arc<dyn SinkConfig>)
}

/// `path` with the places `missing` in front of its extension.
fn with_names(path: &str, missing: &[&str]) -> String {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    let brace = path.rfind('}').map_or(name_at, |brace| brace.max(name_at));
    let dot = path[brace..].find('.').filter(|dot| brace + dot > name_at);
    let at = dot.map_or(path.len(), |dot| brace + dot);
    let dash = if at > name_at { "-" } else { "" };
    format!(
        "`{}{dash}{}{}`",
        &path[..at],
        missing.join("-"),
        &path[at..]
    )
}

/// A checked configuration.
#[derive(Debug)]
struct S3SinkConfig {
    options: Arc<S3SinkOptions>,
}

impl SinkConfig for S3SinkConfig {
    fn far_side(&self) -> String {
        let path = self.options.path.0.as_str();
        format!("{}: {path}", self.options.bucket().far_side())
    }

    fn path(&self) -> Option<&Template> {
        Some(&self.options.path.0)
    }

    fn format(&self) -> (Option<OutputFormat>, Fields) {
        (self.options.format(), self.options.fields.clone())
    }

    fn check_topics(&self, topics: &[(String, u32)]) -> Result<(), String> {
        let path = &self.options.path.0;
        let mut missing = Vec::new();
        if topics.len() > 1 && !path.path_tells(&TemplateName::Topic) {
            missing.push("{topic}");
        }
        let several = topics.iter().any(|(_, partitions)| *partitions > 1);
        if several && !path.path_tells(&TemplateName::Partition) {
            missing.push("{partition}");
        }
        let whose = match missing.as_slice() {
            [] => return Ok(()),
            ["{partition}"] => "partitions",
            _ => "topics",
        };
        let proposal = with_names(path.as_str(), &missing);
        Err(format!(
            "objects of different {whose} could get one name; write {proposal}"
        ))
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(S3Sink::new(self.options.clone()))
    }
}

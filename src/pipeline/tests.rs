//! A fake connector type, and files that exist only in the test.

mod cases;
mod checks;
mod eight_mistakes;
mod on_error;
mod output;
mod random;
mod references;
mod streams;
mod transforms;
mod worker_settings;
mod yaml_tree;

use std::collections::{BTreeMap, HashMap};
use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use towpath_sdk::config::{
    Compression, Fields, Format, InputFormat, Node, OneOrMany, OutputFormat, PathTemplate,
    Problems, Secret, Size,
};
use towpath_sdk::{
    ConnectorType, Registry, SinkConfig, SinkType, SourceConfig, SourceType, Template, options,
};

use crate::{
    Environment, ExistingTopic, Loaded, Surroundings, TopicDefaults, WorkerConfig,
    load_worker_config,
};

options! {
    /// Reads files.
    pub struct FileSource {
        /// Globs of the files to read.
        pub include: OneOrMany<String>,
        /// Globs to leave out.
        pub exclude: OneOrMany<String> = [],
        /// What the lines are.
        pub format: Format = "text",
        /// The longest line.
        pub max_line: Size = "1MiB",
        /// A password.
        pub password: Option<Secret>,
    }

    /// Writes files.
    pub struct FileSink {
        /// The files to write.
        pub path: PathTemplate,
        pub compression: Compression = "none",
        pub fields: Fields = ["value"],
    }
}

impl SourceConfig for FileSource {
    fn far_side(&self) -> String {
        self.include.join(",")
    }

    fn has_end(&self) -> bool {
        true
    }

    fn format(&self) -> InputFormat {
        self.format.into()
    }

    fn tasks_max(&self) -> u32 {
        8
    }

    fn source(&self) -> Box<dyn towpath_sdk::Source> {
        panic!("no task is made here")
    }
}

impl SinkConfig for FileSink {
    fn far_side(&self) -> String {
        self.path.0.as_str().to_owned()
    }

    fn path(&self) -> Option<&Template> {
        Some(&self.path.0)
    }

    fn format(&self) -> (Option<OutputFormat>, Fields) {
        (None, self.fields.clone())
    }

    fn check_topics(&self, topics: &[(String, u32)]) -> Result<(), String> {
        match topics.iter().find(|(_, partitions)| *partitions > 8) {
            Some((name, partitions)) => Err(format!("`{name}` has {partitions} partitions")),
            None => Ok(()),
        }
    }

    fn sink(&self) -> Box<dyn towpath_sdk::Sink> {
        panic!("no task is made here")
    }
}

fn registry() -> Registry {
    let source = SourceType {
        spec: FileSource::spec,
        parse: |node: &Node, problems: &mut Problems| {
            FileSource::parse(node, problems).map(|config| Arc::new(config) as _)
        },
        template_names: &[("path", "the file's path")],
    };
    let sink = SinkType {
        spec: FileSink::spec,
        parse: |node, problems| FileSink::parse(node, problems).map(|config| Arc::new(config) as _),
    };
    let of = |name, source, sink| ConnectorType {
        name,
        summary: "In tests.",
        source,
        sink,
    };
    Registry::new(vec![
        of("file", Some(source.clone()), Some(sink.clone())),
        of("generate", Some(source), None),
        of("stdout", None, Some(sink)),
    ])
    .with_transforms(vec![transforms::fake_type()])
}

/// Variables and files by name.
#[derive(Default)]
struct Fake {
    variables: HashMap<&'static str, &'static str>,
    files: HashMap<PathBuf, &'static str>,
}

impl Environment for Fake {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.variables
            .get(name)
            .map(|value| (*value).to_owned())
            .ok_or(VarError::NotPresent)
    }

    fn file(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        let file = path.file_name().map(PathBuf::from).unwrap_or_default();
        let text = self
            .files
            .get(&file)
            .ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        Ok(text.as_bytes().to_vec())
    }
}

fn fake() -> Fake {
    let variables = [
        ("SET", "value"),
        ("EMPTY", ""),
        ("SEVEN", "7"),
        ("HIDDEN", "hunter2{"),
    ];
    let files = [(PathBuf::from("secret.txt"), "sesame\n")];
    Fake {
        variables: variables.into(),
        files: files.into(),
    }
}

fn defaults() -> TopicDefaults {
    let config: WorkerConfig = load_worker_config(None, &Fake::default()).unwrap();
    config.topic_defaults
}

/// Loads the texts as files `a.yaml`, `b.yaml`, ... Errors have bare file names.
fn load(texts: &[&str]) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = texts
        .iter()
        .zip('a'..)
        .map(|(text, name)| {
            let path = folder.path().join(format!("{name}.yaml"));
            std::fs::write(&path, text).unwrap();
            path
        })
        .collect();
    let existing_topics = BTreeMap::from([(
        "existing".to_owned(),
        ExistingTopic {
            partitions: 4,
            format: Some(Format::Bytes),
        },
    )]);
    let surroundings = Surroundings {
        registry: &registry(),
        environment: &fake(),
        existing_topics: &existing_topics,
        topic_defaults: &defaults(),
    };
    crate::load(&paths, &surroundings).map_err(|diagnostics| {
        let prefix = format!("{}/", folder.path().display());
        diagnostics.render(false).replace(&prefix, "")
    })
}

/// The first line of every problem with its place: `a.yaml:1:2: message`.
fn short(rendered: &str) -> Vec<String> {
    let mut lines = rendered.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(message) = line.strip_prefix("error: ") {
            let place = lines
                .peek()
                .and_then(|next| next.trim_start().strip_prefix("--> "));
            found.push(match place {
                Some(place) => format!("{place}: {message}"),
                None => message.to_owned(),
            });
        }
    }
    found
}

/// `expected` are all problems of `texts`, short.
fn check(texts: &[&str], expected: &[&str]) {
    match load(texts) {
        Ok(_) => assert!(expected.is_empty(), "no problems in {texts:?}"),
        Err(rendered) => assert_eq!(short(&rendered), expected, "{rendered}"),
    }
}

/// A pipeline that is right, to which a test adds what it is about.
const RIGHT: &str = "\
sources:
  in:
    type: file
    include: in/*.log
    topic: lines
sinks:
  out:
    type: file
    topics: lines
    path: out/{topic}.txt
";

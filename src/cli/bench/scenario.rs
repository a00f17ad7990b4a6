//! The pipelines that are measured: what is in them, and what their output has to be.

use std::path::{Path, PathBuf};

use super::super::failure::Failure;
use super::cannot;
use super::lines::{FAILURE_EVERY, Input, Kind};

/// A pipeline, file -> topic -> file.
#[derive(Debug)]
pub struct Scenario {
    /// In the table.
    pub words: &'static str,
    /// The lines it reads, and over how many files.
    pub input: (Kind, u64),
    pub output: Expected,
    partitions: u32,
    /// The topic that the source names.
    topic: &'static str,
    /// Further options of the source, indented by four.
    source: &'static str,
}

/// What the output is, by the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The same file.
    SameBytes,
    /// The same lines, each as often, over whatever files.
    SameLines,
    /// Other lines, one for each record that is not left out.
    LinesBut { failures: bool },
}

impl Expected {
    /// The number of lines of the output.
    pub fn lines(self, input: &Input) -> u64 {
        match self {
            Self::LinesBut { failures: true } => input.records - input.records / FAILURE_EVERY,
            _ => input.records,
        }
    }
}

/// One file, one partition, one output: byte for byte the same.
pub const ONE_FILE: Scenario = Scenario {
    words: "pipeline: file -> topic -> file",
    input: (Kind::AccessLog, 1),
    output: Expected::SameBytes,
    partitions: 1,
    topic: "lines",
    source: "",
};

/// Eight files, eight partitions, an output for each partition.
pub const EIGHT_FILES: Scenario = Scenario {
    words: "pipeline: 8 files -> 8 partitions -> 8 files",
    input: (Kind::AccessLog, 8),
    output: Expected::SameLines,
    partitions: 8,
    topic: "lines",
    source: "",
};

/// One file over eight partitions in turn, an output for each partition.
pub const EIGHT_PARTITIONS: Scenario = Scenario {
    words: "pipeline: file -> 8 partitions, round robin -> 8 files",
    input: (Kind::AccessLog, 1),
    output: Expected::SameLines,
    partitions: 8,
    topic: "lines",
    source: "    partition_by: round_robin\n",
};

/// What needs nothing of a value.
pub const HEADERS: Scenario = Scenario {
    words: "transforms: insert_header, route",
    input: (Kind::Json, 1),
    output: Expected::SameBytes,
    partitions: 1,
    topic: "raw-lines",
    source: "    transforms:
      - { type: insert_header, header: region, value: eu }
      - { type: route, regex: raw-(.*), replacement: $1 }
",
};

/// JSON, changed and filtered by expressions.
pub const JSON: Scenario = Scenario {
    words: "transforms: parse_json, set, replace_field, filter",
    input: (Kind::Json, 1),
    output: Expected::LinesBut { failures: true },
    partitions: 1,
    topic: "lines",
    source: "    transforms:
      - parse_json
      - { type: set, fields: { slow: value.ms > 100 } }
      - { type: replace_field, exclude: session }
      - { type: filter, drop: value.status >= 500 }
",
};

/// The same as [`JSON`] by a program.
#[cfg(feature = "vrl")]
pub const VRL: Scenario = Scenario {
    words: "transforms: the same by vrl",
    input: (Kind::Json, 1),
    output: Expected::LinesBut { failures: true },
    partitions: 1,
    topic: "lines",
    source: "    transforms:
      - parse_json
      - type: vrl
        source: |
          if int!(.status) >= 500 { abort }
          .slow = int!(.ms) > 100
          del(.session)
",
};

/// Text into fields.
pub const REGEX: Scenario = Scenario {
    words: "transforms: parse_regex of the combined log format",
    input: (Kind::AccessLog, 1),
    output: Expected::LinesBut { failures: false },
    partitions: 1,
    topic: "lines",
    source: r#"    transforms:
      - type: parse_regex
        pattern: '^(?<client>\S+) (?<ident>\S+) (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>\S+) (?<path>\S+) (?<protocol>[^"]+)" (?<status>\d{3}) (?<bytes>\d+|-) "(?<referrer>[^"]*)" "(?<agent>[^"]*)"$'
"#,
};

/// Those about transforms.
pub const TRANSFORMS: &[&Scenario] = &[
    &HEADERS,
    &JSON,
    #[cfg(feature = "vrl")]
    &VRL,
    &REGEX,
];

impl Scenario {
    /// The pipeline of `dir` that reads `input`.
    pub fn yaml(&self, input: &Input, dir: &Path) -> String {
        let Self {
            partitions,
            topic,
            source,
            ..
        } = self;
        let include: Vec<String> = input.files.iter().map(|file| quoted(file)).collect();
        let include = include.join(", ");
        let path = quoted(&dir.join("out/lines-{partition}.log"));
        let (format, written) = match self.output {
            Expected::LinesBut { .. } => ("json", "    format: json\n"),
            _ => ("text", ""),
        };
        format!(
            "name: bench\n\
             topics:\n  lines: {{ partitions: {partitions}, format: {format} }}\n\
             sources:\n  in:\n    type: file\n    include: [{include}]\n    topic: {topic}\n{source}\
             sinks:\n  out:\n    type: file\n    topics: lines\n    path: {path}\n{written}"
        )
    }
}

/// The inputs of scenarios, each written when the first one needs it.
#[derive(Debug)]
pub struct Inputs {
    dir: PathBuf,
    bytes: u64,
    written: Vec<((Kind, u64), Input)>,
}

impl Inputs {
    /// Of `bytes` bytes each, below `dir`.
    pub fn new(dir: &Path, bytes: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            bytes,
            written: Vec::new(),
        }
    }

    /// What `scenario` reads.
    pub fn of(&mut self, scenario: &Scenario) -> Result<&Input, Failure> {
        let wanted = scenario.input;
        let known = self.written.iter().position(|(input, _)| *input == wanted);
        let index = known.unwrap_or(self.written.len());
        if known.is_none() {
            let dir = self.dir.join(format!("input-{index}"));
            let input = Input::write(&dir, wanted.0, wanted.1, self.bytes)?;
            self.written.push((wanted, input));
        }
        Ok(&self.written[index].1)
    }

    /// Removes all that were written.
    pub fn remove(self) -> Result<(), Failure> {
        for file in self.written.iter().flat_map(|(_, input)| &input.files) {
            std::fs::remove_file(file).map_err(|error| cannot("remove", file, &error))?;
        }
        Ok(())
    }
}

/// A path as YAML text.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}

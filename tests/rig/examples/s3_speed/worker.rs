//! The worker: pipelines, each drained by a process of its own.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use towpath_rig::{ACCESS_KEY, BUCKET, SECRET_KEY};

use crate::input::Input;
use crate::quoted;
use crate::server::{Server, stat};

/// Of objects that all go to one path.
pub const PATH: &str = "{topic}/{start_offset:020}";

/// What one run took.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub seconds: f64,
    /// Processor seconds of the worker, and of the server meanwhile.
    pub cpu: f64,
    pub server_cpu: f64,
    /// Most memory that the worker ever had, in bytes.
    pub memory: u64,
    /// Bytes of all objects.
    pub stored: u64,
}

pub struct Worker<'a> {
    program: PathBuf,
    dir: PathBuf,
    server: &'a Server,
    /// Runs so far: each sink has a name of its own, and begins at the first record so.
    runs: Cell<usize>,
}

impl<'a> Worker<'a> {
    /// The program beside this one, to work in `dir`.
    pub fn new(dir: &Path, server: &'a Server) -> Self {
        let own = std::env::current_exe().unwrap();
        let program = own.ancestors().nth(2).unwrap().join("towpath");
        assert!(
            program.exists(),
            "{} first: cargo build --release",
            program.display()
        );
        std::fs::write(
            dir.join("towpath.yaml"),
            "admin: { listen: '127.0.0.1:0' }\n",
        )
        .unwrap();
        Self {
            program,
            dir: dir.to_owned(),
            server,
            runs: Cell::new(0),
        }
    }

    /// Fills `topic` with the lines of `input`.
    pub fn load(&self, topic: &str, format: &str, input: &Input) {
        let run = self.drain("data", &source(topic, format, input));
        assert_eq!(run.1, input.records, "records of {topic}");
    }

    /// From `topic`, which is loaded, to the objects of `path`.
    pub fn sink(&self, topic: &str, path: &str, options: &str) -> Run {
        self.drain("data", &self.sinks(topic, path, options)).0
    }

    /// From `input` over a topic of a new log to objects.
    pub fn file_to_sink(&self, input: &Input, options: &str) -> Run {
        let pipeline = source("new", "text", input) + &self.sinks("new", PATH, options);
        let run = self.drain("once", &pipeline).0;
        std::fs::remove_dir_all(self.dir.join("once")).unwrap();
        run
    }

    fn sinks(&self, topic: &str, path: &str, options: &str) -> String {
        let run = self.runs.replace(self.runs.get() + 1);
        let endpoint = &self.server.endpoint;
        format!(
            "sinks:\n  to-{run}: {{ type: s3, topics: {topic}, path: '{path}', bucket: {BUCKET}, \
             endpoint: '{endpoint}', credentials: {{ access_key: {ACCESS_KEY}, secret_key: {SECRET_KEY} }}, \
             {options} }}\n"
        )
    }

    /// Runs `pipeline` to its end; what it took, and the records of its last connector.
    fn drain(&self, data_dir: &str, pipeline: &str) -> (Run, u64) {
        std::fs::write(
            self.dir.join("pipeline.yaml"),
            format!("name: speed\n{pipeline}"),
        )
        .unwrap();
        let cpu = || stat("self")[2..].iter().sum::<f64>();
        let before = (cpu(), self.server.cpu(), Instant::now());
        let output = Command::new(&self.program)
            .args([
                "run",
                "--drain",
                "--fresh",
                "--json",
                "--data-dir",
                data_dir,
            ])
            .arg("pipeline.yaml")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let seconds = before.2.elapsed().as_secs_f64();
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(output.status.success(), "{summary}");
        let connectors = summary["data"]["connectors"].as_array().unwrap();
        let run = Run {
            seconds,
            cpu: cpu() - before.0,
            server_cpu: self.server.cpu() - before.1,
            memory: summary["data"]["memory_peak_bytes"].as_u64().unwrap(),
            stored: self.server.objects().iter().map(|(_, size)| size).sum(),
        };
        (run, connectors.last().unwrap()["records"].as_u64().unwrap())
    }
}

fn source(topic: &str, format: &str, input: &Input) -> String {
    let include = quoted(&input.path);
    format!(
        "topics:\n  {topic}: {{ format: {format} }}\n\
         sources:\n  in: {{ type: file, include: {include}, topic: {topic}, format: {format} }}\n"
    )
}

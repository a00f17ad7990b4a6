//! `towpath check`: whether pipelines are right, and what running them would do. Starts and
//! creates nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use towpath_pipeline::{Connector, Loaded, Pipeline, picture, print};
use towpath_runtime::control;
use towpath_sdk::{OnError, SourceConfig, hide_secrets, printable};

use super::client::{Client, Purpose};
use super::data::{DataArgs, Settings};
use super::failure::Failure;
use super::output::{Output, counted};
use super::pipelines::{Topics, existing, read};
use crate::registry::registry;

/// Check pipelines and show what they would do; starts and creates nothing
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Pipeline files, or folders of them
    #[arg(required = true, value_name = "PIPELINE|DIR")]
    pipelines: Vec<PathBuf>,
    /// Print the pipelines with every default filled in
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// What running the pipelines would do.
#[derive(Debug, Serialize)]
struct Checked {
    pipelines: Vec<CheckedPipeline>,
    /// Topics that do not exist yet.
    creates: Vec<NewTopic>,
    data_dir: PathBuf,
    data_dir_exists: bool,
    memory: Memory,
}

#[derive(Debug, Serialize)]
struct CheckedPipeline {
    name: String,
    file: PathBuf,
    /// Lines such as `nginx (file) -> access-logs [4] -> archive (file)`.
    picture: Vec<String>,
    connectors: Vec<CheckedConnector>,
}

#[derive(Debug, Serialize)]
struct CheckedConnector {
    name: String,
    r#type: String,
    /// What it reads from or writes to outside; relative paths go from the working directory.
    far_side: String,
    /// What is right but perhaps not meant.
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct NewTopic {
    name: String,
    partitions: u32,
    /// Absent: that of what a stream reads, which is not there yet.
    format: Option<String>,
    /// It is made when the first bad record comes.
    dead_letters: bool,
}

/// Data in flight at worst.
#[derive(Debug, Serialize)]
struct Memory {
    /// Shared by all tasks.
    limit_bytes: u64,
    /// Every task may hold one record, however large, beyond it.
    record_bytes_max: u64,
    tasks: u64,
}

/// A pipeline as it is with every default.
#[derive(Debug, Serialize)]
struct Printed {
    file: PathBuf,
    yaml: String,
}

pub fn check(args: &CheckArgs, output: Output) -> Result<(), Failure> {
    let settings = args.data.settings()?;
    let there = if settings.hold_log() {
        super::client(topics(&settings))?
    } else {
        Topics::new()
    };
    let loaded = read(&args.pipelines, &settings.worker, &there)?;
    if args.print {
        let registry = registry();
        let printed = loaded.pipelines.iter().map(|pipeline| Printed {
            file: pipeline.file.clone(),
            yaml: print(pipeline, &registry),
        });
        return output.data(&printed.collect::<Vec<_>>(), |printed| print_all(printed));
    }
    output.data(&Checked::of(&loaded, &settings, &there), Checked::render)
}

/// The topics of a data directory that exists.
async fn topics(settings: &Settings) -> Result<Topics, Failure> {
    let mut client = Client::open(settings, Purpose::Look).await?;
    let topics: Result<Vec<control::Topic>, _> = client.get("/v1/topics").await;
    client.close()?;
    let there = topics?.into_iter().map(|topic| {
        let partitions = topic.partitions.len() as u32;
        (topic.name, existing(partitions, &topic.format))
    });
    Ok(there.collect())
}

fn print_all(printed: &[Printed]) -> String {
    let documents = printed
        .iter()
        .map(|one| format!("# {}\n{}", one.file.display(), one.yaml));
    documents.collect::<Vec<_>>().join("---\n")
}

impl Checked {
    fn of(loaded: &Loaded, settings: &Settings, there: &Topics) -> Self {
        let defaults = &settings.worker.topic_defaults;
        let new = loaded
            .topics
            .values()
            .filter(|topic| !there.contains_key(&topic.name))
            .map(|topic| NewTopic {
                name: topic.name.clone(),
                partitions: topic.partitions.unwrap_or(defaults.partitions).get(),
                format: topic.format.map(|format| format.as_str().to_owned()),
                dead_letters: false,
            });
        let kept = loaded
            .pipelines
            .iter()
            .flat_map(Pipeline::connectors)
            .map(|connector| &connector.on_error)
            .filter(|on_error| on_error.action == OnError::DeadLetter)
            .map(|on_error| on_error.topic.as_str())
            .filter(|topic| !there.contains_key(*topic) && !loaded.topics.contains_key(*topic));
        let kept: BTreeSet<&str> = kept.collect();
        let dead_letters = kept.into_iter().map(|topic| NewTopic {
            name: topic.to_owned(),
            partitions: defaults.partitions.get(),
            format: Some("bytes".to_owned()),
            dead_letters: true,
        });
        let tasks = loaded.pipelines.iter().flat_map(Pipeline::connectors);
        let tasks = tasks.map(|connector| {
            if connector.enabled {
                u64::from(connector.tasks.get())
            } else {
                0
            }
        });
        Self {
            pipelines: loaded
                .pipelines
                .iter()
                .map(|pipeline| CheckedPipeline::of(loaded, pipeline, settings))
                .collect(),
            creates: new.chain(dead_letters).collect(),
            data_dir: std::path::absolute(&settings.data_dir)
                .unwrap_or_else(|_| settings.data_dir.clone()),
            data_dir_exists: settings.hold_log(),
            memory: Memory {
                limit_bytes: settings.worker.memory_limit.0,
                record_bytes_max: settings.worker.max_record.0,
                tasks: tasks.sum(),
            },
        }
    }

    fn render(&self) -> String {
        let mut out = String::new();
        for pipeline in &self.pipelines {
            out.push_str(&format!(
                "{} ({})\n",
                pipeline.name,
                pipeline.file.display()
            ));
            for line in &pipeline.picture {
                out.push_str(&format!("  {line}\n"));
            }
            for connector in &pipeline.connectors {
                let CheckedConnector {
                    name,
                    r#type,
                    far_side,
                    notes,
                } = connector;
                // Some far sides begin with the type anyway.
                let far_side = far_side
                    .strip_prefix(r#type)
                    .unwrap_or(far_side)
                    .trim_start();
                out.push_str(format!("    {name}: {type} {far_side}").trim_end());
                out.push('\n');
                for note in notes {
                    out.push_str(&format!("      note: {note}\n"));
                }
            }
        }
        for topic in &self.creates {
            let NewTopic {
                name,
                partitions,
                format,
                dead_letters,
            } = topic;
            let partitions = counted(u64::from(*partitions), "partition");
            let (what, when) = match format {
                Some(format) if *dead_letters => {
                    let when = " when the first bad record comes";
                    (format!("{format}, {partitions}"), when)
                }
                Some(format) => (format!("{format}, {partitions}"), ""),
                None => (
                    partitions,
                    " when there is something to read for its stream",
                ),
            };
            out.push_str(&format!("creates topic {name} ({what}){when}\n"));
        }
        let verb = if self.data_dir_exists {
            "uses"
        } else {
            "creates"
        };
        out.push_str(&format!(
            "{verb} data directory {}\n",
            self.data_dir.display()
        ));
        let working = std::env::current_dir().unwrap_or_default();
        out.push_str(&format!(
            "relative paths of data go from {}\n",
            working.display()
        ));
        let Memory {
            limit_bytes,
            record_bytes_max,
            tasks,
        } = self.memory;
        out.push_str(&format!(
            "data in flight takes at most {}, and one batch for each of {tasks} tasks: 1 MiB, or a \
             larger record up to {}\n",
            towpath_sdk::config::Size(limit_bytes),
            towpath_sdk::config::Size(record_bytes_max),
        ));
        out
    }
}

impl CheckedPipeline {
    fn of(loaded: &Loaded, pipeline: &Pipeline, settings: &Settings) -> Self {
        Self {
            name: pipeline.name.clone(),
            file: pipeline.file.clone(),
            picture: picture(loaded, pipeline, &settings.worker.topic_defaults),
            connectors: connectors(pipeline)
                .map(|at| CheckedConnector {
                    name: at.connector.name.clone(),
                    r#type: at.connector.type_name.clone(),
                    far_side: hide_secrets(&at.far_side),
                    notes: at.notes(),
                })
                .collect(),
        }
    }
}

/// A connector.
struct At<'a> {
    connector: &'a Connector,
    far_side: String,
    source: Option<&'a dyn SourceConfig>,
}

impl At<'_> {
    /// What those of its parts say that look at what is near.
    fn notes(&self) -> Vec<String> {
        if !self.connector.enabled {
            return Vec::new();
        }
        let source = self.source.into_iter().flat_map(SourceConfig::notes);
        let transforms = self.connector.transforms.iter();
        let transforms = transforms.flat_map(|transform| transform.config.notes());
        source
            .chain(transforms)
            .map(|note| printable(&note))
            .collect()
    }
}

/// Every connector.
fn connectors(pipeline: &Pipeline) -> impl Iterator<Item = At<'_>> {
    let sources = pipeline.sources.iter().map(|at| At {
        connector: &at.connector,
        far_side: at.config.far_side(),
        source: Some(&*at.config),
    });
    let streams = pipeline.streams.iter().map(|at| At {
        connector: &at.connector,
        far_side: String::new(),
        source: None,
    });
    let sinks = pipeline.sinks.iter().map(|at| At {
        connector: &at.connector,
        far_side: at.config.far_side(),
        source: None,
    });
    sources.chain(streams).chain(sinks)
}

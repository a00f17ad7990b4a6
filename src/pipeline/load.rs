//! Reading pipeline files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use towpath_sdk::config::{Format, Node, NodeValue, Problem, Problems, Span};
use towpath_sdk::{Registry, printable};

use crate::case::{self, CaseReader};
use crate::check::Together;
use crate::diagnostic::Sources;
use crate::document::Draft;
use crate::pipeline::{Pipeline, Topic};
use crate::reference::Resolver;
use crate::{Diagnostics, Environment, SETTINGS_FILE, TopicDefaults, document, yaml};

/// A topic that the data directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExistingTopic {
    /// How many there are; they can become more, never fewer.
    pub partitions: u32,
    /// What its values are, for ever; `None` when a later version wrote something else.
    pub format: Option<Format>,
}

/// What pipelines are checked against.
pub struct Surroundings<'a> {
    /// The connector types of this build.
    pub registry: &'a Registry,
    /// Where references look.
    pub environment: &'a dyn Environment,
    /// The topics that the data directory holds, by name.
    pub existing_topics: &'a BTreeMap<String, ExistingTopic>,
    /// What holds for topics that do not say.
    pub topic_defaults: &'a TopicDefaults,
}

/// Pipelines in which nothing is wrong.
#[derive(Debug)]
pub struct Loaded {
    /// In the order of the paths; the files of a folder by name.
    pub pipelines: Vec<Pipeline>,
    /// Every topic that is declared, or that a source writes under a constant name, by name. The
    /// format is always known.
    pub topics: BTreeMap<String, Topic>,
    /// What is probably not meant.
    pub warnings: Diagnostics,
}

/// Reads `paths`: files, and folders for the `*.yaml` and `*.yml` in them. All files are read, and
/// all problems reported at once.
pub fn load(paths: &[PathBuf], surroundings: &Surroundings<'_>) -> Result<Loaded, Diagnostics> {
    read(paths, surroundings, false)
}

/// As [`load`], with the cases that stand beside the pipelines.
pub fn load_with_cases(
    paths: &[PathBuf],
    surroundings: &Surroundings<'_>,
) -> Result<Loaded, Diagnostics> {
    read(paths, surroundings, true)
}

fn read(
    paths: &[PathBuf],
    surroundings: &Surroundings<'_>,
    cases_beside: bool,
) -> Result<Loaded, Diagnostics> {
    let mut problems = Problems::new();
    let mut sources = Sources::default();
    let mut drafts = Vec::new();
    let mut complete = true;
    for file in files(paths, &mut problems) {
        match read_tree(&file, surroundings.environment, &mut sources, &mut problems) {
            Some(tree) => {
                complete &= tree.complete;
                let source = tree.root.span.source;
                let mut draft = document::read(
                    tree.root,
                    &file,
                    surroundings.registry,
                    &sources,
                    &mut problems,
                );
                read_cases(
                    &mut draft,
                    cases_beside,
                    surroundings,
                    &mut sources,
                    &mut problems,
                );
                drafts.push(draft);
                if !tree.complete {
                    // It may stand in the part that could not be read.
                    problems.retain(|problem| !problem.missing || problem.span.source != source);
                }
            }
            None => complete = false,
        }
    }
    let mut warnings = Problems::new();
    let topics = Together {
        drafts: &drafts,
        complete,
        surroundings,
    }
    .check(&mut problems, &mut warnings);
    if !problems.is_empty() {
        return Err(Diagnostics::new(problems, sources));
    }
    let warnings = Diagnostics::new(warnings, sources);
    let pipelines = drafts.into_iter().map(|draft| draft.pipeline).collect();
    Ok(Loaded {
        pipelines,
        topics,
        warnings,
    })
}

/// Reads the cases of `draft`, those beside it too when `beside`.
fn read_cases(
    draft: &mut Draft,
    beside: bool,
    surroundings: &Surroundings<'_>,
    sources: &mut Sources,
    problems: &mut Problems,
) {
    let file = case::file_beside(&draft.pipeline.file);
    let tree = match beside && file.exists() {
        true => read_tree(&file, surroundings.environment, sources, problems),
        false => None,
    };
    let reader = CaseReader {
        registry: surroundings.registry,
        document: &draft.pipeline.document,
        reads: &draft.reads,
        sources,
    };
    let mut cases = reader.inside(problems);
    if let Some(tree) = tree {
        cases.extend(reader.beside(&tree.root, problems));
    }
    draft.pipeline.cases = cases;
}

/// The files behind `paths`, each once.
fn files(paths: &[PathBuf], problems: &mut Problems) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        let found = match path.is_dir() {
            true => folder(path, problems),
            false if case::is_beside(path) => {
                let shown = printable(&path.display().to_string());
                let message = format!("`{shown}` holds the cases of a pipeline, and is none");
                problems.push(Problem::new(Span::NONE, message).help("name the pipeline's file"));
                Vec::new()
            }
            false => vec![path.clone()],
        };
        for file in found {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    files
}

/// The `*.yaml` and `*.yml` of a folder, by name, without those that hold cases.
fn folder(path: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let shown = printable(&path.display().to_string());
    let listed = fs::read_dir(path).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut files = match listed {
        Ok(files) => files,
        Err(error) => {
            problems.add(
                Span::NONE,
                format!("cannot list the folder `{shown}`: {error}"),
            );
            return Vec::new();
        }
    };
    let is_yaml = |path: &Path| {
        path.extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
    };
    let is_worker = |path: &Path| path.file_name().is_some_and(|name| name == SETTINGS_FILE);
    files.retain(|path| is_yaml(path) && !is_worker(path) && !path.is_dir());
    files.sort();
    let (cases, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| case::is_beside(path));
    for path in cases {
        if !files.iter().any(|file| case::file_beside(file) == path) {
            let shown = printable(&path.display().to_string());
            let pipeline = shown.replace(".test.", ".");
            problems.add(
                Span::NONE,
                format!("`{shown}` holds cases, but their pipeline `{pipeline}` is not there"),
            );
        }
    }
    if files.is_empty() {
        let problem = Problem::new(
            Span::NONE,
            format!("no *.yaml or *.yml in the folder `{shown}`"),
        );
        problems.push(problem);
    }
    files
}

/// A file's tree with its references resolved.
pub(crate) struct Tree {
    pub root: Node,
    /// Whether the whole file could be read.
    pub complete: bool,
}

/// Reads `file`; `None`, and a problem, when it cannot be read.
pub(crate) fn read_tree(
    file: &Path,
    environment: &dyn Environment,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<Tree> {
    let name = file.display().to_string();
    let text = match read_text(file) {
        Ok(text) => text,
        Err(why) => {
            problems.add(
                Span::NONE,
                format!("cannot read `{}`: {why}", printable(&name)),
            );
            return None;
        }
    };
    let source = sources.add(name, text.as_str());
    let document = yaml::read(source, &text, problems);
    // An empty file says nothing wrong; what it lacks is for others to say.
    let mut root = document
        .root
        .unwrap_or(Node::new(Span::new(source, 0, 0), ()));
    if let NodeValue::Map(entries) = &mut root.value {
        // They only hold anchors.
        entries.retain(|(key, _)| !key.name.starts_with("x-"));
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    Resolver {
        folder,
        environment,
    }
    .resolve(&mut root, problems);
    Some(Tree {
        root,
        complete: document.complete,
    })
}

fn read_text(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(yaml::BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read = fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() > yaml::BYTES_MAX {
        return Err(format!("it has more than {} bytes", yaml::BYTES_MAX));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!(
            "it is not UTF-8 at byte {}",
            error.utf8_error().valid_up_to()
        )
    })
}

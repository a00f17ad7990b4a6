//! What users are told besides each connector's own options: what the names in templates stand
//! for, and the tables in the READMEs that are made from the types which read the options.

use towpath_sdk::Template;
use towpath_sdk::config::{OptionsSpec, markdown_table, text_forms};

use crate::WorkerConfig;
use crate::case::{CaseOptions, ExpectedRecord, InputRecordOptions};
use crate::connector::{KEY_NAMES, TOPIC_NAMES};
use crate::options::{PipelineOptions, TopicOptions, sink_options, source_options, stream_options};

/// A name that templates may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameInTemplates {
    /// As it is written, such as `value.PATH`.
    pub name: &'static str,
    /// What it stands for.
    pub meaning: &'static str,
    /// Which templates may use it: a source's `topic`, its `key`, a sink's `path`.
    pub places: Vec<&'static str>,
}

/// Every name of [`Template::NAMES`], explained.
pub fn template_names() -> Vec<NameInTemplates> {
    let explained = Template::NAMES.iter().map(|word| {
        let (name, meaning) = explain(word);
        let places = [
            ("topic", TOPIC_NAMES),
            ("key", KEY_NAMES),
            ("path", Template::PATH_NAMES),
        ];
        let usable = places.iter().filter(|(_, names)| names.contains(word));
        NameInTemplates {
            name,
            meaning,
            places: usable.map(|(place, _)| *place).collect(),
        }
    });
    explained.filter(|name| !name.places.is_empty()).collect()
}

/// How `word` is written, and what it stands for.
fn explain(word: &'static str) -> (&'static str, &'static str) {
    match word {
        "topic" => (word, "The record's topic."),
        "partition" => (word, "The number of its partition."),
        "offset" => (word, "Its offset in the partition."),
        "start_offset" => (word, "The first offset of the batch, file or object."),
        "end_offset" => (word, "The last offset of the batch, file or object."),
        "key" => (word, "The record's key."),
        "timestamp" => (word, "The record's time; RFC 3339 when no format is given."),
        "now" => (word, "The time now."),
        "value" => (
            "value.PATH",
            "A field of a JSON value, such as `value.user.id`.",
        ),
        "headers" => ("headers.NAME", "A header; of several of one name the last."),
        "pipeline" => (word, "The pipeline's name."),
        "connector" => (word, "The connector's name within its pipeline."),
        other => (other, ""),
    }
}

/// A table of a README, with the name by which its place there is marked.
pub struct ManualTable {
    /// The file, from the root of the repository.
    pub file: &'static str,
    /// What stands in the mark: `<!-- NAME -->`.
    pub name: &'static str,
    /// Markdown.
    pub table: String,
}

/// Every table that is not one connector's.
pub fn manual_tables() -> Vec<ManualTable> {
    const CONNECTORS: &str = "connectors/README.md";
    const PIPELINE: &str = "src/pipeline/README.md";
    let options = |file, name, spec: OptionsSpec| ManualTable {
        file,
        name,
        table: markdown_table(&spec),
    };
    vec![
        options(PIPELINE, "options: pipeline", PipelineOptions::spec()),
        options(PIPELINE, "options: topic", TopicOptions::spec()),
        options(PIPELINE, "options: case", CaseOptions::spec()),
        options(
            PIPELINE,
            "options: record of a case",
            InputRecordOptions::spec(),
        ),
        options(PIPELINE, "options: expected record", ExpectedRecord::spec()),
        options(PIPELINE, "options: towpath.yaml", WorkerConfig::spec()),
        options(CONNECTORS, "options: every source", source_options()),
        options(CONNECTORS, "options: every stream", stream_options()),
        options(CONNECTORS, "options: every sink", sink_options()),
        ManualTable {
            file: CONNECTORS,
            name: "names in templates",
            table: names_table(),
        },
        ManualTable {
            file: CONNECTORS,
            name: "forms of text",
            table: forms_table(),
        },
    ]
}

fn names_table() -> String {
    let mut out = String::from("| name | stands for | may be used in |\n|---|---|---|\n");
    for name in template_names() {
        let places: Vec<String> = name.places.iter().map(|at| format!("`{at}`")).collect();
        let (name, meaning) = (name.name, name.meaning);
        out.push_str(&format!(
            "| `{{{name}}}` | {meaning} | {} |\n",
            places.join(", ")
        ));
    }
    out
}

fn forms_table() -> String {
    let mut out = String::from("| form | such as | |\n|---|---|---|\n");
    for (form, meaning) in text_forms() {
        let meaning = meaning.replace('|', "\\|");
        out.push_str(&format!(
            "| {} | `{}` | {meaning} |\n",
            form.name, form.example
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_templates_is_explained() {
        for word in Template::NAMES {
            let (name, meaning) = explain(word);
            assert!(name.starts_with(word) && meaning.ends_with('.'), "{word}");
        }
        let names = template_names();
        assert!(names.iter().any(|name| name.name == "value.PATH"));
        // A whole batch is known to no template of this version.
        assert!(!names.iter().any(|name| name.name == "end_offset"));
    }
}

//! PostgreSQL: the real program against a server of the test's own.

mod changes;
mod kills;
mod refusals;

use std::collections::BTreeMap;

use serde_json::Value;
use towpath_rig::Cluster;

use crate::harness::{Workdir, skip};

/// A server with a database `shop`; `None`, and said, where there is no PostgreSQL.
pub fn cluster(test: &str, settings: &str) -> Option<Cluster> {
    let cluster = Cluster::start(settings);
    match &cluster {
        Some(cluster) => {
            cluster.sql("postgres", "CREATE DATABASE shop");
        }
        None => skip(test, "no PostgreSQL is installed: apt install postgresql"),
    }
    cluster
}

/// A workdir with a pipeline that captures `tables` of `shop` into `out/TABLE.jsonl`; `more` are
/// further options of the source.
pub fn capture(cluster: &Cluster, tables: &[&str], more: &str) -> Workdir {
    let workdir = Workdir::new();
    let topics: Vec<_> = tables.iter().map(|table| format!("shop.{table}")).collect();
    let declared: String = topics
        .iter()
        .map(|topic| format!("  {topic}: {{ format: json }}\n"))
        .collect();
    let pipeline = format!(
        "topics:\n{declared}sources:\n  pg:\n    type: postgres\n    url: {}\n    tables: [{}]\n    \
         topic: 'shop.{{table}}'\n    retry: {{ first: 20ms, max: 100ms }}\n{more}\nsinks:\n  out:\n    \
         type: file\n    topics: [{}]\n    path: 'out/{{topic}}.jsonl'\n    format: json\n    \
         fields: [key, value, headers]\n",
        cluster.url("shop"),
        tables.join(", "),
        topics.join(", "),
    );
    workdir.write("cdc.yaml", pipeline);
    workdir
}

/// A record of a captured table.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    pub key: Value,
    pub value: Value,
    pub headers: BTreeMap<String, String>,
}

impl Captured {
    /// What happened to the row.
    pub fn operation(&self) -> &str {
        &self.headers["__op"]
    }
}

/// What was captured of `table`, in order.
pub fn captured(workdir: &Workdir, table: &str) -> Vec<Captured> {
    let lines = workdir.read(&format!("out/shop.{table}.jsonl"));
    let lines = String::from_utf8(lines).unwrap();
    let parse = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let headers = line["headers"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Captured {
            // A key is text, which here is JSON.
            key: line["key"]
                .as_str()
                .map_or(Value::Null, |key| serde_json::from_str(key).unwrap()),
            value: line["value"].clone(),
            headers: headers
                .map(|one| (text(&one["key"]), text(&one["value"])))
                .collect(),
        }
    };
    lines.lines().map(parse).collect()
}

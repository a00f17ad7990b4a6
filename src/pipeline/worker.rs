//! `towpath.yaml`: the worker's own settings.

use std::net::SocketAddr;
use std::path::Path;

use towpath_sdk::config::{
    Duration, Form, Kind, Node, NodeValue, OptionType, Problem, Problems, Size, Span,
};
use towpath_sdk::{choice, options};

use crate::diagnostic::Sources;
use crate::options::{Partitions, Retention, without};
use crate::{Diagnostics, Environment, load};

/// The file that holds them in the working directory; in a folder of pipelines it is none.
pub const SETTINGS_FILE: &str = "towpath.yaml";

/// What a worker may say one day.
const LATER: &[(&str, &str)] = &[
    ("disk_limit", "`disk_limit`"),
    ("api", "`api`"),
    ("log", "`log`"),
    ("files", "`files`"),
    ("egress", "`egress`"),
];
const LATER_ADMIN: &[(&str, &str)] = &[("token", "`admin.token`"), ("tls", "`admin.tls`")];

options! {
    /// The worker's own settings.
    pub struct WorkerConfig {
        /// Where everything is kept.
        pub data_dir: String = "./towpath-data",
        /// When a commit counts as durable.
        pub durability: Durability = "fsync",
        /// For data in flight; beyond it each task may hold one batch.
        pub memory_limit: Size = "256MiB",
        /// A larger record is a bad one.
        pub max_record: Size = "16MiB",
        /// The admin port.
        pub admin: AdminConfig = {},
        /// How long a sink that is no longer configured keeps its records from being deleted.
        pub orphan_retention: Duration = "7d",
        /// What is logged, on stderr.
        pub logging: LoggingConfig = {},
        /// What holds for topics that do not say.
        pub topic_defaults: TopicDefaults = {},
    }

    /// The admin port.
    pub struct AdminConfig {
        /// Address and port; a loopback address.
        pub listen: Listen = "127.0.0.1:8083",
    }

    /// What is logged.
    pub struct LoggingConfig {
        /// The least important that is logged.
        pub level: LogLevel = "info",
        /// How a line looks.
        pub format: LogFormat = "text",
    }

    /// What holds for topics that do not say.
    pub struct TopicDefaults {
        /// How many partitions.
        pub partitions: Partitions = 1,
        /// How long records are kept.
        pub retention: Retention = {},
    }
}

choice! {
    /// When a commit counts as durable.
    pub enum Durability {
        /// When it is on the disk.
        Fsync = "fsync",
        /// When the operating system has it: survives a kill, not a power cut.
        Os = "os",
    }

    /// How important a log line is.
    pub enum LogLevel {
        /// Failures that need a person.
        Error = "error",
        /// What may need one.
        Warn = "warn",
        /// What happens.
        Info = "info",
        /// How it happens.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }

    /// How a log line looks.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// For programs.
        Json = "json",
    }
}

/// A loopback address with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl OptionType for Listen {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "address:port",
            pattern: None,
            example: "127.0.0.1:8083",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::parse(node, problems)?;
        let Ok(address) = text.parse::<SocketAddr>() else {
            let message = format!("expected address and port, found {}", node.found());
            problems.push(Problem::new(node.span, message).help("such as 127.0.0.1:8083"));
            return None;
        };
        if !address.ip().is_loopback() {
            let problem = Problem::not_yet(node.span, "listening on other addresses than loopback");
            problems
                .push(problem.help(
                    "it needs a token or TLS, which a later version brings; write 127.0.0.1",
                ));
            return None;
        }
        Some(Self(address))
    }
}

impl WorkerConfig {
    /// Reads the tree of a `towpath.yaml`.
    fn read(root: &Node, problems: &mut Problems) -> Option<Self> {
        let mut root = without(root, LATER, problems);
        if let NodeValue::Map(entries) = &mut root.value {
            for (key, node) in entries {
                if key.name == "admin" {
                    *node = without(node, LATER_ADMIN, problems);
                }
            }
        }
        let config = Self::parse(&root, problems)?;
        if config.max_record > config.memory_limit {
            let message = format!(
                "`max_record` is larger than `memory_limit`, which is {}",
                config.memory_limit
            );
            problems.add(root.span_of("max_record"), message);
        }
        Some(config)
    }
}

/// Reads `path`; without one, every default holds.
pub fn load_worker_config(
    path: Option<&Path>,
    environment: &dyn Environment,
) -> Result<WorkerConfig, Diagnostics> {
    let mut problems = Problems::new();
    let mut sources = Sources::default();
    let empty = load::Tree {
        root: Node::new(Span::NONE, ()),
        complete: true,
    };
    let tree = match path {
        None => Some(empty),
        Some(path) => load::read_tree(path, environment, &mut sources, &mut problems),
    };
    let config = tree.and_then(|tree| WorkerConfig::read(&tree.root, &mut problems));
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(Diagnostics::new(problems, sources)),
    }
}

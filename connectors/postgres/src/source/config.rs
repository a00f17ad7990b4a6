//! The options of the Postgres source.

use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use towpath_sdk::config::{
    Form, Format, InputFormat, Kind, Node, OneOrMany, OptionType, OptionsSpec, Problem, Problems,
    Secret,
};
use towpath_sdk::{Source, SourceConfig, choice, options};

use super::PostgresSource;
use crate::wire::{Address, Parts, SslMode};

options! {
    /// Captures the changes of tables.
    pub struct PostgresSourceOptions {
        /// The server and database, such as `postgres://user:password@host:5432/database`; what
        /// the other options say comes before it.
        pub url: Option<Secret>,
        /// Its name or address, or the folder of its socket (default `localhost`).
        pub host: Option<String>,
        /// Its port (default 5432).
        pub port: Option<u32>,
        /// Who logs in; needs the right to replicate.
        pub user: Option<String>,
        /// Of the user.
        pub password: Option<Secret>,
        /// The database (default: as the user is called).
        pub database: Option<String>,
        /// Whether the connection is encrypted (default `prefer`).
        pub sslmode: Option<SslMode>,
        /// A file with the certificates of the authorities, in place of the machine's.
        pub sslrootcert: Option<String>,
        /// The tables, as globs of `schema.table`; one without a point is of `public`.
        pub tables: OneOrMany<TableGlob>,
        /// Tables to leave out.
        pub exclude: OneOrMany<TableGlob> = [],
        /// The replication slot; default: made from log and connector.
        pub slot: Option<String>,
        /// The publication; default: as the slot.
        pub publication: Option<String>,
        /// Whether slot and publication are made and kept as needed.
        pub manage: bool = true,
        /// Whether the rows that are there are read first.
        pub snapshot: Snapshot = "initial",
        /// Rows read at a time.
        pub snapshot_chunk_rows: u32 = 20_000,
        /// Chunks read side by side.
        pub snapshot_tasks: u32 = 2,
    }
}

choice! {
    /// Whether the rows that are there are read first.
    pub enum Snapshot {
        /// Of each table once, also of one that is added later.
        Initial = "initial",
        /// Only changes from the first start on.
        Never = "never",
        /// And nothing else: it is done then.
        Only = "only",
    }
}

/// More do not make it faster, and each takes a connection of the server's.
const SNAPSHOT_TASKS_MAX: u32 = 16;

/// A glob of `schema.table`.
#[derive(Debug, Clone)]
pub struct TableGlob {
    text: String,
    matcher: GlobMatcher,
}

impl TableGlob {
    /// Whether it means the table with this full name.
    pub fn matches(&self, full_name: &str) -> bool {
        self.matcher.is_match(full_name)
    }

    /// Whether it means one table only, and has to be there.
    pub fn as_name(&self) -> Option<&str> {
        (!self.text.contains(['*', '?', '[', '{'])).then_some(&self.text)
    }
}

impl PartialEq for TableGlob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl OptionType for TableGlob {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "table glob",
            pattern: None,
            example: "public.orders_*",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::parse(node, problems)?;
        let text = match text.contains('.') {
            true => text,
            false => format!("public.{text}"),
        };
        match GlobBuilder::new(&text).build() {
            Ok(glob) => Some(Self {
                matcher: glob.compile_matcher(),
                text,
            }),
            Err(error) => {
                problems.add(node.span, format!("not a glob: {}", error.kind()));
                None
            }
        }
    }
}

/// The checked options.
#[derive(Debug, Clone)]
pub struct PostgresSourceConfig {
    options: Arc<PostgresSourceOptions>,
    address: Address,
}

impl PostgresSourceConfig {
    pub fn spec() -> OptionsSpec {
        PostgresSourceOptions::spec()
    }

    /// Reads the options and checks what no single one can tell.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SourceConfig>> {
        let options = PostgresSourceOptions::parse(node, problems)?;
        let before = problems.len();
        let address = options.address(node, problems);
        if options.tables.is_empty() {
            problems.add(node.span_of("tables"), "no table is captured");
        }
        if options.snapshot_chunk_rows == 0 {
            problems.add(node.span_of("snapshot_chunk_rows"), "expected 1 or more");
        }
        if !(1..=SNAPSHOT_TASKS_MAX).contains(&options.snapshot_tasks) {
            let message = format!("expected 1 to {SNAPSHOT_TASKS_MAX}");
            problems.add(node.span_of("snapshot_tasks"), message);
        }
        if options
            .slot
            .as_deref()
            .is_some_and(|slot| !is_slot_name(slot))
        {
            let problem = Problem::new(node.span_of("slot"), "no name of a replication slot");
            problems.push(problem.help("use up to 63 of a-z, 0-9 and _"));
        }
        if !options.manage && (options.slot.is_none() || options.publication.is_none()) {
            let problem = Problem::new(node.span_of("manage"), "nobody makes slot and publication");
            problems.push(problem.help("name both by `slot` and `publication`"));
        }
        let address = address?;
        (problems.len() == before).then(|| {
            Arc::new(Self {
                options: Arc::new(options),
                address,
            }) as Arc<dyn SourceConfig>
        })
    }
}

/// A name the server takes for a slot.
fn is_slot_name(name: &str) -> bool {
    let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=63).contains(&name.len()) && name.bytes().all(legal)
}

impl PostgresSourceOptions {
    fn address(&self, node: &Node, problems: &mut Problems) -> Option<Address> {
        let parts = match &self.url {
            None => Parts::default(),
            Some(url) => match Parts::of_url(url.reveal()) {
                Ok(parts) => parts,
                Err(told) => {
                    problems.add(node.span_of("url"), told);
                    return None;
                }
            },
        };
        let port = self.port.map(u16::try_from).transpose();
        let Ok(port) = port else {
            problems.add(node.span_of("port"), "expected 0 to 65535");
            return None;
        };
        let parts = Parts {
            host: self.host.clone().or(parts.host),
            port: port.or(parts.port),
            user: self.user.clone().or(parts.user),
            password: self.password.clone().or(parts.password),
            database: self.database.clone().or(parts.database),
            ssl_mode: self.sslmode.or(parts.ssl_mode),
            ssl_root_cert: self
                .sslrootcert
                .clone()
                .map(Into::into)
                .or(parts.ssl_root_cert),
        };
        match parts.address() {
            Ok(address) => Some(address),
            Err(told) => {
                let problem = Problem::new(node.span, told);
                problems.push(problem.help("set `url`, or `host`, `user` and `database`"));
                None
            }
        }
    }

    /// Whether the table with this full name is captured.
    pub fn captures(&self, full_name: &str) -> bool {
        let any = |globs: &[TableGlob]| globs.iter().any(|glob| glob.matches(full_name));
        any(&self.tables) && !any(&self.exclude)
    }
}

impl SourceConfig for PostgresSourceConfig {
    fn far_side(&self) -> String {
        let tables: Vec<_> = self.options.tables.iter().map(|glob| &*glob.text).collect();
        format!("postgres {}, {}", self.address, tables.join(" "))
    }

    fn has_end(&self) -> bool {
        true
    }

    fn format(&self) -> InputFormat {
        Format::Json.into()
    }

    fn knows_types(&self) -> bool {
        true
    }

    fn tasks_max(&self) -> u32 {
        1
    }

    fn source(&self) -> Box<dyn Source> {
        Box::new(PostgresSource::new(
            self.options.clone(),
            self.address.clone(),
        ))
    }
}

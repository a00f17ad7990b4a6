//! Which keys of a bucket are read.
//!
//! What is done is known by floors (`done.rs`): they say of every key that was *selected* that it is
//! done. So a source may go on with a selection that is narrower than the one it had; with another
//! one it would take for done what it has never read, and refuses.

use std::fmt;

use bytes::Bytes;
use globset::{GlobBuilder, GlobMatcher};
use towpath_sdk::config::{Form, Kind, Node, OptionType, Problem, Problems};
use towpath_sdk::{Error, Result};

use super::config::{After, S3SourceOptions};

/// How a line of words begins that leaves keys out.
const EXCLUDE: &str = "exclude";

/// A pattern for keys: `*` and `?` within a part, `[ab]`, `{a,b}`, and `**` for any parts.
#[derive(Debug, Clone)]
pub struct KeyGlob {
    text: String,
    matcher: GlobMatcher,
}

impl KeyGlob {
    /// The error says in one line what is wrong.
    pub fn new(text: &str) -> Result<Self, String> {
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(true)
            .build();
        Ok(Self {
            text: text.to_owned(),
            matcher: glob
                .map_err(|error| error.kind().to_string())?
                .compile_matcher(),
        })
    }

    fn excludes(&self, key: &str) -> bool {
        let name = key.rsplit('/').next().unwrap_or(key);
        match self.text.contains('/') {
            true => self.matcher.is_match(key),
            false => self.matcher.is_match(name),
        }
    }
}

impl PartialEq for KeyGlob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl OptionType for KeyGlob {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "glob",
            pattern: None,
            example: "logs/**/*.json.gz",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::parse(node, problems)?;
        Self::new(&text)
            .map_err(|why| problems.push(Problem::new(node.span, format!("not a glob: {why}"))))
            .ok()
    }
}

/// The keys that are read.
#[derive(Debug, Clone)]
pub struct Selection {
    bucket: String,
    prefix: String,
    include: Vec<KeyGlob>,
    exclude: Vec<KeyGlob>,
    /// What begins with this is left out: read objects are moved there.
    moved_to: Option<String>,
}

impl Selection {
    /// What `options` say.
    pub fn new(options: &S3SourceOptions) -> Self {
        Self {
            bucket: options.bucket.clone(),
            prefix: options.prefix.clone(),
            include: options.include.to_vec(),
            exclude: options.exclude.to_vec(),
            moved_to: match &options.after {
                After::Move(to) => Some(to.clone()),
                After::Keep | After::Delete | After::Tag => None,
            },
        }
    }

    /// What all keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether `key` is read. What ends with `/` is a folder that some tool has made.
    pub fn selects(&self, key: &str) -> bool {
        let is_moved = |to: &String| key.starts_with(to);
        key.starts_with(&self.prefix)
            && !key.ends_with('/')
            && !self.moved_to.as_ref().is_some_and(is_moved)
            && self.include.iter().any(|glob| glob.matcher.is_match(key))
            && !self.exclude.iter().any(|glob| glob.excludes(key))
    }

    /// Line by line, what is left out last: what is kept to compare with.
    fn words(&self) -> Vec<String> {
        let line = |word: &str, text: &str| format!("{word} {text:?}");
        let bucket = [line("bucket", &self.bucket), line("prefix", &self.prefix)];
        let include = self.include.iter().map(|glob| line("include", &glob.text));
        let exclude = self.exclude.iter().map(|glob| line(EXCLUDE, &glob.text));
        let moved = self
            .moved_to
            .iter()
            .map(|to| line(EXCLUDE, &format!("{to}**")));
        bucket
            .into_iter()
            .chain(include)
            .chain(exclude)
            .chain(moved)
            .collect()
    }

    /// What is kept of it.
    pub fn encode(&self) -> Bytes {
        Bytes::from(self.words().join("\n"))
    }

    /// Whether a source that had the selection `before` may go on with this one.
    ///
    /// # Errors
    /// Configuration, when it may not.
    pub fn follows(&self, before: &[u8]) -> Result<()> {
        let before = String::from_utf8_lossy(before);
        let before: Vec<&str> = before.lines().collect();
        let now = self.words();
        let is_excluded = |line: &&str| line.starts_with(EXCLUDE);
        let (excluded, selected): (Vec<&str>, Vec<&str>) =
            before.iter().copied().partition(is_excluded);
        let selects = now
            .iter()
            .map(|line| &**line)
            .filter(|line| !is_excluded(line));
        if selects.eq(selected)
            && excluded
                .iter()
                .all(|line| now.iter().any(|now| now == line))
        {
            return Ok(());
        }
        let (before, now) = (before.join(", "), now.join(", "));
        Err(Error::configuration("go on with", "other keys")
            .because(format!("it has read {before}, and is to read {now}"))
            .remedy(
                "exclude more, but leave the rest as it was; read other keys with another source",
            ))
    }
}

/// Without the bucket.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words()[1..].join(", "))
    }
}

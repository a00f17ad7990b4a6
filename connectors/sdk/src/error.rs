//! The one error of connectors and the runtime.
//!
//! An [`Error`] says what was being done, with what, why it failed and what to do about it; its
//! [`ErrorKind`] decides what the runtime does next. Displayed, it is one line with the whole
//! chain of causes, safe to print on a terminal.

use std::fmt;

/// What kind of failure it is, and so what the runtime does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// May pass by itself (far side down, disk full): the task is opened anew, with backoff, for
    /// as long as it takes.
    Transient,
    /// One record is bad: it goes to `on_error`.
    Record,
    /// The pipeline or its surroundings must be changed by a person: the task is parked as FAILED.
    Configuration,
    /// Going on could lose or double records: the task is parked as FAILED.
    Fatal,
}

impl ErrorKind {
    /// The word shown in `status` and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Record => "record",
            Self::Configuration => "configuration",
            Self::Fatal => "fatal",
        }
    }
}

/// A failure: its kind, what was being done, with what, why, and what to do.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    doing: String,
    with: String,
    remedy: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The outcome of whatever a connector does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `doing` is a verb phrase that follows "cannot", such as `read`; `with` names the object
    /// (a path, a table, an offset), and may be empty.
    pub fn new(kind: ErrorKind, doing: impl Into<String>, with: impl fmt::Display) -> Self {
        Self {
            kind,
            doing: doing.into(),
            with: with.to_string(),
            remedy: None,
            source: None,
        }
    }

    /// [`ErrorKind::Transient`].
    pub fn transient(doing: impl Into<String>, with: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Transient, doing, with)
    }

    /// [`ErrorKind::Record`].
    pub fn record(doing: impl Into<String>, with: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Record, doing, with)
    }

    /// [`ErrorKind::Configuration`].
    pub fn configuration(doing: impl Into<String>, with: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Configuration, doing, with)
    }

    /// [`ErrorKind::Fatal`].
    pub fn fatal(doing: impl Into<String>, with: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Fatal, doing, with)
    }

    /// Adds the cause: an error of a library, or words.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// Adds what a person can do about it, as an imperative without a full stop; behind what was
    /// added before.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        let remedy = remedy.into();
        self.remedy = Some(match self.remedy {
            Some(first) => format!("{first}; {remedy}"),
            None => remedy,
        });
        self
    }

    /// What the runtime does with it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = format!("cannot {}", self.doing);
        if !self.with.is_empty() {
            line.push(' ');
            line.push_str(&self.with);
        }
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors repeat their cause in their own text.
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            // Our own errors print their chain themselves.
            cause = if error.is::<Self>() {
                None
            } else {
                error.source()
            };
        }
        if let Some(remedy) = &self.remedy {
            line.push_str("; ");
            line.push_str(remedy);
        }
        f.write_str(&printable(&line))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// `text` in one line, without secrets, and without control or direction-changing characters, which are escaped: data
/// from outside ends up in messages, and messages end up on terminals.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in crate::hide_secrets(text).chars() {
        let hidden = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || hidden {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

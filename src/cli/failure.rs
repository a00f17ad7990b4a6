//! Why a command could not do its work, and the exit code that says so.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

use towpath_log::{LogError, LogErrorKind};
use towpath_pipeline::Diagnostics;
use towpath_sdk::{Error, ErrorKind};

use super::output::counted;
use crate::http::ErrorBody;

/// What the exit code tells; 0 is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// A connector or an operation failed.
    Failed = 1,
    /// Arguments or a pipeline are wrong: nothing was started.
    Input = 2,
    /// The surroundings do not fit: a locked directory, a port that is taken.
    Environment = 3,
}

/// An error that ends a command.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub body: ErrorBody,
    /// What people are shown in place of the message: diagnostics, with the lines they are about.
    pub text: Option<String>,
    /// The reader of our output is gone: there is nobody to tell.
    pub unheard: bool,
    /// Another process holds the data directory, perhaps only for a moment.
    pub held: bool,
}

impl Failure {
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, ErrorBody::new("fatal", message))
    }

    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Exit::Input, ErrorBody::new("configuration", message))
    }

    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Exit::Environment, ErrorBody::new("environment", message))
    }

    /// What a worker, or the same code in this process, answered.
    pub fn answered(body: ErrorBody) -> Self {
        let exit = match body.kind.as_str() {
            "configuration" | "record" => Exit::Input,
            "environment" => Exit::Environment,
            _ => Exit::Failed,
        };
        Self::new(exit, body)
    }

    /// The log of `dir` could not be opened.
    pub fn log(dir: &Path, error: &LogError) -> Self {
        match error.kind() {
            LogErrorKind::Locked { pid } => Self::held(dir, pid.as_ref()),
            LogErrorKind::Damaged => Self::failed(format!("{error}; see `towpath log verify`")),
            LogErrorKind::Transient | LogErrorKind::Io => Self::environment(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }

    /// Another process holds the log of `dir`.
    pub fn held(dir: &Path, pid: Option<impl Display>) -> Self {
        let holder = pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
        let failure = Self::environment(format!(
            "cannot open the data directory {}: {holder} holds it; stop that one, or choose \
             another with --data-dir",
            dir.display()
        ));
        Self {
            held: true,
            ..failure
        }
    }

    /// Wrong files: all problems at once.
    pub fn diagnostics(diagnostics: &Diagnostics, colour: bool) -> Self {
        let problems = counted(diagnostics.len() as u64, "problem");
        let mut body = ErrorBody::new("configuration", format!("{problems} found"));
        body.problems = diagnostics.to_json();
        let text = Some(diagnostics.render(colour));
        Self {
            text,
            ..Self::new(Exit::Input, body)
        }
    }

    /// Output could not be written.
    pub fn output(error: &std::io::Error) -> Self {
        let failure = Self::environment(format!("cannot write to stdout: {error}"));
        Self {
            unheard: error.kind() == std::io::ErrorKind::BrokenPipe,
            ..failure
        }
    }

    fn new(exit: Exit, body: ErrorBody) -> Self {
        Self {
            exit,
            body,
            text: None,
            unheard: false,
            held: false,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Configuration | ErrorKind::Record => Exit::Input,
            ErrorKind::Transient | ErrorKind::Fatal => Exit::Failed,
        };
        Self::new(exit, ErrorBody::from(&error))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

//! What a server says against a statement, and what kind of failure that is.

use std::fmt;

use towpath_sdk::{Error, ErrorKind};

/// An ErrorResponse (PostgreSQL manual, "Error and Notice Message Fields").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// The SQLSTATE: five characters.
    pub code: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl ServerError {
    /// Reads the fields of one; what is not understood is left out.
    pub fn parse(body: &[u8]) -> Self {
        let mut error = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else {
                break;
            };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                _ => {}
            }
        }
        error
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        for more in [&self.detail, &self.hint].into_iter().flatten() {
            write!(f, "; {more}")?;
        }
        write!(f, " (SQLSTATE {})", self.code)
    }
}

impl std::error::Error for ServerError {}

/// `error` as the outcome of `doing` at `place`, with what to do where that is known.
pub fn classed(error: ServerError, doing: &str, place: &str) -> Error {
    use ErrorKind::{Configuration, Transient};
    let (kind, remedy) = match error.code.as_str() {
        "28P01" => (Configuration, Some("mend `password`")),
        "28000" if error.message.contains("no pg_hba.conf entry") => (
            Configuration,
            Some("allow this host, user and database in the server's pg_hba.conf"),
        ),
        "28000" => (
            Configuration,
            Some("mend `user`, or give it the right to log in"),
        ),
        "3D000" => (Configuration, Some("mend `database`")),
        "42501" if error.message.contains("replication") => (
            Configuration,
            Some("let the user replicate: ALTER ROLE ... REPLICATION"),
        ),
        "42501" => (Configuration, Some("give the user this right")),
        // The slot is still held by a session that is going to end.
        "55006" => (Transient, None),
        code if is_passing(code) => (Transient, None),
        _ => (Configuration, None),
    };
    let told = Error::new(kind, doing, place).because(error);
    match remedy {
        Some(remedy) => told.remedy(remedy),
        None => told,
    }
}

/// Whether what a SQLSTATE stands for may pass by itself: the connection, resources, other
/// transactions, an operator who stops the server, a system error.
fn is_passing(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58" | "XX")) || code == "55P03"
}

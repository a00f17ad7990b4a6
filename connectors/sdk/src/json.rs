//! JSON as Towpath holds it: text that is checked, looked into, changed in places, and copied
//! everywhere else. A number keeps every digit it came with.

mod document;
mod scan;
mod string;
#[cfg(test)]
mod tests;
mod write;

pub use document::{Documents, Kind, NodeId, Span};
pub use scan::{Fault, Scanner};
pub use string::{put_string, string_text};
pub use write::{put_base64, put_on_one_line};

/// Checks that `bytes` is one JSON text (RFC 8259) in UTF-8, at most 128 deep, whose strings are
/// Unicode (no half surrogate pairs).
///
/// # Errors
/// The first fault.
pub fn validate(bytes: &[u8]) -> Result<(), Fault> {
    utf8(bytes)?;
    let mut scanner = Scanner::new(bytes);
    scanner.value()?;
    scanner.end()
}

fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| Fault {
        at: error.valid_up_to(),
        what: "invalid UTF-8",
    })
}

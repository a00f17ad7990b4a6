//! The conformance kit.

/// A source that the kit can put through its paces.
pub trait SourceSubject {}

/// Puts a source through the kit.
pub fn check_source(_: &dyn SourceSubject) {}

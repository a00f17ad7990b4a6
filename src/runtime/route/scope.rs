//! What the templates of a source or stream see.

use std::borrow::Cow;

use towpath_sdk::{Fill, Origin, RecordScope, Scope, TemplateName};

/// What `topic` and `key` templates of a source see.
#[derive(Clone, Copy)]
pub(crate) struct SourceScope<'a> {
    pub origin: &'a Origin,
    /// Once it is known: for the key. For the `topic` of a stream, the one it reads.
    pub topic: Option<&'a str>,
    pub record: RecordScope<'a>,
}

impl Scope for SourceScope<'_> {
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>> {
        match name {
            TemplateName::Topic => Some(Fill::Text(Cow::Borrowed(self.topic?))),
            TemplateName::Extra(name) => {
                let mut fields = self.origin.fields.iter();
                let (_, value) = fields.find(|(field, _)| *field == **name)?;
                Some(Fill::Bytes(Cow::Borrowed(value)))
            }
            _ => self.record.lookup(name),
        }
    }
}

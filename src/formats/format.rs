//! The formats that connectors read and write: more than the three a topic's values can have.

use towpath_sdk::config::Format;

use crate::csv::Csv;

/// What a source reads.
#[derive(Debug, Clone)]
pub enum InputFormat {
    /// Text, one record a payload.
    Text,
    /// Bytes, one record a payload.
    Bytes,
    /// JSON, one record a payload.
    Json,
    /// A JSON list a payload, one record an item.
    JsonArray,
    /// CSV.
    Csv(Csv),
    /// logfmt, one record a payload.
    Logfmt {
        /// As in [`crate::Logfmt::new`].
        lenient: bool,
    },
    /// syslog, one message a payload.
    Syslog {
        /// As in [`crate::Syslog::new`].
        lenient: bool,
    },
    /// Avro object container files, one file a payload.
    Avro,
}

impl InputFormat {
    /// What the values are in the topic.
    pub fn topic_format(&self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::Bytes => Format::Bytes,
            _ => Format::Json,
        }
    }
}

impl From<Format> for InputFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Bytes => Self::Bytes,
            Format::Json => Self::Json,
        }
    }
}

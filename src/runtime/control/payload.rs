//! Bytes of records in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use towpath_sdk::{Error, Result};

/// Bytes in JSON: a text where they are UTF-8, else base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Payload {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Binary {
        /// With padding.
        base64: String,
    },
}

impl Payload {
    /// Text where `bytes` are UTF-8.
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary {
                base64: BASE64.encode(bytes),
            },
        }
    }

    /// The bytes themselves; a configuration error when it is no base64.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Binary { base64 } => BASE64.decode(base64).map_err(|error| {
                Error::configuration("read", "base64 of a record").because(error.to_string())
            }),
        }
    }
}

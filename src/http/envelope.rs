//! The one shape of every answer, over HTTP and of `--json`: `{"ok":true,"data":...}` or
//! `{"ok":false,"error":{"kind":...,"message":...}}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use towpath_sdk::{Error, ErrorKind};

/// An answer: data or an error, never both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none", default = "absent")]
    pub data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorBody>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// `configuration`, `record`, `transient`, `fatal` or `environment`.
    pub kind: String,
    /// One line with the whole chain of causes and what to do.
    pub message: String,
    /// Problems of a pipeline, each with file, line and column.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub problems: Vec<serde_json::Value>,
}

fn absent<T>() -> Option<T> {
    None
}

impl<T> Envelope<T> {
    pub fn data(data: T) -> Self {
        Self {
            ok: true,
            data: Some(data),
            error: None,
        }
    }
}

impl Envelope<()> {
    pub fn error(error: ErrorBody) -> Self {
        Self {
            ok: false,
            data: None,
            error: Some(error),
        }
    }
}

impl ErrorBody {
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.into(),
            problems: Vec::new(),
        }
    }
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        Self::new(error.kind().as_str(), error.to_string())
    }
}

/// What a handler returns.
pub struct Answer<T>(pub Result<T, Error>);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match self.0 {
            Ok(data) => Json(Envelope::data(data)).into_response(),
            Err(error) => {
                let status = match error.kind() {
                    ErrorKind::Configuration | ErrorKind::Record => StatusCode::BAD_REQUEST,
                    ErrorKind::Transient => StatusCode::SERVICE_UNAVAILABLE,
                    ErrorKind::Fatal => StatusCode::INTERNAL_SERVER_ERROR,
                };
                (status, Json(Envelope::error(ErrorBody::from(&error)))).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_errors_have_the_documented_shape() {
        let data = serde_json::to_string(&Envelope::data(7)).expect("serializes");
        assert_eq!(data, r#"{"ok":true,"data":7}"#);
        let error = Envelope::error(ErrorBody::new("configuration", "cannot"));
        let error = serde_json::to_string(&error).expect("serializes");
        let expected = r#"{"ok":false,"error":{"kind":"configuration","message":"cannot"}}"#;
        assert_eq!(error, expected);
        let back: Envelope<u32> = serde_json::from_str(&error).expect("parses");
        assert_eq!(back.data, None);
    }
}

//! What a failed call means: which kind of error it is, and what to do about it.
//!
//! | answer | kind |
//! |---|---|
//! | throttling, 5xx, an error in a 200, a time-out, a broken connection, 408, 409, 429 | transient |
//! | credentials that cannot be fetched now, or that expired and are renewed by the machine | transient |
//! | anything else: no such bucket, no right, another region, a wrong key, a skewed clock | configuration |

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use towpath_sdk::{Error, ErrorKind};

use super::Client;

/// A call as messages name it.
pub(super) struct Call {
    /// The name of the API.
    pub name: &'static str,
    /// What was being done: a verb phrase before the object's name.
    pub doing: &'static str,
    /// What the credentials must be allowed to do.
    pub right: &'static str,
}

/// A call that failed.
#[derive(Debug)]
pub struct Failure {
    /// The code of the store's answer, such as `NoSuchKey`, if there was an answer with one.
    pub code: Option<String>,
    /// What is told.
    pub error: Error,
}

impl Failure {
    /// Whether the answer was `code`.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Codes of answers that may be others next time; besides those of status 5xx, 408, 409 and 429.
const PASSING: &[&str] = &[
    "InternalError",
    "SlowDown",
    "ServiceUnavailable",
    "RequestTimeout",
    "RequestTimeoutException",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "OperationAborted",
    "ConditionalRequestConflict",
    "NoSuchUpload",
];

impl Client {
    /// What the failure of `call` on `key` means.
    pub(super) fn failure<E>(
        &self,
        call: &Call,
        key: &str,
        failed: SdkError<E, HttpResponse>,
    ) -> Failure
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let Some(answer) = Answer::of(&failed) else {
            return self.unanswered(call, key, failed);
        };
        let (kind, remedy) = self.class(call, &answer);
        let mut error = Error::new(kind, call.doing, self.name(key)).because(answer.told(call));
        if let Some(remedy) = remedy {
            error = error.remedy(remedy);
        }
        Failure {
            code: Some(answer.code),
            error,
        }
    }

    /// A call that got no answer, or none that can be read.
    fn unanswered<E>(&self, call: &Call, key: &str, failed: SdkError<E, HttpResponse>) -> Failure
    where
        E: StdError + Send + Sync + 'static,
    {
        let made = !matches!(failed, SdkError::ConstructionFailure(_));
        let cause = failed.into_source().unwrap_or_else(Into::into);
        let credentials = credentials_error(&*cause);
        // Who does not answer must be known, and the cause does not say it.
        let place = match &self.endpoint {
            Some(endpoint) => format!("{} at {endpoint}", self.name(key)),
            None => self.name(key),
        };
        let kind = match credentials {
            Some(CredentialsError::CredentialsNotLoaded(_)) => {
                let error = Error::configuration(call.doing, self.name(key));
                let why = "neither environment, profile, web identity, container nor instance has \
                           credentials";
                let remedy = "set `credentials`, or give the machine some";
                return Failure {
                    code: None,
                    error: error.because(why).remedy(remedy),
                };
            }
            Some(CredentialsError::InvalidConfiguration(_)) => ErrorKind::Configuration,
            None if !made => ErrorKind::Configuration,
            _ => ErrorKind::Transient,
        };
        Failure {
            code: None,
            error: Error::new(kind, call.doing, place).because(cause),
        }
    }

    fn class(&self, call: &Call, answer: &Answer) -> (ErrorKind, Option<String>) {
        let passes = answer.status >= 500 && answer.status != 501
            || [408, 409, 429].contains(&answer.status)
            || PASSING.contains(&&*answer.code);
        if passes {
            return (ErrorKind::Transient, None);
        }
        let remedy = match &*answer.code {
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                if !self.fixed_token {
                    return (ErrorKind::Transient, None);
                }
                "renew `session_token`, or leave `credentials` to the machine".to_owned()
            }
            "NoSuchBucket" => "make it, or mend `bucket`, `region` or `endpoint`".to_owned(),
            "AccessDenied" | "Forbidden" => {
                format!("allow it to these credentials: {}", call.right)
            }
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" => {
                "mend `credentials`".to_owned()
            }
            "RequestTimeTooSkewed" => "set the clock of this machine right".to_owned(),
            "InvalidObjectState" => "restore it from its storage class first".to_owned(),
            "NotImplemented" => format!("this store does not know {}", call.name),
            _ => match &answer.region {
                Some(region) => format!("set `region` to {region}"),
                None if (300..400).contains(&answer.status) => {
                    "set `region` to that of the bucket, and no `endpoint` of another".to_owned()
                }
                None => return (ErrorKind::Configuration, None),
            },
        };
        (ErrorKind::Configuration, Some(remedy))
    }
}

/// Why there are no credentials, if that is among the causes of `error`: the last of them, as a role
/// has none when whoever assumes it has none.
fn credentials_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a CredentialsError> {
    let (mut cause, mut found) = (Some(error), None);
    while let Some(error) = cause {
        found = error.downcast_ref().or(found);
        cause = error.source();
    }
    found
}

/// What the store answered.
struct Answer {
    status: u16,
    /// Its word; of an answer without one, that of its status.
    code: String,
    message: Option<String>,
    request: Option<String>,
    /// Where it says the bucket is, if that is why.
    region: Option<String>,
}

impl Answer {
    fn of<E: ProvideErrorMetadata + StdError>(failed: &SdkError<E, HttpResponse>) -> Option<Self> {
        let response = failed.raw_response()?;
        let told = failed.as_service_error();
        let status = response.status().as_u16();
        // What cannot be read although it was a success is no answer.
        if told.is_none() && status < 300 {
            return None;
        }
        let code = told.and_then(ProvideErrorMetadata::code);
        let code = code.map_or_else(|| word_of(status).to_owned(), str::to_owned);
        let region = response.headers().get("x-amz-bucket-region");
        let body = response.body().bytes().unwrap_or_default();
        let region = region.map(str::to_owned).or_else(|| region_in(body));
        let misplaced = [301, 307, 400].contains(&status);
        Some(Self {
            status,
            message: told
                .and_then(ProvideErrorMetadata::message)
                .map(str::to_owned),
            request: failed.request_id().map(str::to_owned),
            region: region.filter(|_| misplaced),
            code,
        })
    }

    fn told(&self, call: &Call) -> String {
        let message = self.message.as_deref().unwrap_or("no message");
        let request = self.request.as_deref().unwrap_or("none");
        format!(
            "{} answered {} {}: {} (request id {request})",
            call.name,
            self.status,
            self.code,
            message.trim_end_matches('.'),
        )
    }
}

/// What an answer without a body, as to HEAD, means.
fn word_of(status: u16) -> &'static str {
    match status {
        301 => "PermanentRedirect",
        307 => "TemporaryRedirect",
        403 => "AccessDenied",
        404 => "NotFound",
        412 => "PreconditionFailed",
        501 => "NotImplemented",
        503 => "SlowDown",
        _ => "(no code)",
    }
}

/// The region that an error's body names.
fn region_in(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once("<Region>")?;
    let (region, _) = rest.split_once("</Region>")?;
    Some(region.to_owned())
}

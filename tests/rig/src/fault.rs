//! What can go wrong with a call, and when it does.

/// The calls of S3 that the connector makes, as a proxy can tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// `POST ?uploads`
    CreateUpload,
    /// `PUT ?partNumber`
    UploadPart,
    /// `POST ?uploadId`
    CompleteUpload,
    /// `DELETE ?uploadId`
    AbortUpload,
    /// `GET ?uploads`
    ListUploads,
    /// `GET ?list-type=2`
    List,
    /// `GET` of an object.
    Get,
    /// `HEAD` of an object.
    Head,
    /// `PUT` of an object.
    Put,
    /// `PUT` with `x-amz-copy-source`.
    Copy,
    /// `DELETE` of an object.
    Delete,
    /// `GET ?tagging`
    GetTags,
    /// `PUT ?tagging`
    PutTags,
}

impl Call {
    /// Which call a request is.
    pub(crate) fn of(method: &str, query: &str, is_copy: bool) -> Self {
        let has = |name: &str| {
            query
                .split('&')
                .any(|pair| pair.split('=').next() == Some(name))
        };
        match method {
            "POST" if has("uploads") => Self::CreateUpload,
            "POST" => Self::CompleteUpload,
            "PUT" if has("partNumber") => Self::UploadPart,
            "PUT" if has("tagging") => Self::PutTags,
            "PUT" if is_copy => Self::Copy,
            "PUT" => Self::Put,
            "DELETE" if has("uploadId") => Self::AbortUpload,
            "DELETE" => Self::Delete,
            "HEAD" => Self::Head,
            _ if has("uploads") => Self::ListUploads,
            _ if has("list-type") => Self::List,
            _ if has("tagging") => Self::GetTags,
            _ => Self::Get,
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection breaks; the server never sees the request.
    ResetBefore,
    /// The server does what was asked; the connection breaks before the answer.
    ResetAfter,
    /// The server does what was asked; no answer ever comes.
    SilenceAfter,
    /// The answer's body breaks off after so many bytes.
    CutAfter(usize),
    /// The server never sees the request, and this is the answer.
    Answer {
        /// The HTTP status: 200 for an error in the body of a success.
        status: u16,
        /// The error's code.
        code: &'static str,
        /// The error's message.
        message: &'static str,
        /// The region that the answer says the bucket is in.
        region: Option<&'static str>,
    },
}

impl Fault {
    /// 503, too many requests.
    pub const SLOW_DOWN: Self = Self::answer(503, "SlowDown", "Please reduce your request rate.");
    /// A success whose body is an error, as of CompleteMultipartUpload and CopyObject.
    pub const ERROR_IN_BODY: Self = Self::answer(
        200,
        "InternalError",
        "We encountered an internal error. Please try again.",
    );
    /// 412.
    pub const PRECONDITION: Self = Self::answer(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
    );
    /// 403, the clocks differ.
    pub const CLOCK_SKEW: Self = Self::answer(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    );
    /// 400, the session token is over.
    pub const EXPIRED_TOKEN: Self =
        Self::answer(400, "ExpiredToken", "The provided token has expired.");
    /// 301, the bucket is elsewhere.
    pub const REDIRECT: Self = Self::Answer {
        status: 301,
        code: "PermanentRedirect",
        message: "The bucket you are attempting to access must be addressed using the specified endpoint.",
        region: Some("eu-west-1"),
    };
    /// 400, signed for another region.
    pub const WRONG_REGION: Self = Self::Answer {
        status: 400,
        code: "AuthorizationHeaderMalformed",
        message: "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
        region: Some("eu-west-1"),
    };

    /// An answer with an error.
    pub const fn answer(status: u16, code: &'static str, message: &'static str) -> Self {
        Self::Answer {
            status,
            code,
            message,
            region: None,
        }
    }
}

/// When a fault strikes. Of the calls that a rule is about the first `skip` pass, then each
/// `every`th is struck, `times` in all.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// Which call it is about; every one when `None`.
    pub call: Option<Call>,
    /// So many pass first.
    pub skip: u64,
    /// 1 for each of them.
    pub every: u64,
    /// So many are struck.
    pub times: u64,
}

impl Rule {
    /// Strikes every `call` from now on.
    pub fn each(call: Call, fault: Fault) -> Self {
        Self {
            fault,
            call: Some(call),
            skip: 0,
            every: 1,
            times: u64::MAX,
        }
    }

    /// Strikes the next `call` only.
    pub fn once(call: Call, fault: Fault) -> Self {
        Self {
            times: 1,
            ..Self::each(call, fault)
        }
    }

    /// Strikes the `n`th call of any kind, from now on, again and again.
    pub fn every(n: u64, fault: Fault) -> Self {
        Self {
            fault,
            call: None,
            skip: n - 1,
            every: n,
            times: u64::MAX,
        }
    }
}

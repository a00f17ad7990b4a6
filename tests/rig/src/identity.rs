//! Where a machine's credentials come from: a container's endpoint, an instance's metadata service
//! (version 2), and STS. All hand out the keys that the servers take, with a session token that is
//! another one each time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::background::Background;
use crate::store::{ACCESS_KEY, REGION, SECRET_KEY};

/// What an instance's metadata service calls the role of the machine.
const ROLE: &str = "rig-role";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// What it wants to see with each question.
const METADATA_TOKEN: &str = "rig-metadata-token";

/// A running service; ends when dropped.
pub struct Identity {
    endpoint: String,
    shared: Arc<Shared>,
    _background: Background,
}

struct Shared {
    /// How long what it hands out is said to hold.
    lifetime: Duration,
    /// How often it has handed out, by who asked.
    handed: Mutex<BTreeMap<&'static str, u64>>,
}

impl Identity {
    /// Begins to hand out credentials that hold for `lifetime`.
    pub fn new(lifetime: Duration) -> Self {
        let background = Background::new();
        let listener = background.wait(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            lifetime,
            handed: Mutex::default(),
        });
        background.spawn(accept(listener, shared.clone()));
        Self {
            endpoint,
            shared,
            _background: background,
        }
    }

    /// Where it is the metadata service and STS; a container's credentials are at `/container`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How often it has handed out credentials: to `container`, `instance`, `AssumeRole` or
    /// `AssumeRoleWithWebIdentity`.
    pub fn handed(&self, to: &str) -> u64 {
        let handed = self.shared.handed.lock();
        let handed = handed.unwrap_or_else(PoisonError::into_inner);
        handed.get(to).copied().unwrap_or(0)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| serve(request, &shared));
            // An error is a connection that broke.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn serve(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if head.method == Method::PUT && path == "/latest/api/token" {
        let mut response = answer(METADATA_TOKEN);
        let ttl = "x-aws-ec2-metadata-token-ttl-seconds";
        response.headers_mut().insert(ttl, 300.into());
        return Ok(response);
    }
    if head.method == Method::POST {
        let form = body.collect().await.unwrap().to_bytes();
        let form = String::from_utf8_lossy(&form);
        let action = match form.contains("Action=AssumeRoleWithWebIdentity") {
            true => "AssumeRoleWithWebIdentity",
            false => "AssumeRole",
        };
        return Ok(answer(shared.hand_out_to_role(action)));
    }
    let asked = head.headers.get("x-aws-ec2-metadata-token");
    let is_instance = asked.is_some_and(|token| token == METADATA_TOKEN);
    Ok(match path {
        "/container" => answer(shared.hand_out("container")),
        ROLES if is_instance => answer(ROLE),
        "/latest/meta-data/placement/region" if is_instance => answer(REGION),
        path if is_instance && path.strip_prefix(ROLES) == Some(ROLE) => {
            answer(shared.hand_out("instance"))
        }
        _ => {
            let mut response = answer("");
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

fn answer(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(body.into()))
}

impl Shared {
    /// A new session token, and when it ends.
    fn session(&self, to: &'static str) -> (String, String) {
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        *handed.entry(to).or_default() += 1;
        let number: u64 = handed.values().sum();
        let end = DateTime::from(SystemTime::now() + self.lifetime);
        let end = end.fmt(DateTimeFormat::DateTime).unwrap();
        (format!("token-{number}"), end)
    }

    fn hand_out(&self, to: &'static str) -> String {
        let (token, end) = self.session(to);
        format!(
            "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"{ACCESS_KEY}\",\
             \"SecretAccessKey\":\"{SECRET_KEY}\",\"Token\":\"{token}\",\"Expiration\":\"{end}\"}}"
        )
    }

    fn hand_out_to_role(&self, action: &'static str) -> String {
        let (token, end) = self.session(action);
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <Credentials><AccessKeyId>{ACCESS_KEY}</AccessKeyId>\
             <SecretAccessKey>{SECRET_KEY}</SecretAccessKey><SessionToken>{token}</SessionToken>\
             <Expiration>{end}</Expiration></Credentials><AssumedRoleUser>\
             <Arn>arn:aws:sts::1:assumed-role/rig/towpath</Arn><AssumedRoleId>A:towpath</AssumedRoleId>\
             </AssumedRoleUser></{action}Result></{action}Response>"
        )
    }
}

//! A proxy before an S3 server that makes single calls fail.
//!
//! It passes every byte on as it came, the `Host` header with it: requests are signed, and stay so.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::background::Background;
use crate::fault::{Call, Fault, Rule};

type Body = BoxBody<Bytes, Failure>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A running proxy; ends when dropped.
pub struct Proxy {
    endpoint: String,
    shared: Arc<Shared>,
    _background: Background,
}

struct Shared {
    upstream: String,
    rules: Mutex<Vec<(Rule, u64)>>,
    calls: Mutex<BTreeMap<Call, u64>>,
    struck: Mutex<u64>,
    tokens: Mutex<BTreeSet<String>>,
}

impl Proxy {
    /// Begins to pass calls on to the server at `upstream` (`http://HOST:PORT`).
    pub fn new(upstream: &str) -> Self {
        let background = Background::new();
        let listener = background.wait(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            upstream: upstream.trim_start_matches("http://").to_owned(),
            rules: Mutex::default(),
            calls: Mutex::default(),
            struck: Mutex::default(),
            tokens: Mutex::default(),
        });
        background.spawn(accept(listener, shared.clone()));
        Self {
            endpoint,
            shared,
            _background: background,
        }
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Adds a rule. Of several that strike a call the first does.
    pub fn add(&self, rule: Rule) {
        lock(&self.shared.rules).push((rule, 0));
    }

    /// Takes all rules away.
    pub fn heal(&self) {
        lock(&self.shared.rules).clear();
    }

    /// How many requests of `call` have come.
    pub fn calls(&self, call: Call) -> u64 {
        lock(&self.shared.calls).get(&call).copied().unwrap_or(0)
    }

    /// The session tokens that have come with requests.
    pub fn tokens(&self) -> BTreeSet<String> {
        lock(&self.shared.tokens).clone()
    }

    /// How many requests were struck.
    pub fn struck(&self) -> u64 {
        *lock(&self.shared.struck)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| serve(request, shared.clone()));
            // An error is a connection that broke, by a rule or by the client.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

/// An error ends the connection without an answer.
async fn serve(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, Failure> {
    let call = Call::of(
        request.method().as_str(),
        request.uri().query().unwrap_or_default(),
        request.headers().contains_key("x-amz-copy-source"),
    );
    *lock(&shared.calls).entry(call).or_default() += 1;
    if let Some(token) = request.headers().get("x-amz-security-token") {
        let token = String::from_utf8_lossy(token.as_bytes()).into_owned();
        lock(&shared.tokens).insert(token);
    }
    let fault = shared.fault(call);
    match fault {
        None => forward(request, &shared.upstream).await,
        Some(Fault::ResetBefore) => Err("reset before the server saw it".into()),
        Some(Fault::ResetAfter) => {
            let answer = forward(request, &shared.upstream).await?;
            answer.into_body().collect().await?;
            Err("reset after the server did it".into())
        }
        Some(Fault::SilenceAfter) => {
            let answer = forward(request, &shared.upstream).await?;
            answer.into_body().collect().await?;
            std::future::pending().await
        }
        Some(Fault::CutAfter(bytes)) => {
            let answer = forward(request, &shared.upstream).await?;
            let (head, body) = answer.into_parts();
            let whole = body.collect().await?.to_bytes();
            let beginning = whole.slice(..bytes.min(whole.len()));
            Ok(Response::from_parts(head, Cut(Some(beginning)).boxed()))
        }
        Some(Fault::Answer {
            status,
            code,
            message,
            region,
        }) => {
            // Otherwise the client may meet a closed connection while it still sends.
            request.into_body().collect().await?;
            Ok(answer(status, code, message, region))
        }
    }
}

fn answer(status: u16, code: &str, message: &str, region: Option<&str>) -> Response<Body> {
    let told = region.map_or(String::new(), |region| format!("<Region>{region}</Region>"));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message>{told}<RequestId>RIG</RequestId></Error>"
    );
    let mut response = Response::builder()
        .status(status)
        .header("x-amz-request-id", "RIG")
        .header("content-type", "application/xml");
    if let Some(region) = region {
        response = response.header("x-amz-bucket-region", region);
    }
    let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {});
    response.body(body.boxed()).unwrap()
}

async fn forward(request: Request<Incoming>, upstream: &str) -> Result<Response<Body>, Failure> {
    let socket = TcpStream::connect(upstream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    Ok(answer.map(|body| body.map_err(Failure::from).boxed()))
}

impl Shared {
    fn fault(&self, call: Call) -> Option<Fault> {
        for (rule, seen) in lock(&self.rules).iter_mut() {
            if rule.call.is_some_and(|only| only != call) {
                continue;
            }
            *seen += 1;
            let Some(beyond) = seen.checked_sub(rule.skip + 1) else {
                continue;
            };
            if beyond % rule.every == 0 && beyond / rule.every < rule.times {
                *lock(&self.struck) += 1;
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

/// The beginning of a body, and then an error.
struct Cut(Option<Bytes>);

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        Poll::Ready(Some(match self.0.take() {
            Some(beginning) => Ok(Frame::data(beginning)),
            None => Err("cut".into()),
        }))
    }
}

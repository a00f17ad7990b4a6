//! Reaches the data: the worker that runs, over its socket, or the same router in this process
//! when none does. Commands cannot tell the difference. One that only looks changes nothing then.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt;
use towpath_log::Log;
use towpath_runtime::control::Control;

use super::data::{DataArgs, Settings};
use super::failure::Failure;
use crate::http::{Envelope, router, socket};

/// How long a worker that is just starting, or a command that is just ending, is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// What a command is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Only reads: without a worker nothing on the disk changes.
    Look,
    /// Needs the log's lock when no worker runs.
    Change,
}

/// The way to the data.
pub struct Client {
    route: Route,
}

enum Route {
    Worker(SendRequest<Full<Bytes>>),
    /// No worker runs: this process has opened the log.
    Here {
        router: Router,
        log: Log,
    },
}

impl Client {
    /// Finds the worker of the data directory, or opens its log. Creates nothing.
    pub async fn connect(args: &DataArgs, purpose: Purpose) -> Result<Self, Failure> {
        Self::open(&args.settings()?, purpose).await
    }

    /// The same with settings that were read.
    pub async fn open(settings: &Settings, purpose: Purpose) -> Result<Self, Failure> {
        let data_dir = &settings.data_dir;
        if !settings.hold_log() {
            let what = if data_dir.exists() {
                "holds no log"
            } else {
                "does not exist"
            };
            return Err(Failure::environment(format!(
                "the data directory {} {what}: `towpath run` makes it; --data-dir names another",
                data_dir.display()
            )));
        }
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(client) = Self::worker(data_dir).await {
                return Ok(client);
            }
            match Self::here(settings, purpose) {
                Err(failure) if failure.held && Instant::now() < until => {
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
                done => return done,
            }
        }
    }

    /// The worker of `data_dir`, if one answers.
    pub async fn worker(data_dir: &Path) -> Option<Self> {
        let stream = socket::connect(data_dir).await.ok()?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .ok()?;
        // An error of the connection is also one of the request that waits on it.
        tokio::spawn(async move { drop(connection.await) });
        Some(Self {
            route: Route::Worker(sender),
        })
    }

    fn here(settings: &Settings, purpose: Purpose) -> Result<Self, Failure> {
        let log = match purpose {
            Purpose::Look => settings.look_at_log()?,
            Purpose::Change => settings.open_log()?,
        };
        let control = Control::new(log.clone(), None, settings.worker.max_record.0);
        Ok(Self {
            route: Route::Here {
                router: router(Arc::new(control)),
                log,
            },
        })
    }

    /// Whether a worker answers; else nothing changes while this process holds the log.
    pub fn is_worker(&self) -> bool {
        matches!(self.route, Route::Worker(_))
    }

    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    pub async fn delete<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        self.call(Method::DELETE, path, Bytes::new()).await
    }

    pub async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Failure::failed(format!("cannot write the request: {error}")))?;
        self.call(Method::POST, path, body.into()).await
    }

    /// Ends the way; a log that was opened here is closed cleanly.
    pub fn close(self) -> Result<(), Failure> {
        match self.route {
            Route::Worker(_) => Ok(()),
            Route::Here { router, log } => {
                drop(router);
                log.close()
                    .map_err(|error| Failure::failed(error.to_string()))
            }
        }
    }

    async fn call<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Failure> {
        let (status, body) = match &mut self.route {
            Route::Worker(sender) => {
                // After an answer the connection needs a moment before it takes a request.
                sender.ready().await.map_err(|error| lost(&error))?;
                let response = sender
                    .send_request(request(method, path, Full::new(body))?)
                    .await;
                let response = response.map_err(|error| lost(&error))?;
                let status = response.status();
                let body = response.into_body().collect().await;
                (status, body.map_err(|error| lost(&error))?.to_bytes())
            }
            Route::Here { router, .. } => {
                let request = request(method, path, Body::from(body))?;
                let response = router
                    .clone()
                    .oneshot(request)
                    .await
                    .map_err(|error| lost(&error))?;
                let status = response.status();
                let body = response.into_body().collect().await;
                (status, body.map_err(|error| lost(&error))?.to_bytes())
            }
        };
        answer(status, &body)
    }
}

fn request<B>(method: Method, path: &str, body: B) -> Result<Request<B>, Failure> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "towpath")
        .header("content-type", "application/json")
        .body(body)
        .map_err(|error| Failure::failed(format!("cannot make the request {path}: {error}")))
}

fn answer<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, Failure> {
    match serde_json::from_slice::<Envelope<T>>(body) {
        Ok(Envelope {
            data: Some(data), ..
        }) => Ok(data),
        Ok(Envelope {
            error: Some(error), ..
        }) => Err(Failure::answered(error)),
        _ => Err(Failure::failed(format!(
            "the worker gave an answer ({status}) that this version does not understand; \
             use the version of towpath that the worker runs"
        ))),
    }
}

fn lost(error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("the worker ended before it answered: {error}"))
}

/// `text` as a segment of a path or a value of a query.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::failure::Exit;
    use super::*;

    #[test]
    fn names_are_escaped_for_paths() {
        assert_eq!(escape("web-1.raw"), "web-1.raw");
        assert_eq!(escape("../a b?ü"), "..%2Fa%20b%3F%C3%BC");
    }

    #[test]
    fn answers_become_data_or_failures() {
        let ok = answer::<u32>(StatusCode::OK, br#"{"ok":true,"data":7}"#);
        assert_eq!(ok.ok(), Some(7));
        let body = br#"{"ok":false,"error":{"kind":"configuration","message":"no"}}"#;
        let failure = answer::<u32>(StatusCode::BAD_REQUEST, body).expect_err("an error");
        assert_eq!(failure.exit, Exit::Input);
        let odd = answer::<u32>(StatusCode::OK, b"<html>").expect_err("an error");
        assert_eq!(odd.exit, Exit::Failed);
    }
}

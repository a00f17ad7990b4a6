//! The admin port: health for load balancers and process supervisors, metrics for Prometheus.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use towpath_runtime::Worker;
use towpath_runtime::status::TaskState;
use towpath_sdk::{Error, Result};

use super::{Envelope, ErrorBody};

/// Serves `worker` on `listener` until the process ends.
pub async fn serve(listener: TcpListener, worker: Arc<Worker>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, router(worker)).await
}

/// Binds the admin port; the error names the address and the setting.
pub fn bind(address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address);
    let ready = bound.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    ready.map_err(|error| {
        Error::configuration("listen on", address)
            .because(error)
            .remedy("set `admin: { listen: ADDRESS:PORT }` in towpath.yaml to a free one")
    })
}

fn router(worker: Arc<Worker>) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(worker)
}

/// 200 as long as the log takes writes: after a failed one only a restart helps.
async fn live(State(worker): State<Arc<Worker>>) -> impl IntoResponse {
    match worker.log().failure() {
        None => (StatusCode::OK, Json(Envelope::data("live"))).into_response(),
        Some(error) => unavailable(&error.to_string()).into_response(),
    }
}

/// 200 when every connector works, 503 with the ones that do not.
async fn ready(State(worker): State<Arc<Worker>>) -> impl IntoResponse {
    if worker.ready() {
        return Json(Envelope::data("ready")).into_response();
    }
    let connectors = worker.status().connectors;
    let waiting: Vec<String> = connectors
        .iter()
        .filter(|connector| {
            !matches!(
                connector.state,
                TaskState::Running | TaskState::Done | TaskState::Paused
            )
        })
        .map(|connector| format!("{} is {}", connector.name, connector.state.as_str()))
        .collect();
    unavailable(&format!("not ready: {}", waiting.join(", "))).into_response()
}

async fn metrics(State(worker): State<Arc<Worker>>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        worker.metrics(),
    )
}

fn unavailable(message: &str) -> impl IntoResponse {
    let body = Envelope::error(ErrorBody::new("transient", message));
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}

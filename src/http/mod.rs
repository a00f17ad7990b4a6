//! The data API: each request is one operation of [`Control`], each answer one [`Envelope`].
//!
//! A running worker serves it on its Unix socket; without one, a command calls the same router in
//! its own process. Requests and answers only: what they mean is in `towpath_runtime::control`.

pub mod admin;
mod envelope;
pub mod socket;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use towpath_runtime::control::{
    Changed, ConnectorOffsets, Control, DeadLetterTopic, DeadLettersPage, DeadLettersRequest,
    DropRequest, Dropped, ForgetAnswer, ProduceRequest, Produced, RecordsPage, RecordsRequest,
    ResetAnswer, ResetRequest, Retried, RetryRequest, SchemaSubject, StatusAnswer, Topic,
};
use towpath_sdk::{Error, Result, printable};

pub use envelope::{Answer, Envelope, ErrorBody};

/// Largest body of a request: a record of the default `max_record`, escaped or as base64.
const BODY_BYTES_MAX: usize = 64 << 20;

type Shared = State<Arc<Control>>;

/// All operations of `control`.
pub fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/topics", get(topics))
        .route("/v1/topics/{topic}", get(topic))
        .route("/v1/topics/{topic}/records", get(records).post(produce))
        .route("/v1/schemas", get(schemas))
        .route("/v1/schemas/{subject}", get(schemas_of))
        .route("/v1/offsets", get(offsets))
        .route("/v1/offsets/{connector}", get(offsets_of).delete(forget))
        .route("/v1/offsets/{connector}/reset", post(reset))
        .route("/v1/dead-letters", post(dead_letter_topics))
        .route("/v1/dead-letters/{topic}", post(dead_letters))
        .route("/v1/dead-letters/{topic}/drop", post(drop_dead_letters))
        .route("/v1/dead-letters/{topic}/retry", post(retry_dead_letters))
        .route("/v1/connectors/{name}/pause", post(pause))
        .route("/v1/connectors/{name}/resume", post(resume))
        .route("/v1/connectors/{name}/restart", post(restart))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(control)
}

async fn status(State(control): Shared) -> Answer<StatusAnswer> {
    Answer(Ok(control.status()))
}

async fn topics(State(control): Shared) -> Answer<Vec<Topic>> {
    Answer(Ok(control.topics()))
}

async fn topic(State(control): Shared, Path(name): Path<String>) -> Answer<Topic> {
    Answer(control.topic(&name))
}

async fn records(
    State(control): Shared,
    Path(topic): Path<String>,
    query: std::result::Result<Query<RecordsRequest>, QueryRejection>,
) -> Answer<RecordsPage> {
    match query {
        Ok(Query(request)) => Answer(control.records(&topic, &request).await),
        Err(rejection) => Answer(Err(bad_request(rejection))),
    }
}

async fn produce(
    State(control): Shared,
    Path(topic): Path<String>,
    body: std::result::Result<Json<ProduceRequest>, JsonRejection>,
) -> Answer<Produced> {
    blocking(body, move |request| control.produce(&topic, &request)).await
}

async fn schemas(State(control): Shared) -> Answer<Vec<SchemaSubject>> {
    blocking(Ok(Json(())), move |()| control.schemas()).await
}

async fn schemas_of(State(control): Shared, Path(subject): Path<String>) -> Answer<SchemaSubject> {
    blocking(Ok(Json(())), move |()| control.schemas_of(&subject)).await
}

async fn offsets(State(control): Shared) -> Answer<Vec<ConnectorOffsets>> {
    Answer(Ok(control.offsets()))
}

async fn offsets_of(
    State(control): Shared,
    Path(connector): Path<String>,
) -> Answer<ConnectorOffsets> {
    Answer(control.offsets_of(&connector))
}

async fn reset(
    State(control): Shared,
    Path(connector): Path<String>,
    body: std::result::Result<Json<ResetRequest>, JsonRejection>,
) -> Answer<ResetAnswer> {
    blocking(body, move |request| {
        control.reset_offsets(&connector, &request)
    })
    .await
}

async fn forget(State(control): Shared, Path(connector): Path<String>) -> Answer<ForgetAnswer> {
    blocking(Ok(Json(())), move |()| control.forget(&connector)).await
}

async fn dead_letter_topics(
    State(control): Shared,
    body: std::result::Result<Json<DeadLettersRequest>, JsonRejection>,
) -> Answer<Vec<DeadLetterTopic>> {
    blocking(body, move |request| control.dead_letter_topics(&request)).await
}

async fn dead_letters(
    State(control): Shared,
    Path(topic): Path<String>,
    body: std::result::Result<Json<DeadLettersRequest>, JsonRejection>,
) -> Answer<DeadLettersPage> {
    blocking(body, move |request| control.dead_letters(&topic, &request)).await
}

async fn retry_dead_letters(
    State(control): Shared,
    Path(topic): Path<String>,
    body: std::result::Result<Json<RetryRequest>, JsonRejection>,
) -> Answer<Retried> {
    blocking(body, move |request| {
        control.retry_dead_letters(&topic, &request)
    })
    .await
}

async fn drop_dead_letters(
    State(control): Shared,
    Path(topic): Path<String>,
    body: std::result::Result<Json<DropRequest>, JsonRejection>,
) -> Answer<Dropped> {
    blocking(body, move |request| {
        control.drop_dead_letters(&topic, &request)
    })
    .await
}

async fn pause(State(control): Shared, Path(name): Path<String>) -> Answer<Changed> {
    Answer(control.pause(&name).await)
}

async fn resume(State(control): Shared, Path(name): Path<String>) -> Answer<Changed> {
    Answer(control.resume(&name).await)
}

async fn restart(State(control): Shared, Path(name): Path<String>) -> Answer<Changed> {
    Answer(control.restart(&name).await)
}

async fn unknown(request: axum::extract::Request) -> Answer<()> {
    let asked = format!("{} {}", request.method(), request.uri().path());
    Answer(Err(
        Error::configuration("answer", asked).because("there is no such operation")
    ))
}

/// Runs an operation that waits for the disk off the async threads.
async fn blocking<Request, Data>(
    body: std::result::Result<Json<Request>, JsonRejection>,
    operation: impl FnOnce(Request) -> Result<Data> + Send + 'static,
) -> Answer<Data>
where
    Request: Send + 'static,
    Data: Send + 'static,
{
    let request = match body {
        Ok(Json(request)) => request,
        Err(rejection) => return Answer(Err(bad_request(rejection))),
    };
    let result = tokio::task::spawn_blocking(move || operation(request)).await;
    Answer(
        result.unwrap_or_else(|ended| Err(Error::fatal("carry out", "the request").because(ended))),
    )
}

fn bad_request(rejection: impl std::fmt::Display) -> Error {
    Error::configuration("read", "the request").because(printable(&rejection.to_string()))
}

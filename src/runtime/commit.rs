//! The bridge between tasks, which wait asynchronously, and the log, which calls back.

use tokio::sync::oneshot;
use towpath_log::{AppendSet, Committed, LogError, LogErrorKind, Writer};
use towpath_sdk::{Error, ErrorKind, Result};

/// The outcome of a set that was handed to the committer.
pub(crate) type Outcome = oneshot::Receiver<Result<Committed, LogError>>;

/// Hands `set` to the committer; the outcome arrives in the order of hand-over.
pub(crate) fn hand_over(writer: &Writer, set: AppendSet) -> Outcome {
    let (tell, outcome) = oneshot::channel();
    writer.submit(
        set,
        Box::new(move |result| {
            // A task that was dropped meanwhile no longer wants to know.
            let _ = tell.send(result);
        }),
    );
    outcome
}

/// Hands `set` over and waits until it is durable.
pub(crate) async fn submit(writer: &Writer, set: AppendSet) -> Result<()> {
    settled(hand_over(writer, set).await).map(|_| ())
}

/// What an outcome means to a task.
pub(crate) fn settled(
    outcome: Result<Result<Committed, LogError>, oneshot::error::RecvError>,
) -> Result<Committed> {
    match outcome {
        Ok(result) => result.map_err(|error| log_error("commit to the log", error)),
        Err(_) => Err(Error::transient("commit to the log", "").because("the log was closed")),
    }
}

/// A failure of the log as the task sees it. What may pass is retried, and a refused task opens
/// anew at what is stored; damage and a finished log are not retried.
pub(crate) fn log_error(doing: &str, error: LogError) -> Error {
    let kind = match error.kind() {
        LogErrorKind::Transient | LogErrorKind::Io | LogErrorKind::Fenced => ErrorKind::Transient,
        LogErrorKind::Invalid => ErrorKind::Configuration,
        _ => ErrorKind::Fatal,
    };
    Error::new(kind, doing, "").because(error)
}

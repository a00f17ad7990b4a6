//! The end of a drain: sources first, then the sinks, in the order in which they feed each other.
//!
//! A sink that keeps dead letters writes to the log as a source does: whoever reads them ends after
//! it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use towpath_sdk::OnError;

use super::Worker;
use crate::connector::Connector;
use crate::spec::Side;
use crate::supervisor::Signal;

/// Waits for all sources, then lets the sinks deliver what is there, then says so.
pub(super) async fn drain(worker: Arc<Worker>) {
    let (sources, mut sinks): (Vec<_>, Vec<_>) = worker
        .all()
        .into_iter()
        .partition(|connector| matches!(connector.spec.side, Side::Source(_)));
    for source in &sources {
        worker.ended(source).await;
    }
    while !sinks.is_empty() {
        let next = take_unfed(&mut sinks);
        {
            let _changing = worker.changing.lock().await;
            for sink in &next {
                sink.finishing.store(true, Relaxed);
                worker.follow_topics(sink).await;
                sink.signal(Signal::Finish);
            }
        }
        for sink in &next {
            worker.ended(sink).await;
        }
    }
    worker.finished.send_replace(true);
}

/// Takes out those that read no dead letters of another one; all, when they read each other's.
fn take_unfed(sinks: &mut Vec<Arc<Connector>>) -> Vec<Arc<Connector>> {
    let feeds = |one: &Connector, other: &Connector| {
        let on_error = &one.spec.configured.on_error;
        let reads = match &other.spec.side {
            Side::Sink(sink) => sink.reads(&on_error.topic),
            Side::Source(_) => false,
        };
        one.spec.name != other.spec.name && on_error.action == OnError::DeadLetter && reads
    };
    let is_fed = |sink: &Arc<Connector>| sinks.iter().any(|other| feeds(other, sink));
    let (fed, unfed): (Vec<_>, Vec<_>) = sinks.iter().cloned().partition(is_fed);
    if unfed.is_empty() {
        return std::mem::take(sinks);
    }
    *sinks = fed;
    unfed
}

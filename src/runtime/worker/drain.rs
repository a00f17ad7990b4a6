//! The end of a drain: sources first, then streams and sinks, in the order in which they feed each
//! other.
//!
//! Who reads what another one writes ends after it: the records of a stream, the dead letters of
//! anyone. Those that feed each other in a circle are told to end together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use towpath_pipeline::TopicSelector;
use towpath_sdk::OnError;

use super::Worker;
use crate::connector::Connector;
use crate::spec::{ConnectorSpec, Side};
use crate::supervisor::Signal;

/// Waits for all sources, then lets the others do what is there, then says so.
pub(super) async fn drain(worker: Arc<Worker>) {
    let (sources, mut left): (Vec<_>, Vec<_>) = worker
        .all()
        .into_iter()
        .partition(|connector| matches!(connector.spec.side, Side::Source(_)));
    for source in &sources {
        worker.ended(source).await;
    }
    while !left.is_empty() {
        let next = take_unfed(&mut left);
        {
            let _changing = worker.changing.lock().await;
            for connector in &next {
                connector.finishing.store(true, Relaxed);
                worker.follow_topics(connector).await;
                connector.signal(Signal::Finish);
            }
        }
        for connector in &next {
            worker.ended(connector).await;
        }
    }
    worker.finished.send_replace(true);
}

/// Takes out those that nobody else of `left` feeds, but who is fed by them in turn. Who only may
/// feed another one, as its records name their topics, counts as far as that leaves anyone.
fn take_unfed(left: &mut Vec<Arc<Connector>>) -> Vec<Arc<Connector>> {
    let does = |one: usize, other: usize| feeds(&left[one].spec, &left[other].spec);
    let may = |one: usize, other: usize| may_feed(&left[one].spec, &left[other].spec);
    let mut unfed = unfed(left.len(), does);
    let surely = self::unfed(left.len(), |one, other| does(one, other) || may(one, other));
    if !unfed.is_disjoint(&surely) {
        unfed.retain(|place| surely.contains(place));
    }
    let mut taken = Vec::new();
    let mut place = 0..;
    left.retain(|connector| {
        let take = place.next().is_some_and(|place| unfed.contains(&place));
        if take {
            taken.push(connector.clone());
        }
        !take
    });
    taken
}

/// Whether `other` reads a topic that `one` writes.
fn feeds(one: &ConnectorSpec, other: &ConnectorSpec) -> bool {
    let on_error = &one.configured.on_error;
    let letters = on_error.action == OnError::DeadLetter && other.reads(&on_error.topic);
    let topic = one.output().and_then(|output| output.fixed_topic.as_ref());
    letters || topic.is_some_and(|topic| other.reads(topic))
}

/// Whether a record of `one` may name a topic that `other` reads.
fn may_feed(one: &ConnectorSpec, other: &ConnectorSpec) -> bool {
    let output = one.output().filter(|output| output.fixed_topic.is_none());
    output.zip(other.input()).is_some_and(|(output, input)| {
        input.topics.iter().any(|selector| match selector {
            TopicSelector::Name(name) => name.starts_with(output.topic.literal_prefix()),
            TopicSelector::Pattern(_) => true,
        })
    })
}

/// Which of `count` nobody feeds, over however many others, whom they do not feed themselves. One
/// at least, as the one with the fewest feeders is one.
fn unfed(count: usize, feeds: impl Fn(usize, usize) -> bool) -> BTreeSet<usize> {
    let feeders = |of: usize| {
        let mut found = BTreeSet::new();
        let mut open = vec![of];
        while let Some(fed) = open.pop() {
            open.extend((0..count).filter(|one| feeds(*one, fed) && found.insert(*one)));
        }
        found
    };
    let feeders: Vec<BTreeSet<usize>> = (0..count).map(feeders).collect();
    let is_unfed = |one: &usize| {
        feeders[*one]
            .iter()
            .all(|feeder| feeders[*feeder].contains(one))
    };
    (0..count).filter(is_unfed).collect()
}

#[cfg(test)]
mod tests {
    use super::unfed;

    /// In which order those end that feed each other like this, such as `01` for 0 feeding 1.
    #[track_caller]
    fn check(feeds: &[&str], expected: &[&[usize]]) {
        let mut left: Vec<usize> = (0..5).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let is_fed = |one: usize, other: usize| {
                feeds.contains(&&*format!("{}{}", left[one], left[other]))
            };
            let next: Vec<usize> = unfed(left.len(), is_fed)
                .iter()
                .map(|at| left[*at])
                .collect();
            left.retain(|one| !next.contains(one));
            order.push(next);
        }
        assert_eq!(order, expected, "{feeds:?}");
    }

    #[test]
    fn who_is_fed_ends_later() {
        check(&[], &[&[0, 1, 2, 3, 4]]);
        check(&["10", "20", "31"], &[&[2, 3, 4], &[1], &[0]]);
        check(&["01", "10", "12", "23"], &[&[0, 1, 4], &[2], &[3]]);
        check(&["01", "12", "20", "30", "24"], &[&[3], &[0, 1, 2], &[4]]);
        check(&["00", "01"], &[&[0, 2, 3, 4], &[1]]);
    }
}

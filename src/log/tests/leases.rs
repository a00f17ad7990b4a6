//! Leases: who waits for whom, and what becomes of one that is dropped, or whose writer or log goes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::{batch, commit, config, one, put, values};
use crate::testing::{ManualClock, SimDisk, Steps, checkpoint, open_stepped};
use crate::{
    AppendSet, Durability, Lease, Log, LogConfig, LogError, LogErrorKind, ReadTo, Recovery,
    Storage, TopicBatch, Writer,
};

pub(super) const DIR: &str = "/data";

pub(super) fn open(
    disk: &SimDisk,
    durability: Durability,
) -> Result<(Log, Arc<Steps>, Recovery), LogError> {
    let config = LogConfig {
        durability,
        segment_bytes: 1024,
        commit_file_bytes: 16 << 10,
        ..LogConfig::default()
    };
    let clock = Arc::new(ManualClock::default());
    let opened = open_stepped(Path::new(DIR), config, Arc::new(disk.clone()), clock);
    opened.map(|(log, steps, recovery)| (log, steps.unwrap(), recovery))
}

/// A log with the topics `t`, of two partitions, and `u`.
pub(super) fn fresh() -> (SimDisk, Log, Arc<Steps>) {
    let disk = SimDisk::new(1);
    let (log, steps, _) = open(&disk, Durability::Fsync).unwrap();
    log.create_topic("t", &config(2)).unwrap();
    log.create_topic("u", &config(1)).unwrap();
    (disk, log, steps)
}

pub(super) fn places(places: &[(&str, u32)]) -> BTreeSet<(Arc<str>, u32)> {
    let places = places.iter();
    places.map(|(topic, at)| (Arc::from(*topic), *at)).collect()
}

pub(super) fn to(topic: &str, partition: u32, values: &[u64]) -> TopicBatch {
    TopicBatch {
        topic: topic.into(),
        partition,
        batch: batch(values, 300),
    }
}

pub(super) fn read(log: &Log, topic: &str, partition: u32) -> Vec<u64> {
    let mut reader = log.reader(topic, partition, 0, ReadTo::Committed).unwrap();
    let mut all = Vec::new();
    while let Some(batches) = reader.next(1000).unwrap() {
        all.extend(batches.iter().flat_map(values).map(|(_, value)| value));
    }
    all
}

/// Submits a set; the number of sets that were answered goes up when it is committed.
pub(super) fn submit(writer: &Writer, set: AppendSet, answered: &Arc<AtomicU64>) {
    let answered = Arc::clone(answered);
    let done = move |result: Result<_, _>| {
        result.unwrap();
        answered.fetch_add(1, Ordering::Relaxed);
    };
    writer.submit(set, Box::new(done));
}

/// Values 1000 to 1023 in both partitions of `t`, a few segments of each.
pub(super) fn write_all(writer: &Writer) -> Result<Lease, LogError> {
    let mut lease = writer.lease(&places(&[("t", 0), ("t", 1)]))?;
    for n in 1000..1012 {
        lease.append(&to("t", 0, &[2 * n - 1000]))?;
        lease.append(&to("t", 1, &[2 * n - 999]))?;
    }
    Ok(lease)
}

/// Sets of others for its partitions wait, and so do later ones of their writers; all others pass.
#[test]
fn sets_for_its_partitions_wait_in_order() {
    let (_, log, _) = fresh();
    let writers: Vec<_> = (0..3).map(|n| log.open_writer("p.s", n).unwrap()).collect();
    let answered: Vec<_> = (0..3).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let seen = || {
        answered
            .iter()
            .map(|n| n.load(Ordering::Relaxed))
            .collect::<Vec<_>>()
    };
    submit(&writers[0], one("t", 0, &[1]), &answered[0]);
    let mut lease = writers[0].lease(&places(&[("t", 0)])).unwrap();
    assert_eq!(seen(), [1, 0, 0]);
    submit(&writers[0], one("u", 0, &[2]), &answered[0]);
    submit(&writers[1], one("t", 0, &[3]), &answered[1]);
    submit(&writers[1], one("u", 0, &[4]), &answered[1]);
    submit(&writers[2], one("t", 1, &[5]), &answered[2]);
    submit(&writers[2], one("u", 0, &[6]), &answered[2]);
    checkpoint(&log).unwrap();
    assert_eq!(seen(), [1, 0, 2]);
    assert_eq!(lease.append(&to("t", 0, &[7, 8])).unwrap(), 1);
    assert_eq!(lease.append(&to("t", 0, &[9])).unwrap(), 3);
    let error = lease.append(&to("u", 0, &[9])).unwrap_err();
    assert!(
        error.to_string().contains("does not include u partition 0"),
        "{error}"
    );
    assert_eq!(read(&log, "t", 0), [1]);
    lease.commit(vec![]).unwrap();
    checkpoint(&log).unwrap();
    assert_eq!(seen(), [2, 2, 2]);
    assert_eq!(read(&log, "t", 0), [1, 7, 8, 9, 3]);
    assert_eq!(read(&log, "u", 0), [6, 2, 4]);
}

/// A lease takes all its partitions or none, and who came first has the first turn.
#[test]
fn leases_wait_for_each_other_in_order() {
    let (_, log, _) = fresh();
    let writers: Vec<_> = (0..5).map(|n| log.open_writer("p.s", n).unwrap()).collect();
    let first = writers[0].lease(&places(&[("t", 0)])).unwrap();
    let both = writers[1]
        .ask_lease(&places(&[("t", 0), ("t", 1)]))
        .unwrap();
    let second = writers[2].ask_lease(&places(&[("t", 1)])).unwrap();
    let other = writers[3].ask_lease(&places(&[("u", 0)])).unwrap();
    let answered = Arc::new(AtomicU64::new(0));
    submit(&writers[4], one("t", 1, &[1]), &answered);
    checkpoint(&log).unwrap();
    let taken = other.answered.try_recv().unwrap().unwrap();
    drop(other.taken(taken));
    assert!(both.answered.try_recv().is_err() && second.answered.try_recv().is_err());
    drop(first);
    let mut both = both.wait().unwrap();
    both.append(&to("t", 1, &[2])).unwrap();
    assert!(second.answered.try_recv().is_err());
    both.commit(vec![]).unwrap();
    let mut second = second.wait().unwrap();
    assert_eq!(answered.load(Ordering::Relaxed), 0);
    second.append(&to("t", 1, &[3])).unwrap();
    second.commit(vec![]).unwrap();
    checkpoint(&log).unwrap();
    assert_eq!(answered.load(Ordering::Relaxed), 1);
    assert_eq!(read(&log, "t", 1), [2, 3, 1]);
}

/// As with a refused set, nothing of its writer counts behind a lease that was dropped.
#[test]
fn a_dropped_lease_refuses_what_is_behind_it() {
    let (disk, log, _) = fresh();
    let writer = log.open_writer("p.s", 0).unwrap();
    let lease = write_all(&writer).unwrap();
    let answer = Arc::new(Mutex::new(None));
    let into = Arc::clone(&answer);
    writer.submit(
        one("u", 0, &[1]),
        Box::new(move |result| *into.lock().unwrap() = Some(result)),
    );
    drop(lease);
    checkpoint(&log).unwrap();
    let answer = answer.lock().unwrap().take().unwrap();
    assert_eq!(answer.unwrap_err().kind(), LogErrorKind::Fenced);
    let files = disk.list(&Path::new(DIR).join("topics/t-0")).unwrap();
    assert_eq!(files, []);
}

/// Another writer of the task ends the lease at its next step; one that wrote all is refused.
#[test]
fn a_lease_is_fenced_with_its_writer() {
    let (_, log, _) = fresh();
    let old = log.open_writer("p.s", 0).unwrap();
    let mut lease = write_all(&old).unwrap();
    let new = log.open_writer("p.s", 0).unwrap();
    let error = lease.append(&to("t", 0, &[1])).unwrap_err();
    assert_eq!(error.kind(), LogErrorKind::Fenced);
    let answered = Arc::new(AtomicU64::new(0));
    submit(&new, one("t", 0, &[5]), &answered);
    let error = lease.commit(vec![]).unwrap_err();
    assert_eq!(error.kind(), LogErrorKind::Fenced);
    let error = old.lease(&places(&[("u", 0)])).unwrap_err();
    assert_eq!(error.kind(), LogErrorKind::Fenced);
    checkpoint(&log).unwrap();
    assert_eq!(read(&log, "t", 0), [5]);
    let stale = LogErrorKind::Fenced;
    let state = |n| vec![put("at", Some(n), 9)];
    assert_eq!(
        write_all(&new)
            .unwrap()
            .commit(state(3))
            .unwrap_err()
            .kind(),
        stale
    );
}

/// The log is closed meanwhile: the directory stays locked until the holder has let go.
#[test]
fn closing_the_log_ends_a_lease() {
    let (disk, log, _) = fresh();
    let writer = log.open_writer("p.s", 0).unwrap();
    let other = log.open_writer("p.other", 0).unwrap();
    let mut lease = write_all(&writer).unwrap();
    let waiting = Arc::new(Mutex::new(None));
    let into = Arc::clone(&waiting);
    other.submit(
        one("t", 0, &[1]),
        Box::new(move |result| *into.lock().unwrap() = Some(result)),
    );
    log.close().unwrap();
    let waiting = waiting.lock().unwrap().take().unwrap();
    assert_eq!(waiting.unwrap_err().kind(), LogErrorKind::Failed);
    let error = lease.append(&to("t", 0, &[1])).unwrap_err();
    assert_eq!(error.kind(), LogErrorKind::Failed);
    let error = open(&disk, Durability::Fsync).err().unwrap();
    assert!(matches!(error.kind(), LogErrorKind::Locked { .. }));
    drop((lease, log, writer, other));
    let (log, _, recovery) = open(&disk, Durability::Fsync).unwrap();
    assert_eq!(recovery, Recovery::default());
    assert_eq!(read(&log, "t", 0), []);
}

/// With threads, on a real disk: leases of several writers on overlapping partitions, of which some
/// are dropped, beside sets of others. Everybody comes to an end, and each lease is in one piece.
#[test]
fn leases_and_sets_on_threads() {
    let dir = tempfile::tempdir().unwrap();
    let config_of_log = LogConfig {
        segment_bytes: 4096,
        ..LogConfig::default()
    };
    let (log, _) = Log::open_disk(dir.path(), config_of_log).unwrap();
    log.create_topic("t", &config(3)).unwrap();
    std::thread::scope(|scope| {
        for task in 0..3_u32 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..12 {
                    let writer = log.open_writer("p.large", task).unwrap();
                    let here = [task % 3, (task + 1) % 3];
                    let mut lease = writer.lease(&places(&here.map(|at| ("t", at)))).unwrap();
                    for step in 0..20 {
                        let value = 1_000_000 + u64::from(task) * 10_000 + n * 100 + step;
                        lease
                            .append(&to("t", here[step as usize % 2], &[value]))
                            .unwrap();
                    }
                    if n % 3 > 0 {
                        lease.commit(vec![]).unwrap();
                    }
                }
            });
        }
        for task in 0..2 {
            let log = &log;
            scope.spawn(move || {
                let writer = log.open_writer("p.small", task).unwrap();
                for n in 0..60 {
                    commit(&writer, one("t", n as u32 % 3, &[n])).unwrap();
                }
            });
        }
    });
    let mut count = 0;
    for partition in 0..3 {
        let held = read(&log, "t", partition);
        let large: Vec<u64> = held
            .iter()
            .copied()
            .filter(|value| *value >= 1_000_000)
            .collect();
        assert!(
            large
                .chunks(10)
                .all(|set| set.iter().all(|value| value / 100 == set[0] / 100))
        );
        // In one piece also among the sets of others.
        let of_large = held.chunk_by(|a, b| (*a >= 1_000_000) == (*b >= 1_000_000));
        assert!(
            of_large
                .filter(|run| run[0] >= 1_000_000)
                .all(|run| run.len() % 10 == 0)
        );
        count += held.len();
    }
    assert_eq!(count, 3 * 8 * 20 + 2 * 60);
    log.close().unwrap();
    let (_, recovery) = Log::open_disk(dir.path(), config_of_log).unwrap();
    assert_eq!(recovery, Recovery::default());
}

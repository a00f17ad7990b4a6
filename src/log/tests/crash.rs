//! Crash states of the simulated disk: random histories of sets, steps, reads, faults and
//! restarts, each from one seed. `TOWPATH_SEED` replays one, `TOWPATH_SEEDS` says how many.

mod large;

use std::path::Path;
use std::sync::Arc;

use super::oracle::{OWNER, Oracle, PARTITIONS, ROWS, ROWS_PARTITION, Said, TOPIC, read_all};
use super::{config, put};
use crate::testing::{Fault, ManualClock, Random, SimDisk, Step, Steps, checkpoint, open_stepped};
use crate::{
    AppendSet, Cleanup, ConnectorKind, Durability, GroupOffset, Log, LogConfig, LogErrorKind,
    ReadTo, Registration, Retention, TopicConfig, Writer, audit, compaction,
};

const DIR: &str = "/data";

struct History {
    random: Random,
    disk: SimDisk,
    clock: Arc<ManualClock>,
    config: LogConfig,
    oracle: Oracle,
    next_value: u64,
}

#[test]
fn crash_states() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    if let Some(seed) = number("TOWPATH_SEED") {
        return History::new(seed).run();
    }
    let first = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let first = first.as_nanos() as u64;
    let count = number("TOWPATH_SEEDS").unwrap_or(10_000);
    println!("{count} seeds from {first}");
    for seed in first..first + count {
        let run = std::panic::catch_unwind(|| History::new(seed).run());
        assert!(run.is_ok(), "replay with TOWPATH_SEED={seed}");
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let os = random.one_in(3);
        let config = LogConfig {
            durability: if os {
                Durability::Os
            } else {
                Durability::Fsync
            },
            segment_bytes: 1024 + random.below(4096),
            commit_file_bytes: 16 << 10,
            checkpoint_ms: 1000,
        };
        let (disk, clock) = (
            SimDisk::new(random.number()),
            Arc::new(ManualClock::default()),
        );
        Self {
            random,
            disk,
            clock,
            config,
            oracle: Oracle::default(),
            next_value: 1,
        }
    }

    fn run(&mut self) {
        let mut power_was_cut = false;
        for _ in 0..2 + self.random.below(3) {
            let (log, steps) = self.open(&mut power_was_cut);
            self.oracle.check(&log, power_was_cut, self.is_os());
            check_files(&log);
            self.session(&log, &steps);
            drop((log, steps));
            power_was_cut = self.crash();
        }
        let (log, _) = self.open(&mut power_was_cut);
        self.oracle.check(&log, power_was_cut, self.is_os());
    }

    fn is_os(&self) -> bool {
        self.config.durability == Durability::Os
    }

    fn crash(&mut self) -> bool {
        let power = self.random.one_in(2);
        if power {
            self.disk.cut_power()
        } else {
            self.disk.kill()
        }
        power
    }

    /// Opens, with crashes and full disks in the midst of it.
    fn open(&mut self, power_was_cut: &mut bool) -> (Log, Arc<Steps>) {
        for attempt in 0.. {
            let faulty = attempt < 3 && self.random.one_in(3);
            if faulty {
                let fault = [Fault::Stop, Fault::SyncError, Fault::Full];
                let fault = fault[self.random.below(3) as usize];
                self.disk.plan(self.random.below(40), fault);
            }
            let opened = open_stepped(
                Path::new(DIR),
                self.config,
                Arc::new(self.disk.clone()),
                Arc::clone(&self.clock) as Arc<dyn crate::Clock>,
            );
            match opened {
                Ok((log, steps, recovery)) if !self.disk.is_stopped() => {
                    assert_eq!(recovery.damage, Vec::<String>::new());
                    self.disk.calm();
                    return (log, steps.unwrap());
                }
                Ok((log, ..)) => drop(log),
                Err(error) => assert!(
                    faulty
                        && matches!(
                            error.kind(),
                            LogErrorKind::Io | LogErrorKind::Transient | LogErrorKind::Failed
                        ),
                    "{error}"
                ),
            }
            *power_was_cut |= self.crash();
        }
        unreachable!("the fourth attempt has no fault");
    }

    fn session(&mut self, log: &Log, steps: &Steps) {
        if self.random.one_in(2) {
            let fault = [Fault::Stop, Fault::SyncError, Fault::Full, Fault::Stop];
            let fault = fault[self.random.below(4) as usize];
            self.disk.plan(self.random.below(300), fault);
        }
        let retention = Retention {
            time_ms: None,
            bytes: Some(6000),
        };
        let topic = TopicConfig {
            retention,
            ..config(PARTITIONS)
        };
        let compacted = TopicConfig {
            cleanup: Cleanup::Compact,
            ..config(1)
        };
        let made = log.create_topic(TOPIC, &topic).is_ok();
        if !made || log.create_topic(ROWS, &compacted).is_err() {
            return;
        }
        let mut writer = None;
        for _ in 0..self.random.below(60) {
            self.act(log, steps, &mut writer);
        }
        if self.random.one_in(4) {
            let _ = log.close();
        }
    }

    fn act(&mut self, log: &Log, steps: &Steps, writer: &mut Option<Writer>) {
        match self.random.below(20) {
            0..=7 => self.submit(log, writer),
            8..=10 => {
                steps.step(Step::Append(1 + self.random.below(3) as usize));
            }
            11..=13 => {
                steps.step(Step::Sync);
            }
            14..=15 => {
                steps.step(Step::Commit(1 + self.random.below(3) as usize));
            }
            16 => self.read(log),
            17 => self.housekeep(log),
            18 => {
                let _ = checkpoint(log);
            }
            _ => self.take_over(log, writer),
        }
    }

    fn submit(&mut self, log: &Log, writer: &mut Option<Writer>) {
        if writer.is_none() {
            self.disk.free_space();
            *writer = log.open_writer(OWNER, 0).ok();
            // Everything in flight was answered: the sets that were refused do not count.
            let stored = log
                .state(OWNER)
                .get(&b"position"[..])
                .map_or(0, |bytes| u64::from_le_bytes(*bytes.first_chunk().unwrap()));
            if writer.is_some() {
                self.oracle.said.truncate(stored as usize);
            }
        }
        let Some(open) = writer else { return };
        let said = self.invent();
        self.oracle.said.push(said.clone());
        let number = self.oracle.said.len() as u64;
        let before = (number > 1).then(|| number - 1);
        let durable = self.random.one_in(3) || !self.is_os();
        if self.random.one_in(6) {
            return self.submit_large(log, writer, &said);
        }
        let set = AppendSet {
            batches: said.topic_batches(number),
            offsets: vec![],
            state: vec![put("position", before, number)],
            until: if durable {
                ReadTo::Durable
            } else {
                ReadTo::Committed
            },
        };
        let heard = Arc::clone(&self.oracle.heard);
        let done =
            move |result: Result<_, _>| Oracle::answer(&heard, number, &said, durable, &result);
        open.submit(set, Box::new(done));
        if self.random.one_in(25) {
            *writer = None;
        }
    }

    fn invent(&mut self) -> Said {
        let batches = (0..self.random.below(4)).map(|_| {
            let partition = self.partition();
            let count = 1 + self.random.below(5);
            self.next_value += count;
            (
                partition,
                (self.next_value - count..self.next_value).collect(),
            )
        });
        Said {
            batches: batches.collect(),
        }
    }

    /// One of the partitions, or that of the compacted topic.
    fn partition(&mut self) -> u32 {
        let partition = self.random.below(u64::from(PARTITIONS) + 1) as u32;
        if partition == PARTITIONS {
            ROWS_PARTITION
        } else {
            partition
        }
    }

    fn read(&mut self, log: &Log) {
        let partition = self.partition();
        let to = if self.random.one_in(2) {
            ReadTo::Durable
        } else {
            ReadTo::Committed
        };
        let topic = match partition {
            ROWS_PARTITION => log.start_offset(ROWS, 0),
            partition => log.start_offset(TOPIC, partition),
        };
        let Ok(start) = topic else {
            return;
        };
        let read = read_all(log, partition, start, to);
        let mut heard = self.oracle.heard.lock().unwrap();
        for (offset, value) in read {
            heard.name(partition, offset, value);
        }
        assert_eq!(heard.problems, Vec::<String>::new());
    }

    /// Topics that come and go, sinks that pin and move on, retention and compaction.
    fn housekeep(&mut self, log: &Log) {
        match self.random.below(7) {
            0 => {
                let _ = log.create_topic("other", &config(1));
            }
            1 => {
                let _ = log.delete_topic("other");
            }
            2 => {
                let sink = Registration {
                    name: "pipeline.sink".into(),
                    kind: ConnectorKind::Sink,
                    connector_type: "file".into(),
                    far_side: "out".into(),
                    group: None,
                    topics: vec![TOPIC.into(), ROWS.into()],
                };
                let _ = log.register(&sink);
                let Ok(writer) = log.open_writer("pipeline.sink", 0) else {
                    return;
                };
                let (topic, partition) = match self.partition() {
                    ROWS_PARTITION => (ROWS, 0),
                    partition => (TOPIC, partition),
                };
                let Ok(offset) = log.end_offset(topic, partition, ReadTo::Durable) else {
                    return;
                };
                let offset = GroupOffset {
                    group: "pipeline.sink".into(),
                    topic: topic.into(),
                    partition,
                    offset,
                };
                let set = AppendSet {
                    offsets: vec![offset],
                    ..AppendSet::default()
                };
                writer.submit(set, Box::new(|_| {}));
            }
            3..=5 => {
                let bytes = self.random.one_in(2).then_some(1);
                compaction::run(log, bytes);
            }
            _ => {
                let pinned = log.group("pipeline.sink").map(|group| group.offsets);
                let registered = !log.registrations().is_empty();
                let _ = log.run_retention();
                for partition in (0..PARTITIONS).filter(|_| registered) {
                    let offsets = pinned.as_ref();
                    let pin = offsets.and_then(|o| o.get(&(TOPIC.into(), partition)));
                    let start = log.start_offset(TOPIC, partition).unwrap();
                    assert!(
                        start <= pin.copied().unwrap_or(start),
                        "a pinned record was dropped"
                    );
                }
            }
        }
    }

    /// A new writer fences the old one.
    fn take_over(&mut self, log: &Log, writer: &mut Option<Writer>) {
        let Some(old) = writer.take() else { return };
        if log.open_writer(OWNER, 0).is_err() {
            return;
        }
        let stored = log
            .state(OWNER)
            .get(&b"position"[..])
            .map_or(0, |bytes| u64::from_le_bytes(*bytes.first_chunk().unwrap()));
        let next = put("position", (stored > 0).then_some(stored), stored + 1);
        let set = AppendSet {
            state: vec![next],
            ..AppendSet::default()
        };
        let done = Box::new(|result: Result<_, crate::LogError>| {
            assert!(result.is_err(), "a fenced writer has written");
        });
        old.submit(set, done);
        let _ = checkpoint(log);
    }
}

/// A start leaves nothing behind that the commit log does not list.
fn check_files(log: &Log) {
    let (shared, published) = (log.shared(), log.shared().published());
    let unlisted = audit::unlisted(&*shared.storage, &shared.layout, &published.state);
    assert_eq!(unlisted.unwrap(), Vec::<String>::new());
}

/// Offsets are given up only where records may have been lost.
#[test]
fn in_os_mode_a_clean_end_leaves_no_gap_when_the_machine_stops() {
    for (close, next) in [(true, 1), (false, 1 + crate::recovery::GAP_OFFSETS)] {
        let disk = SimDisk::new(1);
        let config = LogConfig {
            durability: Durability::Os,
            ..LogConfig::default()
        };
        let open = || {
            let (disk, clock) = (Arc::new(disk.clone()), Arc::new(ManualClock::default()));
            let (log, _, _) = open_stepped(Path::new(DIR), config, disk, clock).unwrap();
            log
        };
        let log = open();
        log.create_topic(TOPIC, &super::config(1)).unwrap();
        let writer = log.open_writer(OWNER, 0).unwrap();
        writer.submit(super::one(TOPIC, 0, &[1]), Box::new(|_| {}));
        checkpoint(&log).unwrap();
        if close {
            log.close().unwrap();
        }
        drop((log, writer));
        disk.cut_power();
        let log = open();
        let end = log.end_offset(TOPIC, 0, ReadTo::Durable).unwrap();
        assert_eq!(end, next, "closed: {close}");
    }
}

#[test]
fn in_os_mode_the_durable_end_waits_for_the_checkpoint() {
    let disk = Arc::new(SimDisk::new(1));
    let config = LogConfig {
        durability: Durability::Os,
        ..LogConfig::default()
    };
    let clock = Arc::new(ManualClock::default());
    let (log, steps, _) = open_stepped(Path::new(DIR), config, disk, clock).unwrap();
    let steps = steps.unwrap();
    log.create_topic(TOPIC, &super::config(1)).unwrap();
    let writer = log.open_writer(OWNER, 0).unwrap();
    writer.submit(
        super::one(TOPIC, 0, &[1]),
        Box::new(|result| assert!(result.is_ok())),
    );
    while steps.step(Step::Append(1)) || steps.step(Step::Sync) || steps.step(Step::Commit(1)) {}
    let end = |to| log.end_offset(TOPIC, 0, to).unwrap();
    assert_eq!((end(ReadTo::Durable), end(ReadTo::Committed)), (0, 1));
    // A barrier waits for a checkpoint; what is to be durable makes one.
    let submit = |set: AppendSet| {
        let until = ReadTo::Durable;
        writer.submit(
            AppendSet { until, ..set },
            Box::new(|result| assert!(result.is_ok())),
        );
        while steps.step(Step::Append(1)) || steps.step(Step::Sync) || steps.step(Step::Commit(1)) {
        }
    };
    submit(AppendSet::default());
    assert_eq!((end(ReadTo::Durable), end(ReadTo::Committed)), (0, 1));
    submit(super::one(TOPIC, 0, &[2]));
    assert_eq!((end(ReadTo::Durable), end(ReadTo::Committed)), (2, 2));
}

/// A start that was killed before its commit file's name was synced leaves a name that only the
/// page cache may hold. The next start reads that file, and writes a snapshot that must not be on
/// the disk without it: for the first start, and for one that follows another.
#[test]
fn no_snapshot_outlives_the_commit_file_it_follows() {
    let open = |disk: &SimDisk| {
        let clock = Arc::new(ManualClock::default());
        let config = LogConfig {
            commit_file_bytes: 16 << 10,
            ..LogConfig::default()
        };
        open_stepped(Path::new(DIR), config, Arc::new(disk.clone()), clock)
    };
    for (starts, first, second) in
        (0..2).flat_map(|starts| (0..40).flat_map(move |a| (0..50).map(move |b| (starts, a, b))))
    {
        let disk = SimDisk::new(starts << 16 | first << 8 | second);
        for _ in 0..starts {
            drop(open(&disk).unwrap());
            disk.cut_power();
        }
        disk.plan(first, Fault::Stop);
        drop(open(&disk));
        disk.kill();
        disk.plan(second, Fault::Stop);
        drop(open(&disk));
        disk.cut_power();
        let (_, _, recovery) = open(&disk).unwrap();
        assert_eq!(
            recovery.damage,
            Vec::<String>::new(),
            "{starts} {first} {second}"
        );
    }
}

//! A disk that is full, or that fails to read: at every operation in turn.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{config, one, put, values};
use crate::testing::{Fault, ManualClock, SimDisk, Step, Steps, checkpoint, open_stepped};
use crate::{
    AppendSet, Durability, Log, LogConfig, LogError, LogErrorKind, ReadTo, Recovery, Retention,
    Storage, TopicConfig,
};

const DIR: &str = "/data";

fn open(disk: &SimDisk, durability: Durability) -> Result<(Log, Recovery), LogError> {
    start(disk, durability).map(|(log, _, recovery)| (log, recovery))
}

fn open_with_steps(disk: &SimDisk, durability: Durability) -> Result<(Log, Arc<Steps>), LogError> {
    start(disk, durability).map(|(log, steps, _)| (log, steps.unwrap()))
}

fn start(
    disk: &SimDisk,
    durability: Durability,
) -> Result<(Log, Option<Arc<Steps>>, Recovery), LogError> {
    let config = LogConfig {
        durability,
        segment_bytes: 1024,
        commit_file_bytes: 16 << 10,
        ..LogConfig::default()
    };
    let clock = Arc::new(ManualClock::default());
    open_stepped(Path::new(DIR), config, Arc::new(disk.clone()), clock)
}

fn read(log: &Log) -> Vec<u64> {
    let mut reader = log.reader("t", 0, 0, ReadTo::Committed).unwrap();
    let mut all = Vec::new();
    while let Some(batches) = reader.next(1000).unwrap() {
        all.extend(batches.iter().flat_map(values).map(|(_, value)| value));
    }
    all
}

/// Submits set `n` and says what became of it; opens the writer again first.
fn submit(log: &Log, n: u64) -> Result<(), LogError> {
    let writer = log.open_writer("p.s", 0)?;
    let stored = log.state("p.s").get(&b"at"[..]).cloned();
    let mut set: AppendSet = one("t", 0, &[2 * n, 2 * n + 1]);
    set.state = vec![put("at", None, n)];
    set.state[0].before = stored;
    let answer = Arc::new(Mutex::new(None));
    let into = Arc::clone(&answer);
    writer.submit(
        set,
        Box::new(move |result| *into.lock().unwrap() = Some(result.map(|_| ()))),
    );
    checkpoint(log)?;
    let answer = answer.lock().unwrap().take();
    answer.expect("the set was answered")
}

/// The disk fills up after every number of operations; sets fail and are told so, the log lives,
/// and goes on once there is space. Nothing that was acknowledged is missing, nothing refused is
/// there.
#[test]
fn a_full_disk_fails_sets_and_never_the_log() {
    for durability in [Durability::Fsync, Durability::Os] {
        let mut failed = 0;
        for after in 0..150 {
            let disk = SimDisk::new(after);
            let (log, _) = open(&disk, durability).unwrap();
            log.create_topic("t", &config(1)).unwrap();
            disk.plan(after, Fault::Full);
            let mut kept = Vec::new();
            for n in 0..15 {
                match submit(&log, n) {
                    Ok(()) => kept.extend([2 * n, 2 * n + 1]),
                    Err(error) => {
                        failed += 1;
                        assert_eq!(error.kind(), LogErrorKind::Transient, "{after}: {error}");
                        disk.free_space();
                    }
                }
            }
            assert!(
                log.failure().is_none(),
                "after {after}: {:?}",
                log.failure()
            );
            assert_eq!(read(&log), kept, "after {after}");
            drop(log);
            disk.cut_power();
            let (log, recovery) = open(&disk, durability).unwrap();
            assert_eq!(recovery.damage, Vec::<String>::new());
            assert_eq!(read(&log), kept, "after {after}");
        }
        assert!(failed > 50, "the disk was full for {failed} sets");
    }
}

/// A log that holds the values 0 to 29.
fn written() -> (SimDisk, Log) {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk, Durability::Fsync).unwrap();
    log.create_topic("t", &config(1)).unwrap();
    for n in 0..15 {
        submit(&log, n).unwrap();
    }
    (disk, log)
}

#[test]
fn a_full_disk_at_the_start_is_told_and_harms_nothing() {
    let (disk, log) = written();
    drop(log);
    disk.cut_power();
    let mut failed = 0;
    for after in 0..80 {
        let copy = disk.copy();
        copy.plan(after, Fault::Full);
        match open(&copy, Durability::Fsync) {
            Ok((log, _)) => drop(log),
            Err(error) => {
                failed += 1;
                assert_eq!(error.kind(), LogErrorKind::Transient, "{after}: {error}");
            }
        }
        copy.cut_power();
        let (log, recovery) = open(&copy, Durability::Fsync).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        assert_eq!(read(&log), (0..30).collect::<Vec<_>>());
        submit(&log, 15).unwrap();
    }
    assert!(failed > 3, "the disk was full at {failed} starts");
}

/// A read that fails is told, as what it is; it is neither the end of the records nor damage that
/// stays, and the same reader goes on where it stood.
#[test]
fn a_failing_read_is_told_and_moves_nothing() {
    let (disk, log) = written();
    let mut failed = 0;
    for after in 1..60 {
        disk.plan(after, Fault::ReadError);
        let mut reader = log.reader("t", 0, 1, ReadTo::Durable).unwrap();
        let mut all = Vec::new();
        loop {
            match reader.next(300) {
                Ok(Some(batches)) => all.extend(batches.iter().flat_map(values)),
                Ok(None) => break,
                Err(error) => {
                    failed += 1;
                    assert_eq!(error.kind(), LogErrorKind::Io, "{error}");
                    assert!(error.to_string().contains("cannot read /data/topics/t-0/"));
                }
            }
        }
        let expected: Vec<_> = (0..30).map(|n| (n, n)).collect();
        assert_eq!(all, expected, "after {after}");
        disk.calm();
    }
    assert!(failed > 20, "{failed} reads failed");
}

/// A start that cannot read must not take what it cannot see for the end of the log.
#[test]
fn a_failing_read_at_the_start_loses_nothing() {
    let (disk, log) = written();
    drop(log);
    disk.kill();
    let mut failed = 0;
    for after in 1..60 {
        let copy = disk.copy();
        copy.plan(after, Fault::ReadError);
        match open(&copy, Durability::Fsync) {
            Ok((log, recovery)) if recovery.damage.is_empty() => {
                copy.calm();
                assert_eq!(read(&log), (0..30).collect::<Vec<_>>());
            }
            Ok(_) | Err(_) => failed += 1,
        }
        copy.kill();
        let (log, recovery) = open(&copy, Durability::Fsync).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        assert_eq!(read(&log), (0..30).collect::<Vec<_>>(), "after {after}");
    }
    assert!(failed > 10, "{failed} reads failed");
}

/// In `os` mode a segment that a full disk left empty may be nowhere but in the page cache when
/// the process is killed; the next start makes its name durable with the record that lists it.
#[test]
fn an_empty_segment_survives_a_kill_and_then_a_power_cut() {
    for after in 0..400 {
        let disk = SimDisk::new(after);
        let config = LogConfig {
            durability: Durability::Os,
            ..LogConfig::default()
        };
        let (storage, clock) = (Arc::new(disk.clone()), Arc::new(ManualClock::default()));
        let (log, steps, _) = open_stepped(Path::new(DIR), config, storage, clock).unwrap();
        let steps = steps.unwrap();
        log.create_topic("t", &super::config(1)).unwrap();
        let writer = log.open_writer("p.s", 0).unwrap();
        disk.plan(after % 10, Fault::Full);
        writer.submit(one("t", 0, &[1]), Box::new(|_| {}));
        for step in [Step::Append(1), Step::Sync, Step::Commit(1)] {
            steps.step(step);
        }
        drop((log, steps, writer));
        disk.kill();
        drop(open(&disk, Durability::Os).unwrap());
        disk.cut_power();
        let (_, recovery) = open(&disk, Durability::Os).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new(), "after {after}");
    }
}

/// The directory of a partition without records was removed from outside: it is made again, and as
/// durable as what is then written into it.
#[test]
fn a_directory_made_again_is_durable() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let (log, _) = open(&disk, Durability::Fsync).unwrap();
        log.create_topic("t", &config(1)).unwrap();
        log.close().unwrap();
        drop(log);
        disk.remove_dir(&Path::new(DIR).join("topics/t-0")).unwrap();
        disk.sync_dir(&Path::new(DIR).join("topics")).unwrap();
        disk.kill();
        let (log, _) = open(&disk, Durability::Fsync).unwrap();
        submit(&log, 0).unwrap();
        drop(log);
        disk.cut_power();
        let (log, recovery) = open(&disk, Durability::Fsync).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        assert_eq!(read(&log), [0, 1]);
    }
}

/// A segment or a topic goes when the record that says so is durable, and no earlier: also when
/// that record was only in the page cache, and the start that found it there does not get far.
#[test]
fn a_start_removes_nothing_before_the_record_of_it_is_durable() {
    for (failing, stop) in (0..12).flat_map(|f| (1..50).map(move |s| (f, s))) {
        let disk = SimDisk::new(failing * 100 + stop);
        let (log, _) = open(&disk, Durability::Fsync).unwrap();
        let retention = Retention {
            time_ms: None,
            bytes: Some(1),
        };
        let topic = TopicConfig {
            retention,
            ..config(1)
        };
        log.create_topic("t", &topic).unwrap();
        log.create_topic("u", &topic).unwrap();
        let writer = log.open_writer("p.u", 0).unwrap();
        writer.submit(one("u", 0, &[1]), Box::new(|_| {}));
        for n in 0..15 {
            submit(&log, n).unwrap();
        }
        disk.plan(failing, Fault::SyncError);
        let _ = log.run_retention();
        let _ = log.delete_topic("u");
        drop((log, writer));
        disk.kill();
        disk.plan(stop, Fault::Stop);
        drop(open(&disk, Durability::Fsync));
        disk.cut_power();
        let (_, recovery) = open(&disk, Durability::Fsync).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new(), "{failing} {stop}");
    }
}

/// What a killed process had appended and not committed does not come back under the name of what is
/// appended in its place, though in `os` mode nothing syncs that before the power is cut.
#[test]
fn what_a_start_removed_does_not_come_back() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        for (value, steps) in [(1, 1), (2, 3)] {
            let (log, stepped) = open_with_steps(&disk, Durability::Os).unwrap();
            log.create_topic("t", &config(1)).unwrap();
            let writer = log.open_writer("p.s", 0).unwrap();
            writer.submit(one("t", 0, &[value]), Box::new(|_| {}));
            for step in [Step::Append(1), Step::Sync, Step::Commit(1)]
                .into_iter()
                .take(steps)
            {
                assert!(stepped.step(step));
            }
            drop((log, stepped, writer));
            if steps == 1 {
                disk.kill();
                continue;
            }
            // The system happens to have written the record.
            let commits = Path::new(DIR).join("commits");
            for entry in disk.list(&commits).unwrap() {
                disk.tamper(&commits.join(entry.name), |_| {}).unwrap();
            }
            disk.cut_power();
        }
        let (log, recovery) = open(&disk, Durability::Os).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        let held = read(&log);
        assert!(held.is_empty() || held == [2], "seed {seed}: {held:?}");
    }
}

//! The swap of files by compaction: crashes at every step of it, damage to what it made, and what it
//! leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use towpath_record::BatchBuilder;

use super::compaction::{DIR, Model, Row, fold, open, open_with_steps, read, sink};
use super::seed;
use crate::round::{Answer, Request};
use crate::testing::{Fault, Random, SimDisk, Step, Steps, checkpoint};
use crate::{
    AppendSet, Durability, Log, LogErrorKind, ReadTo, Storage, TopicBatch, Writer, compaction,
    verify,
};

/// Stops, full disks, failing syncs and reads at every single operation of a compaction, and then a
/// kill or a power cut: nothing is lost and nothing old comes back, in either mode.
#[test]
fn a_crash_at_every_step_loses_nothing() {
    let faults = [Fault::Stop, Fault::Full, Fault::SyncError, Fault::ReadError];
    let mut model = Model::new(seed());
    for _ in 0..2 {
        for _ in 0..12 {
            model.append(12);
        }
        model.compact();
    }
    model.log.close().unwrap();
    for durability in [Durability::Fsync, Durability::Os] {
        for (fault, power) in faults.into_iter().flat_map(|f| [(f, false), (f, true)]) {
            let finished =
                |after: &u64| crash_in_compaction(&model, durability, fault, power, *after);
            let steps = (0..).find(finished);
            assert!(steps > Some(10), "{steps:?}");
        }
    }
}

/// Whether the compaction was over before the fault.
fn crash_in_compaction(
    model: &Model,
    durability: Durability,
    fault: Fault,
    power: bool,
    after: u64,
) -> bool {
    let what = format!("{durability:?}, {fault:?} after {after}, power cut {power}");
    let disk = model.disk.copy();
    let mut all = model.all.clone();
    let (log, steps, _) = open_with_steps(&disk, durability).unwrap();
    let writer = log.open_writer("p.s", 0).unwrap();
    // In `os` mode these are not durable when the compaction begins. There are several groups, and
    // some of the null values follow, in a later one, a value that only they replace.
    append(&log, &writer, &steps, &mut all, 0);
    disk.plan(after, fault);
    let compacted = compaction::run(&log, Some(1 << 20));
    let finished = !compacted.done.is_empty() && compacted.failed.is_empty();
    disk.calm();
    drop((log, writer, steps));
    if power {
        disk.cut_power();
    } else {
        disk.kill();
    }
    let (log, steps, recovery) = open_with_steps(&disk, durability).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new(), "{what}");
    assert_eq!(recovery.strays, Vec::<String>::new(), "{what}");
    let held = read(
        &mut log.reader("t", 0, 0, ReadTo::Durable).unwrap(),
        usize::MAX,
    );
    assert!(
        held.iter()
            .all(|(offset, row)| all.get(offset) == Some(row)),
        "{what}"
    );
    // What was not durable may be gone with the machine, from some offset on.
    let may_lose = power && durability == Durability::Os && compacted.done.is_empty();
    let end = held.last_key_value().map_or(0, |(last, _)| last + 1);
    assert!(may_lose || end == all.len() as u64, "{what}: ends at {end}");
    all.retain(|offset, _| *offset < end);
    assert_eq!(fold(held.values()), fold(all.values()), "{what}");
    // Of other keys, and as much as there is: a pass is due, and may drop old null values.
    let writer = log.open_writer("p.s", 0).unwrap();
    for _ in 0..2 {
        append(&log, &writer, &steps, &mut all, 1_000);
    }
    checkpoint(&log).unwrap();
    let again = compaction::run(&log, None);
    assert!(again.failed.is_empty(), "{what}: {:?}", again.failed);
    let held = read(
        &mut log.reader("t", 0, 0, ReadTo::Durable).unwrap(),
        usize::MAX,
    );
    assert_eq!(fold(held.values()), fold(all.values()), "{what}");
    finished
}

/// Appends some sets of a dozen keys from `first_key` on, a third of them with a null value, without
/// a checkpoint.
fn append(log: &Log, writer: &Writer, steps: &Steps, all: &mut BTreeMap<u64, Row>, first_key: u64) {
    for n in 0..12_u64 {
        let mut builder = BatchBuilder::default();
        let base = log.end_offset("t", 0, ReadTo::Committed).unwrap();
        for i in 0..5_u64 {
            let (offset, key) = (base + i, first_key + (n + i) % 12);
            let value = ((n + 2 * i) % 3 > 0).then_some(1000 + n);
            let padded = value.map(|value| [value.to_le_bytes(); 4].concat());
            builder
                .push(
                    offset as i64,
                    Some(&key.to_le_bytes()),
                    padded.as_deref(),
                    &[],
                )
                .unwrap();
            all.insert(offset, (Some(key), value));
        }
        let batch = TopicBatch {
            topic: "t".into(),
            partition: 0,
            batch: builder.finish().unwrap(),
        };
        let set = AppendSet {
            batches: vec![batch],
            ..AppendSet::default()
        };
        writer.submit(set, Box::new(|result| assert!(result.is_ok())));
        while steps.step(Step::Append(1)) || steps.step(Step::Sync) || steps.step(Step::Commit(1)) {
        }
    }
}

/// A compacted log, closed, with the files of its partition.
fn compacted() -> (Model, Vec<PathBuf>) {
    let mut model = Model::new(3);
    for _ in 0..40 {
        model.append(30);
    }
    assert_eq!(compaction::run(&model.log, None).done.len(), 1);
    model.log.close().unwrap();
    let dir = Path::new(DIR).join("topics/t-0");
    let mut names: Vec<_> = model.disk.list(&dir).unwrap();
    names.sort_by(|a, b| a.name.cmp(&b.name));
    let paths = names.iter().map(|entry| dir.join(&entry.name)).collect();
    (model, paths)
}

#[test]
fn damage_to_a_compacted_segment_is_told() {
    let (model, paths) = compacted();
    let path = &paths[0];
    assert!(path.ends_with("00000000000000000000.1.log"), "{paths:?}");
    let mut bytes = Vec::new();
    model
        .disk
        .tamper(path, |all| bytes.clone_from(all))
        .unwrap();
    let told = |disk: &SimDisk| {
        let (log, recovery) = open(disk, Durability::Fsync).unwrap();
        let mut reader = log.reader("t", 0, 0, ReadTo::Durable).unwrap();
        let read =
            std::iter::repeat_with(|| reader.next(700)).find(|read| !matches!(read, Ok(Some(_))));
        let failed = read
            .unwrap()
            .is_err_and(|e| e.kind() == LogErrorKind::Damaged);
        let noticed = !verify(Path::new(DIR), disk).unwrap().damage.is_empty();
        assert_eq!(failed || !recovery.damage.is_empty(), noticed);
        // A new pass must not build on it.
        for error in compaction::run(&log, None).failed {
            assert_eq!(error.kind(), LogErrorKind::Damaged, "{error}");
        }
        noticed
    };
    assert!(!told(&model.disk.copy()));
    let mut random = Random::new(seed());
    for at in 0..bytes.len() {
        if !random.one_in(4) {
            continue;
        }
        let copy = model.disk.copy();
        copy.tamper(path, |bytes| bytes[at] ^= 1 << random.below(8))
            .unwrap();
        // The partition leader's epoch is checked, the rest is in a checksum or tiles.
        assert!(told(&copy), "byte {at}");
        let copy = model.disk.copy();
        copy.tamper(path, |bytes| bytes.truncate(at)).unwrap();
        assert!(told(&copy), "cut at {at}");
    }
    let copy = model.disk.copy();
    copy.remove(path).unwrap();
    let (_, recovery) = open(&copy, Durability::Fsync).unwrap();
    assert_eq!(recovery.damage.len(), 1, "{:?}", recovery.damage);
}

#[test]
fn what_a_swap_leaves_behind_goes_at_the_next_start() {
    let (model, paths) = compacted();
    let dir = paths[0].parent().unwrap().to_owned();
    let names = [
        // Replaced ones, an index, and one that was not finished.
        "00000000000000000000.log",
        "00000000000000000012.log",
        "00000000000000000012.index",
        "00000000000000000000.2.log",
    ];
    for name in names {
        model.disk.create(&dir.join(name)).unwrap();
    }
    let stranger = dir.join("0.1.log");
    model.disk.create(&stranger).unwrap();
    let (_, recovery) = open(&model.disk, Durability::Fsync).unwrap();
    assert_eq!(recovery.notes.len(), 3, "{:?}", recovery.notes);
    assert_eq!(recovery.strays.len(), 1, "{:?}", recovery.strays);
    let left: BTreeSet<_> = model
        .disk
        .list(&dir)
        .unwrap()
        .into_iter()
        .map(|e| e.name)
        .collect();
    let kept = paths
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    assert_eq!(left, kept.collect());
}

/// A sink that comes between the look and the swap sees everything from its place on.
#[test]
fn a_pin_that_comes_during_a_pass_holds() {
    let mut model = Model::new(4);
    for _ in 0..40 {
        model.append(3);
    }
    let entry = crate::entry::Entry::Registered {
        registration: sink(),
        configured_ms: 0,
    };
    // It waits in front of stage 1, where the look does not see it yet.
    model.log.inner.send(Request::Change {
        change: Box::new(|_| Ok(vec![entry])),
        done: Answer::default(),
    });
    let compacted = compaction::run(&model.log, None);
    assert_eq!((compacted.done.len(), compacted.failed.len()), (0, 1));
    model.pin = Some(0);
    model.check();
}

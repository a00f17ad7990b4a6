//! `verify` and `dump`: all damage in all files, and all content, from outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{commit, config, one, put};
use crate::testing::{ManualClock, SimDisk, open_stepped};
use crate::{
    Disk, DumpItem, Log, LogConfig, LogErrorKind, ReadTo, Storage, VerifyReport, dump, verify,
};

const DIR: &str = "/data";

/// Two topics, several starts, segments, commit files and snapshots; closed or killed.
fn written(close: bool) -> SimDisk {
    let disk = SimDisk::new(7);
    let settings = LogConfig {
        segment_bytes: 1024,
        commit_file_bytes: 32 << 10,
        ..LogConfig::default()
    };
    for start in 0..2 {
        let clock = Arc::new(ManualClock::default());
        let (log, _, recovery) =
            open_stepped(Path::new(DIR), settings, Arc::new(disk.clone()), clock).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        for topic in ["a", "b"] {
            log.create_topic(topic, &config(1)).unwrap();
        }
        let writer = log.open_writer("p.s", 0).unwrap();
        for n in 0..12 {
            let at = start * 12 + n;
            let topic = ["a", "b"][n as usize % 2];
            let mut set = one(topic, 0, &[at, at, at]);
            set.state = vec![put("at", at.checked_sub(1), at)];
            writer.submit(set, Box::new(|result| assert!(result.is_ok())));
            crate::testing::checkpoint(&log).unwrap();
        }
        if close {
            log.close().unwrap();
        }
        drop((log, writer));
        disk.kill();
    }
    disk
}

fn files(disk: &SimDisk, dir: &str) -> Vec<PathBuf> {
    let dir = Path::new(DIR).join(dir);
    let entries = disk.list(&dir).unwrap();
    let mut paths: Vec<_> = entries.iter().map(|entry| dir.join(&entry.name)).collect();
    paths.sort();
    paths
}

fn content(disk: &SimDisk, path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    disk.tamper(path, |all| bytes.clone_from(all)).unwrap();
    bytes
}

fn look(disk: &SimDisk) -> VerifyReport {
    verify(Path::new(DIR), disk).unwrap()
}

#[test]
fn a_sound_log_has_no_damage() {
    for close in [true, false] {
        let disk = written(close);
        let report = look(&disk);
        assert_eq!(report.damage, Vec::<String>::new());
        assert_eq!(report.batches, 24);
        assert!(report.segments >= 6, "{report:?}");
        // All but the last few lie before the snapshot in use.
        assert!(report.commit_records >= 8, "{report:?}");
    }
}

#[test]
fn verify_finds_every_corrupt_batch_in_several_files() {
    let disk = written(true);
    let mut hurt = Vec::new();
    for topic in ["a", "b"] {
        for path in files(&disk, &format!("topics/{topic}-0"))
            .into_iter()
            .step_by(2)
        {
            let size = content(&disk, &path).len();
            for at in [70, size - 3] {
                disk.tamper(&path, |bytes| bytes[at] ^= 16).unwrap();
            }
            hurt.push(path);
        }
    }
    assert!(hurt.len() >= 4, "{hurt:?}");
    let report = look(&disk);
    for path in &hurt {
        let here = format!("{}: byte ", path.display());
        let found = report.damage.iter().filter(|d| d.starts_with(&here));
        assert_eq!(found.count(), 2, "{path:?}: {:?}", report.damage);
    }
    assert_eq!(report.damage.len(), 2 * hurt.len(), "{:?}", report.damage);
}

/// One record of every commit file, and every snapshot, is hurt, one after the other: also those
/// that no start reads any more. Each is found, and all of them at once.
#[test]
fn verify_finds_damage_anywhere_in_the_commit_log() {
    let disk = written(true);
    let paths = files(&disk, "commits");
    assert!(paths.len() >= 4, "{paths:?}");
    let mut all = Vec::new();
    for path in &paths {
        let used = content(&disk, path);
        let end = used.iter().rposition(|&byte| byte != 0).unwrap() / 4096;
        for block in 0..=end {
            let copy = disk.copy();
            copy.tamper(path, |bytes| bytes[block * 4096 + 30] ^= 2)
                .unwrap();
            let report = look(&copy);
            let here = format!("{}: byte {}", path.display(), block * 4096);
            let told = report.damage.iter().filter(|d| d.starts_with(&here));
            assert_eq!(told.count(), 1, "{here}: {:?}", report.damage);
        }
        if path.extension().is_some_and(|e| e == "commits") && end > 1 {
            all.push((path, 4096));
        }
        if path.extension().is_some_and(|e| e == "snapshot") {
            all.push((path, 0));
        }
    }
    for (path, at) in &all {
        disk.tamper(path, |bytes| bytes[at + 30] ^= 2).unwrap();
    }
    let report = look(&disk);
    for (path, at) in &all {
        let here = format!("{}: byte {at}", path.display());
        assert!(
            report.damage.iter().any(|d| d.starts_with(&here)),
            "{here}: {:?}",
            report.damage
        );
    }
}

#[test]
fn verify_tells_what_the_commit_log_does_not_list() {
    let disk = written(true);
    let dir = Path::new(DIR);
    for name in [
        "topics/a-0/00000000000000000001.log",
        "topics/a-0/notes.txt",
        "topics/x.y",
    ] {
        disk.create(&dir.join(name)).unwrap();
    }
    let sealed = files(&disk, "topics/b-0").remove(0);
    disk.tamper(&sealed, |bytes| bytes.extend([1, 2, 3]))
        .unwrap();
    let report = look(&disk);
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    assert!(
        report.damage[0].contains("bytes instead of"),
        "{:?}",
        report.damage
    );
    for name in ["00000000000000000001.log", "notes.txt", "x.y"] {
        assert!(
            report.notes.iter().any(|n| n.contains(name)),
            "{name}: {:?}",
            report.notes
        );
    }
}

#[test]
fn a_read_only_log_changes_nothing() {
    let disk = written(true);
    let commits = files(&disk, "commits");
    let last = commits
        .iter()
        .rfind(|p| p.extension().is_some_and(|e| e == "commits"));
    disk.tamper(last.unwrap(), |bytes| bytes[4096 + 30] ^= 2)
        .unwrap();
    let clock = Arc::new(ManualClock::default());
    let storage = Arc::new(disk.clone());
    let (log, steps, recovery) =
        open_stepped(Path::new(DIR), LogConfig::default(), storage, clock).unwrap();
    assert!(steps.is_none() && !recovery.damage.is_empty());
    let (before, topics) = (files(&disk, "commits"), files(&disk, "topics"));
    let error = log.create_topic("new", &config(2)).unwrap_err();
    assert_eq!(error.kind(), LogErrorKind::Damaged, "{error}");
    assert_eq!(
        (files(&disk, "commits"), files(&disk, "topics")),
        (before, topics)
    );
}

/// Every file with its content.
fn all_content(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut dirs = vec![PathBuf::from(DIR)];
    let mut found = BTreeMap::new();
    while let Some(dir) = dirs.pop() {
        for entry in disk.list(&dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                dirs.push(path);
            } else {
                found.insert(path.clone(), content(disk, &path));
            }
        }
    }
    found
}

/// After a kill, after a clean end and beside a log that runs: the same is seen as by a start, all
/// records included, nothing is written, and every change is refused.
#[test]
fn a_log_opened_to_be_read_shows_all_and_changes_nothing() {
    for scene in ["killed", "closed", "running"] {
        let disk = Arc::new(written(scene == "closed"));
        let clock = Arc::new(ManualClock::default());
        let (dir, settings) = (Path::new(DIR), LogConfig::default());
        let running = (scene == "running")
            .then(|| open_stepped(dir, settings, disk.clone(), clock.clone()).unwrap());
        let before = all_content(&disk);
        let (log, recovery) =
            Log::open_read_only(dir, settings, disk.clone(), clock.clone()).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        assert_eq!((log.topics().len(), log.state("p.s").len()), (2, 1));
        // From the middle of a sealed segment on, which takes its index.
        let mut reader = log.reader("a", 0, 5, ReadTo::Durable).unwrap();
        let mut seen = Vec::new();
        while let Some(batches) = reader.next(1 << 20).unwrap() {
            let values = batches.iter().flat_map(super::values);
            seen.extend(values.map(|(offset, _)| offset));
        }
        assert_eq!(seen, (3..36).collect::<Vec<_>>());
        assert_eq!(log.offset_at("b", 0, 23).unwrap(), 33);
        let refused = [
            log.create_topic("new", &config(2)).map(|_| ()),
            log.delete_topic("a"),
            log.open_writer("p.s", 0).map(|_| ()),
            log.forget("p.s"),
        ];
        for result in refused {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), LogErrorKind::Invalid, "{error}");
            assert!(error.to_string().contains("read only"), "{error}");
        }
        assert!(log.failure().is_none() && log.close().is_ok());
        assert_eq!(all_content(&disk), before, "{scene}");
        drop(running);
    }
    let nothing = Arc::new(SimDisk::new(1));
    let clock = Arc::new(ManualClock::default());
    let none = Log::open_read_only(Path::new(DIR), LogConfig::default(), nothing.clone(), clock);
    assert_eq!(none.unwrap_err().kind(), LogErrorKind::Io);
    assert!(nothing.list(Path::new(DIR)).is_err());
}

#[test]
fn dump_shows_records_batches_and_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open_disk(dir.path(), LogConfig::default()).unwrap();
    log.create_topic("t", &config(1)).unwrap();
    let writer = log.open_writer("p.s", 0).unwrap();
    let mut set = one("t", 0, &[5, 6]);
    set.state = vec![put("at", None, 9)];
    commit(&writer, set).unwrap();
    // Of a running log, without its lock.
    let mut items = Vec::new();
    dump(dir.path(), &Disk, &mut |item| items.push(item)).unwrap();
    let sequences: Vec<u64> = items
        .iter()
        .filter_map(|item| match item {
            DumpItem::Record { sequence, .. } => Some(*sequence),
            _ => None,
        })
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
    let text = format!("{items:?}");
    for part in [
        "topic t is made, number 0",
        "p.s task 0: generation 1",
        "set 1 of p.s task 0, generation 1",
        "state of p.s: at = ",
        "topic t partition 0: segment 0 is made",
        "topic t partition 0 ends before offset 2: segment 0 has ",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let batch = items
        .iter()
        .find(|item| matches!(item, DumpItem::Batch { .. }));
    let Some(DumpItem::Batch {
        position: 0,
        base_offset: 0,
        records: 2,
        file,
        ..
    }) = batch
    else {
        panic!("{batch:?}");
    };
    assert!(
        file.ends_with("topics/t-0/00000000000000000000.log"),
        "{file}"
    );
    drop((log, writer));
    let path = dir.path().join("topics/t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut damage = Vec::new();
    dump(dir.path(), &Disk, &mut |item| {
        if let DumpItem::Damage(why) = item {
            damage.push(why);
        }
    })
    .unwrap();
    assert_eq!(damage.len(), 1, "{damage:?}");
}

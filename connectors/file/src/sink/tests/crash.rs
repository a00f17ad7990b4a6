//! A crash at every step, and at random ones again and again: the files hold every record once, in
//! order, whatever was the last thing done.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;

/// A crash of the worker keeps what the kernel has, so a disk that never waits will do.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// What is written: records of some partitions, in batches, with a flush after every few.
struct Load {
    partitions: u32,
    records: u64,
    batch: u64,
    batches_per_flush: u64,
    /// The key of record N is N modulo this.
    keys: u64,
    /// State in one set.
    changes_bytes: usize,
    /// Whether blocks are written.
    blocks: bool,
}

impl Load {
    fn value(&self, partition: u32, offset: u64) -> String {
        format!("k{}-{partition}-{offset}", offset % self.keys)
    }

    /// Delivers what is not committed; the error is the crash.
    fn run(&self, subject: &Subject, fault: &Fault) -> Result<()> {
        let mut writer = subject.open(self.partitions, fault)?;
        let mut next: Vec<u64> = (0..self.partitions)
            .map(|partition| subject.committed.offset(partition))
            .collect();
        let mut batches = 0;
        while next.iter().any(|offset| *offset < self.records) {
            for partition in 0..self.partitions {
                let from = next[partition as usize];
                let to = self.records.min(from + self.batch);
                if from < to {
                    let values: Vec<_> = (from..to)
                        .map(|offset| self.value(partition, offset))
                        .collect();
                    writer.write(subject.batch(partition, from, &values))?;
                    next[partition as usize] = to;
                    let open = writer
                        .outputs
                        .iter()
                        .filter(|output| output.handle.is_some());
                    assert!(open.count() <= subject.limits.open_files);
                }
            }
            batches += 1;
            if batches % self.batches_per_flush == 0 {
                subject.flush(&mut writer)?;
            }
        }
        subject.flush(&mut writer).map(drop)
    }

    /// Panics unless the files hold what they should.
    fn check(&self, folder: &Path, name: impl Fn(u32, u64) -> String, rotated: bool) {
        let mut expected = BTreeMap::<String, String>::new();
        for partition in 0..self.partitions {
            for offset in 0..self.records {
                let line = self.value(partition, offset) + "\n";
                expected
                    .entry(name(partition, offset))
                    .or_default()
                    .push_str(&line);
            }
        }
        let mut found = files(folder);
        if self.blocks {
            found.values_mut().for_each(|text| *text = unblocked(text));
        }
        if rotated {
            // Files are named by stream and first offset, which must be true.
            let mut streams = BTreeMap::<String, String>::new();
            for (name, text) in found {
                let (stream, start) = name.rsplit_once('@').unwrap();
                let start = start.split('.').next().unwrap().trim_start_matches('0');
                let first = text
                    .lines()
                    .next()
                    .unwrap_or_else(|| panic!("{name} is empty"));
                let first = first.rsplit('-').next().unwrap().trim_start_matches('0');
                assert_eq!(first, start, "the first record of {name}");
                streams
                    .entry(stream.to_owned())
                    .or_default()
                    .push_str(&text);
            }
            found = streams;
        }
        assert!(found == expected, "found {found:?}\nexpected {expected:?}");
    }
}

/// Tries a crash after every number of operations, then `rounds` runs of several crashes.
fn check(
    load: &Load,
    path: &str,
    others: &[(&str, &str)],
    name: impl Fn(u32, u64) -> String + Copy,
    steps_between: usize,
) {
    let rotated = path.contains("start_offset");
    let mut steps = 0;
    loop {
        let folder = folder();
        let mut subject = Subject::new(folder.path(), path, others);
        subject.limits.open_files = 8;
        subject.limits.changes_bytes = load.changes_bytes;
        subject.head = load.blocks.then_some(HEAD);
        let fault = Fault::after(steps);
        let crashed = load.run(&subject, &fault).is_err();
        assert_eq!(crashed, fault.struck());
        load.run(&subject, &Fault::default()).unwrap();
        load.check(folder.path(), name, rotated);
        if !crashed {
            break;
        }
        steps += steps_between as i64;
    }
    assert!(steps > 10, "the fault never struck");
    let mut random = seed();
    for _ in 0..30 {
        let folder = folder();
        let mut subject = Subject::new(folder.path(), path, others);
        subject.limits.open_files = 8;
        subject.limits.changes_bytes = load.changes_bytes;
        subject.head = load.blocks.then_some(HEAD);
        loop {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let fault = Fault::after((random >> 33) as i64 % (steps * 2 / 3 + 20));
            if load.run(&subject, &fault).is_ok() {
                break;
            }
        }
        load.check(folder.path(), name, rotated);
    }
}

/// `TOWPATH_SEED`, or a new one, which is printed.
fn seed() -> u64 {
    let given = std::env::var("TOWPATH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64
            % 1_000_000_007
    });
    println!("TOWPATH_SEED={seed}");
    seed
}

const SMALL: Load = Load {
    partitions: 2,
    records: 60,
    batch: 7,
    batches_per_flush: 2,
    keys: 1,
    changes_bytes: 500 << 10,
    blocks: false,
};

#[test]
fn one_file_of_two_partitions() {
    let load = Load {
        partitions: 1,
        ..SMALL
    };
    check(
        &load,
        "new/folder/out.txt",
        &[],
        |_, _| "new/folder/out.txt".into(),
        1,
    );
}

#[test]
fn a_file_for_each_partition() {
    check(
        &SMALL,
        "p={partition}/out.txt",
        &[],
        |partition, _| format!("p={partition}/out.txt"),
        1,
    );
}

#[test]
fn compressed_files() {
    for (compression, ending) in [("gzip", "gz"), ("zstd", "zst")] {
        let name = |partition: u32, _| format!("{partition}.{ending}");
        let path = format!("{{partition}}.{ending}");
        check(&SMALL, &path, &[("compression", compression)], name, 1);
    }
}

#[test]
fn rotated_files() {
    let path = "{partition}@{start_offset:03}.txt";
    let name = |partition: u32, _| partition.to_string();
    check(&SMALL, path, &[("rotate.size", "60B")], name, 1);
    check(&SMALL, path, &[("rotate.size", "1B")], name, 3);
    check(&SMALL, path, &[("rotate.time", "0ms")], name, 1);
    let path = "{partition}@{start_offset:03}.gz";
    check(
        &SMALL,
        path,
        &[("rotate.size", "60B"), ("compression", "gzip")],
        name,
        1,
    );
}

#[test]
fn files_of_blocks() {
    let load = Load {
        blocks: true,
        ..SMALL
    };
    let name = |partition: u32, _| format!("{partition}.blocks");
    check(&load, "{partition}.blocks", &[], name, 1);
    let gzip = [("compression", "gzip")];
    check(
        &load,
        "{partition}.gz",
        &gzip,
        |partition, _| format!("{partition}.gz"),
        1,
    );
    let rotate = [("rotate.size", "60B")];
    let name = |partition: u32, _| partition.to_string();
    check(
        &load,
        "{partition}@{start_offset:03}.blocks",
        &rotate,
        name,
        1,
    );
    let load = Load { keys: 5, ..load };
    let name = |partition: u32, offset: u64| format!("{partition}/k{}", offset % 5);
    check(&load, "{partition}/{key}", &[], name, 3);
}

#[test]
fn files_by_key() {
    let load = Load { keys: 5, ..SMALL };
    let name = |partition: u32, offset: u64| format!("{partition}/k{}.txt", offset % 5);
    check(&load, "{partition}/{key}.txt", &[], name, 1);
    let load = Load { keys: 2, ..SMALL };
    let name = |partition: u32, offset: u64| format!("{partition}/k{}", offset % 2);
    check(
        &load,
        "{partition}/{key}@{start_offset}.txt",
        &[("rotate.size", "40B")],
        name,
        1,
    );
}

#[test]
fn more_files_than_one_set_can_say() {
    // A commit in the middle of a write after every file, and after every two or three.
    for changes_bytes in [1, 300] {
        let load = Load {
            keys: 5,
            changes_bytes,
            ..SMALL
        };
        let name = |partition: u32, offset: u64| format!("{partition}/k{}.gz", offset % 5);
        let gzip = [("compression", "gzip")];
        check(&load, "{partition}/{key}.gz", &gzip, name, 3);
        let name = |partition: u32, offset: u64| format!("{partition}/k{}", offset % 5);
        let path = "{partition}/{key}@{start_offset:03}.txt";
        check(&load, path, &[("rotate.size", "20B")], name, 3);
    }
}

#[test]
fn what_was_committed_ahead_counts_until_a_reset() {
    let folder = folder();
    let mut subject = Subject::new(folder.path(), "{key}.txt", &[]);
    let values = ["a", "b", "c"].map(str::to_owned);
    let text = || files(folder.path()).into_values().collect::<String>();
    subject.limits.changes_bytes = 1;
    let mut writer = subject.open(1, &Fault::default()).unwrap();
    writer.write(subject.batch(0, 0, &values)).unwrap();
    drop(writer);
    assert_eq!(subject.committed.offset(0), 0, "only a flush moves it");
    assert_eq!(subject.committed.scan(b"").len(), 4);

    let mut writer = subject.open(1, &Fault::default()).unwrap();
    writer.write(subject.batch(0, 0, &values[..2])).unwrap();
    subject.flush(&mut writer).unwrap();
    assert_eq!(subject.committed.offset(0), 0, "not all of it has passed");
    writer.write(subject.batch(0, 2, &values[2..])).unwrap();
    subject.flush(&mut writer).unwrap();
    assert_eq!(text(), "a\nb\nc\n");
    assert_eq!(subject.committed.offset(0), 3);
    assert_eq!(subject.committed.scan(b"").len(), 3);
    drop(writer);

    let mut writer = subject.open(1, &Fault::default()).unwrap();
    writer.write(subject.batch(0, 3, &values)).unwrap();
    drop(writer);
    subject.generation += 1;
    subject.committed.offsets.lock().unwrap().clear();
    subject.deliver(&["a", "b", "c"]).unwrap();
    assert_eq!(text(), "a\na\na\nb\nb\nb\nc\nc\nc\n");
    assert_eq!(subject.committed.offset(0), 3);
    assert_eq!(subject.committed.scan(b"").len(), 3);
}

#[test]
fn more_files_than_may_be_open() {
    let load = Load {
        partitions: 1,
        records: 1500,
        batch: 700,
        batches_per_flush: 1,
        keys: 500,
        changes_bytes: 500 << 10,
        blocks: false,
    };
    check(
        &load,
        "{key}.txt",
        &[],
        |_, offset| format!("k{}.txt", offset % 500),
        401,
    );
}

#[test]
fn very_many_files_in_one_batch() {
    let load = Load {
        partitions: 1,
        records: 30_000,
        batch: 30_000,
        batches_per_flush: 1,
        keys: 30_000,
        changes_bytes: 500 << 10,
        blocks: false,
    };
    let later = ("rotate.time", "1h");
    for (path, others) in [("{key}", &[][..]), ("{key}@{start_offset}", &[later])] {
        let folder = folder();
        let subject = Subject::new(folder.path(), path, others);
        load.run(&subject, &Fault::default()).unwrap();
        load.check(
            folder.path(),
            |_, offset| format!("k{offset}"),
            !others.is_empty(),
        );
        assert_eq!(subject.committed.offset(0), 30_000);
        assert_eq!(
            subject.committed.scan(b"").len(),
            30_000,
            "one entry a file, and nothing else"
        );
        // Many files of before begin with no effort of one set either: all are full now.
        if !others.is_empty() {
            let now = ("rotate.time", "0ms");
            let subject = Subject {
                options: Subject::new(folder.path(), path, &[now]).options,
                ..subject
            };
            let mut writer = subject.open(1, &Fault::default()).unwrap();
            while writer.deadline().is_some() {
                subject.flush(&mut writer).unwrap();
            }
            assert!(subject.committed.scan(b"").is_empty());
        }
    }
}

#[test]
fn a_time_that_passes_ends_a_file() {
    let folder = folder();
    let rotate = [("rotate.time", "30ms")];
    let subject = Subject::new(folder.path(), "{start_offset}.txt", &rotate);
    let mut writer = subject.open(1, &Fault::default()).unwrap();
    writer.write(subject.batch(0, 0, &["a".into()])).unwrap();
    subject.flush(&mut writer).unwrap();
    let due = writer.deadline().expect("the file is due");
    writer.write(subject.batch(0, 1, &["b".into()])).unwrap();
    while due.elapsed() == Duration::ZERO {
        std::thread::yield_now();
    }
    subject.flush(&mut writer).unwrap();
    assert!(writer.deadline().is_none(), "no file is begun");
    assert!(
        subject.committed.scan(b"").is_empty(),
        "nothing is kept of a full file"
    );
    writer.write(subject.batch(0, 2, &["c".into()])).unwrap();
    subject.flush(&mut writer).unwrap();
    let expected = [("0.txt", "a\nb\n"), ("2.txt", "c\n")];
    assert_eq!(
        files(folder.path()),
        expected
            .map(|(name, text)| (name.into(), text.into()))
            .into()
    );
}

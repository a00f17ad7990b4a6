//! Damage from outside: every truncation of the last segment and of the commit log, every bit of
//! the commit records. Whatever is done to the files, what was acknowledged is either all there or
//! the loss is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{config, one, put, values};
use crate::testing::{ManualClock, Random, SimDisk, open_stepped};
use crate::{Log, LogConfig, LogError, LogErrorKind, ReadTo, Recovery, Storage, verify};

const DIR: &str = "/data";
const SETS: u64 = 12;

fn open(disk: &SimDisk) -> Result<(Log, Recovery), LogError> {
    let config = LogConfig {
        commit_file_bytes: 16 << 10,
        ..LogConfig::default()
    };
    let clock = Arc::new(ManualClock::default());
    let (log, _, recovery) = open_stepped(Path::new(DIR), config, Arc::new(disk.clone()), clock)?;
    Ok((log, recovery))
}

/// Which places of a file to hurt: all with `TOWPATH_FULL=1`, else an eighth of them, chosen anew
/// in each run.
struct Chosen {
    full: bool,
    random: Random,
}

impl Chosen {
    fn new() -> Self {
        Self {
            full: std::env::var("TOWPATH_FULL").is_ok_and(|full| full == "1"),
            random: Random::new(super::seed()),
        }
    }

    fn of(&mut self, places: u64) -> Vec<u64> {
        let chosen = (0..places).filter(|_| self.full || self.random.one_in(8));
        chosen.collect()
    }
}

/// A log with acknowledged sets, not closed.
fn written() -> SimDisk {
    let disk = SimDisk::new(7);
    let (log, _) = open(&disk).unwrap();
    log.create_topic("t", &config(1)).unwrap();
    let writer = log.open_writer("p.s", 0).unwrap();
    for n in 0..SETS {
        let mut set = one("t", 0, &[2 * n, 2 * n + 1]);
        set.state = vec![put("at", (n > 0).then(|| n - 1), n)];
        writer.submit(set, Box::new(|result| assert!(result.is_ok())));
        crate::testing::checkpoint(&log).unwrap();
    }
    drop((log, writer));
    disk.kill();
    disk
}

fn files(disk: &SimDisk, dir: &str, suffix: &str) -> Vec<PathBuf> {
    let dir = Path::new(DIR).join(dir);
    let mut names: Vec<_> = disk
        .list(&dir)
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    names.retain(|name| name.ends_with(suffix));
    names.sort();
    names.into_iter().map(|name| dir.join(name)).collect()
}

fn length(disk: &SimDisk, path: &Path) -> u64 {
    disk.open(path, false).unwrap().size().unwrap()
}

/// All records from the start, up to the end or an error.
fn read(log: &Log) -> (Vec<u64>, Option<LogError>) {
    let mut all = Vec::new();
    let Ok(mut reader) = log.reader("t", 0, 0, ReadTo::Durable) else {
        return (all, None);
    };
    loop {
        match reader.next(500) {
            Ok(Some(batches)) => all.extend(batches.iter().flat_map(values).map(|(_, v)| v)),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

/// Opens a tampered disk: nothing is lost or changed unless it is told. Returns whether it was.
fn check(disk: &SimDisk, what: &str) -> bool {
    let (log, recovery) = match open(disk) {
        Ok(opened) => opened,
        Err(error) => {
            assert_eq!(error.kind(), LogErrorKind::Damaged, "{what}: {error}");
            return true;
        }
    };
    let (records, error) = read(&log);
    let expected: Vec<u64> = (0..2 * SETS).collect();
    assert!(expected.starts_with(&records), "{what}: {records:?}");
    // A record that a snapshot covers is not lost; that it was hurt is told among the notes.
    let told = error.is_some() || !recovery.damage.is_empty() || !recovery.notes.is_empty();
    assert!(
        told || records == expected,
        "{what}: records were lost silently"
    );
    told
}

#[test]
fn every_truncation_of_the_last_segment_is_told() {
    let disk = written();
    let path = files(&disk, "topics/t-0", ".log").pop().unwrap();
    let committed = length_of_batches();
    for to in (0..committed).chain([committed, committed + 1]) {
        let copy = disk.copy();
        copy.tamper(&path, |bytes| bytes.truncate(to as usize))
            .unwrap();
        assert_eq!(
            check(&copy, &format!("cut to {to}")),
            to < committed,
            "cut to {to}"
        );
    }
}

fn length_of_batches() -> u64 {
    (0..SETS)
        .map(|n| super::batch(&[2 * n, 2 * n + 1], 40).as_bytes().len() as u64)
        .sum()
}

#[test]
fn every_truncation_of_the_commit_log_is_told() {
    let disk = written();
    let mut chosen = Chosen::new();
    for path in files(&disk, "commits", ".commits") {
        let size = length(&disk, &path);
        for to in chosen.of(size) {
            let copy = disk.copy();
            copy.tamper(&path, |bytes| bytes.truncate(to as usize))
                .unwrap();
            assert!(
                check(&copy, &format!("{} cut to {to}", path.display())),
                "cut to {to}"
            );
        }
    }
}

#[test]
fn no_flipped_bit_of_a_commit_record_loses_anything_silently() {
    let disk = written();
    let mut chosen = Chosen::new();
    for path in files(&disk, "commits", ".commits") {
        let mut used = Vec::new();
        disk.tamper(&path, |bytes| used.clone_from(bytes)).unwrap();
        let end = used.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        for place in chosen.of(end.next_multiple_of(4096) as u64 * 8) {
            let (at, bit) = (place as usize / 8, place % 8);
            let copy = disk.copy();
            copy.tamper(&path, |bytes| bytes[at] ^= 1 << bit).unwrap();
            check(&copy, &format!("{} byte {at} bit {bit}", path.display()));
        }
    }
}

#[test]
fn a_reader_stops_at_a_corrupt_byte_and_verify_finds_all() {
    let disk = written();
    let (log, _) = open(&disk).unwrap();
    log.close().unwrap();
    drop(log);
    disk.kill();
    let path = files(&disk, "topics/t-0", ".log").pop().unwrap();
    let step = super::batch(&[0, 1], 40).as_bytes().len();
    for at in [3 * step + 80, 5 * step + 3, 9 * step + 100] {
        disk.tamper(&path, |bytes| bytes[at] ^= 4).unwrap();
    }
    let report = verify(Path::new(DIR), &disk).unwrap();
    assert_eq!(report.damage.len(), 3, "{:?}", report.damage);
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new());
    let (records, error) = read(&log);
    assert_eq!(records, (0..6).collect::<Vec<_>>());
    let error = error.unwrap();
    assert_eq!(error.kind(), LogErrorKind::Damaged);
    let place = format!("{}: byte {}, offset 6", path.display(), 3 * step);
    assert!(error.to_string().starts_with(&place), "{error}");
}

#[test]
fn every_flipped_bit_of_a_frame_is_damage() {
    use crate::frame::{Found, FrameHeader, decode, encode};
    let log_id = uuid::Uuid::from_u128(5);
    let header = FrameHeader {
        log_id,
        sequence: 9,
        epoch: 1,
        durable: 8,
        previous: 3,
    };
    let (frame, _) = encode(&header, &[7; 700]);
    assert!(matches!(decode(&frame, log_id, 9), Found::Frame(found) if found.header == header));
    for bit in 0..frame.len() * 8 {
        let mut hurt = frame.clone();
        hurt[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(decode(&hurt, log_id, 9), Found::Damaged(_)),
            "bit {bit}"
        );
    }
    for sector in 0..frame.len() / 512 {
        let mut torn = frame.clone();
        torn[sector * 512..][..512].fill(0);
        assert!(
            matches!(decode(&torn, log_id, 9), Found::Torn),
            "sector {sector}"
        );
    }
}

#[test]
fn a_zeroed_commit_record_is_told() {
    let disk = written();
    for path in files(&disk, "commits", ".commits") {
        let mut used = Vec::new();
        disk.tamper(&path, |bytes| used.clone_from(bytes)).unwrap();
        let end = used.iter().rposition(|&byte| byte != 0).unwrap() / 4096;
        // The very last one alone looks like a write that never happened.
        for block in 0..end {
            let copy = disk.copy();
            copy.tamper(&path, |bytes| bytes[block * 4096..][..4096].fill(0))
                .unwrap();
            check(&copy, &format!("{} block {block}", path.display()));
        }
    }
}

/// A sector of zero payload must not look like one that was never written, whatever its number.
#[test]
fn no_sector_that_was_written_is_all_zeros() {
    use crate::frame::{Found, FrameHeader, decode, encode};
    let checksum = |sequence: u64| {
        let header = FrameHeader {
            log_id: uuid::Uuid::nil(),
            sequence,
            epoch: 1,
            durable: 0,
            previous: 0,
        };
        let (frame, _) = encode(&header, &[]);
        let last = frame.len() - 512;
        (
            u32::from_le_bytes(*frame[last..].first_chunk().unwrap()),
            frame,
        )
    };
    // The checksum is linear in the bits of the sequence: solve for the one that makes it zero.
    let base = checksum(0).0;
    let mut rows: Vec<(u32, u64)> = (0..64)
        .map(|bit| (checksum(1 << bit).0 ^ base, 1 << bit))
        .collect();
    let (mut wanted, mut sequence) = (base, 0);
    for bit in (0..32).rev() {
        let Some(at) = rows.iter().position(|(row, _)| row >> bit & 1 == 1) else {
            continue;
        };
        let (row, mask) = rows.swap_remove(at);
        for other in rows.iter_mut().filter(|(other, _)| other >> bit & 1 == 1) {
            *other = (other.0 ^ row, other.1 ^ mask);
        }
        if wanted >> bit & 1 == 1 {
            (wanted, sequence) = (wanted ^ row, sequence ^ mask);
        }
    }
    assert_eq!(wanted, 0, "no sequence has that checksum");
    let (_, frame) = checksum(sequence);
    assert!(
        frame
            .chunks(512)
            .all(|sector| sector.iter().any(|&b| b != 0))
    );
    let found = decode(&frame, uuid::Uuid::nil(), sequence);
    assert!(matches!(found, Found::Frame(_)), "{found:?}");
}

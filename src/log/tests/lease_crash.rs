//! What a lease leaves behind: after a crash at any of its operations, while it is open, and when its
//! topic goes.

use std::path::Path;
use std::sync::Arc;

use super::leases::{DIR, fresh, open, places, read, submit, to, write_all};
use super::{config, one, put};
use crate::round::{Answer, Request};
use crate::testing::{Fault, SimDisk, Step, checkpoint};
use crate::{Durability, Log, LogErrorKind, ReadTo, Storage, Writer, change, verify};

/// Stops, full disks and failing syncs at every operation of a lease, which is committed or
/// dropped, and then a kill or a power cut: it is there whole or not at all, with its state; what was
/// acknowledged beside it is there; and what comes later is not mixed with what it left behind.
#[test]
fn a_crash_at_every_step_leaves_all_or_nothing() {
    for durability in [Durability::Fsync, Durability::Os] {
        for fault in [Fault::Stop, Fault::Full, Fault::SyncError] {
            for (power, ends) in [(false, true), (true, true), (false, false), (true, false)] {
                let finished = |after: &u64| crash(durability, fault, power, ends, *after);
                let steps = (0..).find(finished);
                assert!(steps > Some(30), "{steps:?}");
            }
        }
    }
}

/// Whether the lease had ended before the fault.
fn crash(durability: Durability, fault: Fault, power: bool, ends: bool, after: u64) -> bool {
    let what = format!("{durability:?} {fault:?} after {after}, power {power}, commit {ends}");
    let disk = SimDisk::new(after);
    let (log, _, _) = open(&disk, durability).unwrap();
    log.create_topic("t", &config(2)).unwrap();
    let writer = log.open_writer("p.large", 0).unwrap();
    writer.submit(one("t", 0, &[1]), Box::new(|_| {}));
    checkpoint(&log).unwrap();
    disk.plan(after, fault);
    let result = write_all(&writer).and_then(|lease| match ends {
        true => lease.commit(vec![put("at", None, 7)]),
        false => {
            drop(lease);
            Ok(())
        }
    });
    let failed = log.failure().is_some();
    let finished = result.is_ok() && !failed;
    disk.calm();
    // Others go on where it was, and so is what it left behind found, if anything.
    let other = log.open_writer("p.other", 0);
    let later = other.map(|other| {
        other.submit(one("t", 0, &[2]), Box::new(|_| {}));
        checkpoint(&log)
    });
    let later = matches!(later, Ok(Ok(())));
    assert!(later || failed || disk.is_stopped(), "{what}");
    drop((log, writer));
    match power {
        true => disk.cut_power(),
        false => disk.kill(),
    }
    for _ in 0..2 {
        let (log, _, recovery) = open(&disk, durability).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new(), "{what}");
        assert_eq!(recovery.strays, Vec::<String>::new(), "{what}");
        let counts = log.state("p.large").contains_key(&b"at"[..]);
        assert!(result.is_err() || counts == ends, "{what}: lost");
        let large = |partition| (1000..1024).filter(move |n| counts && n % 2 == partition);
        let mut expected: Vec<u64> = [1].into_iter().chain(large(0)).collect();
        expected.extend(later.then_some(2));
        assert_eq!(read(&log, "t", 0), expected, "{what}");
        assert_eq!(read(&log, "t", 1), large(1).collect::<Vec<_>>(), "{what}");
        let report = verify(Path::new(DIR), &disk).unwrap();
        assert_eq!(report.notes, Vec::<String>::new(), "{what}");
        drop(log);
        disk.cut_power();
    }
    finished
}

/// Until it is committed nobody sees it but as what it is; and a start knows it however large.
#[test]
fn what_is_not_committed_is_known_for_what_it_is() {
    let (disk, log, _) = fresh();
    let writer = log.open_writer("p.s", 0).unwrap();
    let lease = write_all(&writer).unwrap();
    let report = verify(Path::new(DIR), &disk).unwrap();
    assert_eq!(report.damage, Vec::<String>::new());
    let what = "part of a set with a lease";
    assert!(!report.notes.is_empty());
    assert!(
        report.notes.iter().all(|note| note.contains(what)),
        "{:?}",
        report.notes
    );
    // Readers of the directory and retention have nothing to do with it.
    assert_eq!(log.run_retention().unwrap(), Vec::<String>::new());
    assert_eq!(log.end_offset("t", 0, ReadTo::Committed).unwrap(), 0);
    let copy = disk.copy();
    let (_, _, recovery) = open(&copy, Durability::Fsync).unwrap();
    assert_eq!(recovery.cuts.len(), report.notes.len());
    assert!(
        recovery.cuts.iter().all(|cut| cut.contains(what)),
        "{:?}",
        recovery.cuts
    );
    lease.commit(vec![put("at", None, 1)]).unwrap();
    let report = verify(Path::new(DIR), &disk).unwrap();
    assert_eq!((report.damage, report.notes), (vec![], vec![]));
}

/// A snapshot that is made while a lease is open knows of it.
#[test]
fn a_snapshot_keeps_an_open_lease() {
    let (disk, log, _) = fresh();
    let (large, small) = (
        log.open_writer("p.l", 0).unwrap(),
        log.open_writer("p.s", 0).unwrap(),
    );
    let lease = write_all(&large).unwrap();
    // Enough for several commit files.
    for n in 0..40 {
        submit(&small, one("u", 0, &[n]), &Arc::default());
        checkpoint(&log).unwrap();
    }
    let copy = disk.copy();
    let (_, _, recovery) = open(&copy, Durability::Fsync).unwrap();
    assert_eq!((recovery.damage, recovery.strays), (vec![], vec![]));
    assert!(recovery.cuts[0].contains("lease"), "{:?}", recovery.cuts);
    lease.commit(vec![]).unwrap();
}

/// What a dropped lease had written does not come back under the name of what is appended in its
/// place, though in `os` mode nothing syncs that before the power is cut.
#[test]
fn what_a_dropped_lease_removed_does_not_come_back() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let (log, steps, _) = open(&disk, Durability::Os).unwrap();
        log.create_topic("t", &config(1)).unwrap();
        let (large, small) = (writer(&log, "p.l"), writer(&log, "p.s"));
        let mut lease = large.lease(&places(&[("t", 0)])).unwrap();
        lease.append(&one("t", 0, &[1]).batches[0]).unwrap();
        drop(lease);
        small.submit(one("t", 0, &[2]), Box::new(|_| {}));
        while steps.step(Step::Append(9)) | steps.step(Step::Sync) | steps.step(Step::Commit(9)) {}
        drop((log, steps, large, small));
        // The system happens to have written the record.
        let commits = Path::new(DIR).join("commits");
        for entry in disk.list(&commits).unwrap() {
            disk.tamper(&commits.join(entry.name), |_| {}).unwrap();
        }
        disk.cut_power();
        let (log, _, recovery) = open(&disk, Durability::Os).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        let held = read(&log, "t", 0);
        assert!(held.is_empty() || held == [2], "seed {seed}: {held:?}");
    }
}

fn writer(log: &Log, owner: &str) -> Writer {
    log.open_writer(owner, 0).unwrap()
}

/// The deletion is on its way when the lease is committed.
#[test]
fn a_deletion_before_the_commit_refuses_it() {
    let (_, log, _) = fresh();
    let large = writer(&log, "p.l");
    let lease = write_all(&large).unwrap();
    let number = log.key("t", 0).unwrap().topic;
    let (change, done) = (change::delete_topic("t", number), Answer::default());
    log.inner.send(Request::Change { change, done });
    let error = lease.commit(vec![]).unwrap_err();
    assert_eq!(error.kind(), LogErrorKind::Invalid, "{error}");
    assert!(log.failure().is_none());
}

/// The topic is deleted meanwhile, and another one gets its name: that is left alone.
#[test]
fn a_lease_ends_with_its_topic() {
    for again in [false, true] {
        let (disk, log, _) = fresh();
        let (large, small) = (
            log.open_writer("p.l", 0).unwrap(),
            log.open_writer("p.s", 0).unwrap(),
        );
        let mut lease = write_all(&large).unwrap();
        log.delete_topic("t").unwrap();
        let error = lease.append(&to("t", 0, &[1])).unwrap_err();
        assert_eq!(error.kind(), LogErrorKind::Invalid);
        if again {
            log.create_topic("t", &config(2)).unwrap();
            submit(&small, one("t", 0, &[5]), &Arc::default());
            checkpoint(&log).unwrap();
            assert!(lease.append(&to("t", 0, &[1])).is_err());
        }
        let error = lease.commit(vec![]).unwrap_err();
        assert_eq!(error.kind(), LogErrorKind::Invalid, "{error}");
        assert!(log.failure().is_none());
        if again {
            assert_eq!(read(&log, "t", 0), [5]);
        }
        drop((log, large, small));
        disk.cut_power();
        let (log, _, recovery) = open(&disk, Durability::Fsync).unwrap();
        assert_eq!((recovery.damage, recovery.strays), (vec![], vec![]));
        assert_eq!(log.topic("t").is_some(), again);
    }
}

//! What belongs to a connector: state, offsets, registration, and who may still write them.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::{config, one, put};
use crate::testing::{ManualClock, SimDisk, checkpoint, open_stepped};
use crate::{
    AppendSet, ConnectorKind, GroupOffset, Log, LogConfig, LogError, LogErrorKind, Registration,
    StateChange, Writer,
};

const DIR: &str = "/data";

fn open(disk: &SimDisk) -> Log {
    let (disk, clock) = (Arc::new(disk.clone()), Arc::new(ManualClock::default()));
    let config = LogConfig {
        commit_file_bytes: 16 << 10,
        ..LogConfig::default()
    };
    let (log, _, recovery) = open_stepped(Path::new(DIR), config, disk, clock).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new());
    log
}

/// A log with five records in topic `t`.
fn written(disk: &SimDisk) -> Log {
    let log = open(disk);
    log.create_topic("t", &config(1)).unwrap();
    let writer = log.open_writer("p.source", 0).unwrap();
    submit(&log, &writer, one("t", 0, &[0, 1, 2, 3, 4])).unwrap();
    log
}

fn submit(log: &Log, writer: &Writer, set: AppendSet) -> Result<(), LogError> {
    let answer = Arc::new(Mutex::new(None));
    let into = Arc::clone(&answer);
    writer.submit(
        set,
        Box::new(move |result| *into.lock().unwrap() = Some(result.map(|_| ()))),
    );
    checkpoint(log).unwrap();
    let answer = answer.lock().unwrap().take();
    answer.expect("the set was answered")
}

fn sink(name: &str, group: Option<&str>) -> Registration {
    Registration {
        name: name.into(),
        kind: ConnectorKind::Sink,
        connector_type: "file".into(),
        far_side: "out".into(),
        group: group.map(str::to_owned),
        topics: vec!["t".into()],
    }
}

fn done(group: &str, offset: u64) -> AppendSet {
    let (group, topic) = (group.into(), "t".into());
    AppendSet {
        offsets: vec![GroupOffset {
            group,
            topic,
            partition: 0,
            offset,
        }],
        ..AppendSet::default()
    }
}

fn offset(log: &Log, group: &str) -> Option<u64> {
    let group = log.group(group)?;
    group.offsets.get(&("t".into(), 0)).copied()
}

/// Registers a sink that keeps state and offset 3 under `group_name()`.
fn run_sink(log: &Log, registration: &Registration) -> Writer {
    log.register(registration).unwrap();
    let group = registration.group_name();
    let writer = log.open_writer(group, 0).unwrap();
    let mut set = done(group, 3);
    set.state = vec![put("length", None, 7)];
    submit(log, &writer, set).unwrap();
    writer
}

#[test]
fn forget_drops_state_offsets_and_registration_and_fences_the_writer() {
    let disk = SimDisk::new(1);
    let log = written(&disk);
    let writer = run_sink(&log, &sink("p.sink", None));
    log.forget("p.sink").unwrap();
    for log in [log.clone(), {
        drop(submit(&log, &writer, done("p.sink", 4)).unwrap_err());
        log.clone()
    }] {
        assert_eq!(offset(&log, "p.sink"), None);
        assert!(log.state("p.sink").is_empty() && log.registrations().is_empty());
        assert_eq!(log.group("p.sink").unwrap().generation, 1);
    }
    drop((log, writer));
    disk.kill();
    let log = open(&disk);
    assert_eq!(offset(&log, "p.sink"), None);
    assert!(log.state("p.sink").is_empty() && log.registrations().is_empty());
    run_sink(&log, &sink("p.sink", None));
}

#[test]
fn a_writer_from_before_forget_or_rename_is_fenced() {
    let log = written(&SimDisk::new(1));
    let writer = run_sink(&log, &sink("p.sink", None));
    log.forget("p.sink").unwrap();
    let error = submit(&log, &writer, done("p.sink", 4)).unwrap_err();
    assert_eq!(error.kind(), LogErrorKind::Fenced);
    let writer = run_sink(&log, &sink("p.sink", None));
    log.rename_owner("p.sink", "p.other").unwrap();
    let error = submit(&log, &writer, done("p.sink", 4)).unwrap_err();
    assert_eq!(error.kind(), LogErrorKind::Fenced);
    assert_eq!(
        (offset(&log, "p.sink"), offset(&log, "p.other")),
        (None, Some(3))
    );
}

#[test]
fn forget_clears_a_named_group_with_its_last_registration() {
    let log = written(&SimDisk::new(1));
    run_sink(&log, &sink("p.a", Some("shared")));
    log.register(&sink("p.b", Some("shared"))).unwrap();
    log.forget("p.a").unwrap();
    assert_eq!(offset(&log, "shared"), Some(3));
    assert_eq!(log.state("shared").len(), 1);
    log.forget("p.b").unwrap();
    assert_eq!(offset(&log, "shared"), None);
    assert!(log.state("shared").is_empty());
    assert_eq!(log.group("shared").unwrap().generation, 1);
}

#[test]
fn rename_moves_everything_in_one_commit() {
    let disk = SimDisk::new(1);
    let log = written(&disk);
    run_sink(&log, &sink("p.old", None));
    let state = log.state("p.old");
    log.reset_offsets("p.old", &[("t".into(), 0, Some(2))])
        .unwrap();
    log.rename_owner("p.old", "p.new").unwrap();
    drop(log);
    disk.kill();
    let log = open(&disk);
    assert_eq!(log.state("p.new"), state);
    assert!(log.state("p.old").is_empty());
    assert_eq!(
        (offset(&log, "p.old"), offset(&log, "p.new")),
        (None, Some(2))
    );
    let names: Vec<_> = log.registrations().into_iter().collect();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].registration.name, "p.new");
    // What stands at the far side under the old name is older than whoever takes that name next.
    assert_eq!(log.group("p.new").unwrap().generation, 1);
    assert_eq!(log.group("p.old").unwrap().generation, 2);
    for (old, new) in [
        ("p.old", "p.other"),
        ("p.new", "p.new"),
        ("p.source", "p.new"),
    ] {
        let error = log.rename_owner(old, new).unwrap_err();
        assert_eq!(error.kind(), LogErrorKind::Invalid, "{old} to {new}");
    }
}

#[test]
fn rename_never_lowers_a_generation() {
    let log = written(&SimDisk::new(1));
    for _ in 0..3 {
        run_sink(&log, &sink("p.new", None));
        log.forget("p.new").unwrap();
    }
    run_sink(&log, &sink("p.old", None));
    log.rename_owner("p.old", "p.new").unwrap();
    assert_eq!(log.group("p.new").unwrap().generation, 3);
}

#[test]
fn rename_leaves_a_named_group_alone() {
    for group in ["shared", "p.old"] {
        let log = written(&SimDisk::new(1));
        run_sink(&log, &sink("p.old", Some(group)));
        log.rename_owner("p.old", "p.new").unwrap();
        assert_eq!(offset(&log, group), Some(3), "{group}");
        assert_eq!(log.state(group).len(), 1, "{group}");
        assert_eq!(offset(&log, "p.new"), None);
        assert!(log.state("p.new").is_empty());
        assert_eq!(log.registrations()[0].registration.name, "p.new");
    }
}

/// Records of two blocks, of which only one fits into a commit file: none may pass the end.
#[test]
fn large_state_is_there_after_a_crash() {
    let disk = SimDisk::new(1);
    let log = written(&disk);
    let writer = log.open_writer("p.large", 0).unwrap();
    let mut before = None;
    for n in 0..10 {
        let after = Bytes::from(vec![n; 6000]);
        let change = StateChange {
            key: Bytes::from_static(b"at"),
            before: before.replace(after.clone()),
            after: Some(after),
        };
        let set = AppendSet {
            state: vec![change],
            ..AppendSet::default()
        };
        submit(&log, &writer, set).unwrap();
    }
    drop((log, writer));
    disk.kill();
    let log = open(&disk);
    assert_eq!(log.state("p.large").into_values().next(), before);
}

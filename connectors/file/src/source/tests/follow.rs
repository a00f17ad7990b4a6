//! The source as the runtime uses it: threads, notifications, acknowledgements.

use std::time::{Duration, Instant};

use towpath_sdk::testing::{SourceSubject, check_source};
use towpath_sdk::{Source, async_trait};

use super::super::FileSource;
use super::{Rig, map, text};

/// Reads until `count` records came, committing each batch.
async fn read(source: &mut FileSource, rig: &mut Rig, count: usize) {
    let mut acked = 0;
    let mut records = 0;
    while records < count {
        let batch = tokio::time::timeout(Duration::from_secs(20), source.read());
        let batch = batch
            .await
            .expect("records in time")
            .unwrap()
            .expect("it has no end");
        records += batch
            .parts
            .iter()
            .map(|part| part.batch.len())
            .sum::<usize>();
        rig.take(batch);
        acked += 1;
        source.ack(acked).await.unwrap();
    }
}

#[tokio::test]
async fn new_lines_and_files_come_at_once() {
    // The poll would come too late: what is read is what notifications told.
    let mut rig = Rig::new("*.log*", &[("poll_interval", text("1h"))]);
    rig.write("app.log", "one\n");
    let mut source = FileSource::new(rig.options());
    source.open(rig.context()).await.unwrap();
    read(&mut source, &mut rig, 1).await;

    let mut slowest = Duration::ZERO;
    for number in 0..50 {
        let written = Instant::now();
        rig.append("app.log", format!("line {number}\n"));
        read(&mut source, &mut rig, 1).await;
        slowest = slowest.max(written.elapsed());
    }
    println!("slowest line: {slowest:?}");

    rig.append("app.log", "last\n");
    rig.rename("app.log", "app.log.1");
    rig.write("app.log", "first of the next\n");
    read(&mut source, &mut rig, 2).await;
    rig.append("app.log.1", "late\n");
    read(&mut source, &mut rig, 1).await;
    rig.write("other.log", "other\n");
    read(&mut source, &mut rig, 1).await;
    source.close().await.unwrap();
    assert_eq!(rig.records.len(), 1 + 50 + 4);
    let origins = super::counted(rig.origins());
    assert_eq!(
        (origins["app.log"], origins["other.log"]),
        (54, 1),
        "a renamed file keeps its origin"
    );
}

#[tokio::test]
async fn without_notifications_the_scan_finds_everything() {
    let mut rig = Rig::new("*/*.log", &[("poll_interval", text("10ms"))]);
    let mut source = FileSource::new(rig.options());
    source.open(rig.context()).await.unwrap();
    std::fs::create_dir(rig.path("new")).unwrap();
    rig.write("new/a.log", "one\n");
    read(&mut source, &mut rig, 1).await;
    // The folder goes and comes back: its watch is gone with it.
    std::fs::remove_dir_all(rig.path("new")).unwrap();
    std::fs::create_dir(rig.path("new")).unwrap();
    rig.write("new/b.log", "two\n");
    read(&mut source, &mut rig, 1).await;
    source.close().await.unwrap();
}

#[tokio::test]
async fn a_drain_ends_and_disposes_of_what_is_durable() {
    let mut rig = Rig::new("*.log", &[("after", text("delete"))]);
    rig.drain = true;
    rig.write("a.log", "one\ntwo");
    rig.write("b.log", "three\n");
    let mut source = FileSource::new(rig.options());
    source.open(rig.context()).await.unwrap();
    let mut batches = 0;
    while let Some(batch) = source.read().await.unwrap() {
        rig.take(batch);
        batches += 1;
    }
    assert_eq!(rig.records.len(), 3);
    assert!(rig.exists("a.log") && rig.exists("b.log"));
    source.ack(batches).await.unwrap();
    source.close().await.unwrap();
    assert!(!rig.exists("a.log") && !rig.exists("b.log"));
    assert_eq!(rig.states(), 0);
}

#[tokio::test]
async fn a_drain_reads_everything_before_it_names_what_it_cannot_read() {
    let mut rig = Rig::new("*", &[]);
    rig.drain = true;
    rig.write("a.log", "one\n");
    rig.write("cut.gz", &super::gzip(b"two\n")[..12]);
    let mut source = FileSource::new(rig.options());
    source.open(rig.context()).await.unwrap();
    let batch = source.read().await.unwrap().unwrap();
    rig.take(batch);
    assert_eq!(rig.records.len(), 1);
    let error = source.read().await.unwrap_err();
    assert!(error.to_string().contains("cut.gz"), "{error}");
    source.close().await.unwrap();
}

#[tokio::test]
async fn closing_does_not_wait_for_anybody() {
    let mut rig = Rig::new("*.log", &[("multiline", map(&[("start", text("^x"))]))]);
    rig.write("a.log", "x\n".repeat(3_000_000));
    let mut source = FileSource::new(rig.options());
    source.open(rig.context()).await.unwrap();
    let batch = source.read().await.unwrap().unwrap();
    rig.take(batch);
    tokio::time::timeout(Duration::from_secs(10), source.close())
        .await
        .unwrap()
        .unwrap();
}

/// A folder with one file; it is down when it was moved away.
struct Folder {
    rig: Rig,
}

#[async_trait]
impl SourceSubject for Folder {
    fn source(&self) -> Box<dyn Source> {
        Box::new(FileSource::new(self.rig.options()))
    }

    async fn produce(&mut self, values: &[Vec<u8>]) {
        let mut bytes = values.join(&b'\n');
        bytes.extend(values.last().map(|_| b'\n'));
        std::fs::create_dir_all(self.rig.path("in")).unwrap();
        self.rig.append("in/a.log", bytes);
    }

    async fn set_down(&mut self, down: bool) -> bool {
        match down {
            true => self.rig.rename("in", "away"),
            false => self.rig.rename("away", "in"),
        }
        true
    }
}

#[tokio::test]
async fn conforms() {
    check_source(|| Folder {
        rig: Rig::new("in/*.log", &[]),
    })
    .await;
}

#[test]
fn a_glob_that_matches_nothing_is_said_until_it_does() {
    let mut rig = Rig::new("*.log", &[]);
    rig.write("other.txt", "one\n");
    rig.scan();
    let problems = rig.health.problems();
    let (place, problem) = problems.first_key_value().unwrap();
    assert!(place.ends_with("/*.log"), "{place}");
    assert_eq!(
        *problem,
        format!(
            "cannot find a file that matches {place}; check `include`; files that appear later are read"
        )
    );
    rig.write("a.log", "one\n");
    assert_eq!(rig.values(), ["one"]);
    assert!(rig.health.problems().is_empty());
    // Files come and go.
    rig.delete("a.log");
    rig.scan();
    assert_eq!(rig.health.history().len(), 1);

    let mut inbox = Rig::new("*.log", &[("after", text("delete"))]);
    inbox.scan();
    assert!(inbox.health.history().is_empty());
}

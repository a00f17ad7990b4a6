//! Two processes on one directory, and what happens to a log whose last user is a callback.

use std::process::{Command, Stdio};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{commit, config, one};
use crate::{Log, LogConfig, LogErrorKind};

const HOLD: &str = "TOWPATH_TEST_HOLD_LOG";

/// Not a test by itself: the other process of the next one holds the log until its input ends.
#[test]
fn holds_the_log_in_another_process() {
    let Ok(dir) = std::env::var(HOLD) else { return };
    let opened = Log::open_disk(dir.as_ref(), LogConfig::default());
    println!("\nholding: {}", opened.is_ok());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn a_second_process_is_refused_with_the_pid_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let name = "tests::process::holds_the_log_in_another_process";
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(HOLD, dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(holder.stdout.take().unwrap());
    let lines = std::io::BufRead::lines(output).map(Result::unwrap);
    let held = lines.into_iter().find(|line| line.starts_with("holding: "));
    assert_eq!(held.as_deref(), Some("holding: true"));
    let error = Log::open_disk(dir.path(), LogConfig::default()).unwrap_err();
    let pid = holder.id();
    assert_eq!(error.kind(), LogErrorKind::Locked { pid: Some(pid) });
    let text = error.to_string();
    assert!(
        text.contains(&format!("in use by process {pid}: stop it")),
        "{text}"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
    Log::open_disk(dir.path(), LogConfig::default()).unwrap();
}

/// The last handle may be dropped by a callback, on a thread of the log itself, which then still
/// has rounds to write: the directory is given up only after those.
#[test]
fn the_lock_is_held_until_the_last_stage_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open_disk(dir.path(), LogConfig::default()).unwrap();
    log.create_topic("t", &config(1)).unwrap();
    let writer = Arc::new(log.open_writer("p.s", 0).unwrap());
    let (go, wait) = channel::<()>();
    let (report, reported) = channel();
    let (path, held) = (dir.path().to_owned(), (log, Arc::clone(&writer)));
    writer.submit(
        one("t", 0, &[1]),
        Box::new(move |_| {
            wait.recv().unwrap();
            drop(held);
            let again = Log::open_disk(&path, LogConfig::default());
            report
                .send(again.map(|_| ()).map_err(|e| e.kind()))
                .unwrap();
        }),
    );
    drop(writer);
    go.send(()).unwrap();
    let pid = Some(std::process::id());
    assert_eq!(
        reported.recv().unwrap(),
        Err(LogErrorKind::Locked { pid }),
        "the lock was released below a running stage"
    );
    let begun = Instant::now();
    while Log::open_disk(dir.path(), LogConfig::default()).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never released");
        std::thread::yield_now();
    }
}

/// A callback that panics ends the log; everybody else still hears.
#[test]
fn a_panic_in_a_callback_is_the_end_of_the_log_and_every_set_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open_disk(dir.path(), LogConfig::default()).unwrap();
    log.create_topic("t", &config(1)).unwrap();
    let writer = log.open_writer("p.s", 0).unwrap();
    commit(&writer, one("t", 0, &[1])).unwrap();
    let (send, receive) = channel();
    let (go, wait) = sync_channel::<()>(1);
    writer.submit(
        one("t", 0, &[2]),
        Box::new(move |_| {
            wait.recv().unwrap();
            panic!("on purpose");
        }),
    );
    for n in 3..10 {
        let send = send.clone();
        let done = move |result: Result<_, crate::LogError>| {
            send.send(result.map(|_| ()).map_err(|e| e.kind())).unwrap();
        };
        writer.submit(one("t", 0, &[n]), Box::new(done));
    }
    go.send(()).unwrap();
    for _ in 3..10 {
        let answer = receive.recv_timeout(Duration::from_secs(20));
        assert_eq!(answer, Ok(Err(LogErrorKind::Failed)));
    }
    let begun = Instant::now();
    while log.failure().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody was told");
        std::thread::yield_now();
    }
}

/// An answer that comes at once, because the log has ended, may submit again.
#[test]
fn a_callback_may_submit_when_the_log_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open_disk(dir.path(), LogConfig::default()).unwrap();
    log.create_topic("t", &config(1)).unwrap();
    let writer = Arc::new(log.open_writer("p.s", 0).unwrap());
    log.close().unwrap();
    let (send, receive) = channel();
    let send = Mutex::new(send);
    std::thread::spawn(move || {
        let again = Arc::clone(&writer);
        let done = move |result: Result<_, crate::LogError>| {
            assert!(result.is_err());
            let second = move |result: Result<_, crate::LogError>| {
                send.lock().unwrap().send(result.is_err()).unwrap();
            };
            again.submit(one("t", 0, &[2]), Box::new(second));
        };
        writer.submit(one("t", 0, &[1]), Box::new(done));
    });
    assert_eq!(receive.recv_timeout(Duration::from_secs(20)), Ok(true));
}

//! Reading: resuming anywhere, starts, headers, bad files, `after`, many files.

use towpath_sdk::config::{Node, NodeValue, Problems, Span};
use towpath_sdk::framing::LineState;
use towpath_sdk::testing::text as text_decoder;
use towpath_sdk::{OnError, StateChange, Tolerance};

use super::super::saved::Saved;
use super::{Rig, counted, gzip, map, text};
use crate::config::FileSourceConfig;

fn lines(name: &str, count: usize) -> String {
    (0..count)
        .map(|number| format!("{name} {number} {}\n", "x".repeat(150)))
        .collect()
}

#[test]
fn resumes_at_every_batch() {
    let content = lines("a", 40_000);
    let expected: Vec<&str> = content.lines().collect();
    for compressed in [false, true] {
        let mut rig = Rig::new("*", &[]);
        match compressed {
            true => rig.write("a.log.gz", gzip(content.as_bytes())),
            false => rig.write("a.log", &content),
        }
        let mut batches = 0;
        loop {
            rig.scan();
            // One is lost, one becomes durable, and then it is killed.
            let more = rig.read().unwrap() && rig.read().unwrap();
            rig.commit(1);
            batches += 1;
            if !more {
                break;
            }
            rig.kill();
        }
        assert!(batches > 5, "{batches}");
        let values = rig.values();
        assert!(
            values
                .iter()
                .map(String::as_str)
                .eq(expected.iter().copied()),
            "{}",
            values.len()
        );
    }
}

#[test]
fn batches_are_of_about_a_mebibyte() {
    let mut rig = Rig::new("*", &[]);
    rig.write("a.log", lines("a", 40_000));
    rig.write("b.log", "\n".repeat(500_000));
    rig.scan();
    let mut sizes = Vec::new();
    while let Some(batch) = {
        let now = rig.now_ms();
        rig.follower().next_batch(now).unwrap()
    } {
        sizes.push(
            batch
                .parts
                .iter()
                .map(|part| part.batch.as_bytes().len())
                .sum::<usize>(),
        );
    }
    let last = sizes.pop().unwrap();
    assert!(last <= 1 << 20);
    assert!(
        sizes
            .iter()
            .all(|size| (600 << 10..=1 << 20).contains(size)),
        "{sizes:?}"
    );
}

#[test]
fn many_files_share_batches() {
    let mut rig = Rig::new("**", &[]);
    for number in 0..3000 {
        std::fs::create_dir_all(rig.path(&format!("{}", number % 7))).unwrap();
        rig.write(
            &format!("{}/file-{number}", number % 7),
            format!("line of {number}\n"),
        );
    }
    rig.scan();
    let mut batches = 0;
    while rig.read().unwrap() {
        batches += 1;
    }
    assert!(batches <= 4, "{batches}");
    rig.commit_all();
    let values = counted(rig.records.iter().map(|(_, value)| value.clone()));
    assert_eq!((values.len(), values.values().max()), (3000, Some(&1)));
    assert_eq!(counted(rig.origins()).len(), 3000);
    assert!(rig.follower().handles.len() <= 256);
}

#[test]
fn where_to_begin() {
    let check = |start: &str, expected: &[&str]| {
        let mut rig = Rig::new("*.log*", &[("start", text(start))]);
        rig.write("old.log", "old\nhalf");
        let past = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
        std::fs::File::open(rig.path("old.log"))
            .unwrap()
            .set_modified(past)
            .unwrap();
        rig.write("packed.log.gz", gzip(b"packed\n"));
        rig.write("new.log", "new\n");
        rig.values();
        rig.append("old.log", " whole\n");
        rig.kill();
        rig.write("later.log", "later\n");
        let mut values = rig.values();
        values.sort();
        assert_eq!(values, expected, "{start}");
    };
    check("earliest", &["half whole", "later", "new", "old", "packed"]);
    check("latest", &["half whole", "later"]);
    check("1h", &["half whole", "later", "new", "packed"]);
    check("2100-01-01T00:00:00Z", &["half whole", "later"]);
    check(
        "1990-01-01T00:00:00Z",
        &["half whole", "later", "new", "old", "packed"],
    );
}

#[test]
fn latest_holds_from_the_first_start_even_without_files() {
    let mut rig = Rig::new("*.log", &[("start", text("latest"))]);
    rig.scan();
    rig.kill();
    rig.write("a.log", "one\n");
    assert_eq!(rig.values(), ["one"]);
}

#[test]
fn headers_tell_where_a_record_comes_from() {
    let names = ["path", "position", "host"].map(text).to_vec();
    let mut rig = Rig::new(
        "*.log",
        &[("headers", Node::new(Span::NONE, NodeValue::List(names)))],
    );
    rig.write("a.log", "one\ntwo\n");
    rig.scan();
    let now = rig.now_ms();
    let batch = rig.follower().next_batch(now).unwrap().unwrap();
    let record = batch.parts[0].batch.records().nth(1).unwrap().unwrap();
    let headers: Vec<(String, String)> = record
        .headers
        .iter()
        .map(|header| header.unwrap())
        .map(|header| (header.key, header.value.unwrap()))
        .map(|(key, value)| {
            [key, value]
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                .into()
        })
        .collect();
    let path = rig.path("a.log").to_string_lossy().into_owned();
    assert_eq!(headers[0], ("path".to_owned(), path.clone()));
    assert_eq!(headers[1], ("position".to_owned(), "4".to_owned()));
    assert_eq!(headers[2].0, "host");
    assert_eq!(batch.parts[0].origin.fields[0].1, path.as_bytes());
}

#[test]
fn no_header_stands_twice() {
    let names = ["path", "host", "path"].map(text).to_vec();
    let options = [
        ("include", text("a")),
        ("headers", Node::new(Span::NONE, NodeValue::List(names))),
    ];
    let mut problems = Problems::new();
    assert!(FileSourceConfig::parse(&map(&options), &mut problems).is_none());
    let messages: Vec<_> = problems.iter().map(|problem| &problem.message).collect();
    assert_eq!(messages, ["a header stands twice"]);
}

#[test]
fn what_is_no_regular_file_is_left_alone() {
    let mut rig = Rig::new("*", &[]);
    rig.write("a.log", "one\n");
    std::fs::create_dir(rig.path("folder")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        rig.path("fifo"),
        fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink(rig.path("a.log"), rig.path("link")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", rig.path("zero")).unwrap();
    assert_eq!(
        rig.values(),
        ["one"],
        "a link to a file that is read anyway is the same file"
    );
    let problems = rig.health.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems
            .values()
            .all(|problem| problem.contains("not a regular file")),
        "{problems:?}"
    );
}

#[test]
fn a_broken_file_stops_only_itself() {
    let mut rig = Rig::new("*", &[]);
    let packed = gzip(lines("p", 3000).as_bytes());
    let mut broken = packed.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 0xff;
    broken[middle + 1] ^= 0xff;
    rig.write("broken.gz", &broken);
    rig.write("cut.gz", &packed[..packed.len() - 10]);
    rig.write("good.log", "one\n");
    rig.drain = true;
    assert!(rig.values().contains(&"one".to_owned()));
    let error = rig.follower().failure().unwrap().to_string();
    assert!(
        error.contains("2 files") && error.contains("broken.gz"),
        "{error}"
    );

    // Mended, the rest of it is read.
    rig.kill();
    rig.write("broken.gz", &packed);
    rig.write("cut.gz", &packed);
    let values = rig.values();
    assert!(rig.follower().failure().is_none());
    let cut = counted(
        rig.records
            .iter()
            .filter(|(origin, _)| origin.ends_with("cut.gz")),
    );
    assert_eq!(
        (cut.len(), cut.values().max()),
        (3000, Some(&1)),
        "{}",
        values.len()
    );
}

#[test]
fn a_drain_names_a_file_that_is_not_there() {
    let mut rig = Rig::new("missing.log", &[]);
    rig.drain = true;
    assert!(rig.values().is_empty());
    let error = rig.follower().failure().unwrap().to_string();
    assert!(error.contains("missing.log: cannot read"), "{error}");
    assert!(error.contains("there is no such file"), "{error}");
}

#[test]
fn a_drain_reads_to_the_end_that_was_there() {
    let mut rig = Rig::new("*.log", &[]);
    rig.drain = true;
    rig.write("a.log", "one\ntwo\n");
    rig.follower();
    rig.append("a.log", "three\n");
    rig.write("b.log", "four\n");
    while rig.read().unwrap() {}
    rig.commit_all();
    assert_eq!(rig.records.len(), 2);
    rig.kill();
    rig.drain = false;
    assert_eq!(rig.values(), ["one", "two", "three", "four"]);
}

#[test]
fn an_open_file_is_read_to_its_end_though_it_is_deleted() {
    let mut rig = Rig::new("*.log", &[]);
    rig.write("a.log", lines("a", 20_000));
    rig.scan();
    assert!(rig.read().unwrap());
    rig.delete("a.log");
    assert_eq!(rig.values().len(), 20_000);
}

#[test]
fn bad_records_go_to_on_error() {
    let mut rig = Rig::new("*.log", &[]);
    rig.write("a.log", "one\n\0poison\ntwo\n");
    rig.scan();
    assert!(rig.read().unwrap());
    let error = rig.read().unwrap_err().to_string();
    assert!(
        error.contains("a.log at byte 4") && error.contains("poison"),
        "{error}"
    );
    rig.commit_all();
    assert_eq!(rig.records.len(), 1);

    let mut context = rig.context();
    context.on_error = OnError::Skip.into();
    context.new_decoder = text_decoder();
    let (mut follower, _) = super::Follower::open(rig.options(), &context, rig.now_ms()).unwrap();
    let batch = follower.next_batch(rig.now_ms()).unwrap().unwrap();
    assert_eq!(batch.refused.len(), 1);
    assert_eq!(
        batch.refused[0].record.value.as_deref().unwrap(),
        b"\0poison"
    );
    assert_eq!(batch.parts[0].batch.len(), 1);
}

#[test]
fn bad_records_are_bounded_by_their_bytes() {
    let rig = Rig::new("*.log", &[]);
    let bad = format!("\0poison {}\n", "x".repeat(100_000));
    rig.write("a.log", bad.repeat(50));
    let mut context = rig.context();
    context.on_error = OnError::Skip.into();
    context.new_decoder = text_decoder();
    let (mut follower, _) = super::Follower::open(rig.options(), &context, rig.now_ms()).unwrap();
    let mut refused = Vec::new();
    while refused.iter().sum::<usize>() < 50 {
        let batch = follower.next_batch(rig.now_ms()).unwrap().unwrap();
        refused.push(batch.refused.len());
    }
    assert!(refused.iter().all(|count| *count <= 12), "{refused:?}");
    assert_eq!(refused.iter().sum::<usize>(), 50);
}

#[test]
fn a_state_that_makes_no_sense_is_an_error() {
    let mut rig = Rig::new("*", &[]);
    rig.write("a.log", "one\n");
    rig.values();
    let (key, value) = rig.state.entries().into_iter().next().unwrap();
    let saved = Saved::decode(&key, &value).unwrap();
    assert_eq!((saved.position, saved.line), (4, LineState::Start));
    assert_eq!(saved.encode(), value);
    for end in 0..92 {
        assert!(Saved::decode(&key, &value[..end]).is_err(), "{end}");
    }
    let mut other = value.to_vec();
    other[0] = 2;
    rig.state.apply(&[StateChange::put(key, other)]);
    let opened = super::Follower::open(rig.options(), &rig.context(), rig.now_ms());
    let Err(error) = opened else {
        panic!("it was taken")
    };
    assert!(error.to_string().contains("file/0/"), "{error}");
}

#[test]
fn tasks_share_files_and_keep_rotated_ones_together() {
    use super::super::cursor::task_of;
    use std::path::Path;
    for base in ["app.log", "web.log", "deep/er.log"] {
        let names = [
            "",
            ".1",
            ".2.gz",
            "-20260101",
            "-20260101.gz",
            ".2026-01-01_00:00.zst",
        ];
        let tasks = names.map(|ending| task_of(Path::new(&format!("logs/{base}{ending}")), 5));
        assert!(
            tasks.iter().all(|task| *task == tasks[0]),
            "{base}: {tasks:?}"
        );
    }
    let tasks = counted((0..80).map(|at| task_of(Path::new(&format!("logs/in-{at}.log")), 4)));
    assert!(
        tasks.len() == 4 && tasks.values().all(|count| (5..40).contains(count)),
        "{tasks:?}"
    );
}

#[test]
fn what_was_rotated_away_is_read_before_what_came_after_it() {
    let mut rig = Rig::new("*.log*", &[]);
    rig.write("app.log", lines("old", 20_000));
    rig.scan();
    assert!(rig.read().unwrap());
    rig.rename("app.log", "app.log.1");
    rig.write("app.log", lines("new", 10));
    let values = rig.values();
    let expected = lines("old", 20_000) + &lines("new", 10);
    assert!(values.iter().map(String::as_str).eq(expected.lines()));
    assert_eq!(
        counted(rig.origins()).len(),
        1,
        "one origin, so one partition"
    );
}

#[test]
fn what_was_refused_of_a_replaced_content_does_not_count() {
    let rig = Rig::new("*.log", &[]);
    let on_error = Tolerance::from(OnError::Skip);
    let mut context = rig.context();
    context.on_error = on_error.clone();
    context.new_decoder = text_decoder();
    rig.write("a.log", "one\n");
    let (mut follower, _) = super::Follower::open(rig.options(), &context, rig.now_ms()).unwrap();
    while follower.next_batch(rig.now_ms()).unwrap().is_some() {}
    // Its bad line is met behind the position, before the beginning is seen to be another one.
    rig.write("a.log", "two\nthree\n\0poison\n");
    let mut refused = 0;
    while refused == 0 {
        follower.scan(rig.now_ms());
        while let Some(batch) = follower.next_batch(rig.now_ms()).unwrap() {
            refused += batch.refused.len();
        }
    }
    assert_eq!((refused, on_error.refused()), (1, 1));
}

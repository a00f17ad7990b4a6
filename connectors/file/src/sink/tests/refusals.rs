//! Files that are not what was written, and records that are bad.

use towpath_sdk::ErrorKind;

use super::*;

/// Delivers `a` and `b`, lets `change` do something to the file, and delivers `c`: an error of
/// `kind` that says `text`, and the file is as it was left.
fn check_refused(change: impl Fn(&Path), kind: ErrorKind, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.txt");
    let subject = Subject::new(folder.path(), "out.txt", &[]);
    subject.deliver(&["a", "b"]).unwrap();
    change(&file);
    let left = std::fs::read(&file).ok();
    let error = subject.deliver(&["c"]).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let error = error.to_string();
    assert!(error.contains(text) && error.contains("out.txt"), "{error}");
    assert_eq!(std::fs::read(&file).ok(), left);
    assert_eq!(subject.committed.offset(0), 2);
}

#[test]
fn a_file_that_is_not_the_committed_one_is_left_alone() {
    use ErrorKind::{Configuration, Fatal};
    check_refused(
        |file| std::fs::remove_file(file).unwrap(),
        Fatal,
        "it is gone",
    );
    check_refused(
        |file| std::fs::write(file, "a\n").unwrap(),
        Fatal,
        "it has 2 bytes where 4",
    );
    check_refused(
        |file| std::fs::write(file, "x\ny\n").unwrap(),
        Fatal,
        "first bytes are others",
    );
    check_refused(
        |file| std::fs::write(file, "x\ny\nz\n").unwrap(),
        Fatal,
        "it has 6 bytes",
    );
    let replace = |file: &Path| {
        let other = file.with_extension("new");
        std::fs::write(&other, "a\nb\nlonger").unwrap();
        std::fs::rename(other, file).unwrap();
    };
    check_refused(replace, Fatal, "replaced by another file");
    let folder = |file: &Path| {
        std::fs::remove_file(file).unwrap();
        std::fs::create_dir(file).unwrap();
    };
    check_refused(folder, Configuration, "not a regular file");
}

#[test]
fn a_file_of_another_format_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    for (path, compression) in [("out", "none"), ("out.gz", "gzip"), ("out.zst", "zstd")] {
        let options = [("compression", compression)];
        let mut subject = Subject::new(folder.path(), path, &options);
        subject.head = Some(HEAD);
        subject.deliver(&["a"]).unwrap();
        subject.deliver(&["b", "c"]).unwrap();
        for head in [Some("another head\n"), None] {
            subject.head = head;
            let error = subject.deliver(&["d"]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            let expected = "does not begin as `format` and `compression` say";
            assert!(error.to_string().contains(expected), "{error}");
        }
        subject.head = Some(HEAD);
        subject.deliver(&["d"]).unwrap();
        let text = files(folder.path()).remove(path).unwrap();
        assert_eq!(text, HEAD.to_owned() + "1:a\n.2:b\nc\n.1:d\n.");
    }
    // What others wrote, too.
    let path = folder.path().join("theirs");
    for (theirs, expected) in [(HEAD, Ok(())), ("x", Err(ErrorKind::Configuration))] {
        std::fs::write(&path, theirs).unwrap();
        let mut subject = Subject::new(folder.path(), "theirs", &[("if_exists", "append")]);
        subject.head = Some(HEAD);
        let delivered = subject.deliver(&["a"]);
        assert_eq!(delivered.map_err(|error| error.kind()), expected);
    }
}

#[test]
fn rotation_goes_on_with_another_format_in_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let rotate = [("rotate.size", "1KiB")];
    let mut subject = Subject::new(folder.path(), "{start_offset}", &rotate);
    let (old, new) = (Some(HEAD), Some("H"));
    for (head, value) in [(old, "a"), (old, "b"), (new, "c"), (new, "d"), (None, "e")] {
        subject.head = head;
        subject.deliver(&[value]).unwrap();
    }
    let expected = [
        ("0", HEAD.to_owned() + "1:a\n.1:b\n."),
        ("2", "H1:c\n.1:d\n.".to_owned()),
        ("4", "e\n".to_owned()),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text));
    assert_eq!(files(folder.path()), expected.into());
}

#[test]
fn a_file_that_was_removed_is_gone_or_waited_for_with_its_folder() {
    let rotate: &[(&str, &str)] = &[("rotate.size", "1KiB")];
    for (path, others) in [("out/t.log", &[][..]), ("out/{start_offset}.log", rotate)] {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("out");
        let subject = Subject::new(root.path(), path, others);
        subject.deliver(&["a", "b"]).unwrap();
        let file = folder.join(files(&folder).into_keys().next().unwrap());
        let check = |kind: ErrorKind, texts: &[&str]| {
            let before = subject.committed.offset(0);
            let error = subject.deliver(&["d"]).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            let error = error.to_string();
            for text in texts {
                assert!(error.contains(text), "{text}: {error}");
            }
            assert!(error.contains(file.to_str().unwrap()), "{error}");
            assert_eq!(subject.committed.offset(0), before);
        };
        let gone = [
            "it is gone;",
            "`towpath offsets reset pipeline.out --to earliest`",
            "`towpath restart pipeline.out`",
        ];

        // With its folder moved away it is waited for, and goes on when that is back.
        let away = root.path().join("away");
        std::fs::rename(&folder, &away).unwrap();
        check(ErrorKind::Transient, &["its folder", "is gone"]);
        assert!(!folder.exists());
        // An empty folder in its place has lost it.
        std::fs::create_dir(&folder).unwrap();
        check(ErrorKind::Fatal, &gone);
        assert!(files(&folder).is_empty());
        std::fs::remove_dir(&folder).unwrap();
        std::fs::rename(&away, &folder).unwrap();
        subject.deliver(&["c"]).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\nb\nc\n");

        // Alone it was taken away.
        std::fs::remove_file(&file).unwrap();
        check(ErrorKind::Fatal, &gone);
        assert!(files(&folder).is_empty());
    }
}

#[test]
fn a_rotated_file_that_was_removed_is_gone_for_a_sink_that_closed_it() {
    let root = tempfile::tempdir().unwrap();
    let mut subject = Subject::new(
        root.path(),
        "{partition}-{start_offset}.log",
        &[("rotate.size", "1KiB")],
    );
    subject.limits.open_files = 1;
    let mut writer = subject.open(2, &Fault::default()).unwrap();
    for partition in 0..2 {
        let batch = subject.batch(partition, 0, &["a".into()]);
        writer.write(batch).unwrap();
        subject.flush(&mut writer).unwrap();
    }
    std::fs::remove_file(root.path().join("0-0.log")).unwrap();
    writer.write(subject.batch(0, 1, &["b".into()])).unwrap();
    let error = subject.flush(&mut writer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fatal, "{error}");
    assert!(error.to_string().contains("it is gone;"), "{error}");
    assert_eq!(subject.committed.offset(0), 1);
}

#[test]
fn a_file_that_changes_while_it_is_written_commits_nothing() {
    fn rotate(file: &Path) {
        std::fs::rename(file, file.with_extension("1")).unwrap();
    }
    fn append(file: &Path) {
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, text + "other\n").unwrap();
    }
    for change in [rotate, append] {
        let folder = tempfile::tempdir().unwrap();
        let subject = Subject::new(folder.path(), "out.txt", &[]);
        let mut writer = subject.open(1, &Fault::default()).unwrap();
        writer.write(subject.batch(0, 0, &["a".into()])).unwrap();
        subject.flush(&mut writer).unwrap();
        change(&folder.path().join("out.txt"));
        writer.write(subject.batch(0, 1, &["b".into()])).unwrap();
        assert_eq!(
            subject.flush(&mut writer).unwrap_err().kind(),
            ErrorKind::Fatal
        );
        assert_eq!(subject.committed.offset(0), 1);
    }
}

#[test]
fn what_was_written_behind_the_commit_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.txt");
    let subject = Subject::new(folder.path(), "out.txt", &[]);
    subject.deliver(&["a"]).unwrap();
    std::fs::write(&file, "a\ntorn").unwrap();
    subject.deliver(&["b"]).unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap(), "a\nb\n");
}

#[test]
fn an_unknown_file_is_refused_or_written_behind() {
    for (existing, expected) in [("", "a\nb\n"), ("x\n", "x\na\nb\n"), ("x", "x\na\nb\n")] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.txt");
        std::fs::write(&file, existing).unwrap();
        let subject = Subject::new(folder.path(), "out.txt", &[]);
        let error = subject.deliver(&["a"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("if_exists: append"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), existing);
        let subject = Subject::new(folder.path(), "out.txt", &[("if_exists", "append")]);
        // Two runs end before anything of theirs is committed.
        for operations in [6, 8] {
            let mut writer = subject.open(1, &Fault::after(operations)).unwrap();
            writer.write(subject.batch(0, 0, &["a".into()])).unwrap();
            assert!(subject.flush(&mut writer).is_err());
        }
        subject.deliver(&["a"]).unwrap();
        subject.deliver(&["b"]).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    }
}

#[test]
fn after_a_reset_the_known_file_goes_on_and_a_full_one_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let mut subject = Subject::new(folder.path(), "out.txt", &[]);
    subject.deliver(&["a"]).unwrap();
    let reset = |subject: &mut Subject| {
        subject.generation += 1;
        subject.committed.offsets.lock().unwrap().clear();
    };
    reset(&mut subject);
    subject.deliver(&["a"]).unwrap();
    assert_eq!(
        std::fs::read_to_string(folder.path().join("out.txt")).unwrap(),
        "a\na\n"
    );
    std::fs::remove_file(folder.path().join("out.txt")).unwrap();
    assert_eq!(
        subject.deliver(&["b"]).unwrap_err().kind(),
        ErrorKind::Fatal
    );
    reset(&mut subject);
    subject.deliver(&["a"]).unwrap();
    assert_eq!(
        std::fs::read_to_string(folder.path().join("out.txt")).unwrap(),
        "a\n"
    );

    let rotate = [("rotate.size", "1KiB")];
    let mut subject = Subject::new(folder.path(), "{start_offset}.txt", &rotate);
    subject.deliver(&["a"]).unwrap();
    reset(&mut subject);
    let error = subject.deliver(&["a"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(
        std::fs::read_to_string(folder.path().join("0.txt")).unwrap(),
        "a\n"
    );
}

#[test]
fn a_bad_record_is_skipped_or_ends_the_task_behind_what_came_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut subject = Subject::new(folder.path(), "out.txt", &[]);
    let values = ["a", "bad", "b"].map(str::to_owned);
    let mut writer = subject.open(1, &Fault::default()).unwrap();
    let error = writer.write(subject.batch(0, 0, &values)).unwrap_err();
    subject.flush(&mut writer).unwrap();
    assert_eq!(subject.committed.offset(0), 1);
    let told = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Record);
    assert!(
        told.starts_with("cannot write record 1; mend it, or set `on_error`"),
        "{told}"
    );
    drop(writer);

    subject.on_error = OnError::Skip;
    let mut writer = subject.open(1, &Fault::default()).unwrap();
    writer.write(subject.batch(0, 1, &values[1..])).unwrap();
    let flushed = subject.flush(&mut writer).unwrap();
    assert_eq!(flushed.refused.len(), 1);
    assert_eq!(flushed.refused[0].record.value.as_deref().unwrap(), b"bad");
    assert_eq!(subject.committed.offset(0), 3);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("out.txt")).unwrap(),
        "a\nb\n"
    );
}

#[test]
fn a_second_writer_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let subject = Subject::new(folder.path(), "out.txt", &[]);
    let mut writer = subject.open(1, &Fault::default()).unwrap();
    writer.write(subject.batch(0, 0, &["a".into()])).unwrap();
    subject.flush(&mut writer).unwrap();
    let error = subject.deliver(&["b"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    let error = error.to_string();
    for part in ["another sink", "an earlier call of this one", "by itself"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn state_that_cannot_be_read_is_fatal() {
    let folder = tempfile::tempdir().unwrap();
    let subject = Subject::new(folder.path(), "out.txt", &[]);
    subject.deliver(&["a"]).unwrap();
    let (key, value) = subject.committed.scan(b"").remove(0);
    for length in 0..value.len() {
        let cut = StateChange::put(key.clone(), value.slice(..length));
        subject.committed.apply(vec![cut], None).unwrap();
        let error = subject.open(1, &Fault::default()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Fatal);
    }
}

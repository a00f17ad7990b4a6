//! What rotation has made of a file, beside what only looks like it.

use super::super::reading::handles_max;
use super::{Rig, counted, gzip};

/// Two contents that differ behind what a fingerprint at their beginning knows.
fn alike() -> (String, String, String) {
    let banner = "# banner ".repeat(600);
    let (old, new) = (format!("{banner}\nold\n"), format!("{banner}\nnew\n"));
    (banner, old, new)
}

/// Seed 269462930 of the histories: the file was taken for what the compressed one was made of,
/// and read by the cursors of both.
#[test]
fn a_file_that_was_away_is_not_taken_for_a_compressed_one_that_begins_alike() {
    let mut rig = Rig::new("*.log*", &[]);
    let (banner, old, new) = alike();
    rig.write("app.log.1.gz", gzip(old.as_bytes()));
    rig.write("app.log", new);
    rig.scan();
    rig.rename("app.log", "away");
    rig.scan();
    rig.rename("away", "app.log");
    let values = counted(rig.values());
    let expected = [(banner, 2), ("new".to_owned(), 1), ("old".to_owned(), 1)];
    assert_eq!(values, expected.into_iter().collect());
}

#[test]
fn a_new_file_is_not_taken_for_a_compressed_one_that_is_not_open() {
    let mut rig = Rig::new("*.log*", &[]);
    let (_, old, new) = alike();
    rig.write("app.log.1.gz", gzip(old.as_bytes()));
    rig.scan();
    rig.follower().handles.clear();
    rig.write("app.log", new);
    rig.values();
    let origins = counted(rig.origins());
    assert_eq!((origins["app.log"], origins["app.log.1.gz"]), (2, 2));
}

#[test]
fn an_original_that_turns_up_beside_half_of_its_compressed_form_is_gone_on_with() {
    let mut rig = Rig::new("*.log*", &[]);
    let text: String = (0..30_000u64)
        .map(|n| format!("{n} {}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let packed = gzip(text.as_bytes());
    rig.write("app.log.1.gz", &packed[..packed.len() / 2]);
    let half = rig.values().len();
    assert!(half > 0 && half < 30_000, "{half}");
    rig.write("app.log.1", &text);
    assert!(rig.values().iter().map(String::as_str).eq(text.lines()));
}

#[test]
fn a_quarter_of_the_limit_of_open_files_is_kept_open() {
    let kept = [Some(16), Some(256), Some(1 << 20), None].map(handles_max);
    assert_eq!(kept, [8, 64, 256, 256]);

    let mut rig = Rig::new("*.log", &[]);
    rig.follower().handles_max = 8;
    for number in 0..20 {
        rig.write(&format!("{number}.log"), "line\n");
    }
    assert_eq!(rig.values().len(), 20);
    assert_eq!(rig.follower().handles.len(), 8);
}

#[test]
fn an_original_that_comes_back_beside_its_compressed_form_is_not_read_again() {
    let mut rig = Rig::new("*.log*", &[]);
    rig.write("app.log.1", "one\ntwo\n");
    rig.values();
    rig.rename("app.log.1", "out of sight");
    rig.write("app.log.1.gz", gzip(b"one\ntwo\n"));
    rig.values();
    rig.append("out of sight", "three\n");
    rig.rename("out of sight", "app.log.1");
    for _ in 0..3 {
        assert_eq!(rig.values(), ["one", "two", "three"]);
        rig.kill();
        rig.later_ms += 10_000;
    }
}

#[test]
fn a_compressed_file_beside_its_original_is_not_read() {
    let mut rig = Rig::new("*.log*", &[]);
    rig.write("app.log.1", "one\ntwo\n");
    rig.write("app.log.1.gz", gzip(b"one\ntwo\n"));
    for _ in 0..3 {
        assert_eq!(rig.values(), ["one", "two"]);
        rig.kill();
        rig.later_ms += 10_000;
    }
    // The original goes: nothing is new. Then somebody adds a member.
    rig.delete("app.log.1");
    assert_eq!(rig.values(), ["one", "two"]);
    rig.append("app.log.1.gz", gzip(b"three\n"));
    assert_eq!(rig.values(), ["one", "two", "three"]);
}

#[test]
fn equal_files_that_are_no_copies_are_all_read() {
    let mut rig = Rig::new("**", &[]);
    for name in ["a-1.log", "a-2.log", "b.log"] {
        rig.write(name, "same\n");
    }
    assert_eq!(rig.values().len(), 3, "without delay");
    rig.write("a-10.log", "same\n");
    assert_eq!(rig.values().len(), 3, "it may be a copy in the making");
    rig.later_ms = 6_000;
    assert_eq!(rig.values().len(), 4);
}

//! `after`, and how long a file that is gone is remembered.

use super::{Rig, map, text};

#[test]
fn read_files_are_deleted_or_moved_when_that_is_durable() {
    let move_to = |rig: &Rig| map(&[("move", text(&rig.path("done").to_string_lossy()))]);
    for drain in [true, false] {
        for moves in [false, true] {
            let first = Rig::new("*", &[]);
            let after = if moves {
                move_to(&first)
            } else {
                text("delete")
            };
            let mut rig = Rig::new("**", &[("after", after)]);
            rig.drain = drain;
            rig.write("a.log", "one\n");
            rig.write("half.log", "two\nthr");
            rig.write("empty.log", "");
            rig.catch_up();
            rig.later_ms = 61_000;
            rig.dispose();
            assert!(rig.exists("a.log"), "it is not durable yet");
            rig.commit_all();
            rig.later_ms = if drain { 0 } else { 50_000 };
            rig.dispose();
            assert_eq!(rig.exists("a.log"), !drain, "somebody may still write");
            // A kill between durable and deleted.
            rig.kill();
            rig.later_ms = 61_000;
            rig.catch_up();
            rig.dispose();
            assert!(!rig.exists("a.log"));
            assert_eq!(rig.exists("half.log"), !drain, "it was not read to its end");
            assert!(rig.exists("empty.log"));
            assert_eq!(rig.states(), usize::from(!drain));
            assert_eq!(first.path("done").join("a.log").exists(), moves);
            rig.write("a.log", "again\n");
            rig.kill();
            assert!(rig.values().contains(&"again".to_owned()));
        }
    }
}

#[test]
fn a_file_that_changed_is_not_deleted() {
    let mut rig = Rig::new("*", &[("after", text("delete"))]);
    rig.drain = true;
    rig.write("a.log", "one\n");
    rig.values();
    rig.append("a.log", "two\n");
    rig.dispose();
    assert!(rig.exists("a.log"));
    rig.kill();
    assert_eq!(rig.values(), ["one", "two"]);
    rig.dispose();
    assert!(!rig.exists("a.log"));
}

#[test]
fn what_is_gone_is_forgotten_in_time() {
    let mut rig = Rig::new("*", &[]);
    rig.write("a.log", "one\n");
    rig.values();
    rig.delete("a.log");
    rig.values();
    assert_eq!(rig.states(), 1, "it may come back compressed");
    rig.later_ms = 25 * 3_600_000;
    rig.values();
    rig.values();
    assert_eq!(rig.states(), 0);
}

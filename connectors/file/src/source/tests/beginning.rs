//! Decoders that must know the beginning of their file, as of CSV with a header: it is the file's
//! own first line, wherever reading is gone on with.

use std::sync::Arc;

use towpath_record::BatchBuilder;
use towpath_sdk::config::Node;
use towpath_sdk::{Decoder, Envelope, Error, OnError, Result};

use super::{Dice, Rig, gzip, map, seed, text};

/// The first line that is not empty is the header; each other becomes `header:line`, but for `bad`.
/// Without its header it takes none.
#[derive(Default)]
struct Headed {
    header: Option<Vec<u8>>,
    lost: bool,
}

impl Decoder for Headed {
    fn decode(&mut self, line: &[u8], _: &Envelope<'_>, out: &mut BatchBuilder) -> Result<()> {
        let line = line.trim_ascii();
        if line == b"bad" || self.lost {
            return Err(Error::record("read", "a bad line"));
        }
        match &self.header {
            _ if line.is_empty() => {}
            None => self.header = Some(line.to_vec()),
            Some(header) => out
                .push(0, None, Some(&[header, &b":"[..], line].concat()), &[])
                .unwrap(),
        }
        Ok(())
    }

    fn wants_beginning(&self) -> bool {
        self.header.is_none() && !self.lost
    }

    fn lose_beginning(&mut self) {
        self.lost = true;
    }
}

fn rig(pattern: &str, options: &[(&str, Node)]) -> Rig {
    let mut rig = Rig::new(pattern, options);
    rig.new_decoder = Some(Arc::new(|| Box::new(Headed::default())));
    rig.on_error = OnError::Skip;
    rig
}

#[test]
fn a_kill_behind_any_byte_changes_no_record() {
    let content = "\n\nh\n1\n2\n\n3\n";
    let joined = map(&[("start", text("."))]);
    for options in [vec![], vec![("multiline", joined)]] {
        for drain in [false, true] {
            for cut in 0..=content.len() {
                let mut rig = rig("*.csv", &options);
                rig.drain = drain;
                rig.write("a.csv", &content[..cut]);
                rig.values();
                rig.kill();
                rig.append("a.csv", &content[cut..]);
                let mut values = rig.values();
                if !options.is_empty() {
                    rig.later_ms += 2_000;
                    values = rig.values();
                }
                assert_eq!(values, ["h:1", "h:2", "h:3"], "{cut} {drain} {options:?}");
            }
        }
    }
}

#[test]
fn a_kill_between_batches_of_a_large_file() {
    // The header is not among the first bytes, and bad lines stand around it.
    let before = "\n".repeat(10_000) + "bad\n";
    let lines: Vec<String> = (0..300_000).map(|line| format!("line {line}")).collect();
    let content = before + "h\nbad\n" + &lines.join("\n") + "\n";
    for packed in [false, true] {
        let mut rig = rig("*.csv", &[]);
        match packed {
            false => rig.write("a.csv", &content),
            true => rig.write("a.csv", gzip(content.as_bytes())),
        }
        let mut kills = 0;
        while rig.records.len() < lines.len() {
            rig.scan();
            assert!(rig.read().unwrap());
            rig.commit(1);
            rig.read().unwrap();
            rig.kill();
            kills += 1;
        }
        assert!(kills > 3, "{kills}");
        let found = rig.records.iter().map(|(_, value)| value);
        assert!(
            found.eq(lines
                .iter()
                .map(|line| format!("h:{line}").into_bytes())
                .collect::<Vec<_>>()
                .iter())
        );
        assert_eq!(rig.refused.len(), 2, "refused once: {:?}", rig.refused);
    }
}

#[test]
fn a_file_that_was_closed_for_another_keeps_its_header() {
    let mut rig = rig("*.csv", &[]);
    rig.follower().handles_max = 1;
    for name in ["a", "b", "c"] {
        rig.write(&format!("{name}.csv"), format!("{name}\n"));
    }
    for line in 0..3 {
        for name in ["a", "b", "c"] {
            rig.append(&format!("{name}.csv"), format!("{line}\n"));
        }
        rig.values();
    }
    let mut values = rig.values();
    values.sort();
    let expected = [
        "a:0", "a:1", "a:2", "b:0", "b:1", "b:2", "c:0", "c:1", "c:2",
    ];
    assert_eq!(values, expected);
}

#[test]
fn a_file_that_was_replaced_has_a_header_of_its_own() {
    let mut rig = rig("*.csv", &[]);
    rig.write("a.csv", "old\n1\n");
    rig.values();
    rig.write("a.csv", "new\n2\n3\n");
    assert_eq!(rig.values(), ["old:1", "new:2", "new:3"]);
    rig.kill();
    rig.append("a.csv", "4\n");
    rig.rename("a.csv", "a.1.csv");
    rig.write("a.csv", "newer\n5\n");
    assert_eq!(rig.values()[3..], ["new:4", "newer:5"]);
}

#[test]
fn what_begins_at_the_end_knows_the_header_too() {
    let mut rig = rig("*.csv", &[("start", text("latest"))]);
    rig.write("a.csv", "h\n1\n2");
    assert!(rig.values().is_empty());
    rig.append("a.csv", "\n3\n");
    assert_eq!(rig.values(), ["h:2", "h:3"]);
}

#[test]
fn any_history_gives_each_line_its_header_once() {
    let mut dice = Dice::new(seed());
    for _ in 0..200 {
        let mut rig = rig("*.csv", &[]);
        let mut expected = Vec::new();
        let names = ["a.csv", "b.csv"];
        for step in 0..30 {
            let name = names[dice.below(2)];
            if !rig.exists(name) {
                rig.write(name, format!("of {name}\n"));
            }
            match dice.below(4) {
                0 => rig.kill(),
                1 => rig.catch_up(),
                2 => {
                    rig.catch_up();
                    rig.commit(dice.below(3));
                }
                _ => {
                    rig.append(name, format!("{step}\n"));
                    expected.push(format!("of {name}:{step}"));
                }
            }
        }
        let mut values = rig.values();
        values.sort();
        expected.sort();
        assert_eq!(values, expected);
    }
}

#[test]
fn no_line_is_taken_for_a_header_that_is_too_long() {
    for oversize in ["skip", "truncate", "fail"] {
        let options = [("max_line", text("5B")), ("oversize", text(oversize))];
        for cut in 0..=10 {
            let content = "header\n1\n2\n";
            let mut rig = rig("*.csv", &options);
            rig.write("a.csv", &content[..cut]);
            rig.values();
            rig.kill();
            rig.append("a.csv", &content[cut..]);
            assert!(rig.values().is_empty(), "{oversize} {cut}");
            assert_eq!(rig.refused.len(), 3, "{oversize} {cut}");
        }
    }
}

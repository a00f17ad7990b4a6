//! Random histories of writing, rotating, reading, committing and killing, against an oracle:
//! every whole line exactly once, and the lines of one content in their order.
//!
//! `TOWPATH_HISTORIES` says how many; each has its own seed, that of the run and a number.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::kinship::QUIET_MS;
use super::{Dice, Rig, gzip, seed};

/// Rotated files that are kept of a log.
const KEPT: usize = 4;

/// What a log's files are: `app.log`, and what rotation has made of it, newest first.
struct Log {
    name: &'static str,
    /// Number of the content in the live file; `None` when there is no live file.
    live: Option<usize>,
    /// Lines of each content so far.
    lines: Vec<usize>,
    /// The end of a line of which the beginning is written.
    half: Option<String>,
    /// Names of the rotated files.
    rotated: Vec<String>,
    /// The content of the newest rotated file, while its writer has not noticed the rename.
    late: Option<usize>,
}

struct History {
    rig: Rig,
    dice: Dice,
    logs: Vec<Log>,
    /// Every whole line that was ever written.
    written: Vec<String>,
    /// All files begin with the same long line.
    banner: Option<String>,
    /// What was done, for a failure's message.
    story: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let rig = Rig::new("*.log*", &[]);
        let names = ["app.log", "web.log"];
        let logs = names[..1 + dice.below(2)].iter().map(|name| Log {
            name,
            live: None,
            lines: Vec::new(),
            half: None,
            rotated: Vec::new(),
            late: None,
        });
        let logs = logs.collect();
        let banner = dice
            .one_in(3)
            .then(|| format!("# {}", "banner ".repeat(700)));
        Self {
            rig,
            dice,
            logs,
            written: Vec::new(),
            banner,
            story: Vec::new(),
        }
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            let log = self.dice.below(self.logs.len());
            match self.dice.below(21) {
                0..=5 => self.write(log),
                6..=8 => self.read(),
                9 => self.commit(),
                10 | 11 => self.kill(),
                12 | 13 => self.rename(log),
                14 | 15 => self.copytruncate(log),
                16 | 17 => self.compress(log),
                18 => self.rewrite(log),
                19 => self.go_away(log),
                _ => self.write_late(log),
            }
        }
        for log in 0..self.logs.len() {
            self.finish_line(log);
        }
        if self.dice.one_in(2) {
            self.kill();
            self.rig.drain = self.dice.one_in(2);
        }
        self.catch_up();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.rig.path(name)
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.story.push(what.into());
    }

    /// The next line of `content` of `log`, which is then part of the oracle.
    fn line(&mut self, log: usize, content: usize) -> String {
        let number = self.logs[log].lines[content];
        self.logs[log].lines[content] += 1;
        let padding = ".".repeat(self.dice.below(60));
        let line = format!("{log} {content} {number} {padding}");
        self.written.push(line.clone());
        line
    }

    fn write(&mut self, log: usize) {
        let name = self.logs[log].name;
        let mut bytes = String::new();
        let content = match self.logs[log].live {
            Some(content) => content,
            None => {
                self.logs[log].lines.push(0);
                self.logs[log].live = Some(self.logs[log].lines.len() - 1);
                self.logs[log].lines.len() - 1
            }
        };
        if self
            .path(name)
            .metadata()
            .map_or(0, |metadata| metadata.len())
            == 0
            && let Some(banner) = &self.banner
        {
            bytes = format!("{banner}\n");
            self.written.push(banner.clone());
        }
        bytes.extend(self.logs[log].half.take());
        for _ in 0..1 + self.dice.below(8) {
            bytes += &self.line(log, content);
            bytes.push('\n');
        }
        if self.dice.one_in(4) {
            let line = self.line(log, content) + "\n";
            let (begun, rest) = line.split_at(1 + self.dice.below(line.len() - 1));
            bytes += begun;
            self.logs[log].half = Some(rest.to_owned());
        }
        self.rig.append(name, bytes);
        self.tell(format!("write {name} content {content}"));
    }

    fn finish_line(&mut self, log: usize) {
        if let Some(rest) = self.logs[log].half.take() {
            let name = self.logs[log].name;
            self.rig.append(name, rest);
        }
    }

    /// A writer that still has the file open which was renamed.
    fn write_late(&mut self, log: usize) {
        let (Some(content), Some(name)) = (self.logs[log].late, self.logs[log].rotated.first())
        else {
            return;
        };
        let name = name.clone();
        let line = self.line(log, content) + "\n";
        self.rig.append(&name, line);
        self.tell(format!("write late {name}"));
    }

    fn read(&mut self) {
        if self.dice.one_in(4) {
            self.rig.scan();
        }
        self.rig.scan();
        let most = self.dice.below(4);
        for _ in 0..most {
            if !self.rig.read().unwrap() {
                break;
            }
        }
        self.tell(format!("read {most}"));
    }

    fn commit(&mut self) {
        let count = self.dice.below(self.rig.in_flight() + 1);
        self.rig.commit(count);
        self.tell(format!("commit {count}"));
    }

    fn kill(&mut self) {
        self.rig.kill();
        self.tell("kill");
    }

    /// Before bytes vanish for good, they must be durable.
    fn catch_up(&mut self) {
        self.rig.catch_up();
        // A file that was held as it looked like a copy in the making is read at last.
        self.rig.later_ms = QUIET_MS;
        while self.rig.follower().deadline_ms().is_some() {
            self.rig.catch_up();
        }
        self.rig.later_ms = 0;
        self.rig.commit_all();
        self.tell("catch up and commit");
    }

    /// Moves every rotated file on by one, so that `NAME.1` is free.
    fn shift(&mut self, log: usize) {
        if self.logs[log].rotated.len() == KEPT {
            self.catch_up();
            let oldest = self.logs[log].rotated.pop().unwrap();
            self.rig.delete(&oldest);
            self.tell(format!("delete {oldest}"));
        }
        let name = self.logs[log].name;
        for at in (0..self.logs[log].rotated.len()).rev() {
            let from = self.logs[log].rotated[at].clone();
            let ending = if from.ends_with(".gz") { ".gz" } else { "" };
            let to = format!("{name}.{}{ending}", at + 2);
            self.rig.rename(&from, &to);
            self.logs[log].rotated[at] = to;
        }
        self.logs[log].late = None;
    }

    fn rename(&mut self, log: usize) {
        let Some(content) = self.logs[log].live else {
            return;
        };
        self.finish_line(log);
        self.shift(log);
        let (name, rotated) = (self.logs[log].name, format!("{}.1", self.logs[log].name));
        self.rig.rename(name, &rotated);
        self.tell(format!("rename {name} to {rotated}"));
        self.logs[log].rotated.insert(0, rotated);
        self.logs[log].live = None;
        self.logs[log].late = self.dice.one_in(2).then_some(content);
        if self.dice.one_in(2) {
            self.rig.write(name, "");
        }
    }

    fn copytruncate(&mut self, log: usize) {
        if self.logs[log].live.is_none() {
            return;
        }
        self.finish_line(log);
        if self.dice.one_in(2) {
            self.catch_up();
        }
        self.shift(log);
        let (name, copy) = (self.logs[log].name, format!("{}.1", self.logs[log].name));
        let bytes = std::fs::read(self.path(name)).unwrap();
        let known = !self.rig.state.entries().is_empty() || self.rig.in_flight() > 0;
        if known && self.dice.one_in(2) {
            self.rig.catch_up();
            self.tell(format!("half a copy of {name}"));
            self.rig
                .write(&copy, &bytes[..self.dice.below(bytes.len() + 1)]);
            self.rig.catch_up();
            self.rig.write(&copy, &bytes);
            self.rig.catch_up();
        } else {
            self.rig.write(&copy, &bytes);
        }
        std::fs::File::create(self.path(name)).unwrap();
        self.tell(format!("copy {name} to {copy} and truncate it"));
        self.logs[log].rotated.insert(0, copy);
        self.logs[log].live = None;
    }

    fn compress(&mut self, log: usize) {
        let plain: Vec<usize> = (0..self.logs[log].rotated.len())
            .filter(|at| !self.logs[log].rotated[*at].ends_with(".gz"))
            .collect();
        let Some(&at) = plain.get(self.dice.below(plain.len().max(1))) else {
            return;
        };
        if at == 0 {
            self.logs[log].late = None;
        }
        let from = self.logs[log].rotated[at].clone();
        let to = format!("{from}.gz");
        let bytes = gzip(&std::fs::read(self.path(&from)).unwrap());
        if self.dice.one_in(3) {
            self.rig.write(&to, &bytes[..self.dice.below(bytes.len())]);
            self.rig.catch_up();
            self.tell(format!("half of {to}"));
        }
        self.rig.write(&to, bytes);
        if self.dice.one_in(3) {
            self.rig.catch_up();
            self.tell(format!("all of {to}, beside {from}"));
        }
        self.rig.delete(&from);
        self.tell(format!("gzip {from}"));
        self.logs[log].rotated[at] = to;
    }

    /// Truncates and writes, with nothing kept; or deletes and writes, which uses the inode again.
    fn rewrite(&mut self, log: usize) {
        if self.logs[log].live.is_none() {
            return;
        }
        self.finish_line(log);
        self.catch_up();
        let name = self.logs[log].name;
        if self.dice.one_in(2) {
            std::fs::File::create(self.path(name)).unwrap();
            self.tell(format!("truncate {name}"));
        } else {
            self.rig.delete(name);
            self.tell(format!("delete {name}"));
        }
        self.logs[log].live = None;
        for _ in 0..1 + self.dice.below(4) {
            self.write(log);
        }
    }

    /// The live file is out of sight for a while.
    fn go_away(&mut self, log: usize) {
        if self.logs[log].live.is_none() {
            return;
        }
        let name = self.logs[log].name;
        self.rig.rename(name, "away");
        self.tell(format!("move {name} away"));
        if self.dice.one_in(2) {
            self.read();
        }
        if self.dice.one_in(2) {
            self.kill();
        }
        self.read();
        self.rig.rename("away", name);
        self.tell("and back");
    }

    /// What is wrong, if anything is.
    fn verdict(&self) -> Option<String> {
        let mut expected: BTreeMap<&str, i64> = BTreeMap::new();
        for line in &self.written {
            *expected.entry(line).or_default() += 1;
        }
        let mut last: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (_, value) in &self.rig.records {
            let line = std::str::from_utf8(value).unwrap();
            *expected.entry(line).or_default() -= 1;
            let mut numbers = line
                .split(' ')
                .filter_map(|word| word.parse::<usize>().ok());
            if let (Some(log), Some(content), Some(number)) =
                (numbers.next(), numbers.next(), numbers.next())
                && let Some(before) = last.insert((log, content), number)
                && before >= number
            {
                return Some(format!("{line} came after line {before}"));
            }
        }
        let wrong: Vec<String> = expected
            .iter()
            .filter(|(_, count)| **count != 0)
            .map(|(line, count)| format!("{count:+} {}", &line[..line.len().min(30)]))
            .collect();
        (!wrong.is_empty()).then(|| format!("missing (+) or doubled (-): {wrong:?}"))
    }
}

#[test]
fn every_line_exactly_once_whatever_rotation_does() {
    let count = std::env::var("TOWPATH_HISTORIES").map_or(1000, |count| count.parse().unwrap());
    let seed = seed();
    for number in 0..count {
        let mut history = History::new(seed + number);
        history.run(40);
        if let Some(wrong) = history.verdict() {
            history.rig.show();
            panic!(
                "TOWPATH_SEED={} TOWPATH_HISTORIES=1: {wrong}\n{}",
                seed + number,
                history.story.join("\n")
            );
        }
    }
}

//! Random histories of leases beside ordinary sets, of several writers on the same partitions, with
//! faults, kills and power cuts; what must then be there is known without asking the log.
//! `TOWPATH_SEED` replays one history, `TOWPATH_SEEDS` says how many.
//!
//! Each owner's sets go through a chain of state, as in [`super::oracle`]: what is stored says which
//! of them count. Each value is of one set of one owner, so each partition must hold the values of
//! the sets that count and no others, those of one set together, and those of one owner in order.

mod checks;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use self::checks::stored;
use super::{batch, config, put};
use crate::lease::Asked;
use crate::testing::{Fault, ManualClock, Random, SimDisk, Step, Steps, checkpoint, open_stepped};
use crate::{
    AppendSet, Durability, Lease, Log, LogConfig, LogErrorKind, ReadTo, TopicBatch, Writer, audit,
};

const DIR: &str = "/data";
const TOPIC: &str = "t";
const PARTITIONS: u32 = 3;
const OWNERS: usize = 3;

/// What one set said: (partition, values) of each batch.
type Said = Vec<(u32, Vec<u64>)>;

/// One owner: its writer, the lease it asks for or holds, and what is known of its sets.
#[derive(Default)]
struct Lane {
    writer: Option<Writer>,
    asked: Option<(Asked, u64)>,
    held: Option<Held>,
    /// By number, from 1 on: what was submitted and may count.
    said: Vec<Said>,
    heard: Arc<Mutex<Heard>>,
}

struct Held {
    lease: Lease,
    number: u64,
    /// Batches that were appended, with their offsets.
    offsets: Vec<u64>,
}

/// The last set that was acknowledged, and the last as durable.
#[derive(Default)]
struct Heard {
    acknowledged: u64,
    durable: u64,
}

/// How often things happened, in all histories.
#[derive(Debug, Default)]
struct Counts {
    committed: u64,
    dropped: u64,
    waited: u64,
}

struct Model<'a> {
    random: Random,
    disk: SimDisk,
    config: LogConfig,
    lanes: Vec<Lane>,
    next_value: u64,
    /// Value at each offset that was acknowledged or read.
    named: BTreeMap<(u32, u64), u64>,
    /// Something was made to fail in this session.
    faulty: bool,
    counts: &'a mut Counts,
}

#[test]
fn leases_beside_sets_of_others() {
    let number = |name: &str| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse::<u64>().ok())
    };
    let mut counts = Counts::default();
    if let Some(seed) = number("TOWPATH_SEED") {
        return Model::new(seed, &mut counts).run();
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first = now.unwrap().as_nanos() as u64;
    let count = number("TOWPATH_SEEDS").unwrap_or(5_000);
    println!("{count} seeds from {first}");
    for seed in first..first + count {
        let run = std::panic::AssertUnwindSafe(|| Model::new(seed, &mut counts).run());
        let run = std::panic::catch_unwind(run);
        assert!(run.is_ok(), "replay with TOWPATH_SEED={seed}");
    }
    println!("{counts:?}");
    let least = count / 4;
    assert!(counts.committed > least && counts.dropped > least && counts.waited > least);
}

impl<'a> Model<'a> {
    fn new(seed: u64, counts: &'a mut Counts) -> Self {
        let mut random = Random::new(seed);
        let durability = match random.one_in(3) {
            true => Durability::Os,
            false => Durability::Fsync,
        };
        let config = LogConfig {
            durability,
            segment_bytes: 1024 + random.below(2048),
            commit_file_bytes: 16 << 10,
            checkpoint_ms: 1000,
        };
        Self {
            disk: SimDisk::new(random.number()),
            random,
            config,
            lanes: (0..OWNERS).map(|_| Lane::default()).collect(),
            next_value: 1,
            named: BTreeMap::new(),
            faulty: false,
            counts,
        }
    }

    fn run(&mut self) {
        let mut power_was_cut = false;
        for session in 0.. {
            let (log, steps) = self.open(&mut power_was_cut);
            self.settle_lanes(&log, power_was_cut);
            self.check(&log);
            let unlisted = {
                let (shared, published) = (log.shared(), log.shared().published());
                audit::unlisted(&*shared.storage, &shared.layout, &published.state)
            };
            assert_eq!(unlisted.unwrap(), Vec::<String>::new());
            if session == 3 {
                return;
            }
            self.session(&log, &steps);
            // From here on the process is being killed: who holds a lease does nothing more.
            self.disk.plan(0, Fault::Stop);
            let _ = crate::Storage::list(&self.disk, Path::new(DIR));
            for lane in &mut self.lanes {
                (lane.writer, lane.asked, lane.held) = (None, None, None);
            }
            drop((log, steps));
            power_was_cut = self.crash();
        }
    }

    fn crash(&mut self) -> bool {
        let power = self.random.one_in(2);
        match power {
            true => self.disk.cut_power(),
            false => self.disk.kill(),
        }
        power
    }

    /// Opens, with crashes and full disks in the midst of it.
    fn open(&mut self, power_was_cut: &mut bool) -> (Log, Arc<Steps>) {
        for attempt in 0.. {
            let faulty = attempt < 3 && self.random.one_in(3);
            if faulty {
                let fault = [Fault::Stop, Fault::SyncError, Fault::Full];
                let fault = fault[self.random.below(3) as usize];
                self.disk.plan(self.random.below(60), fault);
            }
            let clock = Arc::new(ManualClock::default());
            let storage = Arc::new(self.disk.clone());
            match open_stepped(Path::new(DIR), self.config, storage, clock) {
                Ok((log, steps, recovery)) if !self.disk.is_stopped() => {
                    assert_eq!(recovery.damage, Vec::<String>::new());
                    assert_eq!(recovery.strays, Vec::<String>::new());
                    self.disk.calm();
                    return (log, steps.unwrap());
                }
                Ok((log, ..)) => drop(log),
                Err(error) => assert!(faulty, "{error}"),
            }
            *power_was_cut |= self.crash();
        }
        unreachable!("the fourth attempt has no fault");
    }

    fn session(&mut self, log: &Log, steps: &Steps) {
        self.faulty = false;
        if log.create_topic(TOPIC, &config(PARTITIONS)).is_err() {
            return;
        }
        if self.random.one_in(2) {
            let fault = [Fault::Stop, Fault::SyncError, Fault::Full, Fault::Stop];
            let fault = fault[self.random.below(4) as usize];
            self.disk.plan(self.random.below(400), fault);
            self.faulty = true;
        }
        for _ in 0..self.random.below(120) {
            self.act(log, steps);
            let failure = log.failure();
            assert!(self.faulty || failure.is_none(), "{failure:?}");
        }
        if self.random.one_in(4) {
            let _ = log.close();
        }
    }

    fn act(&mut self, log: &Log, steps: &Steps) {
        let owner = self.random.below(OWNERS as u64) as usize;
        match self.random.below(20) {
            0..=4 => self.submit(log, owner),
            5..=6 => self.ask(log, owner),
            7..=12 => self.go_on(owner),
            13..=14 => drop(steps.step(Step::Append(1 + self.random.below(3) as usize))),
            15..=16 => drop(steps.step(Step::Sync)),
            17 => drop(steps.step(Step::Commit(1 + self.random.below(3) as usize))),
            18 => match self.random.below(4) {
                0 => drop(checkpoint(log)),
                1 => self.drop_lease(owner),
                // The next act opens another one, and this one's lease is fenced.
                2 => self.lanes[owner].writer = None,
                _ => self.disk.free_space(),
            },
            _ if !self.disk.is_stopped() => self.check(log),
            _ => {}
        }
    }

    /// A writer that can submit: a new one, if an earlier set was refused.
    fn ready(&mut self, log: &Log, owner: usize) -> bool {
        let lane = &mut self.lanes[owner];
        if lane.writer.is_none() {
            lane.writer = log.open_writer(&name(owner), 0).ok();
            if lane.writer.is_some() {
                // What of the one before was not answered is fenced.
                lane.said.truncate(stored(log, owner) as usize);
            }
        }
        lane.writer.is_some()
    }

    fn submit(&mut self, log: &Log, owner: usize) {
        if !self.ready(log, owner) {
            return;
        }
        let batches = self.random.below(3);
        let said = self.invent(batches, &(0..PARTITIONS).collect());
        let os = self.config.durability == Durability::Os;
        let durable = self.random.one_in(3) || !os;
        let lane = &mut self.lanes[owner];
        lane.said.push(said.clone());
        let number = lane.said.len() as u64;
        let set = AppendSet {
            batches: said.iter().map(topic_batch).collect(),
            offsets: vec![],
            state: vec![put("at", (number > 1).then(|| number - 1), number)],
            until: match durable {
                true => ReadTo::Durable,
                false => ReadTo::Committed,
            },
        };
        let heard = Arc::clone(&lane.heard);
        let done = move |result: Result<_, _>| {
            let mut heard = heard.lock().unwrap();
            if result.is_ok() {
                heard.acknowledged = heard.acknowledged.max(number);
                heard.durable = heard.durable.max(if durable { number } else { 0 });
            }
        };
        let writer = lane.writer.as_ref().unwrap();
        writer.submit(set, Box::new(done));
        if self.random.one_in(30) {
            lane.writer = None;
        }
    }

    fn invent(&mut self, batches: u64, partitions: &BTreeSet<u32>) -> Said {
        let partitions: Vec<u32> = partitions.iter().copied().collect();
        let mut said = Said::new();
        for _ in 0..batches {
            let partition = partitions[self.random.below(partitions.len() as u64) as usize];
            let first = self.next_value;
            self.next_value += 1 + self.random.below(4);
            said.push((partition, (first..self.next_value).collect()));
        }
        said
    }

    fn ask(&mut self, log: &Log, owner: usize) {
        let lane = &self.lanes[owner];
        if lane.asked.is_some() || lane.held.is_some() || !self.ready(log, owner) {
            return;
        }
        let chosen = 1 + self.random.below((1 << PARTITIONS) - 1);
        let partitions = (0..PARTITIONS).filter(|partition| chosen >> partition & 1 == 1);
        let partitions: BTreeSet<u32> = partitions.collect();
        let batches = self.random.below(12);
        let said = self.invent(batches, &partitions);
        let lane = &mut self.lanes[owner];
        lane.said.push(said);
        let number = lane.said.len() as u64;
        let topic: Arc<str> = Arc::from(TOPIC);
        let partitions = partitions.iter().map(|at| (Arc::clone(&topic), *at));
        let writer = lane.writer.as_ref().unwrap();
        if let Ok(asked) = writer.ask_lease(&partitions.collect()) {
            lane.asked = Some((asked, number));
        }
    }

    /// The owner's lease goes one step further.
    fn go_on(&mut self, owner: usize) {
        let lane = &mut self.lanes[owner];
        if let Some((asked, number)) = lane.asked.take() {
            match asked.answered.try_recv() {
                Ok(Ok(taken)) => {
                    let (lease, offsets) = (asked.taken(taken), Vec::new());
                    lane.held = Some(Held {
                        lease,
                        number,
                        offsets,
                    });
                }
                // Refused, or the log has ended.
                Ok(Err(_)) | Err(std::sync::mpsc::TryRecvError::Disconnected) => lane.writer = None,
                Err(std::sync::mpsc::TryRecvError::Empty) => {
                    self.counts.waited += 1;
                    lane.asked = Some((asked, number));
                }
            }
            return;
        }
        let Some(mut held) = lane.held.take() else {
            return;
        };
        let Some(said) = lane.said.get(held.number as usize - 1) else {
            // Fenced, and another set has its number.
            return drop(held);
        };
        let Some(next) = said.get(held.offsets.len()) else {
            return self.commit(owner, held);
        };
        match held.lease.append(&topic_batch(next)) {
            Ok(offset) => {
                held.offsets.push(offset);
                lane.held = Some(held);
            }
            Err(error) if error.kind() == LogErrorKind::Transient && self.random.one_in(2) => {
                self.disk.free_space();
                lane.held = Some(held);
            }
            Err(_) => {
                lane.writer = None;
                drop(held);
            }
        }
    }

    fn commit(&mut self, owner: usize, held: Held) {
        let number = held.number;
        let state = put("at", (number > 1).then(|| number - 1), number);
        let committed = held.lease.commit(vec![state]);
        let lane = &mut self.lanes[owner];
        let said = lane.said.get(number as usize - 1).cloned();
        match committed {
            Ok(()) => {
                self.counts.committed += 1;
                let mut heard = lane.heard.lock().unwrap();
                (heard.acknowledged, heard.durable) = (number, number);
                drop(heard);
                for ((partition, values), base) in said.unwrap().iter().zip(&held.offsets) {
                    for (value, offset) in values.iter().zip(*base..) {
                        self.name(*partition, offset, *value);
                    }
                }
            }
            Err(_) => lane.writer = None,
        }
    }

    fn drop_lease(&mut self, owner: usize) {
        let lane = &mut self.lanes[owner];
        if let Some(held) = lane.held.take() {
            self.counts.dropped += 1;
            lane.writer = None;
            drop(held);
        }
    }
}

fn name(owner: usize) -> String {
    format!("pipeline.{owner}")
}

fn topic_batch((partition, values): &(u32, Vec<u64>)) -> TopicBatch {
    TopicBatch {
        topic: TOPIC.into(),
        partition: *partition,
        batch: batch(values, 20 + (values[0] as usize * 7) % 300),
    }
}

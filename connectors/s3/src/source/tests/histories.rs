//! What is done, over random histories of a bucket: objects appear before and behind the sweep, late,
//! replaced, deleted; the task is killed at any moment, and goes on with another number of tasks.
//! Each content is read once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use towpath_sdk::StateChange;
use towpath_sdk::testing::FakeState;

use super::super::done::{Done, SHORT_WINDOW_MS, Standing, WINDOW_MS};
use super::super::saved::{Entry, Reading};
use crate::client::Listed;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A bucket, the readers of it, and what they have read.
struct World {
    random: Random,
    now_ms: i64,
    /// By key: ETag and time of modification.
    bucket: BTreeMap<String, (String, i64)>,
    state: Arc<FakeState>,
    tasks: u32,
    remembered_max: usize,
    by_time: bool,
    /// How often each content was read to its end, durably.
    read: BTreeMap<(String, String), u32>,
    contents: u64,
}

/// Whether the task was killed.
type Lives = Result<(), ()>;

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let remembered_max = [4, 8, 100_000][random.below(3) as usize];
        let by_time = random.chance(30);
        Self {
            random,
            now_ms: 1_000 * WINDOW_MS,
            bucket: BTreeMap::new(),
            state: Arc::default(),
            tasks: 1,
            remembered_max,
            by_time,
            read: BTreeMap::new(),
            contents: 0,
        }
    }

    /// Time passes, and something happens to the bucket.
    fn happen(&mut self) {
        self.now_ms += 1 + self.random.below(WINDOW_MS as u64 / 4) as i64;
        let key = format!("{:02}", self.random.below(60));
        if self.random.chance(10) {
            self.bucket.remove(&key);
            return;
        }
        // With a short memory the window is as short as it gets.
        let late_ms = match self.remembered_max > 1_000 {
            true => WINDOW_MS,
            false => SHORT_WINDOW_MS,
        };
        let age_ms = match self.random.chance(30) {
            true => self.random.below(late_ms as u64) as i64,
            false => 0,
        };
        self.contents += 1;
        let etag = self.contents.to_string();
        self.bucket.insert(key, (etag, self.now_ms - age_ms));
    }

    fn listing(&self, after: &str) -> Vec<Listed> {
        let behind = self.bucket.iter().filter(|(key, _)| key.as_str() > after);
        let page = behind.map(|(key, (etag, modified_ms))| Listed {
            key: key.clone(),
            etag: etag.clone(),
            size: 1,
            modified_ms: *modified_ms,
        });
        page.take(7).collect()
    }

    /// Makes changes durable, unless the task is killed before or among them.
    fn commit(&mut self, changes: &[StateChange], read: Option<&Listed>) -> Lives {
        if self.random.chance(2) {
            return Err(());
        }
        if let Some(object) = read {
            let content = (object.key.clone(), object.etag.clone());
            *self.read.entry(content).or_default() += 1;
            self.state.apply(changes);
            return Ok(());
        }
        for change in changes {
            if self.random.chance(1) {
                return Err(());
            }
            self.state.apply(std::slice::from_ref(change));
        }
        Ok(())
    }

    fn life(&mut self, task: u32) -> Lives {
        let (mut done, fresh) = Done::restore(&*self.state, task, self.tasks).unwrap();
        done.remember(self.remembered_max);
        if !fresh.is_empty() {
            let changes = done.begin(&fresh, i64::MIN, &[]);
            self.state.apply(&changes);
        }
        for _ in 0..=self.random.below(3) {
            self.sweep(&mut done)?;
        }
        Ok(())
    }

    fn sweep(&mut self, done: &mut Done) -> Lives {
        done.begin_sweep(self.now_ms);
        if self.by_time {
            let mut all: Vec<Listed> = Vec::new();
            while let page = self.listing(all.last().map_or("", |last| &last.key))
                && !page.is_empty()
            {
                all.extend(page);
            }
            all.retain(|object| done.standing(object) != Standing::Done);
            all.sort_by_key(|object| (object.modified_ms, object.key.clone()));
            for chunk in all.chunks(5) {
                chunk
                    .iter()
                    .try_for_each(|object| self.meet(done, object))?;
                let last = chunk.last().map_or(0, |last| last.modified_ms);
                let changes = done.swept_before(last);
                self.commit(&changes, None)?;
            }
        } else {
            let mut after = String::new();
            while let page = self.listing(&after)
                && let Some(last) = page.last()
            {
                page.iter().try_for_each(|object| self.meet(done, object))?;
                after.clone_from(&last.key);
                let changes = done.swept_to(&after);
                self.commit(&changes, None)?;
            }
        }
        let changes = done.end_sweep();
        self.commit(&changes, None)
    }

    fn meet(&mut self, done: &mut Done, object: &Listed) -> Lives {
        if self.random.chance(10) {
            self.happen();
        }
        if !done.owns(&object.key) {
            return Ok(());
        }
        match done.standing(object) {
            Standing::New | Standing::Begun(_) if self.random.chance(10) => {
                // It cannot be read now.
                let change = done.put(object, Entry::Reading(Reading::default()));
                self.commit(&[change], None)
            }
            Standing::New | Standing::Begun(_) => {
                let modified_ms = object.modified_ms;
                let change = done.put(object, Entry::Done { modified_ms });
                self.commit(&[change], Some(object))
            }
            Standing::Read | Standing::Done => Ok(()),
        }
    }

    fn check(&mut self) {
        let twice: Vec<_> = self.read.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "read more than once: {twice:?}");
        let present = self
            .bucket
            .iter()
            .map(|(key, (etag, _))| (key.clone(), etag.clone()));
        let unread: BTreeSet<_> = present
            .filter(|content| !self.read.contains_key(content))
            .collect();
        assert!(unread.is_empty(), "never read: {unread:?}");
    }
}

fn histories() -> u64 {
    let given = std::env::var("TOWPATH_HISTORIES").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(1_000)
}

#[test]
fn each_content_is_read_once() {
    let given = std::env::var("TOWPATH_SEED").ok();
    let given = given.map(|seed| seed.parse::<u64>().expect("TOWPATH_SEED must be a number"));
    let seeds = given.map_or(0..histories(), |seed| seed..seed + 1);
    for seed in seeds {
        // Shown when the test fails.
        println!("TOWPATH_SEED={seed}");
        let mut world = World::new(seed);
        for _ in 0..30 {
            for _ in 0..world.random.below(6) {
                world.happen();
            }
            if world.random.chance(10) {
                world.tasks = 1 + world.random.below(3) as u32;
            }
            for task in 0..world.tasks {
                // A kill is part of it.
                let _ = world.life(task);
            }
        }
        // Now nothing more happens, until each task has had a whole sweep.
        for task in 0..world.tasks {
            loop {
                let (mut done, fresh) = Done::restore(&*world.state, task, world.tasks).unwrap();
                done.remember(world.remembered_max);
                world.state.apply(&done.begin(&fresh, i64::MIN, &[]));
                if world.settle(&mut done).is_ok() {
                    break;
                }
            }
        }
        world.check();
    }
}

impl World {
    /// A sweep during which nothing happens to the bucket, and everything can be read.
    fn settle(&mut self, done: &mut Done) -> Lives {
        done.begin_sweep(self.now_ms);
        let mut after = String::new();
        while let page = self.listing(&after)
            && let Some(last) = page.last()
        {
            for object in &page {
                if done.owns(&object.key)
                    && let Standing::New | Standing::Begun(_) = done.standing(object)
                {
                    let modified_ms = object.modified_ms;
                    let change = done.put(object, Entry::Done { modified_ms });
                    self.commit(&[change], Some(object))?;
                }
            }
            after.clone_from(&last.key);
        }
        Ok(())
    }
}

#[test]
fn memory_is_bounded_by_what_is_remembered() {
    let state = FakeState::default();
    let (mut done, fresh) = Done::restore(&state, 0, 1).unwrap();
    done.remember(100);
    state.apply(&done.begin(&fresh, i64::MIN, &[]));
    let now_ms = 1_000 * WINDOW_MS;
    done.begin_sweep(now_ms);
    for page in 0..100 {
        for number in 0..50 {
            let object = Listed {
                key: format!("{page:03}/{number:03}"),
                etag: "e".to_owned(),
                size: 1,
                // All of them within the window, in no order.
                modified_ms: now_ms - SHORT_WINDOW_MS - 1 - (page * 50 + number) * 7919 % 10_007,
            };
            assert_eq!(done.standing(&object), Standing::New, "{object:?}");
            let modified_ms = object.modified_ms;
            state.apply(&[done.put(&object, Entry::Done { modified_ms })]);
        }
        state.apply(&done.swept_to(&format!("{page:03}/999")));
        assert!(
            state.entries().len() < 100 + 50 + 64,
            "{}",
            state.entries().len()
        );
    }
}

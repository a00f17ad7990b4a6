//! Random histories against what must hold at their end: every record in one object, in order, bad
//! ones left out once, and no upload left. `TOWPATH_HISTORIES` says how many, `TOWPATH_SEED` which.

use std::collections::BTreeSet;

use super::encoders::unblocked;
use super::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len() as u64) as usize]
    }
}

const PATHS: &[&str] = &[
    "x/{partition}-{start_offset}",
    "{key}/{partition}-{start_offset}",
    "{key}/{now:%M%S}/{partition}-{start_offset}",
    "{now:%M%S}/{partition}-{start_offset:05}",
];

fn random_options(random: &mut Random) -> S3SinkOptions {
    let records = (random.below(12) + 1).to_string();
    let size = format!("{}B", random.below(150) + 1);
    let mut entries = vec![("path", random.of(PATHS))];
    if random.one_in(2) {
        entries.push(("rotate.records", &records));
    }
    if random.one_in(2) {
        entries.push(("rotate.size", &size));
    }
    if random.one_in(2) {
        entries.push(("rotate.time", "2s"));
    }
    if random.one_in(3) {
        entries.push(("rotate.schedule", "3s"));
    }
    if random.one_in(3) {
        entries.push(("on_null", "skip"));
    }
    options(&entries)
}

fn random_log(random: &mut Random) -> Vec<Vec<Sent>> {
    let partitions = random.below(3) + 1;
    let keys = random.below(5) + 1;
    let schemas = random.below(3) as usize + 1;
    let record = |random: &mut Random, partition: u64, offset: u64| {
        let key = format!("k{}", random.below(keys));
        let value = match random.below(20) {
            0 => None,
            1 => Some(format!("bad{partition}-{offset}")),
            _ => Some(format!("{key}-{partition}-{offset}")),
        };
        let schema = Some(random.of(&["a", "b", "c"][..schemas]));
        Sent { key, value, schema }
    };
    (0..partitions)
        .map(|partition| {
            let records = random.below(60) + 1;
            (0..records)
                .map(|offset| record(random, partition, offset))
                .collect()
        })
        .collect()
}

/// Most calls are done; some fail, and at some the worker ends.
fn random_fates(seed: u64, trouble: u64) -> impl FnMut(Option<Call>) -> Fate + Send + 'static {
    let mut random = Random(seed);
    move |call| match random.below(trouble) {
        0 => Fate::Refused,
        1 => Fate::Unanswered,
        2 => Fate::Orphaned(Orphan::Never),
        3 => Fate::Orphaned(Orphan::Before),
        // What is created after the next life has looked is not found by anyone.
        4 if call != Some(Call::Create) && call.is_some() => Fate::Orphaned(Orphan::Later),
        _ => Fate::Done,
    }
}

/// One life of the task: some writes and flushes, until all is written, it fails or it crashes.
async fn live(world: &mut World, random: &mut Random) -> Result<bool> {
    let mut engine = world.open().await?;
    let mut next = world.offsets.clone();
    loop {
        match random.below(10) {
            0..5 => {
                let partition = random.below(next.len() as u64) as usize;
                let end = world.log[partition].len() as u64;
                let to = end.min(next[partition] + random.below(9) + 1);
                if next[partition] < to {
                    let batch = world.batch(partition as u32, next[partition], to);
                    next[partition] = to;
                    engine.write(vec![batch]).await?;
                }
            }
            5..8 => world.flush(&mut engine, false).await?,
            8 => NOW_MS.set(NOW_MS.get() + random.below(1_500) as i64),
            _ if random.one_in(20) => world.store.expire_uploads(),
            _ if random.one_in(40) => {
                engine.close().await?;
                return Ok(false);
            }
            _ => {}
        }
        let mut all = next.iter().zip(&world.log);
        if all.all(|(next, log)| *next == log.len() as u64) {
            world.flush(&mut engine, true).await?;
            engine.close().await?;
            return Ok(true);
        }
    }
}

async fn history(seed: u64) {
    let mut random = Random(seed);
    NOW_MS.set(1_700_000_000_000 + random.below(100_000) as i64);
    let log = random_log(&mut random);
    let mut world = World::new(random_options(&mut random), log);
    world.blocks = random.one_in(3);
    world.by_schema = random.one_in(2);
    let trouble = [20, 60, 300][random.below(3) as usize];
    world.set_fates(random_fates(seed, trouble));
    let mut one_path = true;
    for lives in 0.. {
        if lives == 60 {
            world.set_fates(|_| Fate::Done);
        }
        let script = world.script.clone();
        let ended = tokio::select! {
            biased;
            () = script.crashed.notified() => Ok(false),
            ended = live(&mut world, &mut random) => ended,
        };
        match ended {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{error}"),
        }
        if random.one_in(12) {
            world.options = random_options(&mut random);
            world.options.on_null = super::super::config::OnNull::Write;
            world.by_schema = random.one_in(2);
            one_path = false;
        }
    }
    // The last life may have crashed in its close.
    world.set_fates(|_| Fate::Done);
    world.deliver().await.unwrap();
    check(&world, one_path);
}

/// A path, and the schema of its objects.
type Stream = (String, Option<String>);

/// Partitions and offsets.
type Places = Vec<(u64, u64)>;

fn check(world: &World, one_path: bool) {
    let mut found = BTreeSet::new();
    let mut streams: BTreeMap<Stream, Vec<(u64, Places)>> = BTreeMap::new();
    for (key, text) in world.texts() {
        let named = text
            .strip_prefix("schema ")
            .and_then(|text| text.split_once('\n'));
        let (schema, content) = named.map_or((None, &*text), |(name, rest)| (Some(name), rest));
        let lines = match world.blocks {
            true => unblocked(content, text.len() - content.len()),
            false => content.lines().collect(),
        };
        assert!(!lines.is_empty(), "{key} is empty");
        let (stream, start) = key.rsplit_once('-').unwrap();
        let start = start.parse().unwrap();
        let mut places = Vec::new();
        for line in lines.iter().filter(|line| **line != "null") {
            let mut parts = line.rsplit('-');
            let offset: u64 = parts.next().unwrap().parse().unwrap();
            let partition: u64 = parts.next().unwrap().parse().unwrap();
            assert!(stream.ends_with(&partition.to_string()), "{line} in {key}");
            assert!(found.insert((partition, offset)), "{line} twice, in {key}");
            assert!(offset >= start, "{line} in {key}");
            let sent = &world.log[partition as usize][offset as usize];
            assert!(schema.is_none() || schema == sent.schema, "{line} in {key}");
            places.push((partition, offset));
        }
        streams
            .entry((stream.to_owned(), schema.map(str::to_owned)))
            .or_default()
            .push((start, places));
    }
    let mut bad = Vec::new();
    for (partition, log) in world.log.iter().enumerate() {
        for (offset, sent) in log.iter().enumerate() {
            let place = (partition as u64, offset as u64);
            match &sent.value {
                Some(value) if value.starts_with("bad") => bad.push((partition as u32, place.1)),
                Some(value) => assert!(found.contains(&place), "{value} is lost"),
                None => {}
            }
        }
        assert_eq!(world.offsets[partition], log.len() as u64);
    }
    for (stream, mut objects) in streams.into_iter().filter(|_| one_path) {
        objects.sort();
        let places: Vec<_> = objects.into_iter().flat_map(|(_, places)| places).collect();
        assert!(places.is_sorted(), "{stream:?} is not in order");
    }
    let mut letters = world.letters.clone();
    letters.sort();
    assert_eq!(letters, bad, "each bad record is left out once");
    assert_eq!(world.store.open_keys(), [""; 0], "uploads are left");
    assert_eq!(
        (world.committed.count(b'u'), world.committed.count(b'e')),
        (0, 0)
    );
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_record_is_in_one_object_whatever_happens() {
    let seeds = match env("TOWPATH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env("TOWPATH_HISTORIES").unwrap_or(2_000),
    };
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(history(seed));
        }));
        if let Err(panic) = result {
            eprintln!("TOWPATH_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

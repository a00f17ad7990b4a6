//! The window over many lives against a model that lives once and keeps everything.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// What is durable.
#[derive(Debug, Default, Clone)]
struct Stored(BTreeMap<Vec<u8>, Vec<u8>>);

impl Stored {
    fn put(&mut self, change: StateChange) {
        match &change.value {
            Some(value) => assert!(value.len() <= 4096 && !value.is_empty()),
            None => assert!(
                self.0.contains_key(&change.key[..]),
                "deletes what is there"
            ),
        }
        match change.value {
            Some(value) => self.0.insert(change.key.to_vec(), value.to_vec()),
            None => self.0.remove(&change.key[..]),
        };
    }

    fn put_all(&mut self, changes: TransformChanges) {
        changes
            .ahead
            .into_iter()
            .chain(changes.last)
            .for_each(|change| self.put(change));
    }

    fn restore(&self, groups: u64) -> Seen {
        let entries = self.0.iter().map(|(key, value)| (&key[..], &value[..]));
        Seen::restore(groups, entries).expect("its own state")
    }
}

/// Whether each record is new, by the rule of the window alone.
fn expected(groups: u64, records: &[u128]) -> Vec<bool> {
    let mut window: VecDeque<u128> = VecDeque::new();
    let mut is_new = |group: &u128| {
        let new = !window.contains(group);
        if new {
            window.push_back(*group);
            if window.len() as u64 >= groups + CHUNK {
                window.drain(..CHUNK as usize);
            }
        }
        new
    };
    records.iter().map(&mut is_new).collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// So many records are applied.
    Apply(usize),
    /// Of those that are applied and not committed this share is committed.
    Commit(f64),
    /// A crash before a commit of that share was whole: so much of what goes ahead is durable.
    Crash { share: f64, ahead: f64 },
}

/// Runs of groups that come again at any distance.
fn records() -> impl Strategy<Value = Vec<u128>> {
    let run = (0..4_000u128, 0..3u128, 0..700usize).prop_map(|(from, stride, count)| {
        (0..count as u128).map(move |index| from + stride * index)
    });
    let runs = prop::collection::vec(run, 1..20);
    runs.prop_map(|runs| runs.into_iter().flatten().collect())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let share = || prop_oneof![Just(1.0), 0.0..1.0];
    prop::collection::vec(
        prop_oneof![
            4 => (0..900usize).prop_map(Step::Apply),
            3 => share().prop_map(Step::Commit),
            2 => (share(), share()).prop_map(|(share, ahead)| Step::Crash { share, ahead }),
        ],
        1..40,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_life_with_crashes_is_as_one_without(
        groups in 1..1_500u64,
        records in records(),
        steps in steps(),
    ) {
        let expected = expected(groups, &records);
        let (mut stored, mut seen) = (Stored::default(), Seen::new(groups));
        let (mut committed, mut applied) = (0, 0);
        for step in steps {
            let end = |share: f64| committed + ((applied - committed) as f64 * share) as usize;
            match step {
                Step::Apply(count) => for _ in 0..count.min(records.len() - applied) {
                    let new = seen.is_new(records[applied], applied as i64);
                    prop_assert_eq!(new, expected[applied], "record {}", applied);
                    applied += 1;
                }
                Step::Commit(share) => {
                    committed = end(share);
                    stored.put_all(seen.changes(committed as i64));
                }
                Step::Crash { share, ahead } => {
                    let mut changes = seen.changes(end(share) as i64).ahead;
                    changes.truncate((changes.len() as f64 * ahead) as usize);
                    changes.into_iter().for_each(|change| stored.put(change));
                    seen = stored.restore(groups);
                    applied = committed;
                }
            }
            prop_assert!((seen.known.len() as u64) < groups + CHUNK);
            let waiting = (applied - committed) as u64;
            prop_assert!((seen.kept.len() as u64) < groups + waiting + 2 * CHUNK);
        }
        stored.put_all(seen.changes(i64::MAX));
        prop_assert_eq!(seen.changes(i64::MAX), TransformChanges::default());
    }
}

#[test]
fn what_left_the_window_leaves_the_state() {
    let (mut stored, mut seen) = (Stored::default(), Seen::new(1_000));
    for record in 0..100_000 {
        seen.is_new(record, 0);
        if record % 100 == 0 {
            stored.put_all(seen.changes(i64::MAX));
            assert!(stored.0.len() <= 1 + 1_000 / 256 + 3, "{}", stored.0.len());
        }
    }
}

#[test]
fn a_window_of_another_size_takes_over_what_fits() {
    let (mut stored, mut seen) = (Stored::default(), Seen::new(2_000));
    (0..1_000).for_each(|group| assert!(seen.is_new(group, 0)));
    stored.put_all(seen.changes(i64::MAX));
    let mut small = stored.restore(100);
    assert!(!small.is_new(999, 0) && !small.is_new(900, 0));
    assert!(small.is_new(0, 0), "beyond the window");
    stored.put_all(small.changes(i64::MAX));
    let mut large = stored.restore(2_000);
    assert!(!large.is_new(999, 0) && !large.is_new(0, 0));
    assert!(large.is_new(1, 0), "it was forgotten");
    (2_000..5_000).for_each(|group| assert!(large.is_new(group, 0)));
    stored.put_all(large.changes(i64::MAX));
    assert!(!stored.restore(2_000).is_new(4_000, 0));
}

#[test]
fn foreign_state_is_refused() {
    let fingerprint = [0; 16];
    let chunk = [1; 4096];
    let head = |first_chunk, sights| {
        Head {
            first_chunk,
            sights,
        }
        .encode()
    };
    let (zero, one) = (0u64.to_be_bytes(), 1u64.to_be_bytes());
    let mut other_version = head(0, 1).to_vec();
    other_version[0] = 2;
    let cases: &[&[(&[u8], &[u8])]] = &[
        &[(b"short", &fingerprint)],
        &[(b"h", b"")],
        &[(&zero, &fingerprint), (b"h", &other_version)],
        &[(b"h", &head(0, 1))],
        &[(&zero, &fingerprint), (b"h", &head(0, 2))],
        &[(&zero, &fingerprint[1..]), (b"h", &head(0, 1))],
        &[(&one, &chunk), (b"h", &head(0, 300))],
        &[(b"h", &head(1, 1))],
        &[(b"h", &head(0, u64::MAX))],
    ];
    for entries in cases {
        let error = Seen::restore(10_000, entries.iter().copied()).expect_err("no such state");
        let message = error.to_string();
        assert!(message.contains("the state of `dedupe`"), "{message}");
    }
    let sound: &[(&[u8], &[u8])] = &[(&zero, &chunk), (&one, &chunk), (b"h", &head(0, 300))];
    assert!(Seen::restore(10, sound.iter().copied()).is_ok());
}

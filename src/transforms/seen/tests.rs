//! The window against a model that remembers everything, over restarts.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// Committed state.
#[derive(Debug, Default, Clone)]
struct Stored(BTreeMap<Vec<u8>, Vec<u8>>);

impl Stored {
    fn commit(&mut self, changes: Vec<StateChange>) {
        for StateChange { key, value } in changes {
            match &value {
                Some(value) => assert!(value.len() <= 4096 && !value.is_empty()),
                None => assert!(self.0.contains_key(&key[..]), "deletes what is there"),
            }
            match value {
                Some(value) => self.0.insert(key.to_vec(), value.to_vec()),
                None => self.0.remove(&key[..]),
            };
        }
    }

    fn restore(&self, groups: usize) -> Seen {
        let entries = self.0.iter().map(|(key, value)| (&key[..], &value[..]));
        Seen::restore(groups, entries).expect("its own state")
    }
}

/// All first sights, oldest first, as the rule of the window has them.
struct Model {
    groups: usize,
    order: VecDeque<u128>,
}

impl Model {
    fn is_new(&mut self, group: u128) -> bool {
        if self.order.contains(&group) {
            return false;
        }
        self.order.push_back(group);
        if self.order.len() >= self.groups + CHUNK {
            self.order.drain(..CHUNK);
        }
        true
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A batch of records of groups from `from` on, each `stride` behind the last one.
    Batch { from: u128, stride: u128, records: usize },
    Commit,
    /// A crash: what was not committed is forgotten by everybody.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let batch = (0..4_000u128, 0..3u128, 0..700usize)
        .prop_map(|(from, stride, records)| Step::Batch { from, stride, records });
    prop::collection::vec(
        prop_oneof![4 => batch, 2 => Just(Step::Commit), 1 => Just(Step::Crash)],
        1..30,
    )
}

proptest! {
    #[test]
    fn it_knows_what_the_model_knows(groups in 1..1_500usize, steps in steps()) {
        let mut seen = Seen::new(groups);
        let mut model = Model { groups, order: VecDeque::new() };
        let mut stored = Stored::default();
        let mut committed = model.order.clone();
        for step in steps {
            match step {
                Step::Batch { from, stride, records } => for index in 0..records {
                    let group = from + stride * index as u128;
                    prop_assert_eq!(seen.is_new(group), model.is_new(group));
                }
                Step::Commit => {
                    stored.commit(seen.changes());
                    committed = model.order.clone();
                }
                Step::Crash => {
                    seen = stored.restore(groups);
                    model.order = committed.clone();
                }
            }
            prop_assert_eq!(&seen.order, &model.order);
            prop_assert!(seen.known.len() == seen.order.len());
            prop_assert!(seen.order.len() < groups + CHUNK);
        }
        stored.commit(seen.changes());
        prop_assert_eq!(stored.0.len(), seen.order.len().div_ceil(CHUNK), "nothing is left behind");
        prop_assert!(seen.changes().is_empty());
    }
}

#[test]
fn a_window_of_another_size_takes_over_what_fits() {
    let mut stored = Stored::default();
    let mut seen = Seen::new(2_000);
    (0..1_000).for_each(|group| assert!(seen.is_new(group)));
    stored.commit(seen.changes());
    let mut small = stored.restore(100);
    assert!(!small.is_new(999) && !small.is_new(900));
    assert!(small.is_new(0), "beyond the window");
    stored.commit(small.changes());
    assert!(stored.0.len() <= 2, "{} chunks", stored.0.len());
    assert!(!stored.restore(100).is_new(0));
}

#[test]
fn foreign_state_is_refused() {
    let fingerprint = [0; 16];
    let chunk = [1; 4096];
    let zero = 0u64.to_be_bytes();
    let (one, two) = (1u64.to_be_bytes(), 2u64.to_be_bytes());
    let cases: &[&[(&[u8], &[u8])]] = &[
        &[(b"short", &fingerprint)],
        &[(&zero, b"")],
        &[(&zero, &fingerprint[1..])],
        &[(&zero, &[0; 4112])],
        &[(&zero, &fingerprint), (&one, &fingerprint)],
        &[(&zero, &chunk), (&two, &fingerprint)],
        &[(&[0xff; 8], &fingerprint)],
    ];
    for entries in cases {
        let error = Seen::restore(10, entries.iter().copied()).expect_err("no such state");
        assert!(error.to_string().contains("the state of `dedupe`"), "{error}");
    }
    let sound = [(&one[..], &chunk[..]), (&two, &fingerprint)];
    assert!(Seen::restore(10, sound).is_ok());
}

//! More than one append set of the log takes: what transforms make of a read, and letters.

use super::*;

/// What 100 numbers, one read of the source, become takes 100 MiB; a set takes 64.
const PAD: &str = "transforms: { type: pick, pad: 1048576 }";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_read_of_a_source_may_not_grow_by_is_refused() {
    let scene = Scene::new();
    let yaml = format!(
        "
sources:
  in: {{ type: numbers, topic: t, count: 200, on_error: dead_letter, {PAD} }}
sinks:
  out: {{ type: memory, topics: t }}
"
    );
    assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
    // Of each of two reads.
    scene
        .world
        .assert_delivered_if(200, |number| number % 100 < 15);
    let bad = (0..200).filter(|number| number % 100 >= 15);
    scene.assert_letters("p.in.dead-letters", bad.map(|number| number.to_string()));
    let (_, headers) = scene.letters("p.in.dead-letters").swap_remove(0);
    let message = headers
        .iter()
        .find(|(name, _)| name == "__connect.errors.exception.message");
    let expected = "cannot pass on record 15 of a batch from numbers: cannot transform a record: \
                    1024 KiB are made of it; what is read at once may grow by 16 MiB: let the \
                    transforms make less of each record, or make it in a stream";
    assert_eq!(message.map(|(_, message)| &**message), Some(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_makes_of_a_read_goes_in_several_sets() {
    for refuse in ["", ", refuse_every: 7"] {
        let scene = Scene::new();
        let pad = PAD.replace("1048576", &format!("1048576{refuse}"));
        let yaml = format!(
            "
topics:
  t: {{ partitions: 2 }}
  u: {{ partitions: 2 }}
sources:
  in: {{ type: numbers, topic: t, count: 400, partition_by: round_robin }}
streams:
  s: {{ topics: t, topic: u, on_error: dead_letter, {pad} }}
sinks:
  out: {{ type: memory, topics: u }}
"
        );
        let worker = scene.start(&yaml, false).await;
        for part in 1..=3 {
            scene.world.delivered(part * 80).await;
            worker.restart("p.s").await.expect("it restarts");
        }
        assert!(worker.stop(DEADLINE).await);
        assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
        let mut delivered = scene.world.delivered.lock().expect("not poisoned").clone();
        delivered.sort_unstable();
        let is_good = |number: &u64| refuse.is_empty() || number % 7 != 6;
        assert_eq!(delivered, (0..400).filter(is_good).collect::<Vec<_>>());
        if !refuse.is_empty() {
            let letters = scene.letters("p.s.dead-letters").into_iter();
            let mut letters: Vec<u64> = letters
                .map(|(value, _)| value.parse().expect("a number"))
                .collect();
            letters.sort_unstable();
            let bad = (0..400).filter(|number| !is_good(number));
            assert_eq!(letters, bad.collect::<Vec<_>>());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_sink_are_committed_before_they_are_too_large() {
    let scene = Scene::new();
    // Ten reads of a source, 10 MiB each.
    let pad = PAD.replace("1048576", "104857");
    let yaml = format!(
        "
sources:
  in: {{ type: numbers, topic: t, count: 1000, {pad} }}
sinks:
  out: {{ type: memory, topics: t, bad_every: 1, on_error: dead_letter }}
"
    );
    assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
    scene.world.assert_delivered(0);
    scene.assert_letters(
        "p.out.dead-letters",
        (0..1000).map(|number| number.to_string()),
    );
}

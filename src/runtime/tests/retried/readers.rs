//! Who reads what is retried: under a former name, beside another of that name, or not at all.

use super::*;

const STREAM: &str = "
sources:
  in: { type: numbers, topic: s, count: 700 }
streams:
  x: { topics: s, topic: t, on_error: { action: dead_letter, topic: bad },
       transforms: { type: pick, refuse_every: 7 } }
";

/// The stream, renamed and mended.
fn renamed() -> String {
    STREAM
        .replace("x: { topics: s,", "y: { formerly: p.x, topics: s,")
        .replace("refuse_every: 7", "refuse_every: 1000")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_connector_takes_what_was_retried_under_its_former_name() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 700 }
sinks:
  out: { type: memory, topics: t, bad_every: 7, on_error: { action: dead_letter, topic: bad } }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    assert_eq!(letters(&scene.retry("bad", Some(40))), 40);
    let renamed = yaml
        .replace(
            "out: { type: memory,",
            "other: { type: memory, formerly: p.out,",
        )
        .replace("bad_every: 7", "bad_every: 1000");
    assert_eq!(scene.drain(&renamed).await, Vec::<String>::new());
    assert_eq!(scene.world.delivered_count(), 640);
    assert_eq!(
        letters(&scene.retry("bad", None)),
        60,
        "letters of the former name"
    );
    assert_eq!(scene.drain(&renamed).await, Vec::<String>::new());
    scene.assert_delivered_once(700);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_wait_under_a_former_name_are_read_without_formerly_too() {
    let scene = Scene::new();
    assert_eq!(scene.drain(STREAM).await, Vec::<String>::new());
    assert_eq!(scene.drain(&renamed()).await, Vec::<String>::new());
    assert_eq!(letters(&scene.retry("bad", Some(40))), 40);
    let later = renamed().replace("formerly: p.x, ", "");
    for _ in 0..2 {
        assert_eq!(scene.drain(&later).await, Vec::<String>::new());
        assert_eq!(scene.values("t").len(), 640);
    }
    // None waits any more, and so nobody knows the name.
    let unknown = scene.retry("bad", None).left;
    assert_eq!(unknown.first().map(|left| left.letters), Some(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connectors_never_read_the_same_letters() {
    let scene = Scene::new();
    assert_eq!(scene.drain(STREAM).await, Vec::<String>::new());
    assert_eq!(scene.drain(&renamed()).await, Vec::<String>::new());
    let both = format!(
        "topics: {{ u: {{ partitions: 1 }} }}\n{}  x: {{ topics: u, topic: w }}\n",
        renamed()
    );
    let of = |topic: &str| match scene.log.topic(topic) {
        Some(_) => scene.values(topic).len(),
        None => 0,
    };
    assert_eq!(letters(&scene.retry("bad", Some(10))), 10);
    let why = scene.refused(&both).await;
    assert!(why.contains("10 dead letters of p.y"), "{why}");
    assert_eq!(scene.drain(&renamed()).await, Vec::<String>::new());
    assert_eq!(scene.drain(&both).await, Vec::<String>::new());
    assert_eq!(
        (of("t"), of("w")),
        (610, 0),
        "what is done is not done again"
    );
    assert_eq!(letters(&scene.retry("bad", Some(40))), 40);
    assert_eq!(scene.drain(&both).await, Vec::<String>::new());
    assert_eq!((of("t"), of("w")), (610, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_a_connector_tells_what_waited() {
    let scene = Scene::new();
    assert_eq!(scene.drain(STREAM).await, Vec::<String>::new());
    assert_eq!(letters(&scene.retry("bad", Some(40))), 40);
    let control = Control::new(scene.log.clone(), None, 1 << 20);
    let forgotten = tokio::task::block_in_place(|| control.forget("p.x"));
    assert_eq!(forgotten.expect("it is forgotten").letters, 40);
    assert!(scene.log.topic("__towpath.retry.p.x").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_would_not_keep_them_gets_none() {
    let scene = Scene::new();
    assert_eq!(scene.drain(STREAM).await, Vec::<String>::new());
    let kept = "{ action: dead_letter, topic: bad }";
    for action in ["fail", "skip"] {
        let worker = scene.start(&renamed().replace(kept, action), false).await;
        let control = Control::new(scene.log.clone(), Some(worker.clone()), 1 << 20);
        let retried = tokio::task::block_in_place(|| {
            control.retry_dead_letters("bad", &RetryRequest::default())
        });
        let retried = retried.expect("it is told");
        assert_eq!(retried.groups, []);
        let left = &retried.left[0];
        assert_eq!(left.letters, 100);
        assert!(left.reason.contains("on_error: dead_letter"), "{left:?}");
        assert!(worker.stop(DEADLINE).await);
    }
    assert_eq!(letters(&scene.retry("bad", None)), 100, "nobody can tell");
}

/// Another group reads its topics anew, and what is retried where the one before it stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_takes_nothing_again_that_was_retried() {
    let scene = Scene::new();
    assert_eq!(scene.drain(STREAM).await, Vec::<String>::new());
    let mended = |group: &str| {
        let group = format!("x: {{ topics: s, group: {group}, start: latest,");
        STREAM
            .replace("x: { topics: s,", &group)
            .replace("refuse_every: 7", "refuse_every: 1000")
    };
    for (round, group) in (1..).zip(["one", "two", "one"]) {
        assert_eq!(letters(&scene.retry("bad", Some(30))), 30);
        assert_eq!(scene.drain(&mended(group)).await, Vec::<String>::new());
        assert_eq!(scene.values("t").len(), 600 + 30 * round, "{group}");
    }
}

//! Lines that are written while the worker is killed, and the object store restarted, end up in one
//! object each, whatever rule closes objects. Against MinIO: the server in process (`../rig/README.md`)
//! does not keep its uploads whole when a call of it is cut off.

use std::time::Duration;

use towpath_rig::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};

use super::{compare, kills_per_shape};
use crate::harness::{Appender, Random, Workdir, skip};

/// The sinks by name, which is also where their objects are, and what each has of its own.
const SINKS: [(&str, &str); 4] = [
    (
        "size",
        "path: 'size/{partition}-{start_offset:020}.log', rotate: { size: 256KiB }",
    ),
    (
        "records",
        "path: 'records/{partition}-{start_offset:020}.log.gz', rotate: { records: 700 }, \
         compression: gzip, tasks: 2",
    ),
    (
        "time",
        "path: 'time/{partition}-{start_offset:020}.log.zst', rotate: { time: 150ms }, \
         compression: zstd",
    ),
    (
        "schedule",
        "path: 'schedule/{partition}-{start_offset:020}-{now:%S}.log', rotate: { schedule: 1s }",
    ),
];

fn pipeline(endpoint: &str) -> String {
    let mut pipeline = "
        topics:
          lines: { partitions: 2 }
        sources:
          in: { type: file, include: 'in/*.log*', topic: lines }
        sinks:
"
    .to_owned();
    for (name, own) in SINKS {
        let credentials = format!("{{ access_key: {ACCESS_KEY}, secret_key: {SECRET_KEY} }}");
        pipeline += &format!(
            "          {name}: {{ type: s3, topics: lines, bucket: {BUCKET}, endpoint: '{endpoint}', \
             credentials: {credentials}, timeout: 2s, retry: {{ first: 20ms, max: 100ms }}, {own} }}\n"
        );
    }
    pipeline
}

#[test]
fn every_line_is_in_one_object_over_kills_and_restarts() {
    let mut stores: Vec<_> = Store::all();
    stores.retain(|store| store.name == "MinIO");
    if stores.is_empty() {
        let why = "target/minio/minio is not there: `CI=true ./tests/run` builds it";
        skip("crash::objects", why);
    }
    for mut store in stores {
        let mut random = Random::new();
        let workdir = Workdir::new();
        workdir.write("pipeline.yaml", pipeline(&store.endpoint()));
        let appender = Appender::start(workdir.path("in"), &["a", "b", "c"], false, &mut random);
        let mut alive = 0;
        let kills = kills_per_shape();
        for kill in 0..kills {
            let before = store.keys().len();
            let worker = workdir.start(&["pipeline.yaml"]);
            if random.between(0, 3) == 0 {
                std::thread::sleep(Duration::from_micros(random.between(1_000, 300_000)));
                store.stop();
                store.start();
            }
            std::thread::sleep(Duration::from_micros(random.between(1_000, 1_500_000)));
            println!("kill {kill} of {}", worker.pid());
            worker.kill_9();
            alive += u64::from(store.keys().len() > before);
        }
        let written = appender.finish();
        workdir.drain("pipeline.yaml", 0);
        // Kills of a worker that does nothing would show nothing.
        assert!(
            alive * 4 >= kills,
            "only {alive} of {kills} kills met a pipeline at work"
        );
        assert_eq!(store.uploads(), 0, "uploads are left");
        download(&store, &workdir);
        for (sink, _) in SINKS {
            compare(
                &written,
                &workdir.path(&format!("out/{sink}")),
                <[u8]>::to_vec,
            );
        }
        let keys = store.keys();
        workdir.drain("pipeline.yaml", 0);
        assert_eq!(store.keys(), keys, "a second drain has nothing to do");
    }
}

/// Puts every object into a file below `out`.
fn download(store: &Store, workdir: &Workdir) {
    for key in store.keys() {
        let content = store.get(&key).expect("it was listed");
        workdir.write(&format!("out/{key}"), content.bytes);
    }
}

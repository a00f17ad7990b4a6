//! The real program while calls fail: lines go into objects and out of them again, each once; and
//! what a person must mend ends a run with one line that says what to do. Each fault at each call is
//! tried by the connector's own tests.

use towpath_rig::{Call, Fault, Proxy, Rule, Store};

use super::workdir_with;
use crate::harness::{Workdir, read_lines};

const PIPELINE: &str = "
x-store: &store
  type: s3
  bucket: ${env:S3_BUCKET}
  endpoint: ${env:S3_ENDPOINT}
  timeout: 1s
  retry: { first: 10ms, max: 50ms }
topics:
  lines: { partitions: 2 }
  again: { partitions: 2 }
sources:
  in: { type: file, include: 'in/*.log', topic: lines }
  objects: { <<: *store, prefix: o/, topic: again, poll_interval: 50ms }
sinks:
  archive:
    <<: *store
    topics: lines
    path: 'o/{partition}-{start_offset:020}'
    rotate: { records: 1000, time: 100ms }
  out: { type: file, topics: again, path: 'out/{partition}.log' }
";
const LINES: usize = 4_000;

fn workdir(endpoint: &str) -> Workdir {
    let workdir = workdir_with(endpoint);
    workdir.write("through.yaml", PIPELINE);
    for file in ["a", "b"] {
        let lines: String = (0..LINES).map(|line| format!("{file} {line}\n")).collect();
        workdir.write(&format!("in/{file}.log"), lines);
    }
    workdir
}

#[test]
fn lines_pass_once_while_calls_fail() {
    let faults = [
        (7, Fault::SLOW_DOWN),
        (11, Fault::ResetBefore),
        (13, Fault::ResetAfter),
        (29, Fault::EXPIRED_TOKEN),
        (41, Fault::SilenceAfter),
    ];
    for store in Store::all() {
        let proxy = Proxy::new(&store.endpoint());
        let workdir = workdir(proxy.endpoint());
        for (every, fault) in faults.clone() {
            proxy.add(Rule::every(every, fault));
        }
        let worker = workdir.start(&["through.yaml"]);
        crate::harness::wait_for("faults that struck", || (proxy.struck() > 30).then_some(()));
        worker.kill_9();
        proxy.heal();
        // What the first run archives is read by the second.
        workdir.drain("through.yaml", 0);
        workdir.drain("through.yaml", 0);
        let mut found = Vec::new();
        for (_, lines) in read_lines(&workdir.path("out")) {
            found.extend(
                lines
                    .into_iter()
                    .map(|line| String::from_utf8(line).unwrap()),
            );
        }
        for file in ["a", "b"] {
            let prefix = format!("{file} ");
            let of_file = found.iter().filter_map(|line| line.strip_prefix(&prefix));
            let mut numbers: Vec<usize> = of_file.map(|line| line.parse().unwrap()).collect();
            // An object is read whole, but objects come in the order of their keys.
            numbers.sort_unstable();
            assert!(
                numbers.iter().copied().eq(0..LINES),
                "{}: {} of {file}",
                store.name,
                numbers.len()
            );
        }
        assert_eq!(store.uploads(), 0);
    }
}

#[test]
fn what_must_be_mended_is_said() {
    let cases: [(Call, Fault, [&str; 2]); 5] = [
        (
            Call::ListUploads,
            Fault::answer(404, "NoSuchBucket", "The specified bucket does not exist"),
            [
                "through.archive",
                "make it, or mend `bucket`, `region` or `endpoint`",
            ],
        ),
        (
            Call::CreateUpload,
            Fault::WRONG_REGION,
            [
                "cannot begin to write s3://bucket/o/",
                "set `region` to eu-west-1",
            ],
        ),
        (
            Call::CompleteUpload,
            Fault::answer(403, "AccessDenied", "Access Denied"),
            ["cannot complete s3://bucket/o/", "s3:PutObject"],
        ),
        (
            Call::UploadPart,
            Fault::CLOCK_SKEW,
            [
                "cannot write a part of s3://bucket/o/",
                "set the clock of this machine right",
            ],
        ),
        (
            Call::List,
            Fault::REDIRECT,
            ["through.objects", "set `region` to eu-west-1"],
        ),
    ];
    let store = Store::in_process();
    for (call, fault, told) in cases {
        let proxy = Proxy::new(&store.endpoint());
        let workdir = workdir(proxy.endpoint());
        proxy.add(Rule::each(call, fault));
        workdir.drain("through.yaml", 1).expect_stderr(&told);
    }
}

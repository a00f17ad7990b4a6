//! The sink as the example archive uses it: its objects are read by other programs.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use towpath_rig::Store;

use super::workdir_with;
use crate::harness::skip;

#[test]
fn the_archive_is_read_by_others() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for store in Store::all() {
        let workdir = workdir_with(&store.endpoint());
        for name in ["pipelines/archive.yaml", "pipelines/quickstart/access.log"] {
            workdir.write(name, std::fs::read(repository.join(name)).unwrap());
        }
        workdir.drain("pipelines/archive.yaml", 0);
        let keys = store.keys();
        let mut lines = 0;
        for key in keys.iter().filter(|key| key.starts_with("nginx/")) {
            let content = store.get(key).unwrap();
            assert!(store.name != "MinIO" || content.content_type == "application/gzip");
            let content = content.bytes;
            let mut text = String::new();
            let mut plain = flate2::read::MultiGzDecoder::new(&content[..]);
            plain.read_to_string(&mut text).unwrap();
            lines += text.lines().count();
        }
        let mut parquet = 0;
        for key in keys.iter().filter(|key| key.starts_with("requests/")) {
            workdir.write(key, store.get(key).unwrap().bytes);
            parquet += 1;
        }
        assert!(parquet > 1, "{keys:?}");
        let listed = workdir.towpath(&["dlq", "list", "--json"]).expect_code(0);
        let letters: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
        let letters = letters["data"][0]["letters"].as_u64().unwrap();
        assert_eq!(lines as u64 + letters, 3_000, "lines of the log");
        assert_eq!(store.uploads(), 0);
        read_with_pyarrow(&workdir.root(), lines);
    }
}

/// The Parquet files below `root` as another program reads them.
fn read_with_pyarrow(root: &Path, lines: usize) {
    let program = "import pyarrow.dataset as d\n\
        rows = d.dataset('requests', partitioning='hive').to_table()\n\
        print(rows.schema.field('time').type, rows.schema.field('status').type)\n\
        print(rows.num_rows, sum(rows['status'].to_pylist()) > 0)";
    let expected = format!("timestamp[us, tz=UTC] int64\n{lines} True\n");
    let test = "s3::sink::the_archive_is_read_by_others";
    if let Some(found) = python(root, program, test) {
        assert_eq!(found, expected);
    }
}

/// What `program` prints in `folder`; `None`, and `test` skipped, where pyarrow is not installed.
fn python(folder: &Path, program: &str, test: &str) -> Option<String> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let run = |program: &str| {
        let mut command = Command::new(&python);
        command.args(["-c", program]).current_dir(folder).output()
    };
    if !run("import pyarrow").is_ok_and(|ran| ran.status.success()) {
        skip(test, "pyarrow is not installed");
        return None;
    }
    let ran = run(program).unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    Some(String::from_utf8(ran.stdout).unwrap())
}

/// Two sources of typed CSV fill one partition in turn: an object of each schema is open beside the
/// other's.
#[test]
fn records_of_two_schemas_make_two_objects() {
    for store in Store::all() {
        let workdir = workdir_with(&store.endpoint());
        let pipeline = "
            topics: { orders: { format: json } }
            sources:
              a: { type: file, include: 'in/a*', topic: orders, on_schema_change: evolve,
                   format: { type: csv, columns: { id: int, name: string } } }
              b: { type: file, include: 'in/b*', topic: orders, on_schema_change: evolve,
                   format: { type: csv, columns: { id: int, name: string, price: float } } }
            sinks:
              out: { type: s3, topics: orders, bucket: '${env:S3_BUCKET}', endpoint: '${env:S3_ENDPOINT}',
                     path: 'orders/{start_offset:05}.parquet', format: parquet, compression: snappy,
                     rotate: { time: 1h } }
        ";
        workdir.write("p.yaml", pipeline);
        for turn in 0..20 {
            workdir.write(&format!("in/a{turn}"), format!("id,name\n{turn},x\n"));
            let of_b = format!("id,name,price\n{turn},y,0.5\n");
            workdir.write(&format!("in/b{turn}"), of_b);
        }
        workdir.drain("p.yaml", 0);
        let keys = store.keys();
        assert_eq!(keys.len(), 2, "{keys:?}");
        for key in &keys {
            workdir.write(key, store.get(key).unwrap().bytes);
        }
        let program = "import glob, pyarrow.parquet as p\n\
            for t in sorted((p.read_table(f) for f in glob.glob('orders/*')), key=lambda t: t.num_columns):\n  \
            print(t.num_rows, [(f.name, str(f.type)) for f in t.schema], sorted(t['id'].to_pylist()) == list(range(20)))";
        let test = "s3::sink::records_of_two_schemas_make_two_objects";
        if let Some(found) = python(&workdir.root(), program, test) {
            let expected = "20 [('id', 'int64'), ('name', 'string')] True\n\
                20 [('id', 'int64'), ('name', 'string'), ('price', 'double')] True\n";
            assert_eq!(found, expected);
        }
    }
}

//! What the sink makes of records of several schemas, read by another program.

use std::path::Path;
use std::process::Command;

use towpath_rig::Store;

use super::workdir_with;
use crate::harness::skip;

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

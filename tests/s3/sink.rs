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
            let content = store.get(key).unwrap().bytes;
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
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let has = |module: &str| {
        let program = format!("import {module}");
        let ran = Command::new(&python).args(["-c", &program]).output();
        ran.is_ok_and(|ran| ran.status.success())
    };
    if !has("pyarrow") {
        let why = "pyarrow is not installed";
        return skip("s3::sink::the_archive_is_read_by_others", why);
    }
    let program = "import pyarrow.dataset as d\n\
        rows = d.dataset('requests', partitioning='hive').to_table()\n\
        print(rows.schema.field('time').type, rows.schema.field('status').type)\n\
        print(rows.num_rows, sum(rows['status'].to_pylist()) > 0)";
    let output = Command::new(&python)
        .args(["-c", program])
        .current_dir(root)
        .output()
        .unwrap();
    let (found, said) = (output.stdout, output.stderr);
    let found = String::from_utf8(found).unwrap();
    let expected = format!("timestamp[us, tz=UTC] int64\n{lines} True\n");
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(&said));
}

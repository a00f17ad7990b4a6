//! Every example in `pipelines/` runs as its README says, running it again changes nothing, and
//! its cases hold.

use std::fs;
use std::path::{Path, PathBuf};

use towpath_rig::Store;

use crate::harness::{Workdir, read_lines};
use crate::s3::workdir_with;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines")
}

/// A workdir that looks like the repository's root to a pipeline.
fn clone_of_the_repository() -> Workdir {
    fill(Workdir::new())
}

/// One whose commands find a store, with an archive as the examples read it.
fn clone_with_a_store() -> (Workdir, Store) {
    let store = Store::in_process();
    for (number, hour) in ["06", "07"].into_iter().enumerate() {
        let time = format!("2026-02-14T{hour}:00:00Z");
        let line = |status: u32| {
            format!("{{\"time\":\"{time}\",\"path\":\"/{hour}\",\"status\":{status}}}\n")
        };
        let content: String = (200..300).map(line).collect();
        let key = format!("nginx/dt=2026-02-14/hr={hour}/{number:020}.json");
        store.put(&key, content);
    }
    (fill(workdir_with(&store.endpoint())), store)
}

fn fill(workdir: Workdir) -> Workdir {
    let mut directories = vec![examples()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
                workdir.write(&name.to_string_lossy(), fs::read(&path).unwrap());
            }
        }
    }
    workdir
}

/// `pipelines/NAME.yaml` of every example.
fn names() -> Vec<String> {
    let files = fs::read_dir(examples()).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names
        .filter(|name| name.ends_with(".yaml") && !name.ends_with(".test.yaml"))
        .map(|name| format!("pipelines/{name}"))
        .collect();
    assert!(
        names.contains(&"pipelines/quickstart.yaml".to_owned()),
        "{names:?}"
    );
    names
}

#[test]
fn every_example_has_cases_and_they_hold() {
    let workdir = clone_of_the_repository();
    let before = workdir.listing();
    for name in names() {
        let finished = workdir.towpath(&["test", &name]);
        assert_eq!(finished.code, 0, "{}{}", finished.stdout, finished.stderr);
    }
    let together = workdir.towpath(&["test", "pipelines"]).expect_code(0);
    assert!(
        together.stdout.ends_with(" passed, 0 failed\n"),
        "{}",
        together.stdout
    );
    assert_eq!(workdir.listing(), before, "a test touches nothing");
}

#[test]
fn every_example_checks_and_runs_twice() {
    for name in names() {
        let (workdir, store) = clone_with_a_store();
        workdir.towpath(&["check", &name]).expect_code(0);
        assert!(
            !workdir.path("out").exists(),
            "{name}: check wrote something"
        );
        let before = outputs(&workdir, &store);
        workdir.drain(&name, 0);
        let first = outputs(&workdir, &store);
        assert!(first != before, "{name} wrote nothing");
        workdir.drain(&name, 0);
        assert!(
            outputs(&workdir, &store) == first,
            "{name}: the second run wrote something"
        );
    }
}

/// The files below `out`, and all objects.
fn outputs(workdir: &Workdir, store: &Store) -> Vec<(String, Vec<u8>)> {
    let object = |key: String| {
        let content = store.get(&key).unwrap().bytes;
        (key, content)
    };
    let objects = store.keys().into_iter().map(object);
    let files = workdir
        .listing()
        .into_iter()
        .filter(|path| path.starts_with("out/"));
    files
        .filter(|path| workdir.path(path).is_file())
        .map(|path| (path.clone(), workdir.read(&path)))
        .chain(objects)
        .collect()
}

#[test]
fn the_quickstart_gives_the_log_back_and_the_same_as_json() {
    let workdir = clone_of_the_repository();
    let finished = workdir.drain("pipelines/quickstart.yaml", 0);
    for connector in ["quickstart.web", "quickstart.raw", "quickstart.json"] {
        let line = finished
            .stderr
            .lines()
            .find(|line| line.contains(connector));
        let line = line.unwrap_or_else(|| panic!("no {connector} in:\n{}", finished.stderr));
        assert!(
            line.contains("3000") || line.contains("3,000"),
            "not 3000 records: {line}"
        );
    }
    let log = workdir.read("pipelines/quickstart/access.log");
    assert!(workdir.read("out/quickstart/access-0.log") == log);

    let files = read_lines(&workdir.path("out/quickstart"));
    let [(_, json), (_, raw)] = &files[..] else {
        panic!("{} files", files.len())
    };
    assert_eq!(json.len(), raw.len());
    for (number, (json, raw)) in json.iter().zip(raw).enumerate() {
        let object: serde_json::Value = serde_json::from_slice(json).unwrap();
        assert_eq!(object["offset"], number);
        assert_eq!(object["value"].as_str().map(str::as_bytes), Some(&raw[..]));
        let fields: Vec<_> = object.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["offset", "timestamp", "value"]);
    }
}

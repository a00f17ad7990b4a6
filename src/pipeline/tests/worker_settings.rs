use super::fake;
use crate::{Durability, load_worker_config};

fn check(text: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("towpath.yaml");
    std::fs::write(&path, text).unwrap();
    let rendered = match load_worker_config(Some(&path), &fake()) {
        Ok(_) => String::new(),
        Err(diagnostics) => diagnostics.render(false),
    };
    let rendered = rendered.replace(&format!("{}/", folder.path().display()), "");
    assert_eq!(super::short(&rendered), expected, "{rendered}");
}

#[test]
fn defaults_hold_without_a_file() {
    let config = load_worker_config(None, &fake()).unwrap();
    assert_eq!(
        (&*config.data_dir, config.durability),
        ("./towpath-data", Durability::Fsync)
    );
    assert_eq!(config.memory_limit.0, 256 << 20);
    assert_eq!(config.admin.listen.0.to_string(), "127.0.0.1:8083");
    assert_eq!(config.topic_defaults.partitions.get(), 1);
}

#[test]
fn settings_are_checked() {
    check(
        "data_dir: /data\nadmin: { listen: '[::1]:0' }\nx-y: 1\n",
        &[],
    );
    check(
        "data_dri: /data",
        &["towpath.yaml:1:1: unknown option `data_dri`"],
    );
    check(
        "log: { type: kafka }",
        &["towpath.yaml:1:1: `log` is not supported yet"],
    );
    check(
        "admin: { token: x }",
        &["towpath.yaml:1:10: `admin.token` is not supported yet"],
    );
    check(
        "admin: { listen: '0.0.0.0:80' }",
        &["towpath.yaml:1:18: listening on other addresses than loopback is not supported yet"],
    );
    check(
        "admin: { listen: 8083 }",
        &["towpath.yaml:1:18: expected text, found the number 8083"],
    );
    check(
        "max_record: 1GiB",
        &["towpath.yaml:1:13: `max_record` is larger than `memory_limit`, which is 256MiB"],
    );
    check(
        "durability: fsnyc",
        &["towpath.yaml:1:13: expected one of `fsync`, `os`, found the text `fsnyc`"],
    );
    check(
        "topic_defaults: { partitions: 4097 }",
        &["towpath.yaml:1:31: expected a whole number from 1 to 4096, found the number 4097"],
    );
    check("", &[]);
}

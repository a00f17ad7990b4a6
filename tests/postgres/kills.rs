//! Rows are read and changed while the worker is killed and the server crashes: what was captured
//! adds up to what the tables hold, and each change is there once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use towpath_rig::{Cluster, Stop};

use super::{Captured, capture, captured, cluster};
use crate::harness::Random;

const TABLES: &str = "
CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, body text, note text);
ALTER TABLE t ALTER body SET STORAGE external;
CREATE TABLE u (a int, b text, v int, PRIMARY KEY (b, a));
INSERT INTO t SELECT i, 0, repeat('x' || i, 1500), 'n' FROM generate_series(1, 2000) i;
INSERT INTO u SELECT i % 10, 'k\"' || i, 0 FROM generate_series(1, 2000) i";

/// Each update of a row counts its `v` up, so that a change that is missing or doubled shows.
const WORK: &str = "DO $$ DECLARE n int; BEGIN FOR i IN 1..200 LOOP
    n := (random() * 1999)::int + 1;
    UPDATE t SET v = v + 1 WHERE id = n;
    IF random() < 0.1 THEN UPDATE t SET v = v + 1, body = repeat('y' || i, 1500) WHERE id = n; END IF;
    IF random() < 0.1 THEN DELETE FROM t WHERE id = (random() * 1999)::int + 1; END IF;
    IF random() < 0.1 THEN
        INSERT INTO t VALUES (3000 + (random() * 1000000)::int, 0, 'new') ON CONFLICT DO NOTHING;
    END IF;
    UPDATE u SET v = v + 1 WHERE b = 'k\"' || n;
    IF random() < 0.05 THEN UPDATE u SET a = a + 100, v = v + 1 WHERE b = 'k\"' || n; END IF;
    IF random() < 0.05 THEN
        BEGIN UPDATE u SET v = v + 1; RAISE EXCEPTION 'no'; EXCEPTION WHEN others THEN NULL; END;
    END IF;
    IF random() < 0.5 THEN COMMIT; END IF;
    PERFORM pg_sleep(0.002);
END LOOP; END $$";

/// Of each 200 of the suite's kills a tenth is of this kind.
fn kills() -> u64 {
    let kills = std::env::var("TOWPATH_KILLS").ok();
    kills.map_or(200, |kills| kills.parse().unwrap()) / 10
}

#[test]
fn what_is_captured_over_kills_and_crashes_is_what_the_tables_hold() {
    let Some(cluster) = cluster("postgres::kills", "max_wal_size = 4GB") else {
        return;
    };
    let mut random = Random::new();
    cluster.sql("shop", TABLES);
    let rows = [50, 200, 1000][random.between(0, 3) as usize];
    let workdir = capture(
        &cluster,
        &["t", "u"],
        &format!("    snapshot_chunk_rows: {rows}"),
    );
    let mut work = cluster.begin("shop", WORK);
    for kill in 0..kills() {
        let worker = workdir.start(&["cdc.yaml"]);
        if work.try_wait().unwrap().is_some() {
            work = cluster.begin("shop", WORK);
        }
        std::thread::sleep(Duration::from_micros(random.between(1_000, 1_000_000)));
        if random.chance(30) {
            cluster.stop(Stop::Immediate);
            cluster.go_on();
            std::thread::sleep(Duration::from_micros(random.between(1_000, 300_000)));
        }
        println!("kill {kill} of {}", worker.pid());
        worker.kill_9();
    }
    work.wait().unwrap();
    workdir.drain("cdc.yaml", 0);
    for (table, key) in [("t", &["id"][..]), ("u", &["a", "b"])] {
        let captured = captured(&workdir, table);
        let changes = captured.iter().filter(|one| one.operation() != "r").count();
        assert!(
            changes > 50,
            "only {changes} changes of {table} were captured"
        );
        assert_eq!(replayed(&captured), held(&cluster, table, key), "{table}");
    }
    let slots = cluster.sql("shop", "SELECT count(*) FROM pg_replication_slots");
    assert_eq!(
        slots, "1",
        "each start that found no position has removed what it had made"
    );
}

/// What the records add up to, by key.
fn replayed(records: &[Captured]) -> BTreeMap<String, Map<String, Value>> {
    let mut rows: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut read = BTreeMap::new();
    for record in records {
        let key = record.key.to_string();
        if record.operation() == "d" {
            rows.remove(&key);
            continue;
        }
        let value = record.value.as_object().unwrap().clone();
        let version = |row: &Map<String, Value>| row["v"].as_i64().unwrap();
        let before = rows.get(&key).map(version);
        let now = version(&value);
        if record.operation() == "r" {
            assert!(
                read.insert(key.clone(), ()).is_none(),
                "{key} was read twice"
            );
            assert!(before.is_none_or(|before| before <= now), "{key} goes back");
        }
        if let ("u", Some(before)) = (record.operation(), before) {
            assert_eq!(now, before + 1, "a change of {key} is missing or doubled");
        }
        rows.entry(key).or_default().extend(value);
    }
    rows
}

/// What a table holds, by key.
fn held(cluster: &Cluster, table: &str, key: &[&str]) -> BTreeMap<String, Map<String, Value>> {
    let rows = cluster.sql("shop", &format!("SELECT row_to_json({table}) FROM {table}"));
    let rows = rows.lines().map(|line| {
        let row: Map<String, Value> = serde_json::from_str(line).unwrap();
        let key = key
            .iter()
            .map(|name| ((*name).to_owned(), row[*name].clone()));
        (Value::Object(key.collect()).to_string(), row)
    });
    rows.collect()
}

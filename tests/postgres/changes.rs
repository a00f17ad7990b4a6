//! What rows and changes become.

use serde_json::{Value, json};

use super::{capture, captured, cluster};

const TYPES: &str = r#"
CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'o"k');
CREATE DOMAIN dozens AS numeric(6, 2);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE types (
    id bigint PRIMARY KEY, small int2, whole int4, plain text, ci citext, code char(4), flag bool,
    price numeric(10, 2), free numeric, domain dozens, f4 real, f8 double precision, raw bytea,
    doc json, docb jsonb, uid uuid, day date, hour time, zoned timetz, stamp timestamp,
    moment timestamptz, span interval, m mood, list int[], texts text[], nested int[][], pairs pair[],
    p pair, h hstore, r int4range, ip inet, bits bit(3), dots point, cash money,
    twice int GENERATED ALWAYS AS (whole * 2) STORED, "odd ""name" int);
"#;

const ROW: &str = r#"
INSERT INTO types VALUES (9007199254740993, -2, 7, E'a"\\\n\t\u00e9', 'Ci', 'ab', true, 1.50, 'NaN',
    12.34, 1.5, 'Infinity', '\x00ff', E'{"a":\n 1.0}', '{"b": [1.50]}',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '0044-03-15 BC', '23:59:59.5', '01:02:03+05:30',
    '2026-11-22 01:02:03.000001', '2026-11-22 01:02:03+02', '1 year 2 mons -3 days 04:05:06.5', 'o"k',
    '{1,NULL,3}', ARRAY['a,b', NULL, 'NULL', 'q"\'], '{{1,2},{3,4}}', ARRAY[ROW(1, 'x')::pair],
    ROW(2, 'y z')::pair, 'k=>v, n=>NULL', '[1,5)', '10.0.0.1', B'101', '(1,2)', 12.5, DEFAULT, 1)
"#;

fn row() -> Value {
    let text = r#"{
        "id": 9007199254740993, "small": -2, "whole": 7, "plain": "a\"\\\n\té", "ci": "Ci",
        "code": "ab  ", "flag": true, "price": "1.50", "free": "NaN", "domain": "12.34", "f4": 1.5,
        "f8": "Infinity", "raw": "AP8=", "doc": {"a": 1.0}, "docb": {"b": [1.5]},
        "uid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "day": "-0043-03-15", "hour": "23:59:59.5",
        "zoned": "01:02:03+05:30", "stamp": "2026-11-22T01:02:03.000001",
        "moment": "2026-11-21T23:02:03Z", "span": "P1Y2M-3DT4H5M6.5S", "m": "o\"k",
        "list": [1, null, 3], "texts": ["a,b", null, "NULL", "q\"\\"], "nested": [[1, 2], [3, 4]],
        "pairs": [{"a": 1, "b": "x"}], "p": {"a": 2, "b": "y z"}, "h": {"k": "v", "n": null},
        "r": "[1,5)", "ip": "10.0.0.1", "bits": "101", "dots": "(1,2)", "cash": "$12.50", "odd \"name": 1
    }"#;
    serde_json::from_str(text).unwrap()
}

/// Read or streamed, a value of each type becomes the same.
#[test]
fn every_type_becomes_json() {
    let Some(cluster) = cluster("postgres::changes::every_type_becomes_json", "") else {
        return;
    };
    cluster.sql("shop", TYPES);
    cluster.sql("shop", ROW);
    let workdir = capture(&cluster, &["types"], "");
    workdir.drain("cdc.yaml", 0);
    cluster.sql("shop", "UPDATE types SET small = -2");
    workdir.drain("cdc.yaml", 0);
    let records = captured(&workdir, "types");
    let operations: Vec<_> = records.iter().map(|one| one.operation()).collect();
    assert_eq!(operations, ["r", "u"]);
    let written = String::from_utf8(workdir.read("out/shop.types.jsonl")).unwrap();
    for digits in [r#""id":9007199254740993"#, "[1.50]"] {
        assert!(written.contains(digits), "{written}");
    }
    for record in records {
        assert_eq!(record.key["id"], json!(9_007_199_254_740_993_u64));
        assert_eq!(record.value, row());
        assert!(record.headers.contains_key("towpath.schema.id"));
    }
}

/// Keys that change, deletions, truncations, savepoints, columns that come and go, large values that
/// an update leaves alone.
#[test]
fn changes_come_in_order_with_what_they_carry() {
    let Some(cluster) = cluster("postgres::changes::changes_come_in_order", "") else {
        return;
    };
    cluster.sql(
        "shop",
        "CREATE TABLE t (a int, b text, big text, PRIMARY KEY (b, a)); \
         ALTER TABLE t ALTER big SET STORAGE external; \
         CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE apart (id int PRIMARY KEY)",
    );
    let workdir = capture(
        &cluster,
        &["t", "other"],
        "    snapshot: never\n    on_schema_change: evolve",
    );
    workdir.drain("cdc.yaml", 0);
    for statements in [
        "INSERT INTO t VALUES (1, 'x', repeat('big', 5000)); INSERT INTO apart VALUES (1)",
        "UPDATE t SET big = big",
        "UPDATE t SET a = 2, big = 'small'",
        "BEGIN; INSERT INTO t VALUES (3, 'kept', NULL); SAVEPOINT s; INSERT INTO t VALUES (4, 'gone', NULL); \
         ROLLBACK TO s; INSERT INTO other VALUES (1); COMMIT",
        "ALTER TABLE t ADD c int DEFAULT 7; UPDATE t SET c = 8 WHERE a = 3; ALTER TABLE t DROP big; \
         INSERT INTO t VALUES (5, 'y')",
        "DELETE FROM t WHERE a = 2; TRUNCATE t",
        "ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (6, 'z', 1); UPDATE t SET c = 2; DELETE FROM t",
    ] {
        cluster.sql("shop", statements);
    }
    workdir.drain("cdc.yaml", 0);
    let records = captured(&workdir, "t");
    let shown = records.iter().map(|one| {
        let key = one
            .key
            .as_object()
            .map(|key| format!("{}{}", key["a"], key["b"].as_str().unwrap()));
        let mut names: Vec<_> = one.value.as_object().map_or(Vec::new(), |value| {
            value
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, _)| &**name)
                .collect()
        });
        names.sort_unstable();
        let unchanged = one.headers.get("__unchanged").map_or("", |names| names);
        let (key, names) = (key.unwrap_or_default(), names.join(","));
        format!("{} {key} {names} {unchanged}", one.operation())
            .trim_end()
            .to_owned()
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "c 1x a,b,big",
            "u 1x a,b big",
            "d 1x",
            "c 2x a,b,big",
            "c 3kept a,b",
            "u 3kept a,b,c",
            "c 5y a,b,c",
            "d 2x",
            "t",
            "c 6z a,b,c",
            "u 6z a,b,c",
            "d 6z",
        ]
    );
    assert_eq!(captured(&workdir, "other").len(), 1);
    let xid = |index: usize| records[index].headers["__source_txId"].clone();
    assert_eq!(
        captured(&workdir, "other")[0].headers["__source_txId"],
        xid(4)
    );
}

/// A table that is added later brings its rows, and one transaction of many batches comes whole.
#[test]
fn a_table_that_is_added_is_read_and_large_transactions_are_whole() {
    let Some(cluster) = cluster("postgres::changes::a_table_that_is_added", "") else {
        return;
    };
    cluster.sql(
        "shop",
        "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); \
         INSERT INTO a SELECT i, 'a' FROM generate_series(1, 2500) i; \
         INSERT INTO b SELECT i, 'b' FROM generate_series(1, 100) i",
    );
    let first = capture(&cluster, &["a"], "    snapshot_chunk_rows: 300");
    first.drain("cdc.yaml", 0);
    assert_eq!(captured(&first, "a").len(), 2500);
    let second = capture(&cluster, &["a", "b"], "    snapshot_chunk_rows: 300");
    first.write("cdc.yaml", second.read("cdc.yaml"));
    cluster.sql(
        "shop",
        "INSERT INTO a SELECT i, repeat('v', 200) FROM generate_series(3001, 43000) i",
    );
    first.drain("cdc.yaml", 0);
    let (a, b) = (captured(&first, "a"), captured(&first, "b"));
    assert_eq!((a.len(), b.len()), (42_500, 100));
    assert!(b.iter().all(|one| one.operation() == "r"));
    let ids = a[2500..].iter().map(|one| one.key["id"].as_u64().unwrap());
    assert!(ids.eq(3001..43_001));
}

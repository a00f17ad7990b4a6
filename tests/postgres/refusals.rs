//! What stops the source, and what it says then.

use super::{capture, cluster};

/// What the next drain says, which fails.
#[track_caller]
fn refused(workdir: &crate::harness::Workdir, told: &[&str]) {
    let finished = workdir.towpath(&["run", "--drain", "--timeout", "30s", "cdc.yaml"]);
    finished.expect_code(1).expect_stderr(told);
}

/// Whatever makes a gap between slot and position stops the source, and says what to do.
#[test]
fn a_gap_is_never_silent() {
    let settings =
        "max_slot_wal_keep_size = 1MB\nmin_wal_size = 32MB\nmax_wal_size = 32MB\nwal_keep_size = 0";
    let Some(cluster) = cluster("postgres::refusals::a_gap_is_never_silent", settings) else {
        return;
    };
    cluster.sql(
        "shop",
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1)",
    );
    let slot = "SELECT slot_name FROM pg_replication_slots WHERE database = 'shop'";
    let begun = || {
        let workdir = capture(&cluster, &["t"], "");
        workdir.drain("cdc.yaml", 0);
        let slot = cluster.sql("shop", slot);
        (workdir, slot)
    };
    let drop = |slot: &str| {
        cluster.sql(
            "shop",
            &format!("SELECT pg_drop_replication_slot('{slot}')"),
        )
    };

    let (workdir, slot) = begun();
    drop(&slot);
    refused(
        &workdir,
        &[
            "is gone, and with it what was changed since",
            "offsets reset cdc.pg",
        ],
    );
    let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
    cluster.sql("shop", "INSERT INTO t VALUES (2)");
    cluster.sql("shop", &make);
    refused(
        &workdir,
        &["someone else has read from it", "offsets reset cdc.pg"],
    );
    drop(&slot);
    cluster.sql("shop", &make.replace("pgoutput", "test_decoding"));
    refused(
        &workdir,
        &[
            "is one of test_decoding in shop",
            "choose another name by `slot`",
        ],
    );
    drop(&slot);

    let (workdir, slot) = begun();
    cluster.sql("shop", "INSERT INTO t VALUES (3)");
    cluster.sql(
        "shop",
        &format!("SELECT pg_replication_slot_advance('{slot}', pg_current_wal_lsn())"),
    );
    refused(&workdir, &["someone else has read from it"]);
    drop(&slot);

    let (workdir, slot) = begun();
    for _ in 0..6 {
        cluster.sql("shop", "INSERT INTO t SELECT i, repeat('w', 900) FROM generate_series(10, 9000) i ON CONFLICT DO NOTHING");
        cluster.sql(
            "shop",
            "SELECT pg_switch_wal(); CHECKPOINT; DELETE FROM t WHERE id >= 10",
        );
    }
    refused(
        &workdir,
        &[
            "is lost: the server needed the space",
            "pg_drop_replication_slot",
        ],
    );
    drop(&slot);
    // What it says helps.
    workdir
        .towpath(&["offsets", "reset", "cdc.pg"])
        .expect_code(0);
}

/// What is missing at the server is said with the statement that mends it.
#[test]
fn what_is_missing_is_said() {
    let Some(cluster) = cluster("postgres::refusals::what_is_missing_is_said", "") else {
        return;
    };
    cluster.sql(
        "shop",
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE keyless (id int); \
         CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    );
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "t",
            "    user: reader",
            &["no right to replicate", "ALTER ROLE ... REPLICATION"],
        ),
        (
            "t",
            "    user: nobody",
            &["role \"nobody\" does not exist", "mend `user`"],
        ),
        (
            "t",
            "    database: none",
            &["database \"none\" does not exist", "mend `database`"],
        ),
        (
            "t",
            "    sslmode: require",
            &["does not speak TLS", "sslmode: disable"],
        ),
        (
            "missing",
            "",
            &["there is no table public.missing", "mend `tables`"],
        ),
        (
            "keyless",
            "",
            &["keyless has no primary key", "snapshot: never"],
        ),
        (
            "t",
            "    manage: false\n    slot: own\n    publication: own",
            &["there is no publication own", "CREATE PUBLICATION"],
        ),
    ];
    for (table, more, told) in cases {
        println!("{table} {more}");
        refused(&capture(&cluster, &[table], more), told);
    }
    let physical = "wal_level = replica";
    if let Some(cluster) = super::cluster("postgres::refusals::wal_level", physical) {
        cluster.sql("shop", "CREATE TABLE t (id int PRIMARY KEY)");
        refused(
            &capture(&cluster, &["t"], ""),
            &["`wal_level` is not `logical`", "ALTER SYSTEM"],
        );
    }
}

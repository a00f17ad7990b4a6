//! Random expressions on random records: nothing panics, and what is printed reads back the same.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use towpath_sdk::config::Format;

use super::{VALUE, loaded};
use crate::compile;
use crate::parse::parse;

/// A runner for `cases` cases, whose seed is printed, or taken from TOWPATH_SEED.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let given = std::env::var("TOWPATH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| now.as_nanos() as u64)
    });
    println!("TOWPATH_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Expressions that make sense often enough.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "1",
        "-9223372036854775808",
        "9223372036854775807",
        "2.5",
        "1e308",
        "'a'",
        "''",
        "'größe'",
        "'2026-01-01T00:00:00Z'",
        "'1h'",
        "key",
        "value",
        "headers",
        "topic",
        "partition",
        "offset",
        "timestamp",
        "value.status",
        "value.big",
        "value.price",
        "value.name",
        "value.tags",
        "value.items",
        "value.nested",
        "value.none",
        "value.ok",
        "value.absent",
        "headers.trace",
        "headers.raw",
        "[]",
        "{}",
    ]);
    leaf.prop_map(str::to_owned)
        .prop_recursive(4, 16, 3, |inner| {
            let operators = prop::sample::select(vec![
                "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%", "&&", "||",
            ]);
            let one = prop::sample::select(vec![
                "!(A)",
                "-(A)",
                "-A",
                "size(A)",
                "int(A)",
                "double(A)",
                "string(A)",
                "timestamp(A)",
                "duration(A)",
                "(A).trim()",
                "(A).lowerAscii()",
                "(A).upperAscii()",
                "has(A.b)",
                "has(value[A])",
                "[A]",
                "{'k': A}",
                "(A)[0]",
                "(A).k",
                "(A).matches('a+|^$')",
            ]);
            let two = prop::sample::select(vec![
                "default(A, B)",
                "(A).contains(B)",
                "(A).startsWith(B)",
                "(A).endsWith(B)",
                "(A).split(B)",
                "(A).substring(B)",
                "(A)[B]",
                "[A, B]",
                "(A).exists(x, x == B)",
                "(A).all(x, B)",
                "(A).filter(x, has(x.price) || B)",
                "(A).map(x, [x, B])",
                "(A).replace(B, 'z')",
                "(A) ? (B) : (A)",
                "{'k': A, 'l': B}",
            ]);
            prop_oneof![
                (inner.clone(), operators, inner.clone())
                    .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
                (one, inner.clone()).prop_map(|(form, a)| form.replace('A', &a)),
                (two, inner.clone(), inner).prop_map(|(form, a, b)| {
                    let parts = form.replace('A', "\u{1}").replace('B', &b);
                    parts.replace('\u{1}', &a)
                }),
            ]
        })
}

fn soup() -> impl Strategy<Value = String> {
    let tokens = prop::sample::select(vec![
        "value", "key", "topic", "x", "1", "2.5", "1e9", "'a'", "\"b\"", "r'\\'", "`odd`", "`",
        "'", "\\", "&&", "||", "==", "=", "!", "<", ">=", "+", "-", "*", "/", "%", "?", ":", ".",
        ",", "(", ")", "[", "]", "{", "}", "in", "has", "size", "map", "exists", "matches",
        "default", "null", "true", "//", "\n", " ", "ß", "\u{0}", "😀", "0x1", "5u", "@", "#",
    ]);
    prop::collection::vec(tokens, 0..40).prop_map(|tokens| tokens.concat())
}

/// Compiles and evaluates it on records of each kind, and checks what it prints as. How many of
/// the records it had a value for.
fn exercise(source: &str, records: &[(Format, &[u8])]) -> usize {
    if let Ok(tree) = parse(source) {
        let printed = tree.to_string();
        let again = parse(&printed).map(|tree| tree.to_string());
        // Brackets of the print count as nesting.
        if again
            .as_ref()
            .map_err(|error| error.message.contains("nested"))
            != Err(true)
        {
            assert_eq!(again.as_ref(), Ok(&printed), "{source}");
            let (first, second) = (compile(source).is_ok(), compile(&printed).is_ok());
            assert_eq!(first, second, "{source} and {printed}");
        }
    }
    let Ok(expression) = compile(source) else {
        return 0;
    };
    let mut outcomes = 0;
    for (format, value) in records {
        let mut batch = loaded(*format, Some(b"{\"b\": 1}"), Some(value));
        let tested = expression.test(&mut batch, 0);
        if let Ok(node) = expression.value(&mut batch, 0) {
            outcomes += 1;
            let mut json = Vec::new();
            batch.documents().write(node, &mut json);
            assert_eq!(towpath_sdk::json::validate(&json), Ok(()), "{source}");
            assert!(
                tested.is_err() || json == b"true" || json == b"false",
                "{source}"
            );
            assert!(batch.unchanged().is_some(), "{source} changed the record");
        }
    }
    outcomes
}

#[test]
fn random_expressions_never_panic_and_read_back_as_printed() {
    let outcomes = AtomicUsize::new(0);
    let records: [(Format, &[u8]); 4] = [
        (Format::Json, VALUE.as_bytes()),
        (Format::Json, b"[1, {\"k\": 2}]"),
        (Format::Json, b"{\"a\": "),
        (Format::Text, b"plain"),
    ];
    let ran = runner(2000).run(&expressions(), |source| {
        outcomes.fetch_add(exercise(&source, &records), Ordering::Relaxed);
        Ok(())
    });
    ran.unwrap();
    let outcomes = outcomes.into_inner();
    assert!(
        outcomes > 500,
        "only {outcomes} random expressions had a value"
    );
}

#[test]
fn soups_of_tokens_never_panic() {
    let ran = runner(5000).run(&soup(), |source| {
        if let Err(error) = compile(&source) {
            prop_assert!(error.at <= source.len(), "{source}: byte {}", error.at);
            prop_assert!(
                source.is_char_boundary(error.at),
                "{source}: byte {}",
                error.at
            );
        }
        exercise(&source, &[(Format::Json, VALUE.as_bytes())]);
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn any_text_and_any_value_are_met_without_a_panic() {
    let texts = (any::<String>(), prop::collection::vec(any::<u8>(), 0..40));
    let ran = runner(2000).run(&texts, |(source, value)| {
        exercise(&source, &[(Format::Text, &value)]);
        exercise("value.a == 1 || value.b", &[(Format::Json, &value)]);
        exercise(
            "value.split('a').map(x, x.substring(1, 3))",
            &[(Format::Text, &value)],
        );
        exercise("[int(value), duration(value)]", &[(Format::Text, &value)]);
        Ok(())
    });
    ran.unwrap();
}

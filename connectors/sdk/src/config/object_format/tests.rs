//! How the format of objects is written.

use super::super::output_format::tests::{map, node};
use super::*;

fn parse(node: &Node) -> Result<OutputFormat, String> {
    let mut problems = Problems::new();
    let format = ObjectFormat::parse(node, &mut problems);
    let told = |problem: Problem| problem.message + "; " + &problem.help.unwrap_or_default();
    let told: Vec<_> = problems.into_vec().into_iter().map(told).collect();
    match told.is_empty() {
        true => Ok(format.expect("a format or a problem").0),
        false => Err(told.join("\n")),
    }
}

#[test]
fn parquet_has_columns_or_a_schema() {
    let of = |entries: &[(&str, Node)]| map(&[&[("type", node("parquet"))], entries].concat());
    let columns = map(&[("id", node("int")), ("at", node("timestamp"))]);
    let Ok(OutputFormat::Parquet(output)) = parse(&of(&[("columns", columns.clone())])) else {
        panic!("not Parquet");
    };
    assert!(output.leaves_out);
    assert_eq!(
        output.schema.expect("a schema").text(),
        r#"{"type":"record","name":"record","fields":[{"name":"id","type":["null","long"]},{"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}]}]}"#
    );
    let record = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    let Ok(OutputFormat::Parquet(output)) = parse(&of(&[("schema", node(record))])) else {
        panic!("not Parquet");
    };
    assert!(!output.leaves_out);
    for (written, expected) in [
        (of(&[("columns", map(&[]))]), "Parquet without columns"),
        (
            of(&[("columns", columns), ("schema", node(record))]),
            "give `columns` or `schema`, not both",
        ),
        (of(&[("codec", node("zstd"))]), "`codec`"),
    ] {
        let error = parse(&written).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn avro_and_parquet_may_have_the_schema_of_each_record() {
    for word in ["avro", "parquet"] {
        let schema = match parse(&node(word)) {
            Ok(OutputFormat::Avro(output)) => output.schema,
            Ok(OutputFormat::Parquet(output)) => output.schema,
            other => panic!("{other:?}"),
        };
        assert_eq!(schema, None);
    }
}

#[test]
fn all_others_are_as_of_files() {
    assert_eq!(parse(&node("json")), Ok(OutputFormat::Json));
    assert!(
        parse(&node("csv"))
            .unwrap_err()
            .contains("CSV needs its `columns`")
    );
    let mut problems = Problems::new();
    assert_eq!(OutputFormat::parse(&node("parquet"), &mut problems), None);
    assert_eq!(
        problems.into_vec()[0].message,
        "Parquet has an end, so it cannot be written to what grows"
    );
}

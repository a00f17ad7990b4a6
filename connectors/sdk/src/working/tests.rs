//! A working batch gives back what came, but for what was changed.

use towpath_record::{Batch, BatchBuilder, Header};

use super::*;
use crate::Path;

/// A batch of `values`, each with the key `k` and a header.
fn batch(values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::default();
    for (number, value) in (0..).zip(values) {
        let header = Header {
            key: b"h",
            value: Some(b"1"),
        };
        builder
            .push(number, Some(b"k"), Some(value.as_bytes()), &[header])
            .expect("a small record");
    }
    builder.finish().expect("a record")
}

fn loaded(values: &[&str], format: Format) -> WorkingBatch {
    let mut working = WorkingBatch::default();
    working.load(&batch(values), format, 0).expect("records");
    working
}

/// The values that leave, as text; null is `-`.
fn emitted(working: &mut WorkingBatch, format: Format) -> Vec<String> {
    let mut values = Vec::new();
    let take = |row: Outgoing<'_>| {
        values.push(row.value.map_or("-".into(), |value| {
            String::from_utf8_lossy(value).into_owned()
        }));
        Ok(())
    };
    working.emit(format, take).expect("nothing fails");
    values
}

#[test]
fn what_nobody_touched_is_the_same_batch() {
    let mut working = loaded(&[r#"{"a": 1}"#], Format::Json);
    assert!(working.unchanged().is_some());
    let root = working.root(0, Side::Value).expect("JSON");
    assert!(root.is_some() && working.unchanged().is_some(), "only read");
    assert_eq!(emitted(&mut working, Format::Json), [r#"{"a": 1}"#]);
}

#[test]
fn rows_are_changed_dropped_split_and_refused() {
    let mut working = loaded(
        &[r#"{"a":1,"b":2}"#, r#"{"a":2}"#, "{", r#"{"a":4}"#],
        Format::Json,
    );
    let a = Path::parse("a").expect("a path");
    working
        .each(|batch, row| {
            let root = batch.root_mut(row, Side::Value)?.expect("no null");
            match row {
                0 => {
                    let seven = batch.documents_mut().scalar(|out| out.push(b'7'));
                    batch.documents_mut().put(root, &a, seven)?;
                }
                1 => batch.drop_row(row),
                _ => {
                    let make = |batch: &mut WorkingBatch, text: &str| {
                        let text = text.to_owned();
                        Cell::Json(batch.documents_mut().make(|out| out.extend(text.bytes())))
                    };
                    let (one, two) = (make(batch, "1"), make(batch, "2"));
                    batch.split(row, [one, two])?;
                }
            }
            Ok(())
        })
        .expect("only records fail");
    assert_eq!(
        emitted(&mut working, Format::Json),
        [r#"{"a":7,"b":2}"#, "1", "2"]
    );
    let refused = std::mem::take(working.refused());
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].index, 2);
    assert!(refused[0].error.to_string().contains("as JSON"));
}

#[test]
fn rows_of_a_split_stand_where_their_row_was() {
    let mut working = loaded(&["a", "b"], Format::Text);
    let twice = |working: &mut WorkingBatch, rows: &[usize]| {
        let split = |batch: &mut WorkingBatch, row: usize| {
            let cell = batch.cell(row, Side::Value);
            match rows.contains(&row) {
                true => batch.split(row, [cell, Cell::Null]),
                false => Ok(()),
            }
        };
        working.each(split).expect("nothing fails");
    };
    twice(&mut working, &[0]);
    assert_eq!(emitted(&mut working, Format::Text), ["a", "-", "b"]);
    // The first of the three rows that are left.
    twice(&mut working, &[1]);
    assert_eq!(emitted(&mut working, Format::Text), ["a", "-", "-", "b"]);
}

#[test]
fn a_refused_row_takes_its_siblings_along() {
    let mut working = loaded(&["1", "2", "3"], Format::Json);
    working
        .each(|batch, row| {
            let cell = batch.cell(row, Side::Value);
            batch.split(row, [cell, cell])
        })
        .expect("nothing fails");
    working.refuse(4, Error::record("try", "the second half"));
    assert_eq!(emitted(&mut working, Format::Json), ["1", "1", "3", "3"]);
}

#[test]
fn values_are_written_as_the_topic_holds_them() {
    let cases = [
        (Format::Text, Format::Json, "é\"", "\"é\\\"\""),
        (Format::Bytes, Format::Json, "abc", "\"YWJj\""),
        (Format::Text, Format::Text, "a", "a"),
        (Format::Json, Format::Text, "[1, 2]", "[1, 2]"),
    ];
    for (from, to, value, expected) in cases {
        let mut working = loaded(&[value], from);
        assert_eq!(emitted(&mut working, to), [expected], "{from:?} to {to:?}");
    }
    let mut working = loaded(&["\"a\\nb\""], Format::Json);
    working.root_mut(0, Side::Value).expect("JSON");
    assert_eq!(
        emitted(&mut working, Format::Text),
        ["a\nb"],
        "a decoded string alone is its text"
    );
}

#[test]
fn headers_topics_and_keys_are_changed() {
    let mut working = loaded(&["v", "w"], Format::Text);
    working.add_header(0, "x", None);
    working.retain_headers(1, |header| header.key != b"h");
    working.set_topic(1, "other").expect("few topics");
    let key = working.documents_mut().make(|out| out.push(b'!'));
    working.set_cell(0, Side::Key, Cell::Text(key));
    let mut seen = Vec::new();
    working
        .emit(Format::Text, |row| {
            let names: Vec<_> = row
                .headers
                .iter()
                .map(|header| header.expect("a header").key.to_vec())
                .collect();
            seen.push((
                row.topic.map(|topic| topic.to_string()),
                row.key.map(<[u8]>::to_vec),
                row.key_set,
                names.concat(),
            ));
            Ok(())
        })
        .expect("nothing fails");
    assert_eq!(
        seen,
        [
            (None, Some(b"!".to_vec()), true, b"hx".to_vec()),
            (Some("other".into()), Some(b"k".to_vec()), false, vec![])
        ]
    );
}

#[test]
fn text_has_no_fields() {
    let mut working = loaded(&["plain"], Format::Text);
    let error = working.root(0, Side::Value).expect_err("text");
    assert!(error.to_string().contains("look into the value"), "{error}");
    assert_eq!(
        working.text(0, Side::Value).expect("UTF-8").as_deref(),
        Some("plain")
    );
}

#[test]
fn a_key_that_was_only_looked_into_stays() {
    let mut builder = BatchBuilder::default();
    builder
        .push(0, Some(br#""k\u0021""#), None, &[])
        .expect("a small record");
    let batch = builder.finish().expect("a record");
    let mut working = WorkingBatch::default();
    let key = |working: &WorkingBatch| {
        let mut key = Vec::new();
        let take = |row: Outgoing<'_>| {
            key.extend_from_slice(row.key.unwrap_or_default());
            Ok(())
        };
        working.emit(Format::Json, take).expect("nothing fails");
        String::from_utf8_lossy(&key).into_owned()
    };
    working.load(&batch, Format::Json, 0).expect("records");
    working.root(0, Side::Key).expect("JSON");
    assert_eq!(key(&working), r#""k\u0021""#);
    working.root_mut(0, Side::Key).expect("JSON");
    assert_eq!(key(&working), "k!", "a string that was set is its text");
}

#[test]
fn a_whole_is_a_node_whatever_it_is() {
    for (format, value, json) in [
        (Format::Text, "a\"b", r#""a\"b""#),
        (Format::Bytes, "abc", r#""YWJj""#),
        (Format::Json, "[1, 2]", "[1, 2]"),
    ] {
        let mut working = loaded(&[value], format);
        let whole = working.whole(0, Side::Value).expect("a node");
        let mut text = Vec::new();
        working.documents().write(whole, &mut text);
        assert_eq!(String::from_utf8_lossy(&text), json);
        let key = working.whole(0, Side::Key).expect("a node");
        assert_eq!(working.documents().text(key), r#""k""#);
    }
    let mut working = loaded(&["{"], Format::Json);
    assert!(working.whole(0, Side::Value).is_err());
}

#[test]
fn only_names_that_topics_can_have_are_topics() {
    let mut working = loaded(&["v"], Format::Text);
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a/b", "ö", &long] {
        let error = working.set_topic(0, name).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Record);
    }
    assert!(working.set_topic(0, "a.b-c_9").is_ok());
}

#[test]
fn what_is_changed_no_longer_refers_to_a_schema() {
    let header = |key: &'static str| Header {
        key: key.as_bytes(),
        value: Some(b"1"),
    };
    let headers = [
        header("towpath.schema.id"),
        header("other"),
        header("towpath.key_schema.id"),
        header("towpath.schema.name"),
    ];
    let mut builder = BatchBuilder::default();
    for _ in 0..5 {
        let value = Some(&br#"{"a":1}"#[..]);
        builder
            .push(0, Some(b"7"), value, &headers)
            .expect("a small record");
    }
    let mut working = WorkingBatch::default();
    let batch = builder.finish().expect("a record");
    working.load(&batch, Format::Json, 0).expect("records");
    let change = |working: &mut WorkingBatch, row: usize| {
        match row {
            0 => drop(working.root(row, Side::Value)?),
            1 => drop(working.root_mut(row, Side::Value)?),
            2 => working.set_cell(row, Side::Value, Cell::Null),
            3 => drop(working.root_mut(row, Side::Key)?),
            _ => working.split(row, [Cell::Null])?,
        }
        Ok(())
    };
    working.each(change).expect("nothing fails");
    let mut left = Vec::new();
    let take = |row: Outgoing<'_>| {
        let keys = row.headers.iter().map(|header| header.expect("sound").key);
        let keys = keys.map(|key| String::from_utf8_lossy(key).into_owned());
        left.push(keys.collect::<Vec<_>>().join(" "));
        Ok(())
    };
    working.emit(Format::Json, take).expect("nothing fails");
    let (value, key) = ("towpath.schema.id", "towpath.key_schema.id");
    let all = format!("{value} other {key} towpath.schema.name");
    let of_key = format!("other {key}");
    let of_value = format!("{value} other towpath.schema.name");
    let expected = [&all, &of_key, &of_key, &of_value, &of_key];
    assert!(left.iter().eq(expected), "{left:?}");
}

#[test]
fn a_record_that_grows_without_bound_leaves_room_for_the_others() {
    let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20));
    let mut working = loaded(&[&text, "1", "2"], Format::Json);
    working
        .each(|batch, row| {
            let root = batch.root_mut(row, Side::Value)?.expect("no null");
            if row == 0 {
                // Nothing is made anew, and still all of it would be written.
                for _ in 0..300 {
                    batch.documents_mut().copy(root)?;
                }
            }
            if row == 1 {
                batch.documents_mut().make(|out| out.resize(300 << 20, 0));
            }
            Ok(())
        })
        .expect("records only");
    let refused: Vec<_> = working.refused().iter().map(|row| row.index).collect();
    assert_eq!(refused, [0, 1]);
    assert_eq!(emitted(&mut working, Format::Json), ["2"]);

    working
        .load(&batch(&["1"]), Format::Json, 0)
        .expect("records");
    let kept = working.documents.kept_bytes();
    assert!(kept <= 32 << 20, "{kept} bytes");
}

#[test]
fn a_key_counts_for_each_row_of_a_split() {
    let mut builder = BatchBuilder::default();
    let key = vec![b'k'; 1 << 20];
    let pushed = builder.push(0, Some(&key), Some(b"1"), &[]);
    pushed.expect("a small record");
    let mut working = WorkingBatch::default();
    let batch = builder.finish().expect("a record");
    working.load(&batch, Format::Json, 0).expect("records");
    working
        .each(|batch, row| batch.split(row, [Cell::Null; 300]))
        .expect("records only");
    assert_eq!(working.refused().len(), 1);
    assert_eq!(emitted(&mut working, Format::Json), Vec::<String>::new());
}

use super::*;

choice! {
    /// What to do with a line that is too long.
    enum Oversize {
        /// It is cut.
        Truncate = "truncate",
        Skip = "skip",
    }
}

options! {
    /// Follows files.
    struct Example {
        /// Globs of the files to read.
        /// Several lines.
        pub include: OneOrMany<String>,
        /// Globs to leave out.
        pub exclude: OneOrMany<String> = [],
        pub max_line: Size = "1MiB",
        pub oversize: Oversize = "truncate",
        pub nested: Nested = {},
        pub tasks: u32 = 1,
        pub fields: Fields = ["value"],
        pub r#type: Option<Pattern>,
    }

    struct Nested {
        pub on: bool = true,
        pub rate: f64 = 0.5,
    }
}

fn map(entries: &[(&str, Node)]) -> Node {
    let entry = |(at, (name, node)): (usize, &(&str, Node))| {
        let at = u32::try_from(at).unwrap();
        (
            Key {
                name: (*name).to_owned(),
                span: Span::new(0, at, at),
            },
            node.clone(),
        )
    };
    Node::new(
        Span::new(0, 0, 0),
        NodeValue::Map(entries.iter().enumerate().map(entry).collect()),
    )
}

fn text(text: &str) -> Node {
    Node::new(Span::new(0, 7, 8), text)
}

fn number(text: &str) -> Node {
    Node::new(Span::new(0, 7, 8), NodeValue::Number(text.to_owned()))
}

fn from_reference(value: &str) -> Node {
    let reference = Reference {
        written: "${env:X}".to_owned(),
        whole: true,
    };
    Node {
        reference: Some(reference),
        ..text(value)
    }
}

/// `expected` is the value's `Debug`, or the problems as "message; help".
fn check<T: OptionType + std::fmt::Debug>(node: &Node, expected: &str) {
    let mut problems = Problems::new();
    let shown = match T::parse(node, &mut problems) {
        Some(value) if problems.is_empty() => format!("{value:?}"),
        _ => {
            let lines = problems.iter().map(|problem| match &problem.help {
                Some(help) => format!("{}; {help}", problem.message),
                None => problem.message.clone(),
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    assert_eq!(shown, expected);
}

#[test]
fn defaults_and_absent_options() {
    let mut problems = Problems::new();
    let node = map(&[("include", text("*.log"))]);
    let example = Example::parse(&node, &mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(example.include.0, ["*.log"]);
    assert!(example.exclude.is_empty());
    assert_eq!(example.max_line, Size(1 << 20));
    assert_eq!(example.oversize, Oversize::Truncate);
    assert!(example.nested.on);
    assert_eq!(example.tasks, 1);
    assert!(example.fields.is_bare_value());
    assert_eq!(example.r#type, None);
    assert_eq!(format!("{example:?}"), "Example { .. }");
}

#[test]
fn all_problems_at_once() {
    let node = map(&[
        ("includ", text("*.log")),
        ("tasks", text("many")),
        ("max_line", text("10GB")),
        ("oversize", text("trunkate")),
        ("nested", map(&[("on", text("no")), ("other", number("7"))])),
        ("type", text("(")),
    ]);
    check::<Example>(
        &node,
        "unknown option `includ`; did you mean `include`?\n\
         expected a size such as 64MiB, found the text `10GB`; did you mean `10GiB`?\n\
         expected one of `truncate`, `skip`, found the text `trunkate`; did you mean `truncate`?\n\
         unknown option `other`; possible: on, rate\n\
         expected `true` or `false`, found the text `no`; write false, without quotes\n\
         expected a whole number, found the text `many`\n\
         not a regular expression: unclosed group",
    );
    check::<Example>(
        &text("x"),
        "expected a map, found the text `x`; its options are: include, exclude, max_line, \
         oversize, nested, tasks, fields, type",
    );
}

#[test]
fn text_is_not_guessed() {
    check::<String>(&text("no"), "\"no\"");
    check::<String>(
        &number("7"),
        "expected text, found the number 7; to make it text, quote it: \"7\"",
    );
    check::<String>(
        &Node::new(Span::NONE, true),
        "expected text, found `true`; to make it text, quote it: \"true\"",
    );
    check::<String>(
        &Node::new(Span::NONE, NodeValue::Null),
        "expected text, found nothing; remove the key, or write \"\" for the empty text, \
         \"null\" for the word",
    );
    check::<u32>(
        &number("1.5"),
        "expected a whole number from 0 to 4294967295, found the number 1.5",
    );
    check::<i64>(
        &text("1_000"),
        "expected a whole number, found the text `1_000`; write 1000, without quotes",
    );
    check::<i64>(
        &text("012"),
        "expected a whole number, found the text `012`; write 12, without quotes",
    );
    check::<f64>(&number("1e3"), "1000.0");
    check::<Vec<String>>(&text("a"), "expected a list, found the text `a`; write [a]");
}

#[test]
fn references_take_the_type_and_stay_hidden() {
    check::<u32>(&from_reference("7"), "7");
    check::<bool>(&from_reference("true"), "true");
    check::<String>(&from_reference("7"), "\"7\"");
    check::<Secret>(&from_reference("7"), "***");
    check::<u32>(
        &from_reference("hunter2"),
        "expected a whole number from 0 to 4294967295, found what `${env:X}` stands for",
    );
    check::<Pattern>(
        &from_reference("(hunter2"),
        "what `${env:X}` stands for is no regular expression",
    );
    assert!(!format!("{:?}", from_reference("hunter2")).contains("hunter2"));
}

#[test]
fn sizes_and_durations() {
    check::<Size>(&text("64KiB"), "Size(65536)");
    check::<Size>(&text("0B"), "Size(0)");
    check::<Size>(
        &number("64"),
        "expected a size such as 64MiB, found the number 64; did you mean `64B`?",
    );
    check::<Size>(
        &text("1.5GiB"),
        "expected a size such as 64MiB, found the text `1.5GiB`; a whole number and one of the units B, KiB, MiB, GiB, TiB",
    );
    check::<Size>(
        &text("99999999999TiB"),
        "the text `99999999999TiB` is too large",
    );
    check::<Duration>(&text("500ms"), "Duration(500ms)");
    check::<Duration>(&text("7d"), "Duration(604800s)");
    check::<Duration>(
        &text("5 min"),
        "expected a duration such as 5s, found the text `5 min`; did you mean `5m`?",
    );
    check::<Duration>(
        &text("5x"),
        "expected a duration such as 5s, found the text `5x`; a whole number and one of the units ms, s, m, h, d",
    );
    check::<Limit>(&text("forever"), "Forever");
    check::<Start>(&text("latest"), "Latest");
    check::<Start>(
        &number("2020"),
        "expected `earliest`, `latest`, a time such as 2026-01-01T00:00:00Z or a duration such as 2h, found the number 2020; did you mean `2020-01-01T00:00:00Z`?",
    );
    check::<Start>(&text("2h"), "Ago(Duration(7200s))");
    check::<Start>(&text("2026-01-01T00:00:00Z"), "At(1767225600000)");
    assert_eq!(Size(3 << 20).to_string(), "3MiB");
    assert_eq!(
        Duration(std::time::Duration::from_secs(90)).to_string(),
        "90s"
    );
}

#[test]
fn a_missing_option_is_reported_unless_it_was_misspelt() {
    let missing =
        "missing option `include` (text or list of text); `include`: Globs of the files to read.";
    check::<Example>(&map(&[]), missing);
    check::<Example>(
        &map(&[("includ", number("7"))]),
        "unknown option `includ`; did you mean `include`?\n\
         expected text, found the number 7; to make it text, quote it: \"7\"",
    );
    let there = [("include", text("a")), ("includ", number("7"))];
    check::<Example>(
        &map(&there),
        "unknown option `includ`; did you mean `include`?",
    );
}

#[test]
fn shared_types() {
    check::<Format>(&text("json"), "Json");
    check::<Format>(&map(&[("type", text("json"))]), "Json");
    check::<Format>(
        &text("csv"),
        "no values of a topic are csv; write `format: json`: sources read other formats into it, sinks write from it",
    );
    check::<Format>(
        &map(&[("typ", text("json"))]),
        "unknown option `typ`; did you mean `type`?\nmissing option `type`",
    );
    check::<Compression>(&text("gzip"), "Gzip { level: 6 }");
    check::<Compression>(
        &map(&[("type", text("zstd")), ("level", number("19"))]),
        "Zstd { level: 19 }",
    );
    check::<Compression>(
        &map(&[("type", text("gzip")), ("level", number("19"))]),
        "the level of gzip is from 1 to 9",
    );
    check::<Compression>(
        &text("lz4"),
        "the compression `lz4` is not supported yet; it comes with a later version of towpath",
    );
    check::<Fields>(&text("key"), "Fields([Key])");
    check::<PathTemplate>(
        &text("out/"),
        "expected the path of a file, found the text `out/`",
    );
    check::<crate::Template>(
        &text("{topci}"),
        "unknown name `{topci}`; did you mean `{topic}`?",
    );
}

#[test]
fn the_table_of_options() {
    let table = markdown_table(&Example::spec());
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[2],
        "| `include` | text or list of text | required | Globs of the files to read. Several lines. |"
    );
    assert_eq!(
        lines[3],
        "| `exclude` | text or list of text | `[]` | Globs to leave out. |"
    );
    assert_eq!(lines[7], "| `nested.on` | `true` or `false` | `true` |  |");
    assert_eq!(lines.last(), Some(&"| `type` | regular expression |  |  |"));
}

#[test]
fn the_nearest_name() {
    let known = ["include", "exclude", "topic", "topics"];
    assert_eq!(nearest("inculde", known), Some("include"));
    assert_eq!(nearest("Topic", known), Some("topic"));
    assert_eq!(nearest("zebra", known), None);
    assert_eq!(nearest("", known), None);
}

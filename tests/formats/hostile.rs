//! Records that are wrong in every way that comes: in the transforms of a source, in those of a
//! sink, and where a source decodes them. Each goes where `on_error` says, is counted, and is told
//! of with the transform, its line in the YAML, and the record's place.

use std::fmt::Write as _;

use crate::harness::Workdir;

/// A bad record between two good ones.
struct Case {
    /// All of them one a line; the one at `refusing` meets the bad record.
    transforms: &'static [&'static str],
    refusing: usize,
    /// A good record, and what becomes of it.
    good: (&'static str, &'static str),
    bad: Vec<u8>,
    told: &'static str,
}

const PARSE: &str = "parse_json";
const HEADER: &str = "{ type: insert_header, header: h, value: v }";
const ADD: &str = "{ type: set, fields: { m: value.n + 1 } }";
const CAST: &str = "{ type: cast, fields: { n: int64 } }";

fn deep() -> Vec<u8> {
    ["[".repeat(10_000), "]".repeat(10_000)].concat().into()
}

/// A JSON string of 50 MB in field `n`.
fn long() -> Vec<u8> {
    format!(r#"{{"n":"{}"}}"#, "x".repeat(50_000_000)).into()
}

fn cases() -> Vec<Case> {
    let json = |transforms, refusing, bad: Vec<u8>, told| Case {
        transforms,
        refusing,
        good: (r#"{"n":1}"#, r#"{"n":1}"#),
        bad,
        told,
    };
    let added = |case: Case| Case {
        good: (r#"{"n":1}"#, r#"{"n":1,"m":2}"#),
        ..case
    };
    vec![
        json(
            &[HEADER, PARSE],
            1,
            b"{\"n\":1,}".to_vec(),
            "cannot read the value as JSON: expected a field's name in quotes at byte 7",
        ),
        added(json(
            &[PARSE, HEADER, ADD],
            2,
            b"{\"o\":1}".to_vec(),
            "cannot evaluate `value.n + 1`: `value.n` is missing",
        )),
        added(json(
            &[PARSE, HEADER, ADD],
            2,
            b"{\"n\":\"x\"}".to_vec(),
            "`value.n + 1` has a string on the left and a number on the right",
        )),
        json(
            &[PARSE, CAST],
            1,
            b"{\"n\":123456789012345678901234567890}".to_vec(),
            "cannot cast `n`: `123456789012345678901234567890` does not fit into 64 bits",
        ),
        json(
            &[HEADER, PARSE],
            1,
            deep(),
            "nested more than 128 deep at byte 128",
        ),
        json(
            &[PARSE, HEADER, CAST],
            2,
            long(),
            "cannot cast `n`: the text `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...` is no whole number",
        ),
        json(
            &[PARSE],
            0,
            b"{\"n\":\"\xff\"}".to_vec(),
            "cannot read the value as JSON: invalid UTF-8 at byte 6",
        ),
        // With backtracking it would take longer than the world is old.
        Case {
            transforms: &[HEADER, "{ type: parse_regex, pattern: '^(?P<n>(a+)+)$' }"],
            refusing: 1,
            good: ("aaa", r#"{"n":"aaa"}"#),
            bad: ("a".repeat(10_000) + "!").into(),
            told: "cannot read the value by the pattern: the pattern does not match",
        },
        Case {
            transforms: &[HEADER, "{ type: parse_csv, columns: [n, m] }"],
            refusing: 1,
            good: ("1,2", r#"{"n":"1","m":"2"}"#),
            bad: b"1,a\"b".to_vec(),
            told: "a quote inside a field without quotes at byte 3, in column `m`",
        },
    ]
}

const ACTIONS: [&str; 3] = ["skip", "dead_letter", "fail"];

/// A source or sink for each action, named like it, with `options` and transforms, and a sink for
/// the dead letters. `transforms` stand at sources or at sinks.
fn pipeline(case: &Case, of_sinks: bool, options: &str) -> String {
    let mut transforms = "    transforms:\n".to_owned();
    for transform in case.transforms {
        let _ = writeln!(transforms, "      - {transform}");
    }
    if case.transforms.is_empty() {
        transforms.clear();
    }
    let mut yaml = "sources:\n".to_owned();
    for action in ACTIONS {
        let _ = write!(
            yaml,
            "  from_{action}:\n    type: file\n    include: 'in/*'\n    topic: {action}\n{options}"
        );
        if !of_sinks {
            let _ = write!(yaml, "    on_error: {action}\n{transforms}");
        }
    }
    yaml += "sinks:\n";
    for action in ACTIONS {
        let _ = write!(
            yaml,
            "  to_{action}:\n    type: file\n    topics: {action}\n    path: out/{action}\n"
        );
        if of_sinks {
            let _ = write!(yaml, "    on_error: {action}\n{transforms}");
        }
    }
    let refusing = if of_sinks { "to" } else { "from" };
    let _ = writeln!(
        yaml,
        "  letters: {{ type: file, topics: p.{refusing}_dead_letter.dead-letters, path: out/letters }}"
    );
    yaml
}

/// The line of the YAML, from 1, at which the connector has its transform that refuses.
fn line_of(yaml: &str, connector: &str, case: &Case) -> usize {
    let begins = yaml
        .find(&format!("  {connector}:\n"))
        .expect("it is there");
    let transform = format!("- {}", case.transforms[case.refusing]);
    let at = begins + yaml[begins..].find(&transform).expect("it has it");
    yaml[..at].matches('\n').count() + 1
}

/// Runs it, and checks what came out, what was counted and what was told: `place` says how the
/// connector of an action names the place. `side` is that of the transforms, and `before` says whether what comes before a bad record is
/// delivered although it ends the task.
#[track_caller]
fn check(
    case: &Case,
    header: &str,
    yaml: &str,
    (side, before): (&str, bool),
    place: impl Fn(&str) -> String,
) -> Workdir {
    let workdir = Workdir::new();
    workdir.append("towpath.yaml", "max_record: 64MiB\n");
    workdir.write("p.yaml", yaml);
    let good = [case.good.0.as_bytes(), b"\n"].concat();
    workdir.write(
        "in/input",
        [header.as_bytes(), &good, &case.bad, b"\n", &good].concat(),
    );
    let run = workdir
        .towpath(&["run", "--drain", "p.yaml"])
        .expect_code(1);
    let told = |connector: &str, before: &str, after: &str| {
        let place = place(connector);
        let line = run.stderr.lines().find(|line| {
            line.contains(before) && line.contains(&place) && line.contains(case.told)
        });
        let line =
            line.unwrap_or_else(|| panic!("{before} {place}: {} in\n{}", case.told, run.stderr));
        assert!(line.contains(after), "{line}");
        assert!(line.len() < 1_000, "{line}");
    };
    told(&format!("{side}_skip"), "left out: ", "");
    told(&format!("{side}_dead_letter"), "kept in ", "");
    told(
        &format!("{side}_fail"),
        "_fail failed: ",
        "; mend it, or set `on_error` to `skip` or `dead_letter`",
    );
    let row = |name: &str| {
        let row = run.stderr.lines().find(|line| line.starts_with(name));
        row.unwrap_or_else(|| panic!("no {name} in\n{}", run.stderr))
    };
    assert!(
        row(&format!("p.{side}_skip ")).ends_with(" 1"),
        "{}",
        run.stderr
    );
    assert!(
        row(&format!("p.{side}_fail ")).contains("failed"),
        "{}",
        run.stderr
    );
    let kept = format!("p.{side}_dead_letter: kept 1 dead letter");
    assert!(run.stderr.contains(&kept), "{}", run.stderr);

    let one = case.good.1.to_owned() + "\n";
    let found = |name: &str| std::fs::read(workdir.path(name)).unwrap_or_default();
    for action in ["skip", "dead_letter"] {
        assert_eq!(
            String::from_utf8(found(&format!("out/{action}"))).unwrap(),
            one.repeat(2)
        );
    }
    let failed = String::from_utf8(found("out/fail")).unwrap();
    assert_eq!(failed, if before { &*one } else { "" });
    let letter = found("out/letters");
    // Of what is too long to be taken only the beginning is kept.
    let kept = match case.told.contains("`max_line`") {
        true => &case.bad[..4096],
        false => &case.bad,
    };
    assert!(letter == [kept, b"\n"].concat(), "{} bytes", letter.len());
    workdir
}

#[test]
fn in_the_transforms_of_a_source() {
    for case in cases() {
        let yaml = pipeline(&case, false, "    max_line: 64MiB\n");
        let position = case.good.0.len() + 1;
        check(&case, "", &yaml, ("from", false), |connector| {
            format!(
                "p.{connector}.transforms[{}] ({} at p.yaml:{}) on in/input at byte {position}: ",
                case.refusing,
                name_of(&case),
                line_of(&yaml, connector, &case)
            )
        });
    }
}

#[test]
fn in_the_transforms_of_a_sink() {
    for case in cases() {
        let yaml = pipeline(&case, true, "    max_line: 64MiB\n");
        check(&case, "", &yaml, ("to", true), |connector| {
            let topic = connector.strip_prefix("to_").expect("it is a sink");
            format!(
                "p.{connector}.transforms[{}] ({} at p.yaml:{}) on {topic}-0 offset 1: ",
                case.refusing,
                name_of(&case),
                line_of(&yaml, connector, &case)
            )
        });
    }
}

#[test]
fn where_a_source_decodes_them() {
    let csv = "{ type: csv, columns: { n: int } }";
    for (format, max_line, header, good, bad, told) in [
        (
            "json",
            "64MiB",
            "",
            "1",
            b"{\"n\":1,}".to_vec(),
            "cannot read JSON: expected a field's name",
        ),
        (
            "json",
            "64MiB",
            "",
            "1",
            deep(),
            "cannot read JSON: nested more than 128 deep at byte 128",
        ),
        (
            "json",
            "64MiB",
            "",
            "1",
            b"\"\xff\"".to_vec(),
            "cannot read JSON: invalid UTF-8 at byte 1",
        ),
        (
            "json",
            "1MiB",
            "",
            "1",
            long(),
            "it is longer than `max_line`, 1048576 bytes",
        ),
        (
            csv,
            "64MiB",
            "n,m\n",
            "1,2",
            b"1,a\"b".to_vec(),
            "at byte 3, in column `m`",
        ),
        (
            csv,
            "64MiB",
            "n,m\n",
            "1,2",
            b"x,2".to_vec(),
            "a whole number at byte 0, in column `n`",
        ),
    ] {
        let case = Case {
            transforms: &[],
            refusing: 0,
            good: (
                good,
                if header.is_empty() {
                    good
                } else {
                    r#"{"n":1,"m":"2"}"#
                },
            ),
            bad,
            told,
        };
        let options =
            format!("    max_line: {max_line}\n    oversize: fail\n    format: {format}\n");
        let yaml = pipeline(&case, false, &options);
        let position = header.len() + good.len() + 1;
        let place = |_: &str| format!("cannot read in/input at byte {position}: ");
        let workdir = check(&case, header, &yaml, ("from", true), place);
        let show = ["dlq", "show", "p.from_dead_letter.dead-letters", "--json"];
        let shown = workdir.towpath(&show).expect_code(0).stdout;
        assert_eq!(
            shown.contains("__towpath.head"),
            !header.is_empty(),
            "{shown:.1000}"
        );
        assert_eq!(shown.contains("n,m"), !header.is_empty(), "{shown:.1000}");
    }
}

/// The type of the transform that refuses.
fn name_of(case: &Case) -> &'static str {
    let transform = case.transforms[case.refusing];
    let name = transform.strip_prefix("{ type: ").unwrap_or(transform);
    name.split([',', ' ']).next().expect("it has a type")
}

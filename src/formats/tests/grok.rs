//! Every standard pattern against its examples, and what an expression may not be.

use std::collections::HashMap;

use crate::grok::FILES;
use crate::{Parser, grok, grok_names};

fn parse(expression: &str, text: &str) -> Result<String, String> {
    let mut pattern = grok(expression, &HashMap::new())?;
    let mut out = b"before".to_vec();
    let parsed = pattern.parse(text.as_bytes(), &mut out);
    let out = String::from_utf8(out).unwrap();
    match parsed {
        Ok(()) => Ok(out.strip_prefix("before").unwrap().to_owned()),
        Err(fault) => {
            assert_eq!(out, "before", "nothing is appended on a fault");
            Err(fault.to_string())
        }
    }
}

#[test]
fn every_pattern_matches_its_example_and_not_the_other() {
    let mut examples: HashMap<&str, [Vec<String>; 2]> = HashMap::new();
    let mut name = "";
    for line in FILES.iter().flat_map(|file| file.lines()) {
        let text = |line: &str| match line
            .strip_prefix('{')
            .and_then(|line| line.strip_suffix('}'))
        {
            Some(json) if json.starts_with('"') => serde_json::from_str(json).unwrap(),
            _ => line.to_owned(),
        };
        if let Some(matching) = line.strip_prefix("+ ") {
            examples.entry(name).or_default()[0].push(text(matching));
        } else if let Some(other) = line.strip_prefix("- ") {
            examples.entry(name).or_default()[1].push(text(other));
        } else if let Some((defined, _)) = line.split_once(' ').filter(|_| !line.starts_with('#')) {
            name = defined;
            assert!(!examples.contains_key(name), "{name} is defined twice");
        }
    }
    for name in grok_names() {
        let [matching, others] = examples.remove(name).unwrap_or_default();
        assert!(
            !matching.is_empty() && !others.is_empty(),
            "{name} lacks an example"
        );
        let whole = format!("^%{{{name}:the.whole}}$");
        for text in matching {
            parse(&whole, &text).unwrap_or_else(|why| panic!("{name} and {text:?}: {why}"));
        }
        for text in others {
            let parsed = parse(&whole, &text);
            assert!(parsed.is_err(), "{name} matches {text:?}: {parsed:?}");
        }
    }
    assert!(examples.is_empty(), "{examples:?}");
}

#[test]
fn fields_are_typed_nested_and_left_out() {
    let check = |expression: &str, text: &str, expected: &str| {
        assert_eq!(
            parse(expression, text).as_deref(),
            Ok(expected),
            "{expression}"
        );
    };
    check(
        "%{IP:[client][ip]} %{NUMBER:client.bytes:int} %{NUMBER:took:float}",
        "behind 10.0.0.1 0042 1.50 end",
        r#"{"client":{"ip":"10.0.0.1","bytes":42},"took":1.50}"#,
    );
    check("%{WORD:a}(?: %{INT:[b][c]:int})?", "x", r#"{"a":"x"}"#);
    check("(?:%{INT:n:int}|%{WORD:n})", "word", r#"{"n":"word"}"#);
    check(
        "(?<own>é+) %{GREEDYDATA:rest}",
        "ééé \"q\"",
        r#"{"own":"ééé","rest":"\"q\""}"#,
    );
    check(
        "^%{COMBINEDAPACHELOG}$",
        r#"203.0.113.9 - frank [10/Oct/2026:13:55:36 -0700] "GET /a HTTP/1.1" 200 2326 "-" "curl/8""#,
        r#"{"clientip":"203.0.113.9","ident":"-","auth":"frank","timestamp":"10/Oct/2026:13:55:36 -0700","verb":"GET","request":"/a","httpversion":"1.1","response":"200","bytes":"2326","referrer":"-","agent":"curl/8"}"#,
    );
    assert_eq!(
        parse("%{WORD:a:int}", "abc").unwrap_err(),
        "expected a whole number at byte 0"
    );
    assert_eq!(
        parse("%{INT:a}", "abc").unwrap_err(),
        "the pattern does not match at byte 0"
    );
}

#[test]
fn a_wrong_expression_is_refused_in_one_line() {
    let check = |expression: &str, expected: &str| {
        let why = parse(expression, "").unwrap_err();
        assert_eq!(why, expected, "{expression}");
    };
    check(
        "%{IPORHOTS:a}",
        "unknown pattern `IPORHOTS`; did you mean `IPORHOST`?",
    );
    check(
        "%{INT:a:number}",
        "unknown type `number`; expected int, float, boolean or string",
    );
    check("%{INT:a", "`%{INT:a` lacks its `}`");
    check(
        "%{INT:a[0]}",
        "field `a[0]` stands in a list, which cannot be made of captures",
    );
    check(
        "%{INT:a} %{INT:a.b}",
        "field `a.b` is both a value and an object",
    );
    check("%{INT}", "it has no named group, such as (?<status>\\d+)");
    check(
        "(?<=x)%{INT:a}",
        "look-around, including look-ahead and look-behind, is not supported",
    );
    let circle = HashMap::from([
        ("A".to_owned(), "%{B} %{B}".to_owned()),
        ("B".to_owned(), "%{A}".to_owned()),
    ]);
    assert_eq!(
        grok("%{A:a}", &circle).unwrap_err(),
        "a pattern that contains itself"
    );
    let mut wide = HashMap::from([("L0".to_owned(), "x".to_owned())]);
    for level in 1..31 {
        wide.insert(
            format!("L{level}"),
            format!("%{{L{0}}}%{{L{0}}}", level - 1),
        );
    }
    assert_eq!(
        grok("%{L30:a}", &wide).unwrap_err(),
        "expanded, it has more than 256 KiB"
    );
    let large = grok("(?<a>\\w{1000}){1000}", &wide).unwrap_err();
    assert_eq!(large, "compiled, it has more than 16 MiB");
}

#[test]
fn own_definitions_come_first() {
    let own = HashMap::from([("WORD".to_owned(), "[a-z]+|%{INT:number:int}".to_owned())]);
    let mut pattern = grok("^%{WORD:word}$", &own).unwrap();
    let mut out = Vec::new();
    pattern.parse(b"17", &mut out).unwrap();
    assert_eq!(out, br#"{"word":"17","number":17}"#);
}

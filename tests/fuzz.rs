//! Fuzzing: whatever bytes a decoder, a parser or the expression language is given, it answers and
//! does not panic, it answers soon, and what it answers holds together.
//!
//! A target is a test of its own, here in the only list; its inputs begin with `fuzz/corpus/NAME/`,
//! where an input that has found something is kept for ever. Half a second each, with a new seed
//! every time; `TOWPATH_FUZZ_SECONDS` for longer.

mod language;
mod mutation;
mod records;
mod run;
mod state;
mod text;

use run::Target;

macro_rules! targets {
    ($($name:ident: $check:path, [$($word:literal),* $(,)?];)*) => {
        $(#[test]
        fn $name() {
            run::run(Target {
                name: stringify!($name),
                dictionary: &[$($word),*],
                check: $check,
            });
        })*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    batch: records::batch, ["\0", "\x01", "\x02", "\x7f"];
    commit_entries: towpath_log::testing::check_entries, ["\0", "\x01", "\x15", "\x1b", "\x1f", "\0\0\0\0"];
    commit_frame: towpath_log::testing::check_frame, ["\0", "TPH1", "\x02", "\0\0\0\0"];
    compression: records::compression, ["\x1f", "\0", "\x01\0", "\x08"];
    avro: records::avro, [
        "Obj\x01", "avro.schema", "avro.codec", "null", "deflate", "snappy", "zstandard", "\"int\"", "\"string\"",
        "\"double\"", "\"bytes\"", "array", "items", "map", "values", "fixed", "size", "enum", "symbols", "record",
        "fields", "logicalType", "decimal", "precision", "scale", "uuid", "timestamp-millis", "duration", "[\"null\",",
    ];
    dedupe: state::dedupe, ["h\x11", "\x01", "\0\0\0\0\0\0\0\0", "\x08", "\0\x10", "\x7f"];
    parquet: records::parquet, [
        "PAR1", "\x15\x02", "\x15\0", "\x19\x1c", "\0\0\0\0", "\x7f", "\x16\x02", "\x0c", "\x04\0\0\0", "\x01",
    ];
    json: text::json, [
        "[", "]", "{", "}", "{\"a\":", "[0,", "\"", "\\\"", "\\u0000", "\\ud83d", "\\ude00", "\\u00e9", "\\\\", "1e400",
        "-0", "0.1", "1E+", "true", "false", "null", ",", ":", " ", "\n",
    ];
    csv: text::csv, [
        ",", ";", "\"", "\"\"", "\"\n", "\n", "\r\n", "\r", "\\", "\\\"", "\u{feff}", "a,b\n", "1.50", "true", "2026-01-02",
    ];
    logfmt: text::logfmt, ["a=", "=", "=\"", "\\\"", "\\n", "\\u0000", " ", "\"", "a=1 ", "a.b="];
    syslog: text::syslog, [
        "<13>1 ", "<191>", "- ", "[a b=\"c\"]", "[", "]", "\\]", "\\\"", "2026-02-30T25:61:61Z ", "Oct 11 22:14:15 ",
        "Feb 29 00:00:00 ", "\u{feff}", ": ", "[1]", "<999>",
    ];
    user_agent: text::user_agent, [
        "Mozilla/5.0 ", "(", ")", ";", "/", "compatible; ", "Chrome/", "Version/", "Mobile", "bot", "+http://", "Windows NT ",
    ];
    regex: text::regex, [
        "(?P<a>", "(?<a.b>", ")", "(", "a*", "a+?", "{1,1000}", "{1000}", "|", "[a-z", "[^", "]", "\\p{L}", "\\b", "(?i)",
        "^", "$", "(a*)*", "\\x{10ffff}", "(?<a>.*)\n",
    ];
    grok: text::grok, [
        "%{", "}", "%{INT:a:int}", "%{DATA}", "%{GREEDYDATA:rest}", "%{COMBINEDAPACHELOG}", "%{IP:a.b}", "%{NUMBER:n:float}",
        ":", "(?<a>", ")", "\\[", "%{A}", "%{B}", "\n",
    ];
    timestamp: language::timestamp, [
        "%Y", "%m", "%d", "%H", "%M", "%S", "%f", "%.f", "%3f", "%z", "%:z", "%Q", "%s", "%j", "%b", "%B", "%a", "%p", "%I",
        "%U", "%G-W%V-%u", "%%", "unix", "unix_ms", "iso8601", "-", "T", "Z", "+23:59", "99999", "\n", "%10000Y",
    ];
    path: language::path, [".", "[", "]", "`", "``", "[0]", "[4294967295]", "a.", "`a b`", "-", "@"];
    template: language::template, [
        "{", "}", "{{", "}}", "{value.a", "{value.`a b`", "{headers.h", "{key}", "{timestamp:", "%Y", "{offset:020}", "|",
        "|none}", ":", "{now:%s}", "{partition:99999999999}", "../", "/", "%", "\n{\"a\":",
    ];
    expression: language::expression, [
        "(", ")", "[", "]", "{\"a\": ", "}", "!", "-", " && ", " || ", " == ", " in ", " ? ", " : ", "value.a", "value.items",
        ".map(i, ", ".filter(i, ", ".exists(i, ", ".all(i, ", "i", "size(", ".matches(\"", "(a*)*\")", ".replace(\"\", ",
        ".split(\"\")", ".substring(", "timestamp(", "duration(\"", "int(", "double(", "string(", "default(", "has(",
        "9223372036854775807", "1e308", " + ", " * ", " / 0", " % ", "headers[\"h\"]", "// ", "r\"", "\\u00e9", "\n",
    ];
    vrl: language::vrl, [
        ".", ".a", "%key", "%headers.h", "%topic", " = ", " |= ", "?? ", "!(", "del(.a)", "parse_json!(", "parse_regex!(",
        "r'(?P<a>a*)*'", "for_each(", " -> |i, v| { ", "map_values(", "if ", " { ", " } else { ", "abort", "; ", "err = ",
        "to_int!(", "9223372036854775807", "1.0", "\"{{ .a }}\"", "[", "]", "{\"a\": ", "}", "null", " * ", " / 0", "repeat",
        "split!(", "replace!(", "\n",
    ];
    transform: language::transform, [
        "\"type\": \"", "\"field\": ", "\"fields\": ", "\"to\": ", "\"side\": \"key\"", "[", "]", "{", "}", "\"a.b\"",
        "null", "\"a[0]\"", "\"value\"", "\"regex\": \"(.*)\"", "\"$1\"", ", ", ": ", "\n", "1e400", "\"\\ud83d",
    ];
    pipeline: language::pipeline, [
        "- ", ": ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", "&a ", "*a", "<<: *a", "|\n", ">-\n", "!!binary ", "%YAML 1.2\n",
        "---\n", "...\n", "? ", "\"", "'", "${env:A}", "${file:a}", "${", "#", "type: ", "sources:", "sinks:", "topics:",
        "transforms:", "when: ", "on_error: ", "format: ", "{value.a}", "\u{feff}", "\t", "9d", "1GiB", "&a [*a]",
    ];
}

#[test]
fn every_corpus_has_its_target() {
    let mut found: Vec<_> = std::fs::read_dir(run::corpus_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut names = NAMES.to_vec();
    found.sort();
    names.sort_unstable();
    assert_eq!(found, names);
}

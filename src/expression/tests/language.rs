//! What each part of the language means.

use super::check;

#[test]
fn names_and_paths() {
    check(&[
        ("topic", r#""orders""#),
        ("partition", "2"),
        ("offset", "0"),
        ("key", r#""k-7""#),
        ("timestamp", r#""2026-01-01T00:00:00.123Z""#),
        ("value.nested.a.b[1].c", r#""deep""#),
        ("value.nested.a.b", r#"[10, {"c": "deep"}]"#),
        (r#"value["odd name"]"#, "1"),
        ("value.`odd name` + 1", "2"),
        ("value.`user-agent`", r#""curl""#),
        ("value.größe", "2"),
        ("value.@time", r#""2026-01-02T03:04:05Z""#),
        ("value.nested['a']['b'][0]", "10"),
        (r#"value["na" + "me"]"#, r#""J\u00fcrgen \"J\"""#),
        ("value.items[value.größe].name", r#""z""#),
        ("value.nested[value.tags[0]].b[0]", "10"),
        (r#"headers["trace"]"#, r#""last""#),
        ("headers.trace", r#""last""#),
        ("headers.null", "null"),
        ("headers.raw", r#""/wA=""#),
        ("headers", r#"{"trace":"last","null":null,"raw":"/wA="}"#),
    ]);
}

#[test]
fn numbers_stay_as_written_until_somebody_computes() {
    check(&[
        ("value.exact", "1.10"),
        ("value.big", "18446744073709551615"),
        ("[value.exact, value.big]", "[1.10,18446744073709551615]"),
        ("string(value.exact)", r#""1.10""#),
        ("value.exact + 1", "2.1"),
        ("value.status + 1", "504"),
        ("value.price * 2", "3.0"),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("-7 % 3", "-1"),
        ("7 / 2.0", "3.5"),
        ("1 - -1", "2"),
        ("-value.status", "-503"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("2 + 3 * 4 - 1", "13"),
        ("(2 + 3) * 4", "20"),
        ("1e3", "1000.0"),
        ("1e-7 * 1.0", "1e-7"),
        ("int(2.9)", "2"),
        ("int(-2.9)", "-2"),
        ("int('42')", "42"),
        ("int(timestamp)", "1767225600"),
        ("double('1.5')", "1.5"),
        ("double(value.big)", "1.8446744073709552e19"),
        ("string(1.0)", r#""1""#),
        ("string(1.5) + string(2) + string(true)", r#""1.52true""#),
    ]);
}

#[test]
fn comparing_is_exact() {
    check(&[
        ("value.big == value.big", "true"),
        ("value.big == value.bigger", "false"),
        ("value.big < value.bigger", "true"),
        ("value.big > 9223372036854775807", "true"),
        ("9007199254740993 == 9007199254740992.0", "false"),
        ("9007199254740993 > 9007199254740992.0", "true"),
        ("1 == 1.0", "true"),
        ("1 < 1.5", "true"),
        ("-1 > -1.5", "true"),
        ("2 > 1.5", "true"),
        ("1.5 < 2", "true"),
        ("double('NaN') == double('NaN')", "false"),
        ("1 < double('NaN')", "false"),
        ("1 < double('inf')", "true"),
        ("'a' < 'b'", "true"),
        ("value.path >= '/api'", "true"),
        ("value.status == '503'", "false"),
        ("value.none == null", "true"),
        ("value.none != null", "false"),
        ("value.ok == true", "true"),
        ("value.tags == ['a', 'b']", "true"),
        ("value.tags == ['b', 'a']", "false"),
        ("value.tags == ['a']", "false"),
        ("value.items[0] == {'name': 'x', 'price': 5.0}", "true"),
        ("value.items[0] == {'name': 'x', 'cost': 5}", "false"),
        ("value.items[0] != value.items[1]", "true"),
        ("headers.raw == headers.raw", "true"),
    ]);
}

#[test]
fn conditions() {
    check(&[
        (
            "value.status >= 500 && value.path.startsWith('/api')",
            "true",
        ),
        ("!value.ok || value.status < 500", "false"),
        ("value.ok ? 'yes' : 'no'", r#""yes""#),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("true || false && false", "true"),
        ("!!value.ok", "true"),
        // A side that settles it makes up for a fault of the other.
        ("value.missing == 1 || value.ok", "true"),
        ("value.ok || value.missing == 1", "true"),
        ("value.missing == 1 && !value.ok", "false"),
        ("'b' in value.tags", "true"),
        ("'c' in value.tags", "false"),
        ("503 in [500, 503.0]", "true"),
        ("value.nested in [1, value.nested]", "true"),
        ("'status' in value", "true"),
        ("'absent' in value", "false"),
        ("'trace' in headers", "true"),
        ("has(value.status)", "true"),
        ("has(value.none)", "true"),
        ("has(value.absent)", "false"),
        ("has(value.absent.more)", "false"),
        ("has(value.tags[1])", "true"),
        ("has(value.tags[2])", "false"),
        ("has(value.items[value.größe].price)", "false"),
        ("has(headers.trace)", "true"),
        ("default(value.absent.more, 'none')", r#""none""#),
        ("default(value.none, 'none')", r#""none""#),
        ("default(value.status, 0)", "503"),
        ("default(value.absent, default(value.none, 3))", "3"),
        ("default(value.absent + 1, 0)", "0"),
    ]);
}

#[test]
fn functions_of_text() {
    check(&[
        ("size('größe')", "5"),
        ("value.name.size()", "10"),
        ("size(value.tags)", "2"),
        ("size(value.empty)", "0"),
        ("size(value.nested)", "1"),
        ("size(headers)", "3"),
        ("size(headers.raw)", "2"),
        ("value.name.contains('\"J\"')", "true"),
        ("value.path.startsWith('/v1')", "false"),
        ("value.path.endsWith('/v1')", "true"),
        (r"value.path.matches('^/api/v\\d+$')", "true"),
        (r"value.path.matches(r'^/api/v\d+$')", "true"),
        ("value.path.matches('v')", "true"),
        ("value.path.matches('^v')", "false"),
        ("value.name.lowerAscii()", r#""jürgen \"j\"""#),
        ("'größe'.upperAscii()", r#""GRößE""#),
        ("' a b\\t'.trim()", r#""a b""#),
        ("value.name.substring(1, 3)", r#""ür""#),
        ("'abc'.substring(1)", r#""bc""#),
        ("'abc'.substring(3)", r#""""#),
        ("value.path.replace('/', '-')", r#""-api-v1""#),
        ("value.path.split('/')", r#"["","api","v1"]"#),
        ("value.path.split('/')[1]", r#""api""#),
        ("'ab'.split('')", r#"["a","b"]"#),
        ("value.path + '?' + topic", r#""/api/v1?orders""#),
        (r#"'\x41\u00fc\U0001F600\101\n\'"\\'"#, r#""Aü😀A\n'\"\\""#),
    ]);
}

#[test]
fn times() {
    check(&[
        ("timestamp > timestamp('2026-01-01T00:00:00Z')", "true"),
        (
            "timestamp < timestamp('2026-01-01T01:00:00.5+01:00')",
            "true",
        ),
        (
            "timestamp - timestamp('2025-12-31T23:59:00Z')",
            r#""60.123s""#,
        ),
        (
            "timestamp + duration('1h')",
            r#""2026-01-01T01:00:00.123Z""#,
        ),
        (
            "duration('1h') + timestamp",
            r#""2026-01-01T01:00:00.123Z""#,
        ),
        (
            "timestamp - duration('1d')",
            r#""2025-12-31T00:00:00.123Z""#,
        ),
        (
            "timestamp(value.@time) - timestamp > duration('24h')",
            "true",
        ),
        ("timestamp(0)", r#""1970-01-01T00:00:00.000Z""#),
        (
            "timestamp('2026-01-01T00:00:00.000001Z')",
            r#""2026-01-01T00:00:00.000001Z""#,
        ),
        ("string(timestamp)", r#""2026-01-01T00:00:00.123Z""#),
        ("duration('1h30m')", r#""5400s""#),
        ("duration('-1.5s')", r#""-1.5s""#),
        ("duration('1ms') == duration('1000us')", "true"),
        ("-duration('1s') < duration('0s')", "true"),
        ("duration('2s') - duration('500ms')", r#""1.5s""#),
    ]);
}

#[test]
fn lists_and_maps() {
    check(&[
        ("[1, 'a', null, [true],]", r#"[1,"a",null,[true]]"#),
        (
            "{'a': value.status, 'b': {'c': []}}",
            r#"{"a":503,"b":{"c":[]}}"#,
        ),
        ("{}", "{}"),
        ("{'a': {'b': 7}}.a.b", "7"),
        ("[1, 2][1]", "2"),
        ("value.tags + ['c']", r#"["a","b","c"]"#),
        ("value.items.exists(item, item.price > 10)", "true"),
        (
            "value.items.exists(item, item.price > 20 || item.name == 'z')",
            "true",
        ),
        ("value.items.all(item, item.name != '')", "true"),
        ("value.items.all(item, item.price < 10)", "false"),
        ("value.empty.exists(x, true)", "false"),
        ("value.empty.all(x, false)", "true"),
        (
            "value.items.filter(i, has(i.price))",
            r#"[{"price": 5, "name": "x"},{"price": 12, "name": "y"}]"#,
        ),
        (
            "value.items.map(i, i.name.upperAscii())",
            r#"["X","Y","Z"]"#,
        ),
        (
            "value.items.map(i, value.tags.map(t, t + i.name))",
            r#"[["ax","bx"],["ay","by"],["az","bz"]]"#,
        ),
        ("[3, 4].map(x, x * 2)", "[6,8]"),
        ("value.tags.map(topic, topic)", r#"["a","b"]"#),
        (
            "value.items.filter(i, default(i.price, 0) > 5).map(i, i.price)[0]",
            "12",
        ),
    ]);
}

#[test]
fn comments_and_white_space_mean_nothing() {
    check(&[("  1 // one\n + // and\n 2 ", "3")]);
}

//! A thousand times as logs have them are what Python says they are (`times/make.py`).

use towpath_sdk::config::Format;

use super::table::outcomes;

#[test]
fn a_thousand_times() {
    let types = crate::types();
    let kind = types.iter().find(|kind| kind.name == "parse_timestamp");
    let kind = kind.expect("the transform");
    let mut count = 0;
    for line in include_str!("times/lines.txt").lines() {
        let [format, text, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let options =
            format!("{{ field: at, formats: '{format}', timezone: Europe/Berlin, to: at }}");
        let value = format!("{{\"at\":\"{text}\"}}");
        let found = outcomes(kind, &options, Format::Json, &[value.as_bytes()]);
        let expected = match expected {
            "!" => format!("!cannot read `at` as a time: it does not fit the format `{format}`"),
            time => format!("{{\"at\":\"{time}\"}}"),
        };
        assert_eq!(found, [expected], "{line}");
        count += 1;
    }
    assert_eq!(count, 1_000);
}

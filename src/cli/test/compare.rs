//! What came of a case against what shall: by topic, by sink, and what was refused.

#[cfg(test)]
mod tests;

use towpath_pipeline::{Brief, Case, Content, ExpectedRecord};
use towpath_runtime::rehearsal::{Arrived, Outcome};

use super::align::{Step, align};
use super::json;
use crate::cli::output::time;

/// JSON that is longer than this is shown with a field on each line.
const WIDTH: usize = 100;

/// Where something else came than was expected.
#[derive(Debug, PartialEq)]
pub struct Difference {
    /// `topic access`, `sink json`, `refused by web`.
    pub place: String,
    pub lines: Vec<Line>,
}

/// A line of a difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub mark: Mark,
    pub text: String,
}

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It was expected and came.
    Same,
    /// It was expected and did not come.
    Expected,
    /// It came and was not expected.
    Actual,
}

impl Mark {
    /// What stands before the line.
    pub fn sign(self) -> char {
        match self {
            Self::Same => ' ',
            Self::Expected => '-',
            Self::Actual => '+',
        }
    }

    fn line(self, text: impl Into<String>) -> Line {
        Line {
            mark: self,
            text: text.into(),
        }
    }
}

/// Every place where `outcome` is not what `case` expects.
pub fn compare(case: &Case, outcome: &Outcome) -> Vec<Difference> {
    let mut differences = Vec::new();
    let named = [
        ("topic", &case.expected.topics, &outcome.topics),
        ("sink", &case.expected.sinks, &outcome.sinks),
    ];
    for (what, expected, arrived) in named {
        for (name, expected) in &expected.0 {
            let arrived = arrived.get(name).map_or(&[][..], Vec::as_slice);
            differences.extend(records(expected, arrived).map(|lines| Difference {
                place: format!("{what} {name}"),
                lines,
            }));
        }
    }
    let mut names: Vec<&String> = outcome.refused.keys().collect();
    names.extend(case.expected.refused.0.iter().map(|(name, _)| name));
    names.sort();
    names.dedup();
    for name in names {
        let expected = &case.expected.refused.0;
        let parts = expected.iter().find(|(of, _)| of == name);
        let parts = parts.map_or(&[][..], |(_, parts)| parts);
        let messages = outcome.refused.get(name).map_or(&[][..], Vec::as_slice);
        differences.extend(refused(parts, messages).map(|lines| Difference {
            place: format!("refused by {name}"),
            lines,
        }));
    }
    differences
}

/// Whether nothing is on one side only.
fn is_equal(steps: &[Step]) -> bool {
    steps.iter().all(|step| matches!(step, Step::Both(..)))
}

/// Parts of messages against messages; `None` when all are as expected.
fn refused(parts: &[String], messages: &[String]) -> Option<Vec<Line>> {
    let steps = align(parts.len(), messages.len(), |part, message| {
        messages[message].contains(&parts[part])
    });
    let line = |step: &Step| match *step {
        Step::Both(_, message) => Mark::Same.line(&messages[message]),
        Step::First(part) => Mark::Expected.line(&parts[part]),
        Step::Second(message) => Mark::Actual.line(&messages[message]),
    };
    (!is_equal(&steps)).then(|| steps.iter().map(line).collect())
}

/// Records against records; `None` when all are as expected.
fn records(expected: &[Brief<ExpectedRecord>], arrived: &[Arrived]) -> Option<Vec<Line>> {
    let steps = align(expected.len(), arrived.len(), |one, other| {
        fits(&expected[one].0, &arrived[other])
    });
    if is_equal(&steps) {
        return None;
    }
    let mut lines = Vec::new();
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::First(one) => missing.push(&expected[one].0),
            Step::Second(other) => extra.push(&arrived[other]),
            Step::Both(one, other) => {
                unequal(&mut missing, &mut extra, &mut lines);
                let shown = actual_lines(&arrived[other], &expected[one].0, false);
                lines.extend(shown.into_iter().map(|text| Mark::Same.line(text)));
            }
        }
    }
    unequal(&mut missing, &mut extra, &mut lines);
    Some(lines)
}

/// Records that stand at one place and are not equal: line by line as far as there are two.
fn unequal(missing: &mut Vec<&ExpectedRecord>, extra: &mut Vec<&Arrived>, lines: &mut Vec<Line>) {
    let both = missing.len().min(extra.len());
    for (expected, arrived) in missing.drain(..both).zip(extra.drain(..both)) {
        let wide = |lines: &[String]| lines.iter().any(|line| line.chars().count() > WIDTH);
        let mut one = expected_lines(expected, false);
        let mut other = actual_lines(arrived, expected, false);
        if wide(&one) || wide(&other) {
            one = expected_lines(expected, true);
            other = actual_lines(arrived, expected, true);
        }
        let steps = align(one.len(), other.len(), |at, to| one[at] == other[to]);
        if is_equal(&steps) {
            // They differ in what cannot be seen, such as a tombstone and the text for it.
            lines.extend(one.into_iter().map(|text| Mark::Expected.line(text)));
            lines.extend(other.into_iter().map(|text| Mark::Actual.line(text)));
            continue;
        }
        lines.extend(steps.into_iter().map(|step| match step {
            Step::Both(at, _) => Mark::Same.line(&one[at]),
            Step::First(at) => Mark::Expected.line(&one[at]),
            Step::Second(to) => Mark::Actual.line(&other[to]),
        }));
    }
    let missing = missing
        .drain(..)
        .flat_map(|record| expected_lines(record, false));
    lines.extend(missing.map(|text| Mark::Expected.line(text)));
    let extra = extra
        .drain(..)
        .map(|record| text(record.value.as_deref(), None));
    lines.extend(extra.map(|text| Mark::Actual.line(text)));
}

/// Whether all that is expected of a record holds.
fn fits(expected: &ExpectedRecord, arrived: &Arrived) -> bool {
    let header = |(name, content): &(String, Content)| is(content, arrived.header(name));
    let value = expected.value.as_ref();
    let key = expected.key.as_ref();
    value.is_none_or(|value| is(value, arrived.value.as_deref()))
        && key.is_none_or(|key| is(key, arrived.key.as_deref()))
        && expected.headers.0.iter().all(header)
        && expected
            .timestamp
            .is_none_or(|time| time.0 == arrived.timestamp_ms)
        && expected
            .partition
            .is_none_or(|partition| partition == arrived.partition)
}

fn is(expected: &Content, actual: Option<&[u8]>) -> bool {
    match expected {
        Content::Json(json) => actual
            .and_then(|actual| json::normal(actual, false))
            .is_some_and(|actual| Some(actual) == json::normal(json.as_bytes(), false)),
        Content::Null | Content::Text(_) => expected.bytes() == actual,
    }
}

/// A record as it shall be; JSON with a field on each line when `long`.
fn expected_lines(record: &ExpectedRecord, long: bool) -> Vec<String> {
    let shown = |content: &Content| text(content.bytes(), form(content, long));
    let value = record.value.as_ref().map(shown);
    let key = record.key.as_ref().map(shown);
    let headers = record.headers.0.iter();
    let headers = headers.map(|(name, content)| (name.as_str(), shown(content)));
    lines(
        value,
        key,
        headers,
        record.timestamp.map(|time| time.0),
        record.partition,
    )
}

/// What came, as far as `expected` says anything of it.
fn actual_lines(arrived: &Arrived, expected: &ExpectedRecord, long: bool) -> Vec<String> {
    let shown = |actual: Option<&[u8]>, as_for: &Content| text(actual, form(as_for, long));
    let value = expected.value.as_ref();
    let key = expected.key.as_ref();
    let headers = expected.headers.0.iter();
    let headers =
        headers.map(|(name, content)| (name.as_str(), shown(arrived.header(name), content)));
    lines(
        value.map(|value| shown(arrived.value.as_deref(), value)),
        key.map(|key| shown(arrived.key.as_deref(), key)),
        headers,
        expected.timestamp.map(|_| arrived.timestamp_ms),
        expected.partition.map(|_| arrived.partition),
    )
}

fn lines<'a>(
    value: Option<String>,
    key: Option<String>,
    headers: impl Iterator<Item = (&'a str, String)>,
    timestamp_ms: Option<i64>,
    partition: Option<u32>,
) -> Vec<String> {
    let mut parts = vec![value.unwrap_or_else(|| "(any value)".to_owned())];
    parts.extend(key.map(|key| format!("  key: {key}")));
    parts.extend(headers.map(|(name, value)| format!("  header {name}: {value}")));
    parts.extend(timestamp_ms.map(|millis| format!("  timestamp: {}", time(millis))));
    parts.extend(partition.map(|partition| format!("  partition: {partition}")));
    let lines = parts.iter().flat_map(|part| part.split('\n'));
    lines.map(str::to_owned).collect()
}

/// How JSON is shown: `None` for what is compared as text.
fn form(content: &Content, long: bool) -> Option<bool> {
    matches!(content, Content::Json(_)).then_some(long)
}

fn text(content: Option<&[u8]>, form: Option<bool>) -> String {
    let Some(bytes) = content else {
        return "(null)".to_owned();
    };
    form.and_then(|long| json::normal(bytes, long))
        .unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned())
}

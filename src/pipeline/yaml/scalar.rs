//! What a scalar is: JSON's null, booleans and numbers, when they are plain; all else is text.

use granit_parser::{ScalarStyle, Tag};
use towpath_sdk::config::{Node, NodeValue, Problems, Span};

pub(super) fn node(
    source: &str,
    span: Span,
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    problems: &mut Problems,
) -> Node {
    super::tree::check_tag(tag, "str", span, problems);
    let plain = style == ScalarStyle::Plain && tag.is_none();
    let value = if plain {
        plain_value(text)
    } else {
        NodeValue::String(text.to_owned())
    };
    let mut node = Node::new(span, value);
    node.text_lines = match style {
        ScalarStyle::Literal => block_lines(source, span, text),
        _ => text_start(source, span, text).into_iter().collect(),
    };
    node
}

/// `012`, `1_000`, `0x1F`, `yes` and `no` are text, as in JSON they would be nothing.
fn plain_value(text: &str) -> NodeValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => NodeValue::Null,
        "true" | "True" | "TRUE" => NodeValue::Bool(true),
        "false" | "False" | "FALSE" => NodeValue::Bool(false),
        _ if is_number(text) => NodeValue::Number(text.to_owned()),
        _ => NodeValue::String(text.to_owned()),
    }
}

/// Whether `text` is a number of JSON.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        ),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let no_zero_in_front = whole == "0" || !whole.starts_with('0');
    digits(whole) && no_zero_in_front && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

/// Where `text` begins in `source`, when it stands there letter by letter.
fn text_start(source: &str, span: Span, text: &str) -> Option<u32> {
    let written = source.get(span.start as usize..span.end as usize)?;
    if written == text {
        return Some(span.start);
    }
    let inside = written.get(1..written.len().checked_sub(1)?)?;
    (written.starts_with(['"', '\'']) && inside == text).then_some(span.start + 1)
}

/// Where the lines of a literal block (`|`) begin in `source`: each stands there behind the same
/// number of blanks.
fn block_lines(source: &str, span: Span, text: &str) -> Vec<u32> {
    let mut starts = Vec::new();
    let mut at = span.start as usize;
    // What is in front of the first line is the `|` with its signs.
    let header = source.get(at..).filter(|rest| rest.starts_with('|'));
    at += header
        .and_then(|rest| rest.find('\n'))
        .map_or(0, |end| end + 1);
    at = source
        .get(..at)
        .map_or(at, |before| before.rfind('\n').map_or(0, |end| end + 1));
    let mut indent = None;
    for line in text.lines() {
        let Some(rest) = source.get(at..) else { break };
        let written = rest.lines().next().unwrap_or_default();
        let blanks = match (indent, written.strip_suffix(line)) {
            (Some(blanks), Some(before)) if before.len() == blanks => blanks,
            (None, Some(before)) if !line.is_empty() => *indent.insert(before.len()),
            _ if line.is_empty() => written.len(),
            _ => return Vec::new(),
        };
        starts.push((at + blanks) as u32);
        at += rest.find('\n').map_or(rest.len(), |end| end + 1);
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars() {
        let kind = |text: &str| match plain_value(text) {
            NodeValue::Null => "null",
            NodeValue::Bool(_) => "bool",
            NodeValue::Number(_) => "number",
            _ => "text",
        };
        for number in ["0", "7", "-1", "1.5", "-2e3", "1E+9"] {
            assert_eq!(kind(number), "number", "{number}");
        }
        for text in [
            "012", "1_000", "0x1F", "+5", ".5", "5.", "1e", "-", ".inf", "no", "on", "5s",
        ] {
            assert_eq!(kind(text), "text", "{text}");
        }
        assert_eq!((kind("~"), kind("True")), ("null", "bool"));
    }
}

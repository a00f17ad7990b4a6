//! Reading a template into its parts.

use std::ops::Range;

use super::{FillFormat, Part, Place, TemplateError, TemplateName};
use crate::config::nearest;
use crate::{Path, printable};

/// The widest padding; a file name has at most 255 bytes.
const PAD_MAX: usize = 100;

pub(super) fn parts(text: &str, allowed: &[&str]) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(offset) = text[at..].find('{') {
        let brace = at + offset;
        literal.push_str(&text[at..brace]);
        if text[brace..].starts_with("{{") {
            literal.push('{');
            at = brace + 2;
            continue;
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        let (place, end) = place(text, brace, allowed)?;
        parts.push(Part::Place(place));
        at = end;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

/// The place whose `{` stands at `brace`, and where it ends.
fn place(text: &str, brace: usize, allowed: &[&str]) -> Result<(Place, usize), TemplateError> {
    let unclosed = || TemplateError {
        at: brace..brace + 1,
        message: "this `{` is not closed".to_owned(),
        help: Some("for a brace itself write `{{`".to_owned()),
    };
    let close = |from: usize| {
        text[from..]
            .find('}')
            .map(|offset| from + offset)
            .ok_or_else(unclosed)
    };

    let name_end = end_of_name(text, brace + 1).ok_or_else(unclosed)?;
    let name = name(text, brace + 1..name_end, allowed)?;
    let mut at = name_end;
    let mut format = None;
    if text[at..].starts_with(':') {
        let end = close(at)?;
        let end = text[at..end].find('|').map_or(end, |offset| at + offset);
        format = Some(fill_format(text, at + 1..end, &name)?);
        at = end;
    }
    let mut default = None;
    if text[at..].starts_with('|') {
        let end = close(at)?;
        default = Some(text[at + 1..end].to_owned());
        at = end;
    }
    Ok((
        Place {
            name,
            format,
            default,
        },
        at + 1,
    ))
}

/// Where the name that begins at `from` ends: at `:`, `|` or `}` outside backticks.
fn end_of_name(text: &str, from: usize) -> Option<usize> {
    let mut quoted = false;
    for (offset, byte) in text.bytes().enumerate().skip(from) {
        match byte {
            b'`' => quoted = !quoted,
            b':' | b'|' | b'}' if !quoted => return Some(offset),
            _ => {}
        }
    }
    None
}

fn name(text: &str, at: Range<usize>, allowed: &[&str]) -> Result<TemplateName, TemplateError> {
    let written = &text[at.clone()];
    let (word, rest) = match written.split_once('.') {
        Some((word @ ("value" | "headers"), rest)) => (word, Some(rest)),
        _ => (written, None),
    };
    if !allowed.contains(&word) {
        return Err(unknown(written, word, at, allowed));
    }
    Ok(match (word, rest) {
        ("topic", None) => TemplateName::Topic,
        ("partition", None) => TemplateName::Partition,
        ("offset", None) => TemplateName::Offset,
        ("start_offset", None) => TemplateName::StartOffset,
        ("end_offset", None) => TemplateName::EndOffset,
        ("key", None) => TemplateName::Key,
        ("timestamp", None) => TemplateName::Timestamp,
        ("now", None) => TemplateName::Now,
        ("pipeline", None) => TemplateName::Pipeline,
        ("connector", None) => TemplateName::Connector,
        ("value", Some(path)) => {
            let start = at.start + "value.".len();
            TemplateName::Value(Path::parse(path).map_err(|error| TemplateError {
                at: start + error.at..at.end.max(start + error.at),
                message: format!("`{}` is not a path: {}", printable(path), error.message),
                help: None,
            })?)
        }
        ("headers", Some(name)) if !name.is_empty() => TemplateName::Header(name.replace('`', "")),
        ("value" | "headers", _) => {
            let part = if word == "value" {
                "value.PATH"
            } else {
                "headers.NAME"
            };
            return Err(TemplateError {
                at,
                message: format!("`{word}` needs to say which part of it"),
                help: Some(format!("write {{{part}}}")),
            });
        }
        (extra, _) => TemplateName::Extra(extra.to_owned()),
    })
}

fn unknown(written: &str, word: &str, at: Range<usize>, allowed: &[&str]) -> TemplateError {
    let known = super::Template::NAMES.contains(&word);
    let shown = |name: &str| match name {
        "value" => "value.PATH".to_owned(),
        "headers" => "headers.NAME".to_owned(),
        name => name.to_owned(),
    };
    let help = match nearest(written, allowed.iter().copied()).filter(|_| !known) {
        Some(near) => format!("did you mean `{{{}}}`?", shown(near)),
        None => {
            let names: Vec<String> = allowed.iter().map(|name| shown(name)).collect();
            format!(
                "possible here: {}; for a brace itself write `{{{{`",
                names.join(", ")
            )
        }
    };
    let message = if known {
        format!("`{{{}}}` is not known here", printable(written))
    } else {
        format!("unknown name `{{{}}}`", printable(written))
    };
    TemplateError {
        at,
        message,
        help: Some(help),
    }
}

fn fill_format(
    text: &str,
    at: Range<usize>,
    name: &TemplateName,
) -> Result<FillFormat, TemplateError> {
    let written = &text[at.clone()];
    let wrong = |message: String, help: &str| {
        Err(TemplateError {
            at: at.clone(),
            message,
            help: Some(help.to_owned()),
        })
    };
    let shown = printable(written);
    if written.starts_with('0') && written.bytes().all(|byte| byte.is_ascii_digit()) {
        return match written.parse() {
            Ok(width) if width > PAD_MAX => wrong(
                format!("the width {shown} is too large"),
                "the largest is 0100",
            ),
            Ok(width) if name.may_be_number() => Ok(FillFormat::Pad(width)),
            _ => wrong(
                format!("`{name}` is no number, so it cannot be padded with `{shown}`"),
                "only whole numbers take a width",
            ),
        };
    }
    if !written.contains('%') {
        return wrong(
            format!("`{shown}` is not a format"),
            "a width such as 020 for whole numbers, or strftime such as %Y-%m-%d for times",
        );
    }
    if !name.may_be_time() {
        return wrong(
            format!("`{name}` is no time, so it has no format `{shown}`"),
            "times are timestamp and now",
        );
    }
    let epoch = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    match jiff::fmt::strtime::format(written, &epoch) {
        Ok(_) => Ok(FillFormat::Time(written.to_owned())),
        Err(error) => wrong(
            format!(
                "`{shown}` is not a strftime format: {}",
                printable(&error.to_string())
            ),
            "such as %Y-%m-%dT%H:%M:%S",
        ),
    }
}

impl TemplateName {
    fn may_be_number(&self) -> bool {
        matches!(
            self,
            Self::Partition | Self::Offset | Self::StartOffset | Self::EndOffset
        )
    }

    fn may_be_time(&self) -> bool {
        matches!(self, Self::Timestamp | Self::Now)
    }
}

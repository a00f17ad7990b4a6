//! Functions of text. What is a part of its argument borrows from it.

use std::borrow::Cow;

use crate::fault::Why;

/// `text` without white space at both ends.
pub(crate) fn trim(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// `text` with its ASCII letters in lower case.
pub(crate) fn lower(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => text,
    }
}

/// `text` with its ASCII letters in upper case.
pub(crate) fn upper(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        true => Cow::Owned(text.to_ascii_uppercase()),
        false => text,
    }
}

/// The characters from `start` on, up to `end`; both counted in characters.
pub(crate) fn substring(
    text: Cow<'_, str>,
    start: i64,
    end: Option<i64>,
) -> Result<Cow<'_, str>, Why> {
    const BEYOND: Why = Why::Unfit("the string does not reach so far");
    let byte_of = |wanted: i64| {
        let wanted = usize::try_from(wanted).map_err(|_| BEYOND)?;
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        ends.into_iter().nth(wanted).ok_or(BEYOND)
    };
    let from = byte_of(start)?;
    let to = end.map_or(Ok(text.len()), byte_of)?;
    if from > to {
        return Err(Why::Unfit("the start lies behind the end"));
    }
    Ok(match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[from..to]),
        Cow::Owned(text) => Cow::Owned(text[from..to].to_owned()),
    })
}

/// How many pieces [`split`] makes.
pub(crate) fn pieces_count(text: &str, separator: &str) -> usize {
    match separator.is_empty() {
        true => text.chars().count(),
        false => text.matches(separator).count() + 1,
    }
}

/// The pieces of `text` between the `separator`s; its characters when that is empty.
pub(crate) fn split<'a>(text: Cow<'a, str>, separator: &str) -> Vec<Cow<'a, str>> {
    match text {
        Cow::Borrowed(text) => pieces(text, separator, Cow::Borrowed),
        Cow::Owned(text) => pieces(&text, separator, |piece| Cow::Owned(piece.to_owned())),
    }
}

fn pieces<'t, P>(text: &'t str, separator: &str, piece: impl Fn(&'t str) -> P) -> Vec<P> {
    match separator.is_empty() {
        true => {
            let one = |(at, character): (usize, char)| &text[at..at + character.len_utf8()];
            text.char_indices().map(one).map(piece).collect()
        }
        false => text.split(separator).map(piece).collect(),
    }
}

/// A double as JSON writes it; `None` for what JSON has no number for.
pub(crate) fn double_json(number: f64) -> Option<String> {
    number.is_finite().then(|| format!("{number:?}"))
}

/// A double as CEL writes it: without a fraction when it has none.
pub(crate) fn double_text(number: f64) -> String {
    let text = format!("{number:?}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

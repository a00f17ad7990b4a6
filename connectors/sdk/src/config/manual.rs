//! What users are told of the forms of text that options of any connector take.

use super::units::{DURATION_UNITS, SIZE_UNITS, unit_names};
use super::{
    Duration, Form, Kind, Limit, OptionType, PathTemplate, Pattern, Size, Start, Timezone,
};
use crate::Template;

/// The forms that have a syntax, each explained.
pub fn text_forms() -> Vec<(Form, String)> {
    let quantity = |units| format!("A whole number and a unit: {}.", unit_names(units));
    let template = "`{name}` is filled from the record; `{name:format}` says how (a width such as \
                    `020` for whole numbers, strftime such as `%Y-%m-%d` for times); \
                    `{name|default}` is for a record that lacks it, which otherwise is a bad \
                    record; `{{` is a brace.";
    let forms = [
        (Size::kind(), quantity(SIZE_UNITS)),
        (Duration::kind(), quantity(DURATION_UNITS)),
        (Limit::kind(), "A duration, or without end.".to_owned()),
        (
            Start::kind(),
            "The oldest there is, only what comes, from a moment on, or from that long ago on."
                .to_owned(),
        ),
        (
            Timezone::kind(),
            "`UTC`, or a name of the IANA database.".to_owned(),
        ),
        (
            Pattern::kind(),
            "As in Rust's `regex`: no look-around, no back references. It may match anywhere: `^` \
             and `$` bind it."
                .to_owned(),
        ),
        (Template::kind(), template.to_owned()),
        (
            PathTemplate::kind(),
            "A template; what is filled in is percent-encoded, so that it can neither begin a \
             folder nor lead out of one."
                .to_owned(),
        ),
    ];
    let of_text = |(kind, meaning)| match kind {
        Kind::Text(form) | Kind::Template(form) => Some((form, meaning)),
        _ => None,
    };
    forms.into_iter().filter_map(of_text).collect()
}

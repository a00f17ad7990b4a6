//! The built-in transforms, one file each.
//!
//! A transform is a function of the rows of a working batch: no I/O, no clock, nothing it
//! remembers but its declared state. Its options, their documentation and its examples stand in
//! its file; [`types`] is the only list.

#![warn(missing_docs)]

mod by;
mod cast;
mod dedupe;
mod drop_headers;
mod extract_field;
mod field;
mod filter;
mod flatten;
mod formula;
mod header_from;
mod hoist_field;
mod insert_field;
mod insert_header;
mod lookup;
mod mask_field;
mod parse_csv;
mod parse_grok;
mod parse_json;
mod parse_logfmt;
mod parse_regex;
mod parse_syslog;
mod parse_text;
mod parse_timestamp;
mod parse_user_agent;
mod redact;
mod replace_field;
mod route;
mod sample;
mod seen;
mod set;
mod set_schema_metadata;
mod split;
mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod throttle;
mod timestamp_convert;
mod timestamp_router;
mod value_to_key;

use towpath_sdk::TransformType;

/// The transform types of this build, by name.
pub fn types() -> Vec<TransformType> {
    vec![
        cast::TYPE,
        dedupe::TYPE,
        drop_headers::TYPE,
        extract_field::TYPE,
        filter::TYPE,
        flatten::TYPE,
        header_from::TYPE,
        hoist_field::TYPE,
        insert_field::TYPE,
        insert_header::TYPE,
        lookup::TYPE,
        mask_field::TYPE,
        parse_csv::TYPE,
        parse_grok::TYPE,
        parse_json::TYPE,
        parse_logfmt::TYPE,
        parse_regex::TYPE,
        parse_syslog::TYPE,
        parse_timestamp::TYPE,
        parse_user_agent::TYPE,
        redact::TYPE,
        replace_field::TYPE,
        route::TYPE,
        sample::TYPE,
        set::TYPE,
        set_schema_metadata::TYPE,
        split::TYPE,
        throttle::TYPE,
        timestamp_convert::TYPE,
        timestamp_router::TYPE,
        value_to_key::TYPE,
    ]
}

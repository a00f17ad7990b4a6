//! Every transform type against its own examples, and against what Kafka Connect's classes make of
//! the golden cases.

mod golden;
mod rules;
mod times;

use std::path::Path;

pub(crate) use crate::testing::table;
use crate::testing::{examples, random, readme, record, yaml};

#[test]
fn every_example_is_true() {
    examples::check_all(&crate::types());
}

#[test]
fn odd_records_are_changed_or_refused() {
    random::check(&crate::types());
}

#[test]
fn the_readme_says_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    readme::check(&path, &crate::types());
}

//! Every transform type against its own examples, and against what Kafka Connect's classes make of
//! the golden cases.

mod examples;
mod golden;
mod random;
mod readme;
mod record;
mod rules;
pub(crate) mod table;
mod yaml;

//! What transforms are tested with, here and in crates of their own: worked examples, records
//! that resemble theirs, tables of values, and the part of a README that the types say.
//!
//! Everything panics where a test is to fail.

pub mod examples;
pub mod random;
pub mod readme;
pub mod record;
pub mod table;
pub mod yaml;

//! The tests around the code, in one binary: they start the real program and look at what a user
//! would see. `README.md` says what each suite shows and how to run it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails, as it should"
)]

mod cli;
mod crash;
mod faults;
mod formats;
mod fuzz;
mod harness;
mod layout;
mod pipelines;
mod postgres;
mod s3;

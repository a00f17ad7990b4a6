//! Connector for object storage that speaks S3. `README.md` says what it promises.

#![warn(missing_docs)]

pub mod bucket;
pub mod client;
pub mod uploads;

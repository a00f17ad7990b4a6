//! What stands between bytes outside and records inside: decoders, encoders and compression.
//!
//! Everything here is a pure function of bytes. Whatever those are, the answer is a record or an
//! error, never a panic, and memory is bounded by the record at hand. The runtime makes these and
//! hands them to connectors, which know only the traits of `towpath-sdk`.

mod compression;
mod decode;
mod encode;
mod json;
#[cfg(test)]
mod tests;

pub use compression::StandardCodecs;
pub use decode::decoder;
pub use encode::encoder;
pub use json::lookup;

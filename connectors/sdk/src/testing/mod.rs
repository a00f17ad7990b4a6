//! What connectors are tested with: stand-ins for what the runtime hands to `open`, and the
//! conformance kit that every connector is put through.

mod conformance;
mod fakes;
mod fits;
mod sink_conformance;

pub use conformance::{SourceSubject, check_source};
pub use fakes::{
    FakeHealth, FakeSchemas, FakeState, NoCodecs, POISON, TextDecoder, TextEncoder, sink_context,
    source_context, text,
};
pub use fits::fits;
pub use sink_conformance::{SinkSubject, check_sink};

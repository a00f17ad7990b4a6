//! The far sides that tests run against. `README.md` says what there is.

#![warn(missing_docs)]
#![expect(
    clippy::unwrap_used,
    reason = "it is part of tests: what fails here fails the test, as it should"
)]

mod background;
mod cases;
mod fault;
mod identity;
mod in_process;
mod minio;
mod postgres;
mod proxy;
mod store;

pub use cases::try_each;
pub use fault::{Call, Fault, Rule};
pub use identity::Identity;
pub use postgres::{Cluster, Stop};
pub use proxy::Proxy;
pub use store::{ACCESS_KEY, BUCKET, Content, REGION, SECRET_KEY, Store, client};

//! What every suite stands on: a directory to work in, the real binary in it, and ways to wait for
//! an event instead of for a time.

mod input;
mod outputs;
mod random;
mod snapshot;
mod trickle;
mod wait;
mod workdir;
mod worker;

pub use input::Appender;
pub use outputs::read_lines;
pub use random::Random;
pub use snapshot::assert_snapshot;
pub use trickle::Trickle;
pub use wait::{DEADLINE, wait_for};
pub use workdir::{Finished, Workdir, is_root, skip};
pub use worker::Worker;

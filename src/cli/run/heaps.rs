//! Few heaps. glibc's allocator lets every thread have a heap of its own, up to eight for each core, and
//! each keeps what it once had. A worker's batches go from thread to thread, so each heap came to hold
//! some of them: 150 MiB for what 80 MiB are enough for, and more time in the kernel. The allocator takes
//! the number of its heaps from the environment alone, when a process starts.

use std::os::unix::process::CommandExt;
use std::process::Command;

const VARIABLE: &str = "MALLOC_ARENA_MAX";
/// Threads that allocate at the same moment are few: no record is allocated.
const HEAPS: &str = "2";

/// Starts the program anew, as the same process, with few heaps, unless the environment says how many.
pub fn have_few() {
    if std::env::var_os(VARIABLE).is_some() || !cfg!(target_env = "gnu") {
        return;
    }
    // Where that cannot be done, the worker takes more memory.
    if let Ok(program) = std::env::current_exe() {
        let arguments = std::env::args_os().skip(1);
        let _ = Command::new(program)
            .args(arguments)
            .env(VARIABLE, HEAPS)
            .exec();
    }
}

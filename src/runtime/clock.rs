//! The wall clock, for what people see. Waiting goes by the monotonic clock.

/// Milliseconds since 1970, 0 before.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(towpath_sdk::now_ms()).unwrap_or(0)
}

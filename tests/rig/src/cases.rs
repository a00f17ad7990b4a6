//! Many cases that spend their time waiting for a far side.

use std::sync::{Mutex, PoisonError};

/// So many at the same time.
const AT_ONCE: usize = 12;

/// Calls `try_one` with the number of each case and the case, a dozen at a time. Panics when one has.
pub fn try_each<Case: Sync>(cases: &[Case], try_one: impl Fn(usize, &Case) + Sync) {
    let left = Mutex::new(cases.iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((number, case)) = next else { return };
                    try_one(number, case);
                }
            });
        }
    });
}

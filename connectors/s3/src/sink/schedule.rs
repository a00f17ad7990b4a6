//! When objects are closed by the clock on the wall.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

const DAY_MS: i64 = 24 * 3_600_000;

/// The first moment behind `now_ms` that is a whole number of `every_ms` behind midnight in `zone`,
/// or midnight itself; all in milliseconds. Where the clock is set forward or back, the clock on the
/// wall counts.
pub(super) fn next(now_ms: i64, every_ms: i64, zone: &TimeZone) -> i64 {
    let found = Timestamp::from_millisecond(now_ms).ok().and_then(|now| {
        let now = now.to_zoned(zone.clone());
        let midnight = now.date().at(0, 0, 0, 0);
        let since = now.time().duration_since(Time::midnight()).as_millis();
        let since = i64::try_from(since).ok()?;
        let then = (since / every_ms + 1) * every_ms;
        let then = jiff::SignedDuration::from_millis(then.min(DAY_MS));
        let then = midnight.checked_add(then).ok()?;
        let then = then.to_zoned(zone.clone()).ok()?;
        Some(then.timestamp().as_millisecond())
    });
    // In an hour that comes twice the second one has no name of its own.
    found
        .filter(|then| *then > now_ms)
        .unwrap_or(now_ms.saturating_add(every_ms))
}

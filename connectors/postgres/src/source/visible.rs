//! Which transactions a snapshot sees.

/// What `pg_current_snapshot()` tells (PostgreSQL manual, "Transaction ID and Snapshot Information
/// Functions"): all below `xmin` are over, none from `xmax` on is seen, and of those between all but
/// the ones in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    xmin: u64,
    xmax: u64,
    in_progress: Vec<u64>,
}

impl Visible {
    /// As the server writes it: `xmin:xmax:xip,xip`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        let (xmin, xmax, list) = (fields.next()?, fields.next()?, fields.next()?);
        let list = list.split(',').filter(|xid| !xid.is_empty());
        Some(Self {
            xmin: xmin.parse().ok()?,
            xmax: xmax.parse().ok()?,
            in_progress: list.map(|xid| xid.parse().ok()).collect::<Option<_>>()?,
        })
    }

    /// Whether it sees what the committed transaction `xid` did. The stream tells the low half of
    /// its number; the other half is that of the nearest to `xmax`.
    pub fn sees(&self, xid: u32) -> bool {
        let xid = self.whole(xid);
        xid < self.xmin || xid < self.xmax && !self.in_progress.contains(&xid)
    }

    /// Whether `xid` was over, and seen by all, when the oldest transaction of now began.
    pub fn is_long_over(&self, xid: u32) -> bool {
        self.whole(xid) < self.xmin
    }

    fn whole(&self, xid: u32) -> u64 {
        let ahead = xid.wrapping_sub(self.xmax as u32) as i32;
        self.xmax.wrapping_add_signed(i64::from(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_progress_or_later_is_not_seen() {
        let visible = Visible::parse("100:105:100,103").unwrap();
        let seen: Vec<u32> = (98..107).filter(|xid| visible.sees(*xid)).collect();
        assert_eq!(seen, [98, 99, 101, 102, 104]);
        assert!(visible.is_long_over(99) && !visible.is_long_over(100));
        assert!(Visible::parse("7:7:").unwrap().sees(6));
        assert_eq!(Visible::parse("7:x:"), None);
    }

    #[test]
    fn numbers_wrap_around() {
        let epoch = 1_u64 << 32;
        let visible = Visible::parse(&format!("{}:{}:", epoch - 2, epoch + 5)).unwrap();
        assert!(visible.sees(u32::MAX) && visible.sees(4) && !visible.sees(5));
        assert!(!visible.sees(1 << 30));
    }
}

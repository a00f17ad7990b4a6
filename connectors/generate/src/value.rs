//! The value of record N.

use std::io::Write;

use towpath_sdk::config::Format;

/// Values are cut out of a pool of this size, at a place that depends on their number.
const POOL_BYTES: usize = 1 << 16;

/// Makes values: the number, then what fills the size.
pub(crate) struct Values {
    format: Format,
    size: usize,
    seed: u64,
    pool: Vec<u8>,
}

impl Values {
    pub(crate) fn new(format: Format, size: usize, seed: u64) -> Self {
        const LETTERS: &[u8; 64] =
            b"abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789";
        let byte = |at: u64| {
            let random = mixed(seed ^ mixed(at));
            match format {
                Format::Bytes => random as u8,
                Format::Text | Format::Json => LETTERS[random as usize % LETTERS.len()],
            }
        };
        Self {
            format,
            size,
            seed,
            pool: (0..POOL_BYTES as u64).map(byte).collect(),
        }
    }

    /// Puts the value of record `number` in place of `out`.
    pub(crate) fn put(&self, number: u64, out: &mut Vec<u8>) {
        out.clear();
        let (opening, closing): (std::fmt::Arguments<'_>, &[u8]) = match self.format {
            Format::Text => (format_args!("{number} "), b""),
            Format::Json => (format_args!("{{\"number\":{number},\"text\":\""), b"\"}"),
            Format::Bytes => {
                out.extend_from_slice(&number.to_be_bytes());
                (format_args!(""), b"")
            }
        };
        // Writing to a vector cannot fail.
        let _ = out.write_fmt(opening);
        self.fill(number, self.size.saturating_sub(closing.len()), out);
        out.extend_from_slice(closing);
    }

    /// Appends from the pool until `out` has `size` bytes.
    fn fill(&self, number: u64, size: usize, out: &mut Vec<u8>) {
        let mut at = mixed(self.seed ^ number) as usize % POOL_BYTES;
        while out.len() < size {
            let piece = &self.pool[at..POOL_BYTES.min(at + size - out.len())];
            out.extend_from_slice(piece);
            at = 0;
        }
    }
}

/// The mixer of SplitMix64: every bit of the answer depends on every bit given.
fn mixed(given: u64) -> u64 {
    let mut bits = given.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

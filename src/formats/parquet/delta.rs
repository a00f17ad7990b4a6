//! What a page of a delta encoding says of itself (Parquet's `Encodings.md`, "Delta Encoding",
//! "Delta-length byte array", "Delta Strings"): counts for which the crate makes room before it looks
//! further.

use parquet::basic::Encoding;

/// The most values a block may have; writers use 128.
const BLOCK_VALUES_MAX: u64 = 1 << 16;

/// Whether what stands in `values`, of a page with `count` values, is for as many at most. Of other
/// encodings anything is.
pub(super) fn is_sound(encoding: Encoding, values: &[u8], count: usize) -> bool {
    let numbers = |bytes| Numbers::read(bytes).filter(|numbers| numbers.count <= count as u64);
    match encoding {
        Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY => {
            numbers(values).is_some()
        }
        Encoding::DELTA_BYTE_ARRAY => {
            let prefixes = numbers(values);
            let behind = prefixes.and_then(|prefixes| prefixes.skip());
            behind.and_then(numbers).is_some()
        }
        _ => true,
    }
}

/// A run of numbers in delta encoding.
struct Numbers<'a> {
    count: u64,
    block: u64,
    miniblocks: u64,
    rest: &'a [u8],
}

impl<'a> Numbers<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let block = varint(&mut rest)?;
        let miniblocks = varint(&mut rest)?;
        let count = varint(&mut rest)?;
        varint(&mut rest)?;
        let is_sound = (1..=BLOCK_VALUES_MAX).contains(&block)
            && (1..=block).contains(&miniblocks)
            && block.is_multiple_of(miniblocks);
        is_sound.then_some(Self {
            count,
            block,
            miniblocks,
            rest,
        })
    }

    /// What stands behind it.
    fn skip(self) -> Option<&'a [u8]> {
        let mut rest = self.rest;
        let each = self.block / self.miniblocks;
        // The first one stands in the header.
        let mut left = self.count.saturating_sub(1);
        while left > 0 {
            varint(&mut rest)?;
            let (widths, behind) = rest.split_at_checked(self.miniblocks as usize)?;
            rest = behind;
            for width in widths {
                if left == 0 {
                    break;
                }
                let bytes = (each * u64::from(*width)).div_ceil(8);
                rest = rest.get(usize::try_from(bytes).ok()?..)?;
                left = left.saturating_sub(each);
            }
        }
        Some(rest)
    }
}

/// An unsigned one of 64 bits (ULEB128).
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of 128 values in 4 parts; 5 numbers of 2 bits each in the first part.
    const NUMBERS: &[u8] = &[
        0x80, 0x01, 4, 5, 0, // 128, 4, 5 numbers, the first is 0
        0, 2, 0, 0, 0, // least delta, widths
        1, 2, 3, 4, 5, 6, 7, 8, // 32 deltas of 2 bits
    ];

    #[test]
    fn counts_are_compared_with_the_pages() {
        let sound = |encoding, values: &[u8], count| is_sound(encoding, values, count);
        assert!(sound(Encoding::DELTA_BINARY_PACKED, NUMBERS, 5));
        assert!(!sound(Encoding::DELTA_BINARY_PACKED, NUMBERS, 4));
        let strings = [NUMBERS, NUMBERS, b"text"].concat();
        assert!(sound(Encoding::DELTA_BYTE_ARRAY, &strings, 5));
        assert!(!sound(Encoding::DELTA_BYTE_ARRAY, NUMBERS, 5));
        let mut more = strings;
        more[NUMBERS.len() + 3] = 6;
        assert!(!sound(Encoding::DELTA_BYTE_ARRAY, &more, 5));
        assert!(sound(Encoding::PLAIN, b"", 5));
    }
}

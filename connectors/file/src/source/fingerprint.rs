//! What tells one content from another: a hash of its beginning and one of the bytes in front of a
//! position.
//!
//! Device and inode say *where* a file is; they are used again as soon as a file is deleted, and
//! stay the same when a file is truncated. The fingerprint says *what* was read there. It grows
//! with the file: a file shorter than [`HEAD_BYTES`] is known by all of its bytes. The tail tells
//! contents apart that begin alike (banners, CSV headers) and finds a file that was truncated and
//! written again to a larger size.

/// The beginning is hashed up to here.
pub const HEAD_BYTES: usize = 4096;
/// The first bytes have a hash of their own: a copy in the making may have no more.
const BEGIN_BYTES: usize = 64;
/// So many bytes in front of the position are hashed.
pub const TAIL_BYTES: usize = 256;

/// Of one content, at one position in it. The default is that of nothing, which any content has
/// in front of its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many bytes `head` covers, [`HEAD_BYTES`] at most; they may lie beyond the position.
    pub head_bytes: u16,
    pub head: u64,
    /// Of the first [`BEGIN_BYTES`], when there are so many.
    pub begin: u64,
    /// Of the last [`TAIL_BYTES`] in front of the position, or of all when there are fewer.
    pub tail: u64,
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new(&[], &[])
    }
}

impl Fingerprint {
    pub fn new(head: &[u8], tail: &[u8]) -> Self {
        let head = &head[..head.len().min(HEAD_BYTES)];
        let begin = head.get(..BEGIN_BYTES).map_or(0, hash);
        Self {
            head_bytes: head.len() as u16,
            head: hash(head),
            begin,
            tail: hash(tail),
        }
    }

    /// Whether a content that begins with `head`, less than this knows, can be its beginning.
    pub fn begins_like(&self, head: &[u8]) -> bool {
        head.get(..BEGIN_BYTES)
            .is_none_or(|begin| hash(begin) == self.begin)
    }
}

/// A 64-bit hash that is the same on every machine and in every version: it is stored in states.
/// Not meant to withstand somebody who seeks collisions: who can write the files can write any
/// line into them anyway.
pub fn hash(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| {
        let product = (sum ^ word).wrapping_mul(ODD);
        product ^ (product >> 32)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = words
        .iter()
        .fold(mix(ODD, bytes.len() as u64), |sum, word| {
            mix(sum, u64::from_le_bytes(*word))
        });
    for byte in rest {
        sum = mix(sum, u64::from(*byte));
    }
    mix(sum, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_stable_and_tell_lengths_apart() {
        assert_eq!(hash(b"towpath"), hash(b"towpath"));
        assert_ne!(hash(b"towpath"), hash(b"towpath\0"));
        assert_ne!(hash(b""), hash(b"\0"));
        assert_ne!(hash(b"0123456789abcdef"), hash(b"89abcdef01234567"));
        // A change of this number makes every stored state useless.
        assert_eq!(hash(b"line one\nline two\n"), 2135703358403547537);
    }
}

//! Avro's binary encoding: numbers, and pieces with their length.

use crate::parse::Fault;

/// Bytes that are read from front to back.
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..count) else {
            return Err(self.fault("the bytes end inside a value"));
        };
        self.at += count;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A zigzag number of variable length.
    pub fn long(&mut self) -> Result<i64, Fault> {
        let mut bits = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            bits |= part << shift;
            if byte < 0x80 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(self.fault("a number of more than 64 bits"))
    }

    pub fn int(&mut self) -> Result<i32, Fault> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| self.fault("a number of more than 32 bits"))
    }

    /// A length or an index.
    pub fn size(&mut self) -> Result<usize, Fault> {
        let long = self.long()?;
        usize::try_from(long).map_err(|_| self.fault("a length below zero"))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let count = self.size()?;
        self.take(count)
    }

    pub fn str(&mut self) -> Result<&'a str, Fault> {
        let at = self.at;
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| Fault {
            at,
            what: "invalid UTF-8",
        })
    }

    /// The number of items in the next block of an array or map, 0 at its end.
    pub fn block(&mut self) -> Result<u64, Fault> {
        let count = self.long()?;
        if count < 0 {
            // The block's bytes, for who wants to skip it.
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }
}

pub(super) fn put_long(number: i64, out: &mut Vec<u8>) {
    let mut bits = (number << 1 ^ number >> 63) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    // A slice has at most `isize::MAX` bytes.
    put_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

//! The primitives of the log's own records: little-endian integers, lengths before bytes.

use bytes::Bytes;
use uuid::Uuid;

/// Why bytes that passed their checksum could not be decoded: another version wrote them, or a
/// defect of this program.
pub(crate) type DecodeError = String;

/// Appends encoded values.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    fn put_i64(&mut self, value: i64) {
        self.put(&value.to_le_bytes());
    }
    fn put_uuid(&mut self, value: Uuid) {
        self.put(value.as_bytes());
    }
    /// The limits on requests keep every length far below 4 GiB.
    fn put_bytes(&mut self, value: &[u8]) {
        self.put_u32(value.len() as u32);
        self.put(value);
    }
    fn put_option_u64(&mut self, value: Option<u64>) {
        self.put_u8(u8::from(value.is_some()));
        self.put_u64(value.unwrap_or(0));
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Takes encoded values off the front of some bytes.
pub(crate) struct Take {
    bytes: Bytes,
}

impl Take {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let array = *self.bytes.first_chunk::<N>().ok_or("it ends too early")?;
        let _ = self.bytes.split_to(N);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_le_bytes(self.array()?))
    }
    pub(crate) fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid::from_bytes(self.array()?))
    }
    pub(crate) fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let length = self.u32()? as usize;
        if length > self.bytes.len() {
            return Err("a length passes the end".into());
        }
        // Copied, so that a small value does not keep a whole record in memory.
        Ok(Bytes::copy_from_slice(&self.bytes.split_to(length)))
    }
    pub(crate) fn string(&mut self) -> Result<String, DecodeError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| "a name is not UTF-8".into())
    }
    pub(crate) fn option_u64(&mut self) -> Result<Option<u64>, DecodeError> {
        let present = self.u8()?;
        let value = self.u64()?;
        Ok((present != 0).then_some(value))
    }
}

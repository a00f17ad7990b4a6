//! What is kept in the connector's state.
//!
//! Under `p` the position: version 1, the server's system identifier, the place behind the last
//! transaction that was taken whole, and of the one after it, if it was taken in part, where its
//! commit stands and how many of its changes were taken (0, 0 otherwise): five 64-bit numbers
//! behind a byte, big endian. Under `t` and the full name of a table how far the rows that were
//! there have been read: a 0 when all were, else a 1 and the values of the key of the last one, each
//! with its length (32 bits) before it.

use bytes::{BufMut, Bytes};
use towpath_sdk::{Error, Result, State, StateChange};

use super::pgoutput::Lsn;

const POSITION_KEY: &[u8] = b"p";
const VERSION: u8 = 1;

/// Where the source is in the server's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Of the server: another one has another log.
    pub system: u64,
    /// Behind the last transaction that was taken whole.
    pub lsn: Lsn,
    /// Of a transaction that was taken in part: where its commit stands, and how many changes.
    pub partial: Option<(Lsn, u64)>,
}

impl Position {
    /// The one that was committed.
    pub fn of(state: &dyn State) -> Result<Option<Self>> {
        let Some(kept) = state.get(POSITION_KEY) else {
            return Ok(None);
        };
        Self::decode(&kept).map(Some).ok_or_else(damaged)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = bytes.split_first()? else {
            return None;
        };
        let (numbers, []) = rest.as_chunks::<8>() else {
            return None;
        };
        let [system, lsn, commit, changes] = numbers else {
            return None;
        };
        let changes = u64::from_be_bytes(*changes);
        Some(Self {
            system: u64::from_be_bytes(*system),
            lsn: Lsn(u64::from_be_bytes(*lsn)),
            partial: (changes > 0).then_some((Lsn(u64::from_be_bytes(*commit)), changes)),
        })
    }

    /// The change that makes it the position.
    pub fn change(&self) -> StateChange {
        let (commit, changes) = self.partial.unwrap_or_default();
        let mut bytes = vec![VERSION];
        for number in [self.system, self.lsn.0, commit.0, changes] {
            bytes.put_u64(number);
        }
        StateChange::put(POSITION_KEY, bytes)
    }
}

/// How far the rows of a table that were there have been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Up to the row with this key: the text of each column of it. None yet when empty.
    After(Vec<String>),
    Done,
}

impl Progress {
    /// Of the table with this full name.
    pub fn of(state: &dyn State, table: &str) -> Result<Self> {
        let Some(kept) = state.get(&Self::key(table)) else {
            return Ok(Self::After(Vec::new()));
        };
        Self::decode(&kept).ok_or_else(damaged)
    }

    fn key(table: &str) -> Bytes {
        [b"t", table.as_bytes()].concat().into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = match bytes.split_first()? {
            (0, []) => return Some(Self::Done),
            (1, rest) => rest,
            _ => return None,
        };
        let mut key = Vec::new();
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            let length = u32::from_be_bytes(*length) as usize;
            let (text, behind) = behind.split_at_checked(length)?;
            key.push(String::from_utf8(text.to_vec()).ok()?);
            rest = behind;
        }
        Some(Self::After(key))
    }

    /// The change that keeps it for the table with this full name.
    pub fn change(&self, table: &str) -> StateChange {
        let mut bytes = Vec::new();
        match self {
            Self::Done => bytes.push(0),
            Self::After(key) => {
                bytes.push(1);
                for text in key {
                    bytes.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
                    bytes.put_slice(text.as_bytes());
                }
            }
        }
        StateChange::put(Self::key(table), bytes)
    }
}

fn damaged() -> Error {
    Error::fatal("read", "the state of this connector")
        .because("it is damaged, or of a later version")
        .remedy("`towpath offsets reset` begins anew, with a snapshot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        for partial in [None, Some((Lsn(9), 3))] {
            let position = Position {
                system: 7,
                lsn: Lsn(8),
                partial,
            };
            let kept = position.change().value.unwrap();
            assert_eq!(Position::decode(&kept), Some(position));
            for cut in 0..kept.len() {
                assert_eq!(Position::decode(&kept[..cut]), None);
            }
        }
        let keys = [
            vec![],
            vec!["1".to_owned()],
            vec![String::new(), "ü".to_owned()],
        ];
        for progress in keys
            .map(Progress::After)
            .into_iter()
            .chain([Progress::Done])
        {
            let kept = progress.change("a.b").value.unwrap();
            assert_eq!(Progress::decode(&kept), Some(progress));
        }
        assert_eq!(Progress::decode(&[1, 0, 0, 0, 9, b'x']), None);
        assert_eq!(Progress::decode(&[2]), None);
    }
}

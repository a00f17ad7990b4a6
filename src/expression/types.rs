//! What a part of an expression may come out as, as far as that is known before any record.

use std::fmt;

/// A set of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types(u16);

impl Types {
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOLEAN: Self = Self(2);
    pub(crate) const NUMBER: Self = Self(4);
    pub(crate) const STRING: Self = Self(8);
    pub(crate) const BYTES: Self = Self(16);
    pub(crate) const TIMESTAMP: Self = Self(32);
    pub(crate) const DURATION: Self = Self(64);
    pub(crate) const LIST: Self = Self(128);
    pub(crate) const OBJECT: Self = Self(256);
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ANY: Self = Self(511);

    /// With their articles, for messages.
    const NAMES: [&'static str; 9] = [
        "null",
        "a boolean",
        "a number",
        "a string",
        "bytes",
        "a timestamp",
        "a duration",
        "a list",
        "an object",
    ];

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether something may be of both.
    pub(crate) fn meets(self, other: Self) -> bool {
        !self.and(other).is_none()
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Self::NAMES.iter().enumerate();
        let mut left = self.0.count_ones();
        let known = |bit: usize| self.0 & (1 << bit) != 0;
        while let Some((_, name)) = names.find(|(bit, _)| known(*bit)) {
            left -= 1;
            f.write_str(name)?;
            match left {
                0 => break,
                1 => f.write_str(" or ")?,
                _ => f.write_str(", ")?,
            }
        }
        Ok(())
    }
}

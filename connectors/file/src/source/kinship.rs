//! Whether a file that no cursor has is new, or what rotation has made of one that is known.
//!
//! | what happened | what is seen | what is decided |
//! |---|---|---|
//! | rename | a known device and inode at another path | no question: it is known |
//! | gzip | a compressed file; its original is gone; its content is what the cursor has read | goes on with it |
//! | gzip still at work, or `gzip -k` | a compressed file; the original is still there | held while the original is there |
//! | the same, and the compressed file was taken for the original when that was out of sight | a plain file; the content of a compressed one | the plain file is gone on with |
//! | copytruncate | a copy under a longer name; the original was truncated | goes on with it |
//! | copytruncate still at work | the beginning of a file under a longer name; the file is still there | held until it is quiet for [`QUIET_MS`] |
//! | the folder, or the file, was away for a while | device, inode and content are the same | goes on with it |
//! | the device has another number after a restart | path, inode and content are the same | goes on with it |
//! | anything else | | new |
//!
//! Only files whose names have the same letters are compared ([`super::cursor::family`]): that
//! bounds the work, and equal files that have nothing to do with each other are both read. A copy
//! that stays beside its original for longer than [`QUIET_MS`] is a file in its own right, unless
//! it is compressed: then it is the same records once more.

use std::collections::HashMap;
use std::io;

use super::content::{Content, Stamp, identify};
use super::cursor::{Cursor, CursorId, family, has_packed_name, is_rotated_name};
use super::finder::Found;
use super::fingerprint::{Fingerprint, HEAD_BYTES, TAIL_BYTES, hash};
use super::follower::Follower;
use super::saved::Saved;
use crate::config::Framing;

/// A copy is complete, and no truncation follows, when nobody has written to it for so long.
pub const QUIET_MS: i64 = 5_000;
/// What cannot be decided before another file is read is asked again after so long.
const UNDECIDED_MS: i64 = 1_000;

/// What a file is to the cursors.
pub enum Kin {
    None,
    /// It has the content of this cursor, which is nowhere else; the content comes open.
    Continues(CursorId, Content),
    /// It may become the content of a cursor whose file is still there.
    Held(Held),
}

/// A file that is not read for now.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// The cursor whose file it may be a copy of.
    pub original: CursorId,
    /// What it looked like when that was found.
    pub stamp: Stamp,
    /// When that is decided anew even if nothing changes, milliseconds since 1970; without it the
    /// file is read only when the original is gone.
    pub until_ms: Option<i64>,
}

/// A new file that is compared with what is known.
struct Suspect<'a> {
    found: &'a Found,
    content: Content,
    head: Vec<u8>,
    /// Hashes of the head by length: most cursors ask for the same.
    hashes: HashMap<u16, u64>,
}

impl Suspect<'_> {
    fn hash(&mut self, bytes: u16) -> Option<u64> {
        let head = self.head.get(..usize::from(bytes))?;
        Some(*self.hashes.entry(bytes).or_insert_with(|| hash(head)))
    }

    /// Whether it can be that this is the content of `known`, or its beginning.
    fn may_be(&mut self, known: &Fingerprint) -> bool {
        match self.hash(known.head_bytes) {
            Some(hash) => hash == known.head || known.head_bytes == 0,
            None => known.begins_like(&self.head),
        }
    }

    /// Whether this is the content that had `known` at `position`.
    fn is_the_one(&mut self, known: &Fingerprint, position: u64) -> bool {
        known.head_bytes > 0
            && self.hash(known.head_bytes) == Some(known.head)
            && self.content.is_the_one(known, position).unwrap_or(false)
    }
}

impl Follower {
    /// What `found` is to the cursors that were there before this scan (below `newest`).
    pub(super) fn kin(&mut self, found: &Found, newest: CursorId, now_ms: i64) -> Kin {
        let Some(members) = self.families.get(&family(&found.path)) else {
            return Kin::None;
        };
        let position = |id: &CursorId| self.cursors.get(id).map_or(0, |c| c.saved.position);
        let mut members: Vec<CursorId> = members.iter().copied().collect();
        members.sort_by_key(position);
        let limit = self.limit_of(found.stamp);
        let opened = Content::open(&found.path, limit, self.options.compression, &self.codecs);
        let Ok(mut content) = opened else {
            return Kin::None;
        };
        // Of a compressed file that is being written there may be nothing to see, or an end amid.
        let head = content
            .head(HEAD_BYTES)
            .or_else(|_| content.head(HEAD_BYTES))
            .unwrap_or_default();
        let mut suspect = Suspect {
            found,
            content,
            head,
            hashes: HashMap::new(),
        };
        let (mut goes_on, mut held) = (None, None);
        for id in members {
            let Some(cursor) = self.cursors.get(&id) else {
                continue;
            };
            let came_back = cursor.is_gone() && self.came_back(cursor, found);
            let rotated =
                suspect.content.is_compressed() || is_rotated_name(&found.path, cursor.path());
            // The originals of a compressed file may have been found by this very scan.
            let known_before = id < newest || suspect.content.is_compressed();
            let Saved {
                fingerprint,
                position,
                ..
            } = cursor.saved;
            let gone = cursor.is_gone();
            if !gone && !suspect.content.is_compressed() && has_packed_name(cursor.path()) {
                // What it was made of is there after all, and may have more: better to follow that.
                if suspect.is_the_one(&fingerprint, position) {
                    goes_on = Some(id);
                }
                continue;
            }
            if !(came_back || rotated && known_before && suspect.may_be(&fingerprint)) {
                continue;
            }
            match if gone {
                Some(false)
            } else {
                self.check_in_place(id, now_ms)
            } {
                Some(false) => {
                    if suspect.is_the_one(&fingerprint, position) && self.cursors.contains_key(&id)
                    {
                        goes_on = Some(id);
                    }
                }
                Some(true) if held.is_none() => {
                    held = self.held_by(id, &mut suspect, now_ms);
                }
                Some(true) => {}
                None => {
                    let stamp = found.stamp;
                    held = Some(Held {
                        original: id,
                        stamp,
                        until_ms: Some(now_ms),
                    });
                }
            }
        }
        match (goes_on, held) {
            (Some(id), _) => Kin::Continues(id, suspect.content),
            (None, Some(held)) => Kin::Held(held),
            (None, None) => Kin::None,
        }
    }

    /// Whether `found` may be the file that `cursor` has lost: its folder was away for a while, or
    /// its device has another number now.
    fn came_back(&self, cursor: &Cursor, found: &Found) -> bool {
        let same_device = cursor.saved.id.device == found.id.device;
        let same_file =
            cursor.saved.id.inode == found.id.inode && (same_device || cursor.path() == found.path);
        // A whole file that has grown in its place is another record.
        let same_size = cursor
            .saved
            .end
            .is_some_and(|end| end.size == found.stamp.size);
        same_file && (self.options.framing == Framing::Lines || same_size)
    }

    /// Whether what was decided about a held file still holds, without looking into it again.
    pub(super) fn stays_held(&self, held: &Held, found: &Found) -> bool {
        held.until_ms.is_none()
            && held.stamp == found.stamp
            && self
                .cursors
                .get(&held.original)
                .is_some_and(|cursor| !cursor.is_gone())
    }

    /// Whether `suspect` is, or becomes, a copy of the file of `id`, whose content is in place.
    fn held_by(&self, id: CursorId, suspect: &mut Suspect<'_>, now_ms: i64) -> Option<Held> {
        let cursor = self.cursors.get(&id)?;
        let stamp = suspect.found.stamp;
        let quiet_at_ms = stamp.changed_ns / 1_000_000 + QUIET_MS;
        let quiet = now_ms >= quiet_at_ms;
        let mut original = Content::open(
            cursor.path(),
            u64::MAX,
            self.options.compression,
            &self.codecs,
        )
        .ok()?;
        let Suspect { content, head, .. } = suspect;
        let until_ms = match (content.is_compressed(), quiet) {
            (false, true) => return None,
            (false, false) => is_beginning_of(content, stamp.size, &mut original)
                .unwrap_or(false)
                .then_some(Some(quiet_at_ms))?,
            (true, false) => original
                .head(head.len())
                .is_ok_and(|begun| begun == *head)
                .then_some(Some(quiet_at_ms))?,
            (true, true) => {
                let Saved {
                    fingerprint,
                    position,
                    ..
                } = cursor.saved;
                let end = match original.is_compressed() {
                    // Where its end is, only reading tells.
                    true if !cursor.is_at_end() && cursor.failed => return None,
                    true if !cursor.is_at_end() => None,
                    true => Some((fingerprint, position)),
                    false => {
                        let (_, Stamp { size, .. }) = original.identify().ok()?;
                        Some((original.fingerprint(size).ok()?, size))
                    }
                };
                match end {
                    None => Some(now_ms + UNDECIDED_MS),
                    Some((end, size)) => {
                        let twin = size > 0 && content.is_the_one(&end, size).unwrap_or(false);
                        twin.then_some(None)?
                    }
                }
            }
        };
        Some(Held {
            original: id,
            stamp,
            until_ms,
        })
    }

    /// Whether the content of `id` is still in its file; otherwise it is gone afterwards. `None`
    /// when its file is not where the scan has seen it.
    fn check_in_place(&mut self, id: CursorId, now_ms: i64) -> Option<bool> {
        let cursor = self.cursors.get(&id)?;
        let path = cursor.saved.path.clone();
        let (file, stamp) = std::fs::metadata(&path)
            .map(|metadata| identify(&metadata))
            .ok()?;
        if file != cursor.saved.id {
            return None;
        }
        let in_place = self.has_content_of(
            id,
            &Found {
                path,
                id: file,
                stamp,
            },
        );
        if !in_place {
            self.replaced(id, now_ms);
        }
        Some(in_place)
    }
}

/// Whether the first `size` bytes of `original` are those of `copy`, as far as beginning and end
/// of them tell.
fn is_beginning_of(copy: &mut Content, size: u64, original: &mut Content) -> io::Result<bool> {
    let tail_bytes = size.min(TAIL_BYTES as u64);
    let head = copy.head(HEAD_BYTES)?;
    let tail = copy.read_range(size - tail_bytes, tail_bytes as usize)?;
    Ok(original.head(head.len())? == head
        && original.read_range(size - tail_bytes, tail_bytes as usize)? == tail)
}

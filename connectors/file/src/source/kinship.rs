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

use std::collections::{BTreeMap, HashMap};
use std::io;

use towpath_sdk::config::Framing;

use super::content::{Content, Stamp, identify};
use super::cursor::{Cursor, CursorId, family, has_packed_name, name_bytes};
use super::finder::Found;
use super::fingerprint::{Fingerprint, HEAD_BYTES, TAIL_BYTES, hash};
use super::follower::Follower;
use super::saved::Saved;

/// A copy is complete, and no truncation follows, when nobody has written to it for so long.
pub const QUIET_MS: i64 = 5_000;

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

/// Cursors by the letters of their file's name, as they are in one scan, with what tells most of
/// them from a new file at a glance: ten thousand new files may meet ten thousand known ones.
pub struct Kindred {
    families: HashMap<Vec<u8>, Vec<Kinsman>>,
}

struct Kinsman {
    id: CursorId,
    name_bytes: usize,
    packed: bool,
    inode: u64,
    position: u64,
}

impl Kindred {
    fn of(cursors: &BTreeMap<CursorId, Cursor>) -> Self {
        let mut kindred = Self {
            families: HashMap::new(),
        };
        cursors
            .iter()
            .for_each(|(id, cursor)| kindred.add(*id, cursor));
        kindred
    }

    pub fn add(&mut self, id: CursorId, cursor: &Cursor) {
        let kinsman = Kinsman {
            id,
            name_bytes: name_bytes(cursor.path()),
            packed: has_packed_name(cursor.path()),
            inode: cursor.saved.id.inode,
            position: cursor.saved.position,
        };
        self.families
            .entry(family(cursor.path()))
            .or_default()
            .push(kinsman);
    }

    /// Those that `found` may have to do with, from the least position to the furthest. Those from
    /// `newest` on were found by the same scan, and matter to a compressed file only: it may have
    /// been made of one of them.
    fn near(&self, found: &Found, newest: CursorId) -> Vec<CursorId> {
        let Some(family) = self.families.get(&family(&found.path)) else {
            return Vec::new();
        };
        let packed = has_packed_name(&found.path);
        let length = name_bytes(&found.path);
        let mut near: Vec<&Kinsman> = family
            .iter()
            .filter(|kinsman| packed || kinsman.id < newest)
            .filter(|kinsman| {
                let same_inode = kinsman.inode == found.id.inode;
                packed || kinsman.packed || kinsman.name_bytes < length || same_inode
            })
            .collect();
        near.sort_by_key(|kinsman| kinsman.position);
        near.into_iter().map(|kinsman| kinsman.id).collect()
    }
}

/// A new file that is compared with what is known.
struct Suspect<'a> {
    found: &'a Found,
    content: Content,
    head: Vec<u8>,
    /// Hashes of the head by length: most cursors ask for the same.
    hashes: HashMap<u16, u64>,
}

/// What a file is to one cursor.
enum Relation {
    None,
    /// It has what the cursor has read, which is nowhere else (or is better followed here).
    Same,
    /// It is, or becomes, a copy of a file that is still there.
    Copy(Held),
}

impl<'a> Suspect<'a> {
    fn new(found: &'a Found, mut content: Content) -> Self {
        // Of a compressed file that is being written there may be nothing to see, or an end amid.
        let head = content
            .head(HEAD_BYTES)
            .or_else(|_| content.head(HEAD_BYTES))
            .unwrap_or_default();
        Self {
            found,
            content,
            head,
            hashes: HashMap::new(),
        }
    }

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
        let kindred = self
            .kindred
            .get_or_insert_with(|| Kindred::of(&self.cursors));
        let near = kindred.near(found, newest);
        let limit = self.limit_of(found.stamp);
        let opened = || Content::open(&found.path, limit, self.options.compression, &self.codecs);
        let Some(content) = (!near.is_empty()).then(opened).and_then(Result::ok) else {
            return Kin::None;
        };
        let mut suspect = Suspect::new(found, content);
        let (mut goes_on, mut held) = (None, None);
        for id in near {
            match self.relation(id, &mut suspect, newest, now_ms) {
                // The furthest comes last.
                Relation::Same => goes_on = Some(id),
                Relation::Copy(copy) => held = held.or(Some(copy)),
                Relation::None => {}
            }
        }
        match (goes_on, held) {
            (Some(id), _) => Kin::Continues(id, suspect.content),
            (None, Some(held)) => Kin::Held(held),
            (None, None) => Kin::None,
        }
    }

    /// What `suspect` is to the cursor `id`.
    fn relation(
        &mut self,
        id: CursorId,
        suspect: &mut Suspect<'_>,
        newest: CursorId,
        now_ms: i64,
    ) -> Relation {
        let Some(cursor) = self.cursors.get(&id) else {
            return Relation::None;
        };
        let fingerprint = cursor.saved.fingerprint;
        let (found, packed) = (suspect.found, suspect.content.is_compressed());
        if !cursor.is_gone() && !packed && has_packed_name(cursor.path()) {
            // What it was made of is there after all, and may have more: better to follow that.
            return self.same(id, suspect);
        }
        if cursor.is_gone() && self.came_back(cursor, found) {
            return self.same(id, suspect);
        }
        let rotated = packed || name_bytes(&found.path) > name_bytes(cursor.path());
        if !(rotated && (packed || id < newest) && suspect.may_be(&fingerprint)) {
            return Relation::None;
        }
        let in_place = if cursor.is_gone() {
            Some(false)
        } else {
            self.check_in_place(id, now_ms)
        };
        match in_place {
            Some(false) => self.same(id, suspect),
            Some(true) => self
                .held_by(id, suspect, now_ms)
                .map_or(Relation::None, Relation::Copy),
            None => {
                let (stamp, until_ms) = (found.stamp, Some(now_ms));
                Relation::Copy(Held {
                    original: id,
                    stamp,
                    until_ms,
                })
            }
        }
    }

    /// Whether `suspect` has what the cursor `id` has read. While the cursor's own file can be read
    /// (it is there, or has vanished but is open), and still has that, all of the content counts:
    /// of files that begin alike little may have been read, or nothing.
    fn same(&mut self, id: CursorId, suspect: &mut Suspect<'_>) -> Relation {
        let Some(cursor) = self.cursors.get(&id) else {
            return Relation::None;
        };
        let Saved {
            fingerprint,
            position,
            ..
        } = cursor.saved;
        if !suspect.is_the_one(&fingerprint, position) {
            return Relation::None;
        }
        let open = self.handles.get_mut(&id).map(|handle| &mut handle.content);
        let mut opened = None;
        if open.is_none() && !cursor.is_gone() {
            let compression = self.options.compression;
            opened = Content::open(cursor.path(), cursor.limit, compression, &self.codecs).ok();
        }
        let another = open.or(opened.as_mut()).is_some_and(|content| {
            content.is_the_one(&fingerprint, position).unwrap_or(false)
                && !is_twin(&mut suspect.content, content).unwrap_or(false)
        });
        if another {
            Relation::None
        } else {
            Relation::Same
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
        let copy = match (content.is_compressed(), quiet) {
            (false, true) => false,
            (false, false) => begins_like(content, stamp.size, &mut original).unwrap_or(false),
            // Being written: what there is of it may end anywhere.
            (true, false) => original.head(head.len()).is_ok_and(|begun| begun == *head),
            (true, true) => is_twin(content, &mut original).unwrap_or(false),
        };
        copy.then_some(Held {
            original: id,
            stamp,
            until_ms: (!quiet).then_some(quiet_at_ms),
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

/// Whether the first `size` bytes of `copy` and `original` are the same, as far as beginning and
/// end of them tell.
fn begins_like(copy: &mut Content, size: u64, original: &mut Content) -> io::Result<bool> {
    let head_bytes = size.min(HEAD_BYTES as u64) as usize;
    let tail_bytes = size.min(TAIL_BYTES as u64);
    let tail = copy.read_range(size - tail_bytes, tail_bytes as usize)?;
    Ok(original.head(head_bytes)? == copy.head(head_bytes)?
        && original.read_range(size - tail_bytes, tail_bytes as usize)? == tail)
}

/// Whether one of the two, as far as it can be read, is the beginning of the other.
fn is_twin(copy: &mut Content, original: &mut Content) -> io::Result<bool> {
    let size = copy.readable_end()?.min(original.readable_end()?);
    Ok(size > 0 && begins_like(copy, size, original)?)
}

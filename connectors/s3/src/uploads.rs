//! What the sink needs of a store: objects that come into being in one step, from parts.
//!
//! An object is made by an *upload*. Nothing of it is seen until `complete`, which either makes the
//! whole object or nothing. An upload ends once: completed or aborted, after which the store knows
//! it no more, so a request that is still on its way can do nothing with it. On this the sink's
//! failure argument rests.
//!
//! Every object bears a *mark*, given when its upload is created: a text that no other upload ever
//! had. By it the sink tells an object that it has made from every other of that name.

#[cfg(test)]
pub(crate) mod memory;

use bytes::Bytes;
use towpath_sdk::{Result, async_trait};

/// The name of the object metadata that holds the mark (`x-amz-meta-` stands before it on the wire).
pub const MARK: &str = "towpath-mark";

/// The uploads to one bucket. All methods may be called at the same time.
///
/// # Errors
/// Each call tries again what may pass, within bounds. What is left is classed as everywhere:
/// transient (throttling, a time-out, a connection that broke: the call may have been done all the
/// same) or configuration (no such bucket, no right, another region), in one line with bucket, key
/// and call.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Begins an upload of `key`, whose object will bear `mark`; gives its id.
    async fn create(&self, key: &str, mark: &str) -> Result<String>;

    /// Adds a part. Numbers begin at 1; every part but the last has at least 5 MiB.
    ///
    /// # Errors
    /// Transient also when the upload is gone: somebody aborted it.
    async fn upload_part(&self, upload: &Upload, number: u32, content: Bytes) -> Result<Part>;

    /// Makes the object of `parts`, which are all of the upload, in their order; if the store can
    /// see to that, only when there is none of that name.
    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<Completed>;

    /// Gives up an upload and what it holds. Done, too, when the store does not know it.
    async fn abort(&self, upload: &Upload) -> Result<()>;

    /// The ids of the uploads of exactly `key` that are not ended; none where the store cannot tell
    /// (it does not know the call, or this is not allowed).
    async fn open_uploads(&self, key: &str) -> Result<Vec<String>>;

    /// What stands under `key`.
    async fn look_up(&self, key: &str) -> Result<Found>;
}

/// An upload that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The object's name.
    pub key: String,
    /// The store's word for it.
    pub id: String,
}

/// A part as the store has taken it: what `complete` must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// As the store gave it.
    pub etag: String,
    /// The checksum that was sent with it, in the form in which `complete` repeats it.
    pub checksum: Option<String>,
}

/// How a call of `complete` ended that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completed {
    /// The object is there.
    Done,
    /// The upload has ended before (`NoSuchUpload`): by an earlier call or by an abort.
    NoSuchUpload,
    /// The store has lost parts of it (`InvalidPart`): it can only be aborted. MinIO answers so when a
    /// call of `complete` before was cut off.
    Broken,
    /// An object of that name is there (`PreconditionFailed`); it may be the one that an earlier
    /// call of `complete` has made.
    Occupied,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing (`NoSuchKey`).
    Nothing,
    /// An object that bears this mark, or none.
    Object {
        /// The text of [`MARK`].
        mark: Option<String>,
    },
}

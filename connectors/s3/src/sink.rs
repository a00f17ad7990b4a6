//! The S3 sink: each record in one object, whatever rule closes objects, and whatever crashes.
//!
//! # Words
//!
//! The *stream* of a record is its path with start offset 0, and its schema when the type of the
//! objects is that of their records. Its records go to one object after the other: an object is
//! (topic id, partition, stream, from, end), the records of its stream in [from, end). A record has
//! one stream and begins one object at most, so start offset, partition and topic in the key tell all
//! objects apart, those of one path and different schemas too. *low* is the committed offset of a partition: the first record of its oldest object
//! that is not done, or behind the last record when there is none. A task begins to read there.
//!
//! # State
//!
//! By topic id and partition (`entry` has the bytes):
//!
//! - an *upload*, by its mark: the object's key and stream; the store's id for it, once known; the
//!   *intent*, once all parts are sent: the end and the list of parts;
//! - the *end* of a stream that is done further than low: all its records below are in objects;
//! - the *routing*: the template of the path, its time zone, the connector's name and whether streams
//!   are by schema, with a number by which uploads and ends refer to it;
//! - since when the *oldest* record waits.
//!
//! # What is done in which order
//!
//! An upload is a straight line of which each step is durable before the next:
//!
//! 1. commit the key, under a new mark;
//! 2. create the upload, with the mark among the object's metadata;
//! 3. commit its id;
//! 4. send parts, while records come;
//! 5. when the object is full: commit the intent;
//! 6. complete the upload, if the store can only when no object of that name is there;
//! 7. in one commit: the end of the stream, and nothing of the upload any more.
//!
//! Of one stream no object begins step 5 before the one before it has ended step 7. Low moves by the
//! reports of `flush`, which also delete the ends that are not beyond it.
//!
//! # Why each record is in one object, whatever step is the last
//!
//! `open` brings every upload to its end before it takes a record; low has not passed the records of
//! any of them. What it finds:
//!
//! - no id (a crash in 1 to 3): the upload may have been created. What the store lists under exactly
//!   this key is aborted; the key is ours, as it has partition and start offset in it. A store that
//!   cannot list keeps an empty upload at most;
//! - an id and no intent (3 to 5): it is aborted. `complete` was never called;
//! - an intent (5 to 7): it is completed again. An upload ends once, so the answer is one of: done
//!   now; no such upload, or the name is taken, and the object there bears the mark: it was done
//!   before; no such upload, and no such object: it was aborted by somebody, and no call that is
//!   still on its way can make the object any more. Then its records are in no object, and the
//!   intent is forgotten. An upload of which the store has lost parts, as MinIO does when step 6 is
//!   cut off, is aborted, so that it has ended, before the object is looked for. An object of that name with another mark is not ours, and stops the task.
//!
//! When all are ended, the objects of the store and the ends of the state say the same, so a record
//! from low on is in an object if and only if it lies below the end of its stream. It is read again
//! and left out then, and only checked for being a bad record, as what was refused above low comes
//! again. All others go to new objects. Where the clock closes objects the second time is all the
//! same.
//!
//! For that a record must get the same stream again. `{now}` does (`times`), and a schema stands in
//! the log. When `path` is changed, or the format is by schema and was not, streams of before are known
//! by their routing: a record is left out, too, when it lies below the
//! end of the stream that it had then. What can break it is a transform that makes another record of
//! it the second time, from a clock or a table, *and* the path depends on that.
//!
//! `offsets reset` raises the generation. Then uploads of before are given up and ends are
//! forgotten; names come again, and the objects of before that bear them stop the task until they are
//! moved away.
//!
//! # Considered
//!
//! - *After an intent that failed, upload exactly its records again.* They go to new objects instead,
//!   which may end elsewhere. That is as safe, and needs neither the sets of before nor the format
//!   that they were written in.
//! - *One request for a small object.* A put that was cut off may be done at any time later; an upload
//!   that was ended cannot.

mod config;
mod encoders;
mod engine;
mod entry;
mod limits;
mod memory;
mod object;
mod objects;
mod partition;
mod recovery;
mod report;
mod routing;
mod schedule;
mod scratch;
#[cfg(test)]
mod tests;
mod times;
mod uploading;

use std::sync::Arc;
use std::time::Instant;

use towpath_sdk::config::Compression;
use towpath_sdk::{
    Error, Flushed, Result, Sink, SinkBatch, SinkContext, SinkProgress, async_trait,
};

use crate::client::{Client, Multipart};
use crate::uploads::Uploads;
use config::S3SinkOptions;
pub(crate) use config::sink_type;
use encoders::Encoders;
use engine::Engine;
use entry::{Kind, Place, Routing};
use limits::Limits;
use objects::Objects;
use routing::Router;
use uploading::Yard;

/// One task. The work is [`Engine`]'s.
struct S3Sink {
    options: Arc<S3SinkOptions>,
    /// Found at `open`, unless a test has given one.
    store: Option<Arc<dyn Uploads>>,
    /// `None` before `open`.
    engine: Option<Engine>,
}

impl S3Sink {
    fn new(options: Arc<S3SinkOptions>) -> Self {
        Self {
            options,
            store: None,
            engine: None,
        }
    }

    fn engine(&mut self) -> Result<&mut Engine> {
        let unopened = || Error::fatal("go on with", "the s3 sink").because("it is not open");
        self.engine.as_mut().ok_or_else(unopened)
    }
}

#[async_trait]
impl Sink for S3Sink {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        let options = &*self.options;
        let store = match &self.store {
            Some(store) => store.clone(),
            None => {
                let client = Client::new(&options.bucket()).await?;
                let formats = context.partitions.iter().map(|given| given.topic.format);
                let format = formats.clone().next();
                let format = format.filter(|first| formats.clone().all(|other| other == *first));
                Arc::new(Multipart::new(client, options.new_object(format)))
            }
        };
        // A bucket that is not there, or not here, is told now, not when the first object is full.
        store.open_uploads(options.path.0.literal_prefix()).await?;
        let limits = Limits::new(options.part_size.0, options.rotate.size.map(|size| size.0));
        let engine = open(options, store, limits, towpath_sdk::now_ms, context).await?;
        self.engine = Some(engine);
        Ok(())
    }

    async fn write(&mut self, batches: Vec<SinkBatch>) -> Result<()> {
        self.engine()?.write(batches).await
    }

    async fn flush(&mut self, end: bool) -> Result<Flushed> {
        self.engine()?.flush(end).await
    }

    fn deadline(&self) -> Option<Instant> {
        self.engine.as_ref().and_then(Engine::deadline)
    }

    async fn close(&mut self) -> Result<()> {
        match self.engine.take() {
            Some(mut engine) => engine.close().await,
            None => Ok(()),
        }
    }
}

/// Ends what earlier lives of the task have begun, and makes it ready for records.
async fn open(
    options: &S3SinkOptions,
    store: Arc<dyn Uploads>,
    limits: Limits,
    clock: fn() -> i64,
    context: SinkContext,
) -> Result<Engine> {
    let yard = Arc::new(Yard {
        connector: context.connector.clone(),
        store,
        state: context.state,
        generation: context.generation,
    });
    // A single task also ends those of partitions that the sink no longer reads.
    let mut places = Place::all(&*yard.state, Kind::Upload)?;
    places.retain(|place| {
        let mut given = context.partitions.iter();
        context.tasks == 1 || given.any(|given| Place::of(given) == *place)
    });
    recovery::end_uploads(&yard, &places).await?;
    let encoders = Encoders::new(context.encoder, context.schemas);
    let routing = Routing {
        path: options.path.0.as_str().to_owned(),
        timezone: options.timezone.0.iana_name().unwrap_or("UTC").to_owned(),
        connector: context.connector.to_string(),
        by_schema: encoders.are_by_schema(),
    };
    let common = recovery::Common {
        yard: &yard,
        routing: &routing,
        value_at: context.value_at,
    };
    let mut changes = Vec::new();
    let given = context.partitions.iter();
    let partitions = given.map(|given| recovery::take_up(&common, given, &mut changes));
    let partitions = partitions.collect::<Result<_>>()?;
    recovery::commit_each(&*yard.state, changes, limits.changes).await?;
    let timezone = options.timezone.0.clone();
    let template = options.path.0.clone().with_timezone(timezone.clone());
    let compression = options.compression_of_whole();
    let objects = Objects {
        router: Router::new(
            template,
            encoders.are_by_schema(),
            &context.connector,
            context.value_at,
        ),
        rotate: options.rotate.clone(),
        timezone,
        on_null: options.on_null,
        encoders,
        compressed: compression != Compression::None,
        limits,
        partitions,
        slots: Vec::new(),
        scratch: scratch::Scratch::new(context.scratch),
        parts: memory::PartMemory::new(limits.part),
        progress: SinkProgress::new(context.on_error),
        stream: Vec::new(),
        path: Vec::new(),
    };
    let codecs = (context.codecs, compression);
    Ok(Engine::new(yard, objects, codecs, clock))
}

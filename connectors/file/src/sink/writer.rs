//! The work of one task: records into buffers, buffers into files, files into a commit. Blocking.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use towpath_record::Record;
use towpath_sdk::config::Compression;
use towpath_sdk::{
    Codecs, Compressor, Encoder, Result, SinkBatch, SinkContext, SinkOffset, SinkPartition,
    SinkProgress, State, StateChange,
};

use super::ahead;
use super::config::{FileSinkOptions, IfExists, Rotate};
use super::disk::Disk;
use super::entry::{Entry, Form};
use super::limits::Limits;
use super::names::Names;
use super::output::Output;

/// A file's buffer is written when it has so much; all are, when together they have four times it.
const BUFFER_BYTES: usize = 1 << 20;
const BUFFERS_BYTES: usize = 4 * BUFFER_BYTES;
/// Write-back of all files is started each time they have got so much together, so that a flush
/// waits for no more than that, however many there are.
const WRITE_BACK_BYTES: u64 = 8 << 20;

pub(super) struct Writer {
    /// `pipeline.connector`, for messages.
    pub(super) connector: Arc<str>,
    names: Names,
    pub(super) rotate: Option<Rotate>,
    pub(super) if_exists: IfExists,
    pub(super) tasks: u32,
    pub(super) generation: u32,
    pub(super) state: Arc<dyn State>,
    /// Where commits, which are async, are waited for.
    commits: Handle,
    pub(super) encoder: Box<dyn Encoder>,
    codecs: Arc<dyn Codecs>,
    compression: Compression,
    /// Of the files it writes.
    pub(super) form: Form,
    pub(super) compressor: Option<Box<dyn Compressor>>,
    /// Compressed bytes on their way to a file.
    packed: Vec<u8>,
    pub(super) disk: Disk,
    pub(super) limits: Limits,

    /// Those with something to write, to commit, or open; with rotation all that are not full.
    pub(super) outputs: Vec<Output>,
    /// By stream, those that are not full.
    pub(super) by_stream: HashMap<Arc<str>, usize>,
    /// Those with a handle, in the order in which they were opened.
    pub(super) opened: VecDeque<usize>,
    /// Bytes in all buffers.
    buffered: usize,
    /// Bytes in the files since write-back was last started.
    written_bytes: u64,
    /// Bytes of state that the next set changes.
    pub(super) changing: usize,
    /// A path being rendered.
    path: Vec<u8>,

    /// How far the committed lengths are ahead of the committed offsets, where they are.
    pub(super) ahead: Vec<SinkOffset>,
    /// What the next flush reports.
    pub(super) progress: SinkProgress,
}

impl Writer {
    pub(super) fn open(
        options: &FileSinkOptions,
        context: SinkContext,
        commits: Handle,
    ) -> Result<Self> {
        let limits = Limits::of_process();
        Self::open_on(Disk::default(), limits, options, context, commits)
    }

    pub(super) fn open_on(
        disk: Disk,
        limits: Limits,
        options: &FileSinkOptions,
        context: SinkContext,
        commits: Handle,
    ) -> Result<Self> {
        let timezone = options.timezone.0.clone();
        let form = Form::new(context.encoder.head(), options.compression);
        let mut writer = Self {
            form,
            names: Names::new(
                options.path.0.clone().with_timezone(timezone),
                &context.connector,
                context.value_at,
            ),
            connector: context.connector,
            rotate: options.rotate.clone(),
            if_exists: options.if_exists,
            tasks: context.tasks,
            generation: context.generation,
            state: context.state,
            commits,
            encoder: context.encoder,
            compressor: context.codecs.compressor(&options.compression)?,
            codecs: context.codecs,
            compression: options.compression,
            packed: Vec::new(),
            disk,
            limits,
            outputs: Vec::new(),
            by_stream: HashMap::new(),
            opened: VecDeque::new(),
            buffered: 0,
            written_bytes: 0,
            changing: 0,
            path: Vec::new(),
            ahead: Vec::new(),
            progress: SinkProgress::new(context.on_error.clone()),
        };
        writer.recover_all(&context.partitions)?;
        Ok(writer)
    }

    /// Takes up what the state says of `partitions`.
    fn recover_all(&mut self, partitions: &[SinkPartition]) -> Result<()> {
        let mut forgotten = Vec::new();
        for partition in partitions {
            let key = ahead::key(&partition.topic.name, partition.partition);
            let Some(value) = self.state.get(&key) else {
                continue;
            };
            match ahead::read(partition, self.generation, &value)? {
                Some(ahead) => self.ahead.push(ahead),
                None => forgotten.push(StateChange::delete(key)),
            }
        }
        for (key, encoded) in self.state.scan(b"") {
            if ahead::is_key(&key) {
                continue;
            }
            let entry = Entry::decode(&key, &encoded)?;
            let ours = partitions
                .iter()
                .any(|ours| ours.topic.name == entry.topic && ours.partition == entry.partition);
            if ours || self.tasks == 1 {
                let path = String::from_utf8_lossy(&key);
                if !self.recover(&path, entry)? {
                    forgotten.push(StateChange::delete(key));
                }
            }
        }
        self.commit_each(forgotten)
    }

    /// Takes up one file of before; false when its entry can go.
    fn recover(&mut self, path: &str, entry: Entry) -> Result<bool> {
        if let Some(known) = &entry.file {
            self.cut_back(path, known)?;
        }
        if self.rotate.is_none() {
            return Ok(true);
        }
        let nothing_committed = entry.file.is_none_or(|known| known.length == 0);
        if nothing_committed {
            self.take_back(path, entry.file.as_ref())?;
        }
        if nothing_committed || entry.generation < self.generation {
            return Ok(false);
        }
        // Records of another format go to a file of their own.
        if entry.file.is_some_and(|known| known.form != self.form) {
            return Ok(false);
        }
        let age_ms = towpath_sdk::now_ms().saturating_sub(entry.started_ms);
        let due = self.due(Duration::from_millis(u64::try_from(age_ms).unwrap_or(0)));
        let stream: Arc<str> = entry.stream.as_str().into();
        self.by_stream.insert(stream.clone(), self.outputs.len());
        self.outputs
            .push(Output::new(stream, path.to_owned(), entry, due));
        Ok(true)
    }

    /// Whether `file`, which others wrote, begins with what a file of this format begins with.
    pub(super) fn begins_as_now(&self, file: &File, path: &str) -> Result<bool> {
        let head = self.encoder.head();
        if head.is_empty() {
            return Ok(true);
        }
        let file = Box::new(self.disk.again(file, path)?);
        let mut content = self.codecs.decompressor(&self.compression, file)?;
        let mut begins = vec![0; head.len()];
        // What cannot be read so was written in another format.
        Ok(content.read_exact(&mut begins).is_ok() && begins == head)
    }

    /// When a file of this age is full.
    fn due(&self, age: Duration) -> Option<Instant> {
        let limit = self.rotate.as_ref()?.time?.0;
        Instant::now().checked_add(limit.saturating_sub(age))
    }

    pub(super) fn write(&mut self, mut batch: SinkBatch) -> Result<()> {
        if let Some(ahead) = find(&mut self.ahead, &batch) {
            // Until all of it is passed nothing is reported: a flush would forget it.
            if batch.next_offset < ahead.offset {
                return Ok(());
            }
            batch.from_offset = batch.from_offset.max(ahead.offset);
        }
        self.names.set_now(towpath_sdk::now_ms());
        let mut current = None;
        for record in batch.records() {
            let record = record?;
            let offset = u64::try_from(record.offset).unwrap_or(batch.from_offset);
            if let Err(error) = self.accept(&batch, &record, &mut current) {
                self.progress.refuse(&batch, &record, error)?;
            } else if self.changing >= self.limits.changes_bytes {
                self.progress.reached(&batch, offset + 1);
                self.commit_ahead()?;
                // The outputs have other places now.
                current = None;
            }
        }
        self.progress.reached(&batch, batch.next_offset);
        self.drain_full()
    }

    /// Encodes one record into the buffer of its file; `current` is that of the one before.
    #[inline]
    fn accept(
        &mut self,
        batch: &SinkBatch,
        record: &Record<'_>,
        current: &mut Option<usize>,
    ) -> Result<()> {
        let index = match *current {
            Some(index) if !self.names.are_per_record() => index,
            _ => self.output_for(batch, record, *current)?,
        };
        *current = Some(index);
        let output = &mut self.outputs[index];
        let before = output.buffer.len();
        self.encoder.encode(batch, record, &mut output.buffer)?;
        self.buffered += output.buffer.len() - before;
        output.records += 1;
        if !output.changed {
            output.changed = true;
            self.changing += output.change_bytes();
        }
        if let Some(size) = self.rotate.as_ref().and_then(|rotate| rotate.size) {
            // What compression or blocks will make of the buffer is not known yet.
            let plain = self.compressor.is_none() && self.encoder.block_bytes().is_none();
            let pending = if plain { output.buffer.len() as u64 } else { 0 };
            if output.length() + pending >= size.0 {
                self.finish(index);
                *current = None;
            }
        }
        Ok(())
    }

    /// The output that `record` goes to.
    fn output_for(
        &mut self,
        batch: &SinkBatch,
        record: &Record<'_>,
        current: Option<usize>,
    ) -> Result<usize> {
        self.names.render(batch, record, 0, &mut self.path)?;
        if let Some(index) = current
            && self.outputs[index].stream.as_bytes() == self.path
        {
            return Ok(index);
        }
        let stream = String::from_utf8_lossy(&self.path);
        if let Some(index) = self.by_stream.get(&*stream) {
            return Ok(*index);
        }
        let stream: Arc<str> = stream.into();
        if self.rotate.is_some() {
            self.names
                .render(batch, record, record.offset, &mut self.path)?;
        }
        let path = String::from_utf8_lossy(&self.path).into_owned();
        let entry = Entry {
            topic: batch.topic.name.clone(),
            partition: batch.partition,
            generation: self.generation,
            stream: stream.to_string(),
            started_ms: towpath_sdk::now_ms(),
            file: None,
        };
        let index = self.outputs.len();
        self.by_stream.insert(stream.clone(), index);
        self.outputs
            .push(Output::new(stream, path, entry, self.due(Duration::ZERO)));
        Ok(index)
    }

    /// Output `index` takes no more records.
    pub(super) fn finish(&mut self, index: usize) {
        let output = &mut self.outputs[index];
        if !output.changed {
            self.changing += output.path.len();
        }
        output.finished = true;
        output.due = None;
        self.by_stream.remove(&output.stream);
    }

    /// Writes buffers that have enough.
    fn drain_full(&mut self) -> Result<()> {
        match self.buffered {
            0..BUFFER_BYTES => Ok(()),
            BUFFER_BYTES..BUFFERS_BYTES => self.drain(BUFFER_BYTES),
            _ => self.drain(1),
        }
    }

    /// Writes the buffers that have at least `least` bytes.
    pub(super) fn drain(&mut self, least: usize) -> Result<()> {
        self.place_outputs()?;
        for index in 0..self.outputs.len() {
            let waiting = self.outputs[index].buffer.len();
            if waiting < least {
                continue;
            }
            self.open_output(index)?;
            let compressor = self
                .compressor
                .as_deref_mut()
                .map(|compressor| compressor as _);
            let encoder = &mut *self.encoder;
            let output = &mut self.outputs[index];
            let length = output.length();
            output.drain(&self.disk, encoder, compressor, &mut self.packed)?;
            self.written_bytes += output.length() - length;
            self.buffered -= waiting;
        }
        if self.written_bytes >= WRITE_BACK_BYTES {
            self.start_write_back();
        }
        Ok(())
    }

    /// Has the kernel begin to write what `sync` will wait for.
    pub(super) fn start_write_back(&mut self) {
        for output in &mut self.outputs {
            output.start_write_back(&self.disk);
        }
        self.written_bytes = 0;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.outputs.iter().filter_map(|output| output.due).min()
    }

    /// Commits changes that need not be durable together, in as many sets as they take.
    pub(super) fn commit_each(&self, changes: Vec<StateChange>) -> Result<()> {
        let (mut set, mut bytes) = (Vec::new(), 0);
        for change in changes {
            bytes += change.key.len() + change.value.as_ref().map_or(0, |value| value.len());
            set.push(change);
            if bytes >= self.limits.changes_bytes {
                self.commit(std::mem::take(&mut set))?;
                bytes = 0;
            }
        }
        self.commit(set)
    }

    /// Commits changes in one step.
    pub(super) fn commit(&self, changes: Vec<StateChange>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.commits.block_on(self.state.commit(changes))
    }
}

/// The one of the partition of `batch`.
fn find<'a>(offsets: &'a mut [SinkOffset], batch: &SinkBatch) -> Option<&'a mut SinkOffset> {
    offsets
        .iter_mut()
        .find(|known| known.partition == batch.partition && known.topic == batch.topic)
}

//! Files before records go to them: found again, adopted or made, so that what is not ours stays
//! as it is. `super` says why in this order.

use std::collections::BTreeSet;
use std::fs::File;

use towpath_sdk::{Error, Result, StateChange};

use super::config::IfExists;
use super::disk::{Disk, Found, folder_of};
use super::entry::{Entry, Head, Known};
use super::writer::Writer;

/// What was found where a file is to be.
enum Place {
    /// The committed file.
    Ours(Known),
    /// Nothing.
    Free,
    /// A file to go on with, whose identity is not committed.
    Adopted(Known),
}

impl Writer {
    /// Gives a place to every output that has bytes and none yet, with two commits for all
    /// (or more, when there are very many).
    pub(super) fn place_outputs(&mut self) -> Result<()> {
        let mut free = Vec::new();
        let mut adopted = Vec::new();
        for index in 0..self.outputs.len() {
            let output = &self.outputs[index];
            if output.entry.file.is_some() || output.buffer.is_empty() {
                continue;
            }
            match self.look(index)? {
                Place::Ours(known) => self.outputs[index].place(known, None),
                Place::Free => free.push(index),
                Place::Adopted(known) => adopted.push((index, known)),
            }
        }
        let intents = free.iter().map(|index| self.change_of(*index)).collect();
        self.commit_each(intents)?;
        self.create(&free)?;
        for (index, known) in &adopted {
            self.outputs[*index].place(*known, None);
        }
        let made = free.iter().chain(adopted.iter().map(|(index, _)| index));
        self.commit_each(made.map(|index| self.change_of(*index)).collect())
    }

    fn create(&mut self, indices: &[usize]) -> Result<()> {
        let mut folders = BTreeSet::new();
        for &index in indices {
            let path = self.outputs[index].path.clone();
            self.disk.create_folder_of(&path)?;
            let (handle, found) = self.disk.create(&path)?;
            let known = Known {
                identity: found.identity,
                length: 0,
                head: Head::EMPTY,
                form: self.form,
            };
            // Nothing is unsynced in it, so it may be closed.
            let handle = Some(handle).filter(|_| self.opened.len() < self.limits.open_files);
            if handle.is_some() {
                self.opened.push_back(index);
            }
            self.outputs[index].place(known, handle);
            folders.insert(folder_of(&path).to_owned());
        }
        folders
            .iter()
            .try_for_each(|folder| self.disk.sync_folder(folder))
    }

    /// Finds out what stands where output `index` is to be.
    fn look(&self, index: usize) -> Result<Place> {
        let path = &self.outputs[index].path;
        let entry = match self.state.get(path.as_bytes()) {
            Some(encoded) => Some(Entry::decode(path.as_bytes(), &encoded)?),
            None => None,
        };
        let Some(found) = self.disk.find(path)? else {
            let written = entry
                .is_some_and(|entry| entry.file.is_some() && self.is_current(entry.generation));
            return if written {
                Err(gone(&self.connector, path))
            } else {
                Ok(Place::Free)
            };
        };
        let Some(Entry {
            file,
            generation,
            topic,
            partition,
            ..
        }) = entry
        else {
            return self.unknown(path);
        };
        let output = &self.outputs[index].entry;
        if self.tasks > 1 && (&topic, partition) != (&output.topic, output.partition) {
            return Err(Error::configuration("write", path)
                .because(format!("partition {partition} of {topic} writes it too"))
                .remedy(
                    "set `{topic}` and `{partition}` apart from what stands beside them in `path`",
                ));
        }
        match file {
            // An intent.
            None if found.length == 0 => {
                let head = Head::EMPTY;
                Ok(Place::Adopted(Known {
                    identity: found.identity,
                    length: 0,
                    head,
                    form: self.form,
                }))
            }
            None => self.unknown(path),
            Some(_) if self.rotate.is_some() => self.unknown(path),
            // Its first bytes are compared when it is opened.
            Some(known) => match differs_outside(&known, found) {
                // What is empty has no form yet.
                None if known.length == 0 => Ok(Place::Ours(Known {
                    form: self.form,
                    ..known
                })),
                None => Ok(Place::Ours(known)),
                Some(_) if !self.is_current(generation) => self.unknown(path),
                Some(how) => Err(not_ours(&self.connector, path, &how)),
            },
        }
    }

    /// A file that this log knows nothing of.
    fn unknown(&self, path: &str) -> Result<Place> {
        if self.if_exists == IfExists::Append {
            let Some((file, Found { identity, length })) = self.disk.open(path)? else {
                return Ok(Place::Free);
            };
            if length > 0 && !self.begins_as_now(&file, path)? {
                return Err(of_another_form(path));
            }
            let head = self.disk.head(&file, path, length)?;
            return Ok(Place::Adopted(Known {
                identity,
                length,
                head,
                form: self.form,
            }));
        }
        let remedy = if self.rotate.is_some() {
            "move it away, or change `path`"
        } else {
            "move it away, or set `if_exists: append` to write behind what it holds"
        };
        Err(Error::configuration("write", path)
            .because(
                "it exists, and this log does not know it: it may be from another data directory",
            )
            .remedy(remedy))
    }

    /// Whether `generation` is not one of before `offsets reset`.
    fn is_current(&self, generation: u32) -> bool {
        generation >= self.generation
    }

    /// Opens the file of output `index`, if it is closed, and closes another one when there are too
    /// many.
    pub(super) fn open_output(&mut self, index: usize) -> Result<()> {
        if self.outputs[index].handle.is_some() {
            return Ok(());
        }
        if self.opened.len() >= self.limits.open_files {
            self.close_oldest()?;
        }
        let output = &self.outputs[index];
        let Some(known) = output.entry.file else {
            return Ok(());
        };
        let Some((file, found)) = self.disk.open(&output.path)? else {
            return Err(gone(&self.connector, &output.path));
        };
        if let Some(how) = differs_open(&self.disk, &file, &output.path, &known, found)? {
            return Err(not_ours(&self.connector, &output.path, &how));
        }
        if known.length > 0 && known.form != self.form {
            return Err(of_another_form(&output.path));
        }
        let output = &mut self.outputs[index];
        if self.compressor.is_none() && self.encoder.block_bytes().is_none() {
            let whole = self
                .disk
                .ends_in_newline(&file, &output.path, known.length)?;
            output.unfinished_line = !whole;
        }
        output.handle = Some(file);
        self.opened.push_back(index);
        Ok(())
    }

    /// Closes half of the open files, those that were opened first. Write-back of all is begun
    /// before the first is waited for: then one commit of the file system's journal serves many.
    fn close_oldest(&mut self) -> Result<()> {
        let oldest: Vec<usize> = self.opened.drain(..self.opened.len().div_ceil(2)).collect();
        for index in &oldest {
            self.outputs[*index].start_write_back(&self.disk);
        }
        for index in oldest {
            self.outputs[index].sync(&self.disk)?;
            self.outputs[index].handle = None;
        }
        Ok(())
    }

    /// Brings the file of `entry` back to what is committed, unless it is another one now.
    pub(super) fn cut_back(&self, path: &str, known: &Known) -> Result<()> {
        let Some(found) = self.disk.find(path)? else {
            return Ok(());
        };
        if !found.identity.is(&known.identity) || found.length <= known.length {
            return Ok(());
        }
        let Some((file, found)) = self.disk.open(path)? else {
            return Ok(());
        };
        if found.identity.is(&known.identity)
            && found.length > known.length
            && self.disk.head(&file, path, known.length)? == known.head
        {
            self.disk.cut(&file, path, known.length)?;
            tracing::warn!(
                path,
                bytes = found.length - known.length,
                "cut what stood behind the committed end: what this sink wrote comes again, what \
                 another program wrote does not"
            );
        }
        Ok(())
    }

    /// Removes the file at `path` if it is empty and, when `known`, that one.
    pub(super) fn take_back(&self, path: &str, known: Option<&Known>) -> Result<()> {
        match self.disk.find(path)? {
            Some(found)
                if found.length == 0
                    && known.is_none_or(|known| found.identity.is(&known.identity)) =>
            {
                self.disk.remove(path)
            }
            _ => Ok(()),
        }
    }

    /// The state of output `index` as it is now.
    pub(super) fn change_of(&self, index: usize) -> StateChange {
        let output = &self.outputs[index];
        StateChange::put(output.path.clone(), output.entry.encode())
    }
}

/// How an open file differs from the one that is known.
fn differs_open(
    disk: &Disk,
    file: &File,
    path: &str,
    known: &Known,
    found: Found,
) -> Result<Option<String>> {
    if let Some(how) = differs_outside(known, found) {
        return Ok(Some(how));
    }
    let same = disk.head(file, path, known.length)? == known.head;
    Ok((!same).then(|| "its first bytes are others".to_owned()))
}

/// How a file differs by identity and length.
pub(super) fn differs_outside(known: &Known, found: Found) -> Option<String> {
    if !found.identity.is(&known.identity) {
        Some("it was replaced by another file".to_owned())
    } else if found.length != known.length {
        Some(format!(
            "it has {} bytes where {} were written",
            found.length, known.length
        ))
    } else {
        None
    }
}

/// The committed file is not where it was. A folder that is missing too (not mounted, moved for a
/// moment) may come back with the file in it; a file that is missing alone was taken away.
pub(super) fn gone(connector: &str, path: &str) -> Error {
    let folder = folder_of(path);
    if folder.is_dir() {
        return not_ours(connector, path, "it is gone");
    }
    Error::transient("go on with", path)
        .because(format!("its folder {} is gone", folder.display()))
        .remedy("mount it or put it back: it goes on by itself then")
}

/// The file is not the one that was written before: nothing of it may be touched.
pub(super) fn not_ours(connector: &str, path: &str, how: &str) -> Error {
    Error::fatal("go on with", path)
        .because(format!(
            "{how}; what was written before must be there to go on"
        ))
        .remedy(format!(
            "put the file back as it was, or write it anew: \
             `towpath offsets reset {connector} --to earliest` and `towpath restart {connector}`"
        ))
}

/// What is in the file is not what `format` and `compression` say now.
fn of_another_form(path: &str) -> Error {
    Error::configuration("go on with", path)
        .because(
            "it does not begin as `format` and `compression` say: it is of another format, or has \
             other columns, or another schema or codec",
        )
        .remedy("give `path` another name, or put `format` and `compression` back")
}

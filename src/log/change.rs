//! Changes other than append sets: each checks itself against the state it will be applied to,
//! in the order of the commit log, and yields the entries that make it.

use std::io;
use std::path::Path;

use uuid::Uuid;

use crate::LogError;
use crate::entry::Entry;
use crate::registration::RegistrationInfo;
use crate::round::Change;
use crate::storage::Storage;
use crate::topic::TopicConfig;
use crate::validate;

pub(crate) fn create_topic(name: &str, config: &TopicConfig) -> Change {
    let (name, config) = (name.to_owned(), config.clone());
    Box::new(move |state| {
        let Some((topic, known)) = state.topic(&name) else {
            let (topic, id) = (state.next_topic, Uuid::new_v4());
            return Ok(vec![Entry::TopicCreated {
                topic,
                id,
                name,
                config,
            }]);
        };
        let is = &known.config;
        if is.format != config.format || is.partitions > config.partitions {
            return Err(LogError::invalid(format!(
                "topic {name} exists with {} partitions and format {:?}, which cannot become {} \
                 and {:?}: use another topic, or delete this one",
                is.partitions, is.format, config.partitions, config.format
            )));
        }
        let equal = *is == config;
        Ok(if equal {
            vec![]
        } else {
            vec![Entry::TopicChanged { topic, config }]
        })
    })
}

/// Deletes the topic with that number, unless another has taken its name meanwhile.
pub(crate) fn delete_topic(name: &str, number: u32) -> Change {
    let name = name.to_owned();
    Box::new(move |state| match state.topic(&name) {
        Some((topic, _)) if topic == number => Ok(vec![Entry::TopicDeleted { topic }]),
        _ => Err(LogError::invalid(format!("topic {name} does not exist"))),
    })
}

pub(crate) fn reset_offsets(group: &str, offsets: &[(String, u32, Option<u64>)]) -> Change {
    let (group, offsets) = (group.to_owned(), offsets.to_vec());
    Box::new(move |state| {
        let generation = state.groups.get(&group).map_or(0, |info| info.generation) + 1;
        let mut entries = vec![Entry::GroupGeneration {
            group: group.clone(),
            generation,
        }];
        for (topic, partition, offset) in offsets {
            let key = validate::partition(state, &topic, partition)?;
            let group = group.clone();
            let Some(offset) = offset else {
                entries.push(Entry::GroupOffsetDeleted { group, key });
                continue;
            };
            let held = state.partition(key).map_or(0..=0, |p| p.start..=p.end);
            if !held.contains(&offset) {
                return Err(LogError::new(
                    crate::LogErrorKind::OutOfRange,
                    format!(
                        "group {group} cannot be set to offset {offset} of {topic} partition \
                         {partition}, which holds {} to {}",
                        held.start(),
                        held.end()
                    ),
                ));
            }
            entries.push(Entry::GroupOffset { group, key, offset });
        }
        Ok(entries)
    })
}

pub(crate) fn rename(old: &str, new: &str) -> Change {
    let (old, new) = (old.to_owned(), new.to_owned());
    Box::new(move |state| {
        let owns = |name: &String| state.owners.get(name).is_some_and(|o| !o.state.is_empty());
        let commits = |name: &String| {
            state
                .groups
                .get(name)
                .is_some_and(|g| !g.offsets.is_empty())
        };
        let known =
            |name: &String| owns(name) || commits(name) || state.registrations.contains_key(name);
        if !known(&old) {
            return Err(LogError::invalid(format!(
                "{old} has no state, offsets or registration"
            )));
        }
        if old == new || known(&new) {
            return Err(LogError::invalid(format!(
                "{old} cannot become {new}, which has state of its own: forget that first"
            )));
        }
        let shares = |info: &&RegistrationInfo| {
            info.registration.name != old && info.registration.group.as_ref() == Some(&old)
        };
        let is_own = |info: &RegistrationInfo| info.registration.group.is_none();
        if state.registrations.get(&old).is_some_and(is_own)
            && let Some(other) = state.registrations.values().find(shares)
        {
            return Err(LogError::invalid(format!(
                "{old} cannot become {new}: {} names {old} as its group; give both the same \
                 `group` first",
                other.registration.name
            )));
        }
        Ok(vec![Entry::Renamed { old, new }])
    })
}

pub(crate) fn forget(name: &str) -> Change {
    let name = name.to_owned();
    Box::new(move |_| Ok(vec![Entry::Forgotten { name }]))
}

/// Removes the files of a partition that is deleted, and its directory.
pub(crate) fn remove_partition(storage: &dyn Storage, dir: &Path) -> io::Result<()> {
    for entry in storage.list(dir)? {
        storage.remove(&dir.join(entry.name))?;
    }
    storage.sync_dir(dir)?;
    storage.remove_dir(dir)
}

//! What must be true in the log before connectors run: topics exist, connectors are registered,
//! and no state is forgotten by accident.

use std::collections::BTreeSet;

use towpath_log::{Log, Registration, RegistrationInfo};
use towpath_pipeline::{Loaded, Topic, WorkerConfig};
use towpath_sdk::config::Span;
use towpath_sdk::{Error, Result, is_internal_topic};
use tracing::{info, warn};

use crate::clock::now_ms;
use crate::commit::log_error;
use crate::retried::{retried_of, retry_topic, waiting};
use crate::spec::{ConnectorSpec, topic_config};

/// A registration is renewed when it is older than this, so that a connector which ran for long
/// does not look forgotten when it is away for a moment.
const RENEWED_AFTER_MS: u64 = 3_600_000;

/// Refuses what would lose or repeat a connector's work. Changes nothing.
pub(crate) fn check(log: &Log, specs: &[ConnectorSpec], fresh: bool) -> Result<()> {
    specs
        .iter()
        .try_for_each(|spec| check_one(log, spec, specs, fresh))
}

/// Refuses a connector that is new to the log where it would begin anew beside the state of one
/// that did the same work, or would take the state of one that runs too.
fn check_one(log: &Log, spec: &ConnectorSpec, specs: &[ConnectorSpec], fresh: bool) -> Result<()> {
    let known = log.registrations();
    let is_known = |name: &str| known.iter().any(|old| old.registration.name == name);
    if is_known(&spec.name) {
        return Ok(());
    }
    let topic = retry_topic(&spec.name);
    for Registration { name, .. } in known.iter().map(|old| &old.registration) {
        let letters = waiting_of(&known, log, name, &topic);
        if letters > 0 {
            return Err(Error::configuration("start", &spec.name)
                .because(format!(
                    "{letters} dead letters of {name}, which had this name, still wait in {topic} to \
                     be retried"
                ))
                .remedy("run without it until they are, or give it another name"));
        }
    }
    if let Some(former) = spec.configured.formerly.as_deref() {
        let rival = specs.iter().find(|other| {
            other.name != spec.name
                && (*other.name == *former || other.configured.formerly.as_deref() == Some(former))
        });
        if let Some(rival) = rival {
            return Err(Error::configuration("start", &spec.name)
                .because(format!(
                    "it is `formerly: {former}`, and so is {}",
                    rival.name
                ))
                .remedy("only one can continue there: take the other out, or `formerly`"));
        }
        if is_known(former) {
            return Ok(());
        }
    }
    let new = spec.registration(log);
    // Nothing is known of the topics of a source whose records choose them, or of a pattern that
    // matches none yet.
    let share_topics = |old: &Registration| {
        let own = |registration: &Registration| -> BTreeSet<String> {
            let topics = registration.topics.iter();
            topics
                .filter(|topic| !is_internal_topic(topic))
                .cloned()
                .collect()
        };
        let (old, new) = (own(old), own(&new));
        !old.is_disjoint(&new) || old.is_empty() || new.is_empty()
    };
    let does_the_same = |old: &Registration| {
        (old.kind, &old.connector_type, &old.far_side)
            == (new.kind, &new.connector_type, &new.far_side)
            && share_topics(old)
    };
    let is_loaded = |name: &str| specs.iter().any(|spec| *spec.name == *name);
    let orphan = known
        .iter()
        .map(|old| &old.registration)
        .find(|old| does_the_same(old) && !is_loaded(&old.name));
    match orphan {
        Some(Registration { name: old, .. }) if !fresh => {
            Err(Error::configuration("start", &spec.name)
                .because(format!(
                    "it is new here, but {old} did the same work and has left its position"
                ))
                .remedy(format!(
                    "add `formerly: {old}` to continue there, run with --fresh to begin anew \
                     beside it, or `towpath offsets forget {old}`"
                )))
        }
        _ => Ok(()),
    }
}

/// How many letters wait in retry topic `topic` for connector `name`, if it reads that.
fn waiting_of(known: &[RegistrationInfo], log: &Log, name: &str, topic: &str) -> u64 {
    let known = known.iter().map(|known| &known.registration);
    let mut readers =
        known.filter(|known| known.name == name && known.topics.iter().any(|held| held == topic));
    readers.next().map_or(0, |reader| {
        waiting(log, topic, reader.group_name()).values().sum()
    })
}

/// Settles under which former name a connector reads what is retried. A name that another one has
/// is its own. One that `formerly` no longer tells is kept while letters wait under it.
///
/// For connectors that were checked: none takes over what another one runs with.
pub(crate) fn settle_former_names(log: &Log, specs: &mut [ConnectorSpec]) {
    let names: BTreeSet<_> = specs.iter().map(|spec| spec.name.clone()).collect();
    let known = log.registrations();
    for spec in specs {
        let name = spec.name.clone();
        let former = &mut spec.configured.formerly;
        former.take_if(|former| names.contains(&**former));
        let own = known.iter().find(|known| known.registration.name == *name);
        for topic in own.iter().flat_map(|own| &own.registration.topics) {
            let Some(left) = retried_of(topic).filter(|left| !names.contains(*left)) else {
                continue;
            };
            let letters = waiting_of(&known, log, &name, topic);
            if letters > 0 && former.as_deref() != Some(left) {
                warn!(
                    connector = &*name,
                    letters, "still reads {topic}, where letters wait to be retried"
                );
                *former = Some(left.to_owned());
            }
        }
    }
}

/// Creates the topics whose format is known; the others are created by the stream that writes them,
/// when it knows what it reads. Idempotent. Waits for the disk.
pub(crate) fn create_topics(log: &Log, loaded: &Loaded, config: &WorkerConfig) -> Result<()> {
    let known = |topic: &&Topic| topic.format.is_some();
    for topic in loaded.topics.values().filter(known) {
        // One that is only written to, and exists, is taken as it is.
        if topic.span == Span::NONE && log.topic(&topic.name).is_some() {
            continue;
        }
        log.create_topic(&topic.name, &topic_config(Some(topic), None, config))
            .map_err(|error| log_error(&format!("create topic {}", topic.name), error))?;
    }
    Ok(())
}

/// Gives connectors that are new what they had under the name they had `formerly`, those with another
/// `group` their offsets in what is retried, and registers all. Idempotent. They were checked, and none runs, under either name. Waits for the disk.
pub(crate) fn register_all(log: &Log, specs: &[ConnectorSpec]) -> Result<()> {
    for spec in specs {
        take_over(log, spec)?;
        let known = log.registrations();
        let mut own = known.iter().map(|known| &known.registration);
        match own.find(|known| known.name == *spec.name) {
            Some(known) => keep_retried(log, spec, known.group_name())?,
            // What was retried of another one that had the name is done.
            None => delete_retry_topic(log, &retry_topic(&spec.name))?,
        }
    }
    specs
        .iter()
        .try_for_each(|spec| register(log, &spec.registration(log)))
}

fn take_over(log: &Log, spec: &ConnectorSpec) -> Result<()> {
    let known = log.registrations();
    let is_known = |name: &str| known.iter().any(|old| old.registration.name == name);
    match spec.configured.formerly.as_deref() {
        Some(former) if is_known(former) && !is_known(&spec.name) => {
            info!(connector = &*spec.name, "continues {former}");
            log.rename_owner(former, &spec.name)
                .map_err(|error| log_error("rename a connector", error))
        }
        _ => Ok(()),
    }
}

/// A new group reads its topics anew, but not what is retried: that was delivered once already, or
/// waits where the former `group` stands.
fn keep_retried(log: &Log, spec: &ConnectorSpec, group: &str) -> Result<()> {
    if *group == **spec.owner() {
        return Ok(());
    }
    let former = log.group(group).map(|group| group.offsets);
    let mut offsets = former.unwrap_or_default();
    let topics: Vec<_> = spec.retry_topics().collect();
    offsets.retain(|(topic, _), _| topics.contains(topic));
    let offsets = offsets.into_iter();
    let offsets: Vec<_> = offsets
        .map(|((topic, partition), offset)| (topic, partition, Some(offset)))
        .collect();
    log.reset_offsets(spec.owner(), &offsets)
        .map_err(|error| log_error("go on in what is retried", error))
}

/// Renews the registrations of what runs, also because a pattern matches more topics now. Waits
/// for the disk.
pub(crate) fn renew(log: &Log, running: &[Registration]) -> Result<()> {
    let now_ms = now_ms();
    for known in log.registrations() {
        let current = running
            .iter()
            .find(|current| current.name == known.registration.name);
        if let Some(current) = current
            && (age_ms(&known, now_ms) > RENEWED_AFTER_MS || known.registration != *current)
        {
            register(log, current)?;
        }
    }
    Ok(())
}

/// Forgets connectors that do not run and were not configured for `orphan_retention`: their state
/// goes, and the records they pinned may go. Waits for the disk.
pub(crate) fn release_orphans(
    log: &Log,
    running: &[Registration],
    config: &WorkerConfig,
) -> Result<()> {
    let now_ms = now_ms();
    for known in log.registrations() {
        let name = &known.registration.name;
        let runs = running.iter().any(|current| current.name == *name);
        let age_ms = age_ms(&known, now_ms);
        if !runs && u128::from(age_ms) > config.orphan_retention.0.as_millis() {
            forget(log, name)?;
            info!(
                connector = name,
                "forgotten: not configured for {} (orphan_retention)", config.orphan_retention
            );
        }
    }
    Ok(())
}

/// Forgets a connector, and first what is to be retried of it: one of that name that comes later
/// would take it for its own. Gives how many letters waited there. Waits for the disk.
pub(crate) fn forget(log: &Log, name: &str) -> Result<u64> {
    let topic = retry_topic(name);
    let letters = waiting_of(&log.registrations(), log, name, &topic);
    if letters > 0 {
        warn!(
            connector = name,
            letters, "dead letters that waited in {topic} to be retried are deleted with it"
        );
    }
    delete_retry_topic(log, &topic)?;
    log.forget(name)
        .map_err(|error| log_error("forget a connector", error))?;
    Ok(letters)
}

fn delete_retry_topic(log: &Log, topic: &str) -> Result<()> {
    match log.topic(topic) {
        Some(_) => log
            .delete_topic(topic)
            .map_err(|error| log_error(&format!("delete topic {topic}"), error)),
        None => Ok(()),
    }
}

/// How long ago a connector was last configured.
fn age_ms(known: &RegistrationInfo, now_ms: u64) -> u64 {
    now_ms.saturating_sub(u64::try_from(known.last_configured_ms).unwrap_or(0))
}

fn register(log: &Log, registration: &Registration) -> Result<()> {
    log.register(registration)
        .map_err(|error| log_error("register a connector", error))
}

//! What must be true in the log before connectors run: topics exist, connectors are registered,
//! and no state is forgotten by accident.

use towpath_log::{Log, Registration};
use towpath_pipeline::{Loaded, WorkerConfig};
use towpath_sdk::config::Span;
use towpath_sdk::{Error, Result};
use tracing::info;

use crate::clock::now_ms;
use crate::commit::log_error;
use crate::spec::{ConnectorSpec, topic_config};

/// A registration is renewed when it is older than this, so that a connector which ran for long
/// does not look forgotten when it is away for a moment.
const RENEWED_AFTER_MS: u64 = 3_600_000;

/// Renames what has moved (`formerly`), refuses orphaned state, creates topics, registers
/// connectors. Idempotent. Waits for the disk.
pub(crate) fn prepare(
    log: &Log,
    loaded: &Loaded,
    specs: &[ConnectorSpec],
    config: &WorkerConfig,
    fresh: bool,
) -> Result<()> {
    for spec in specs {
        take_over(log, spec, specs, fresh)?;
    }
    for topic in loaded.topics.values() {
        // One that is only written to, and exists, is taken as it is.
        if topic.span == Span::NONE && log.topic(&topic.name).is_some() {
            continue;
        }
        log.create_topic(&topic.name, &topic_config(Some(topic), None, config))
            .map_err(|error| log_error(&format!("create topic {}", topic.name), error))?;
    }
    for spec in specs {
        register(log, &spec.registration())?;
    }
    Ok(())
}

/// Lets a connector that is new to the log continue what `formerly` names; refuses to start it
/// beside the state of one that did the same work under another name.
fn take_over(log: &Log, spec: &ConnectorSpec, specs: &[ConnectorSpec], fresh: bool) -> Result<()> {
    let known = log.registrations();
    let is_known = |name: &str| known.iter().any(|old| old.registration.name == name);
    if is_known(&spec.name) {
        return Ok(());
    }
    if let Some(former) = spec.configured.formerly.as_deref() {
        if is_known(former) {
            info!(connector = &*spec.name, "continues {former}");
            log.rename_owner(former, &spec.name)
                .map_err(|error| log_error("rename a connector", error))?;
        }
        return Ok(());
    }
    let new = spec.registration();
    let does_the_same = |old: &Registration| {
        (old.kind, &old.connector_type, &old.far_side)
            == (new.kind, &new.connector_type, &new.far_side)
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

/// Renews the registrations of what runs, and forgets connectors that were not configured for
/// `orphan_retention`: their state goes, and the records they pinned may go. Waits for the disk.
pub(crate) fn release_orphans(
    log: &Log,
    running: &[Registration],
    config: &WorkerConfig,
) -> Result<()> {
    let now_ms = now_ms();
    for known in log.registrations() {
        let age_ms = now_ms.saturating_sub(u64::try_from(known.last_configured_ms).unwrap_or(0));
        let name = &known.registration.name;
        match running.iter().find(|registration| registration.name == *name) {
            Some(registration) if age_ms > RENEWED_AFTER_MS => register(log, registration)?,
            Some(_) => {}
            None if u128::from(age_ms) > config.orphan_retention.0.as_millis() => {
                log.forget(name).map_err(|error| log_error("forget a connector", error))?;
                info!(
                    connector = name,
                    "forgotten: not configured for {} (orphan_retention)", config.orphan_retention
                );
            }
            None => {}
        }
    }
    Ok(())
}

fn register(log: &Log, registration: &Registration) -> Result<()> {
    log.register(registration).map_err(|error| log_error("register a connector", error))
}

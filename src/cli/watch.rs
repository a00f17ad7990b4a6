//! `run --watch`: tells when a pipeline file changes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};

use super::failure::Failure;

/// An editor writes a file in several steps; they count as one change.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches until it is dropped.
pub struct Watch {
    changes: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches pipeline files, and folders of them. A file is watched through its folder, since
    /// editors put a new one in its place.
    pub fn start(paths: &[PathBuf]) -> Result<Self, Failure> {
        let cannot = |error: notify::Error| {
            Failure::environment(format!("cannot watch the pipelines: {error}"))
        };
        let changed = Arc::new(Notify::new());
        let wake = Arc::clone(&changed);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // What could not be told may have been a change.
            if event.is_ok_and(|event| !concerns(&event)) {
                return;
            }
            wake.notify_one();
        })
        .map_err(cannot)?;
        for folder in folders(paths) {
            watcher
                .watch(&folder, RecursiveMode::NonRecursive)
                .map_err(cannot)?;
        }
        let (tell, changes) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                changed.notified().await;
                tokio::time::sleep(SETTLE).await;
                // What came meanwhile is part of the change that is told now.
                tokio::select! {
                    biased;
                    () = changed.notified() => {}
                    () = std::future::ready(()) => {}
                }
                if tell.send(()).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            changes,
            _watcher: watcher,
        })
    }

    /// Returns after a change. Cancel safe.
    pub async fn changed(&mut self) {
        // The task that tells lives as long as this.
        let _ = self.changes.recv().await;
    }
}

fn folders(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let folder = |path: &PathBuf| match path.parent() {
        _ if path.is_dir() => path.clone(),
        None => PathBuf::from("."),
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
    };
    paths.iter().map(folder).collect()
}

/// Whether a pipeline file may be another now. Sinks may write to the same folder.
fn concerns(event: &Event) -> bool {
    let is_yaml = |path: &PathBuf| {
        Path::new(path)
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
    };
    !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(is_yaml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_changed_pipeline_is_told_and_another_file_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.yaml");
        std::fs::write(&file, "one").expect("writes");
        let mut watch = Watch::start(std::slice::from_ref(&file)).expect("watches");
        std::fs::write(dir.path().join("b.log"), "x").expect("writes");
        let quiet = tokio::time::timeout(SETTLE * 3, watch.changed()).await;
        assert!(quiet.is_err(), "another file was told");
        std::fs::write(dir.path().join("new"), "two").expect("writes");
        std::fs::rename(dir.path().join("new"), &file).expect("renames");
        tokio::time::timeout(Duration::from_secs(10), watch.changed())
            .await
            .expect("is told");
        let again = tokio::time::timeout(SETTLE * 3, watch.changed()).await;
        assert!(again.is_err(), "one change was told twice");
    }
}

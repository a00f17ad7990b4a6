//! Where files go that nobody knows: to `stray/`, each to a name of its own, and told.

use std::path::{Path, PathBuf};

use crate::LogError;
use crate::recovery::Scene;
use crate::sweep::make_dir;

/// Of 255 that a file system takes.
const STRAY_NAME_BYTES_MAX: usize = 240;

pub(crate) fn stray_noted(scene: &mut Scene<'_>, path: &Path) -> Result<(), LogError> {
    let to = stray(scene, path)?;
    let text = format!(
        "{}: not known to the log; moved to {}",
        path.display(),
        to.display()
    );
    scene.recovery.strays.push(text);
    Ok(())
}

/// Moves a file or directory out of the way, to a name of its own.
fn stray(scene: &Scene<'_>, path: &Path) -> Result<PathBuf, LogError> {
    let dir = scene.layout.dir.join("stray");
    make_dir(scene, &dir)?;
    let taken = scene
        .storage
        .list(&dir)
        .map_err(|error| LogError::io("list", &dir, error))?;
    let parts: Vec<_> = path
        .strip_prefix(&scene.layout.dir)
        .unwrap_or(path)
        .iter()
        .collect();
    let mut name = parts
        .iter()
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join("-");
    // The end tells more than the start, and the number behind it must fit too.
    let from = name.len().saturating_sub(STRAY_NAME_BYTES_MAX);
    let from = (from..=name.len()).find(|&at| name.is_char_boundary(at));
    name.drain(..from.unwrap_or(0));
    let free = (0..).map(|n| {
        if n == 0 {
            name.clone()
        } else {
            format!("{name}.{n}")
        }
    });
    let free = free
        .take(taken.len() + 1)
        .find(|name| taken.iter().all(|e| e.name != *name));
    let to = dir.join(free.unwrap_or(name));
    scene
        .storage
        .rename(path, &to)
        .map_err(|error| LogError::io("move", path, error))?;
    Ok(to)
}

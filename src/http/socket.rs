//! The worker's Unix socket in the data directory: where it is, binding it, reaching it.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use tokio::net::{UnixListener, UnixStream};

/// Its name in the data directory.
const NAME: &str = "towpath.sock";
/// The kernel takes 107 bytes; a longer path is reached through a handle of its directory.
const PATH_BYTES_MAX: usize = 100;

/// A bound socket; its file goes when this is dropped.
pub struct Socket {
    path: PathBuf,
    /// To be taken for serving.
    pub listener: Option<UnixListener>,
}

/// An address that is short enough, and the handle that keeps it so.
struct Address {
    path: PathBuf,
    _dir: Option<File>,
}

/// Binds the socket of `data_dir`, for its owner alone. The caller holds the log's lock, so that a
/// socket that is there already was left by a worker that died.
pub fn bind(data_dir: &Path) -> io::Result<Socket> {
    let path = data_dir.join(NAME);
    if path
        .symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket())
    {
        std::fs::remove_file(&path)?;
    }
    let address = address(data_dir)?;
    // A mode that is only set after binding would come too late for the group and others.
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let bound = UnixListener::bind(&address.path);
    rustix::process::umask(before);
    let socket = Socket {
        path,
        listener: Some(bound?),
    };
    std::fs::set_permissions(&socket.path, Permissions::from_mode(0o600))?;
    Ok(socket)
}

/// Connects to the worker of `data_dir`.
pub async fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    let address = address(data_dir)?;
    UnixStream::connect(&address.path).await
}

fn address(data_dir: &Path) -> io::Result<Address> {
    let path = data_dir.join(NAME);
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok(Address { path, _dir: None });
    }
    let dir = File::open(data_dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd()));
    Ok(Address {
        path,
        _dir: Some(dir),
    })
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Left behind it is only removed by the next worker.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(data_dir: &Path) {
        let socket = bind(data_dir).expect("binds");
        let mode = socket
            .path
            .symlink_metadata()
            .expect("is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        connect(data_dir).await.expect("connects");
        let path = socket.path.clone();
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_is_the_owners_alone_and_its_path_may_be_long() {
        let dir = tempfile::tempdir().expect("a directory");
        check(dir.path()).await;
        let long = dir.path().join("d".repeat(120)).join("e".repeat(120));
        std::fs::create_dir_all(&long).expect("a directory");
        check(&long).await;
    }

    #[tokio::test]
    async fn a_socket_left_by_a_dead_worker_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut dead = bind(dir.path()).expect("binds");
        dead.listener.take();
        assert!(dead.path.exists());
        assert!(connect(dir.path()).await.is_err());
        std::mem::forget(dead);
        check(dir.path()).await;
    }
}

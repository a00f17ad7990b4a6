//! MinIO, when `tests/run` has built it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::store::{ACCESS_KEY, SECRET_KEY};

/// Longest wait for the server to answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where `tests/run` puts the program.
pub fn program() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = root.join("target/minio/minio");
    program.exists().then_some(program)
}

/// A running server; killed when dropped.
pub struct Minio(Child);

impl Minio {
    /// Starts `program` over `folder` on `port`, and waits until it answers.
    pub fn start(program: &Path, folder: &Path, port: u16) -> Self {
        let child = Command::new(program)
            .args(["server", "--quiet", "--address"])
            .arg(format!("127.0.0.1:{port}"))
            .arg(folder)
            .env("MINIO_ROOT_USER", ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", SECRET_KEY)
            .env("MINIO_BROWSER", "off")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut minio = Self(child);
        let started = Instant::now();
        while !minio.is_ready(port) {
            assert!(started.elapsed() < DEADLINE, "MinIO does not answer");
            assert!(
                minio.0.try_wait().unwrap().is_none(),
                "MinIO has ended; is port {port} taken?"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        minio
    }

    /// Of its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    fn is_ready(&mut self, port: u16) -> bool {
        use std::io::{Read, Write};
        let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else {
            return false;
        };
        let asked = b"GET /minio/health/ready HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
        let mut status = [0; 12];
        socket.write_all(asked).is_ok()
            && socket.read_exact(&mut status).is_ok()
            && status.ends_with(b"200")
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

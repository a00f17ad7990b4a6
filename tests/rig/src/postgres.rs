//! A PostgreSQL server of a test's own, in a folder of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// In order: sessions are ended, what is in memory is written.
    Fast,
    /// As if it had crashed.
    Immediate,
}

/// A server that listens on 127.0.0.1, trusts everyone, and is stopped when dropped.
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    /// Where it listens.
    pub port: u16,
}

impl Cluster {
    /// A new server with `settings` besides `wal_level = logical`, running. `None` where no
    /// PostgreSQL is installed.
    pub fn start(settings: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let cluster = Self {
            programs: programs()?,
            folder,
            port,
        };
        if is_root() {
            let mut chown = Command::new("chown");
            let chown = chown.arg("postgres").arg(cluster.folder.path());
            assert!(
                chown.status().unwrap().success(),
                "there is no user postgres"
            );
        }
        let data = cluster.data();
        let initdb = ["--auth=trust", "--username=postgres", "--encoding=UTF8"];
        cluster.run(
            "initdb",
            &[&initdb[..], &["--locale=C.UTF-8", "--no-sync", "-D", &data]].concat(),
        );
        let all = format!(
            "wal_level = logical\nport = {port}\nlisten_addresses = '127.0.0.1'\n\
             unix_socket_directories = ''\nmax_wal_senders = 20\nmax_replication_slots = 20\n{settings}\n"
        );
        let path = cluster.folder.path().join("data/postgresql.conf");
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, before + &all).unwrap();
        cluster.go_on();
        Some(cluster)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").to_str().unwrap().to_owned()
    }

    /// Starts it again.
    pub fn go_on(&self) {
        let log = self.folder.path().join("data/server.log");
        self.run(
            "pg_ctl",
            &[
                "-D",
                &self.data(),
                "-w",
                "-l",
                log.to_str().unwrap(),
                "start",
            ],
        );
    }

    /// Stops it.
    pub fn stop(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-m", mode, "stop"]);
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements in a database; what they print, a row a line, its fields between `|`.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let psql = self.psql(database, statements);
        let told = String::from_utf8_lossy(&psql.stderr);
        assert!(psql.status.success(), "{statements}: {told}");
        String::from_utf8(psql.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Begins to run statements in a database, whatever comes of it.
    pub fn begin(&self, database: &str, statements: &str) -> Child {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-c", statements])
            .arg(self.url(database));
        psql.stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Like [`Cluster::sql`], whatever comes of it.
    pub fn psql(&self, database: &str, statements: &str) -> Output {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statements,
        ]);
        psql.arg(self.url(database)).output().unwrap()
    }

    /// Runs one of PostgreSQL's programs, as another user where that is root.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
                command.arg(program);
                command
            }
            false => Command::new(program),
        };
        // A server that is left running must not hold the test's own output open.
        let output = self.folder.path().join("output");
        let file = std::fs::File::create(&output).unwrap();
        command
            .args(arguments)
            .current_dir("/")
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let status = command.status().unwrap();
        let told = std::fs::read_to_string(&output).unwrap();
        assert!(status.success(), "{command:?}: {told}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        if data.join("postmaster.pid").exists() {
            self.stop(Stop::Immediate);
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The folder of the newest server that is installed, as Debian has them.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    found.sort();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .find(|folder: &PathBuf| Path::new(folder).join("initdb").exists())
    };
    found.pop().map(|(_, path)| path).or_else(on_path)
}

//! A directory of its own for each test: pipelines, inputs, outputs and the data directory are in
//! it, and every command runs in it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::Worker;

/// The directory; removed at the end unless the test fails.
pub struct Workdir {
    dir: Option<TempDir>,
    /// Commands run without root's right to read and write everything.
    as_nobody: bool,
    /// What commands find in their environment besides what the tests do.
    env: Vec<(String, String)>,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Finished {
    pub stdout: String,
    pub stderr: String,
    /// The exit code, or minus the signal.
    pub code: i32,
}

impl Workdir {
    pub fn new() -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// A workdir whose commands run as a user whom file permissions bind: the one who runs the
    /// tests, or nobody when that is root. What `write` puts there, that user may read.
    pub fn for_nobody() -> Self {
        let mut workdir = Self::below(&std::env::temp_dir());
        workdir.as_nobody = true;
        // The target directory may be where nobody may not go.
        fs::copy(env!("CARGO_BIN_EXE_towpath"), workdir.path("towpath")).unwrap();
        fs::set_permissions(workdir.root(), fs::Permissions::from_mode(0o777)).unwrap();
        workdir
    }

    fn below(parent: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("towpath-")
            .tempdir_in(parent)
            .unwrap();
        let workdir = Self {
            dir: Some(dir),
            as_nobody: false,
            env: Vec::new(),
        };
        // Tests run side by side: each worker takes a free port.
        workdir.write("towpath.yaml", "admin: { listen: \"127.0.0.1:0\" }\n");
        workdir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir
            .as_ref()
            .expect("it lives as long as the workdir")
            .path()
            .join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.path("")
    }

    /// Writes a file, with the directories it needs.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a directory")).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Every path in the workdir, sorted: to show that a command created nothing.
    pub fn listing(&self) -> Vec<String> {
        let root = self.root();
        let mut found = Vec::new();
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(&root).unwrap().display().to_string());
                if path.is_dir() && !path.is_symlink() {
                    directories.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// The program with `args`, in this directory, with an environment that is the same everywhere.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = match (self.as_nobody, is_root()) {
            (false, _) => Command::new(env!("CARGO_BIN_EXE_towpath")),
            (true, false) => Command::new("./towpath"),
            (true, true) => {
                let mut setpriv = Command::new("setpriv");
                setpriv.args([
                    "--reuid=65534",
                    "--regid=65534",
                    "--clear-groups",
                    "./towpath",
                ]);
                setpriv
            }
        };
        command.args(args).current_dir(self.root());
        prepare(&mut command);
        command.envs(self.env.iter().cloned());
        command
    }

    /// Commands find `value` in their environment from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Runs a command to its end.
    pub fn towpath(&self, args: &[&str]) -> Finished {
        self.towpath_with_input(args, "")
    }

    pub fn towpath_with_input(&self, args: &[&str], input: impl AsRef<[u8]>) -> Finished {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        finish(command, input.as_ref())
    }

    /// Starts a worker in the background: `towpath run ARGS...`.
    pub fn start(&self, args: &[&str]) -> Worker {
        let mut all = vec!["run"];
        all.extend(args);
        Worker::start(self.command(&all), self.root())
    }

    /// The `data` of a command with `--json`, which must succeed.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = args.to_vec();
        all.push("--json");
        let finished = self.towpath(&all).expect_code(0);
        let mut answer: serde_json::Value = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("{args:?} --json: {error}\n{}", finished.stdout));
        assert_eq!(answer["ok"], true, "{args:?}: {answer}");
        answer["data"].take()
    }

    /// Runs the pipeline file to the end of what is there; must exit with `code`.
    #[track_caller]
    pub fn drain(&self, pipeline: &str, code: i32) -> Finished {
        self.towpath(&["run", "--drain", pipeline])
            .expect_code(code)
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            println!("kept for you to look at: {}", dir.keep().display());
        }
    }
}

impl Finished {
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Standard error must hold each of `texts`.
    #[track_caller]
    pub fn expect_stderr(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "no {text:?} in stderr:\n{}",
                self.stderr
            );
        }
        self
    }
}

pub(super) fn prepare(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if ["TOWPATH", "AWS_"]
            .iter()
            .any(|whose| name_text.starts_with(whose))
        {
            command.env_remove(name);
        }
    }
    command
        .env_remove("RUST_LOG")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// Runs `command` with `input` on its standard input.
pub(super) fn finish(mut command: Command, input: &[u8]) -> Finished {
    use std::os::unix::process::ExitStatusExt;
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A command that does not read its input closes the pipe: not this test's concern.
            stdin.as_mut().map(|stdin| stdin.write_all(input))
        });
        child.wait_with_output().unwrap()
    });
    let status = output.status;
    Finished {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: status
            .code()
            .or(status.signal().map(|signal| -signal))
            .expect("code or signal"),
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says that the calling test cannot run here, so that `tests/run` counts it as skipped.
pub fn skip(test: &str, why: &str) {
    println!("SKIPPED {test}: {why}");
    if let Some(list) = std::env::var_os("TOWPATH_SKIPPED") {
        let mut list = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(list)
            .unwrap();
        writeln!(list, "{test}: {why}").unwrap();
    }
}

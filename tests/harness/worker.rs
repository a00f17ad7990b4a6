//! A running worker.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};

use super::wait_for;

/// `towpath run` in the background. Killed when dropped.
pub struct Worker {
    child: Child,
    stderr: PathBuf,
}

impl Worker {
    /// Starts `command`; its output goes to files in `directory`, so that no pipe can fill up.
    pub fn start(mut command: Command, directory: PathBuf) -> Self {
        let stderr = directory.join("worker.stderr");
        let append = |path| {
            fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .unwrap()
        };
        command
            .stdout(append(&directory.join("worker.stdout")))
            .stderr(append(&stderr));
        Self {
            child: command.spawn().unwrap(),
            stderr,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What all workers of this directory have written to standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap()).into_owned()
    }

    /// Waits until standard error holds `text`.
    #[track_caller]
    pub fn wait_for_stderr(&mut self, text: &str) {
        wait_for(&format!("{text:?} on stderr"), || {
            let stderr = self.stderr();
            if stderr.contains(text) {
                return Some(());
            }
            if let Some(status) = self.exited() {
                panic!("the worker ended ({status}) without saying {text:?}:\n{stderr}");
            }
            None
        });
    }

    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a child has a pid");
        kill_process(pid, signal).unwrap();
    }

    /// kill -9, which must find the worker alive.
    #[track_caller]
    pub fn kill_9(mut self) {
        if let Some(status) = self.exited() {
            panic!("the worker ended by itself ({status}):\n{}", self.stderr());
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end; gives the exit code, or minus the signal.
    #[track_caller]
    pub fn wait(mut self) -> i32 {
        let status = wait_for("the worker's end", || self.exited());
        status
            .code()
            .or(status.signal().map(|signal| -signal))
            .expect("code or signal")
    }

    /// SIGTERM, and the orderly end that must follow.
    #[track_caller]
    pub fn stop(self) {
        self.signal(Signal::TERM);
        let stderr = self.stderr.clone();
        let code = self.wait();
        assert_eq!(
            code,
            0,
            "{}",
            String::from_utf8_lossy(&fs::read(stderr).unwrap())
        );
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

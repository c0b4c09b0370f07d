//! The command while it runs, and its result.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

/// How long a command may take: far more than any needs on a busy machine.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(180);

/// A file for the output of a process.
fn log_file() -> (NamedTempFile, Stdio) {
    let file = NamedTempFile::new().expect("a file");
    let handle = File::options().append(true).open(file.path()).expect("opens").into();
    (file, handle)
}

fn text(file: &NamedTempFile) -> String {
    String::from_utf8_lossy(&std::fs::read(file.path()).expect("readable")).into_owned()
}

/// The running command; it is killed on drop.
pub(crate) struct Running {
    child: Child,
    out: Option<NamedTempFile>,
    err: NamedTempFile,
    command: String,
    name_suffix: String,
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct Done {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Running {
    pub(super) fn spawn(command: Command, name_suffix: &str) -> Running {
        let (out, handle) = log_file();
        Running::with_stdout(command, handle, Some(out), name_suffix)
    }

    pub(super) fn spawn_unread(command: Command, name_suffix: &str) -> Running {
        Running::with_stdout(command, Stdio::piped(), None, name_suffix)
    }

    fn with_stdout(mut command: Command, stdout: Stdio, out: Option<NamedTempFile>, name_suffix: &str) -> Running {
        let (err, stderr) = log_file();
        let child = command.stdout(stdout).stderr(stderr).spawn().expect("starts");
        Running { child, out, err, command: format!("{command:?}"), name_suffix: name_suffix.to_owned() }
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // A child keeps its process id until it is waited for, so the signal cannot hit another process.
        kill_process(Pid::from_child(&self.child), signal).expect("a child can be signalled");
    }

    /// Closes the pipe of its standard output.
    pub(crate) fn stop_reading(&mut self) {
        drop(self.child.stdout.take());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Its standard error so far.
    pub(crate) fn err(&self) -> String {
        text(&self.err).replace(&self.name_suffix, "")
    }

    /// Waits until its standard error contains `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        self.wait_until(text, |err| err.contains(text));
    }

    /// Waits until `holds`, which is given the standard error; the command must not end before.
    pub(crate) fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&str) -> bool) {
        let began = Instant::now();
        loop {
            let running = self.is_running();
            let err = self.err();
            if holds(&err) {
                return;
            }
            assert!(running, "`{}` ended before {what}:\n{err}", self.command);
            assert!(began.elapsed() < COMMAND_TIMEOUT, "`{}` does not come to {what}:\n{err}", self.command);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait(mut self) -> Done {
        let began = Instant::now();
        while self.is_running() {
            assert!(began.elapsed() < COMMAND_TIMEOUT, "`{}` does not end:\n{}", self.command, self.err());
            std::thread::sleep(Duration::from_millis(10));
        }
        let code = self.child.wait().expect("a child").code();
        let out = self.out.as_ref().map(text).unwrap_or_default().replace(&self.name_suffix, "");
        Done { code, out, err: self.err() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Done {
    /// Asserts the exit code and parts of the standard error.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, parts: &[&str]) -> Done {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in\n{}", self.err);
        }
        self
    }

    /// The lines that are no log: summaries and errors.
    pub(crate) fn report(&self) -> Vec<&str> {
        let is_log = |line: &&str| line.get(..4).is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()));
        self.err.lines().filter(|line| !is_log(line)).collect()
    }
}

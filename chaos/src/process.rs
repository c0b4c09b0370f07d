//! Child processes: they are signalled by their process id, and killed when this program ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a process that is waited for is polled.
const EXIT_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How many of the last log lines are shown.
const TAIL_LINES_MAX: usize = 12;

/// A process whose output goes to a file.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a process whose output goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Process> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let second = file.try_clone().context("a second handle of a log")?;
        command.stdin(Stdio::null()).stdout(file).stderr(second);
        let child = command.spawn().with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Process { child, log: log.to_owned() })
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The output so far.
    pub(crate) fn text(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines of the output.
    pub(crate) fn tail(&self) -> String {
        tail(&self.text())
    }

    /// Sends a signal. A child keeps its process id until it is waited for, so the signal cannot hit another process.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_none() {
            kill_process(Pid::from_child(&self.child), signal).context("a child cannot be signalled")?;
        }
        Ok(())
    }

    /// The exit status, if the process has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("a child cannot be waited for")
    }

    /// Waits for the exit status; `None` after `at_most`.
    pub(crate) fn wait(&mut self, at_most: Duration) -> Result<Option<ExitStatus>> {
        let until = Instant::now() + at_most;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() >= until {
                return Ok(ended);
            }
            std::thread::sleep(EXIT_POLL_INTERVAL);
        }
    }

    /// Kills the process and waits for its end.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait().context("a child cannot be waited for")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error can be reported to nobody here.
        let _ = self.kill();
    }
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES_MAX)..].iter().map(|line| format!("    | {line}\n")).collect()
}

/// Runs a command to its end and returns its output.
///
/// # Errors
/// Where it fails, or does not end within `at_most`.
pub(crate) fn run(command: Command, log: &Path, at_most: Duration) -> Result<String> {
    let name = format!("{command:?}");
    let mut process = Process::start(command, log)?;
    match process.wait(at_most)? {
        Some(status) if status.success() => Ok(process.text()),
        Some(status) => bail!("{name} ended with {status}:\n{}", process.tail()),
        None => bail!("{name} did not end within {} s:\n{}", at_most.as_secs(), process.tail()),
    }
}

//! Processes of aqpipe: started here, signalled by their number, ended with this one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a process is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(5);
/// How many of its last lines say why a process ended.
const TAIL: usize = 12;

/// A process whose output goes to a file.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it says goes to `log`.
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

    /// What it said so far.
    pub(crate) fn text(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines of what it said.
    pub(crate) fn tail(&self) -> String {
        tail(&self.text())
    }

    /// Sends a signal. A child that nobody waited for keeps its number, so that this is no other process.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_none() {
            kill_process(Pid::from_child(&self.child), signal).context("a child cannot be signalled")?;
        }
        Ok(())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("a child cannot be waited for")
    }

    /// Waits for its end; `None` where that does not come in time.
    pub(crate) fn wait(&mut self, at_most: Duration) -> Result<Option<ExitStatus>> {
        let until = Instant::now() + at_most;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() >= until {
                return Ok(ended);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait().context("a child cannot be waited for")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to tell.
        let _ = self.kill();
    }
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| format!("    | {line}\n")).collect()
}

/// Runs a command to its end, which has to be a good one.
pub(crate) fn run(command: Command, log: &Path, at_most: Duration) -> Result<String> {
    let name = format!("{command:?}");
    let mut process = Process::start(command, log)?;
    match process.wait(at_most)? {
        Some(status) if status.success() => Ok(process.text()),
        Some(status) => bail!("{name} ended with {status}:\n{}", process.tail()),
        None => bail!("{name} did not end within {} s:\n{}", at_most.as_secs(), process.tail()),
    }
}

//! The processes that run the pipeline, one or two at a time, and the checks of how they end and what they log.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use crate::faults::{PathSpelling, Placement, Termination};
use crate::pipeline;
use crate::printer;
use crate::process::{self, Process};
use crate::verify::assignment::{self, Moves};
use crate::verify::{ViolationKind, Violations};

/// How long a process may take to end after SIGTERM: aqpipe itself takes up to half a minute to drain and commit.
const TERMINATION_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a start that has to be refused may take.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often that start is polled for its end.
const REFUSAL_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The error of a refused start.
const ALREADY_RUNNING_MESSAGE: &str = "is running already";

/// How many times a completed pipeline is started again; all starts but the first and the last are killed.
const COMPLETED_STARTS: u32 = 6;
/// The first of these is killed after this delay, the second after twice the delay, and so on.
const COMPLETED_KILL_DELAY: Duration = Duration::from_millis(70);
/// The input file after it was renamed.
const RENAMED_INPUT_FILE: &str = "moved.csv";
/// A symbolic link to the directory of the input.
const INPUT_DIR_LINK: &str = "link";
/// The state directory of an instance on "another machine".
const OTHER_HOST_STATE_DIR: &str = "state_dir=far";

/// Log messages that are a violation.
const FORBIDDEN_MESSAGES: [&str; 3] = ["panicked at", "mistake in aqpipe", "delivery at_least_once"];
/// The error of a process that was fenced by another one, which is legitimate: it is started again.
const FENCED_MESSAGE: &str = "another process decides commits as";

/// The processes of one pipeline.
pub(crate) struct Workers {
    pub(crate) aqpipe: PathBuf,
    /// Their working directory, with their logs.
    pub(crate) dir: PathBuf,
    pub(crate) violations: Arc<Violations>,
    /// Whether the source never ends.
    pub(crate) unbounded: bool,
    /// The override that paces a bounded source, so that it does not end before the rounds do.
    pub(crate) pace: Option<String>,
    pub(crate) running: Vec<Worker>,
    /// How many processes were started so far.
    pub(crate) started: u32,
    /// How many of them were started because another one was fenced.
    pub(crate) fenced: u32,
    /// How the path of an input file is spelt now.
    pub(crate) spelling: PathSpelling,
    /// Whether the input file was renamed.
    pub(crate) renamed: bool,
    /// Whether a run completed.
    pub(crate) done: bool,
    /// What cooperative assignment kept and moved; `None` where it is eager.
    pub(crate) moves: Option<Moves>,
}

/// One process.
pub(crate) struct Worker {
    pub(crate) placement: Placement,
    pub(crate) process: Process,
}

impl Workers {
    fn command(&self, placement: Placement, args: &[&str]) -> Command {
        let mut command = Command::new(&self.aqpipe);
        command.args(["run", pipeline::PIPELINE_FILE]).args(args).current_dir(&self.dir);
        if placement == Placement::OtherHost {
            command.args(["--set", "instance=far", "--set", OTHER_HOST_STATE_DIR]);
        }
        if !self.unbounded && self.spelling != PathSpelling::Plain {
            command.args(["--set", &format!("source.path={}", self.input())]);
        }
        command.env("RUST_BACKTRACE", "1").env_remove("KAFKA_BROKERS");
        command
    }

    fn launch(&mut self, placement: Placement, args: &[&str]) -> Result<Process> {
        self.started += 1;
        let log = self.dir.join(format!("logs/{:03}.log", self.started));
        Process::start(self.command(placement, args), &log)
    }

    fn launch_paced(&mut self, placement: Placement) -> Result<Process> {
        let pace: Vec<String> = self.pace.iter().flat_map(|pace| ["--set".to_owned(), pace.clone()]).collect();
        self.launch(placement, &pace.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts one more process; at most one of them is on "another machine".
    pub(crate) fn join(&mut self, placement: Placement) -> Result<()> {
        let taken = self.running.iter().any(|worker| worker.placement == Placement::OtherHost);
        let placement = if taken { Placement::SameHost } else { placement };
        let process = self.launch_paced(placement)?;
        self.running.push(Worker { placement, process });
        Ok(())
    }

    /// The path of the input as it is spelt now.
    fn input(&self) -> String {
        let name = if self.renamed { RENAMED_INPUT_FILE } else { pipeline::INPUT_FILE };
        match self.spelling {
            PathSpelling::Plain | PathSpelling::Renamed => name.to_owned(),
            PathSpelling::Dotted => format!("./{name}"),
            PathSpelling::Absolute => self.dir.join(name).display().to_string(),
            PathSpelling::Glob => format!("{}*.csv", &name[..2]),
            PathSpelling::Linked => format!("{INPUT_DIR_LINK}/{name}"),
        }
    }

    /// Ends the first process, and gives the input another path for the next one.
    pub(crate) fn respell_input(&mut self, spelling: PathSpelling, how: Termination) -> Result<()> {
        self.terminate(0, how)?;
        match spelling {
            PathSpelling::Renamed if !self.renamed => {
                std::fs::rename(self.dir.join(pipeline::INPUT_FILE), self.dir.join(RENAMED_INPUT_FILE))
                    .context("cannot rename the input")?;
                self.renamed = true;
            }
            PathSpelling::Linked if !self.dir.join(INPUT_DIR_LINK).exists() => {
                std::os::unix::fs::symlink(".", self.dir.join(INPUT_DIR_LINK))
                    .context("cannot link the input's directory")?;
            }
            _ => {}
        }
        self.spelling = spelling;
        Ok(())
    }

    /// Kills all processes and removes their state directories.
    pub(crate) fn lose_state(&mut self) -> Result<()> {
        self.check_exited()?;
        let placements: Vec<Placement> = self.running.iter().map(|worker| worker.placement).collect();
        while !self.running.is_empty() {
            self.terminate(0, Termination::Kill)?;
        }
        for placement in placements {
            let state = self.dir.join(if placement == Placement::OtherHost { "far" } else { ".aqpipe" });
            if state.exists() {
                std::fs::remove_dir_all(&state).context("cannot remove a state directory")?;
            }
        }
        Ok(())
    }

    /// Starts a process where none runs and the pipeline has not completed.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        self.check_exited()?;
        if self.running.is_empty() && !self.done { self.join(Placement::SameHost) } else { Ok(()) }
    }

    /// Handles the processes that ended by themselves.
    pub(crate) fn check_exited(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.running.len() {
            match self.running[at].process.ended()? {
                None => at += 1,
                Some(status) => {
                    let worker = self.running.remove(at);
                    self.ended(worker, status)?;
                }
            }
        }
        Ok(())
    }

    fn ended(&mut self, worker: Worker, status: ExitStatus) -> Result<()> {
        let Worker { placement, process } = worker;
        self.check_log(&process);
        if status.success() && !self.unbounded {
            self.done = true;
            return Ok(());
        }
        let text = process.text();
        if text.contains(FENCED_MESSAGE) {
            self.fenced += 1;
            printer::say(&format!("  fenced, as {} says: started again", process.log().display()));
            return self.join(placement);
        }
        let log = process.log().display();
        self.violations
            .add(ViolationKind::Conduct, format!("a run ended by itself with {status}, {log}:\n{}", process.tail()));
        Ok(())
    }

    /// Adds a violation for each forbidden message in a log.
    fn check_log(&self, process: &Process) {
        let text = process.text();
        for line in text.lines().filter(|line| FORBIDDEN_MESSAGES.iter().any(|forbidden| line.contains(forbidden))) {
            self.violations.add(ViolationKind::Conduct, format!("{}: {line}", process.log().display()));
        }
    }

    /// Adds a violation where a member of a group gave back partitions that were to stay.
    fn check_moves(&mut self, process: &Process) {
        let Some(all) = &mut self.moves else { return };
        match assignment::moves(&process.text()) {
            Ok(moves) => all.add(moves),
            Err(line) => self.violations.add(
                ViolationKind::Conduct,
                format!("{}: a member kept no partition though none had to move: {line}", process.log().display()),
            ),
        }
    }

    /// Ends one process.
    pub(crate) fn terminate(&mut self, at: usize, how: Termination) -> Result<()> {
        self.check_exited()?;
        if at >= self.running.len() {
            return Ok(());
        }
        let mut process = self.running.remove(at).process;
        // Before a stop gives all of them back.
        self.check_moves(&process);
        match how {
            Termination::Kill => process.kill()?,
            Termination::Terminate => {
                process.signal(Signal::TERM)?;
                self.expect_end(&mut process, TERMINATION_TIMEOUT, "after SIGTERM")?;
            }
        }
        self.check_log(&process);
        Ok(())
    }

    fn expect_end(&self, process: &mut Process, at_most: Duration, when: &str) -> Result<()> {
        let problem = match process.wait(at_most)? {
            Some(status) if status.success() => return Ok(()),
            // It had not installed its signal handler yet, and had done nothing.
            Some(status) if status.signal() == Some(Signal::TERM.as_raw()) && process.text().is_empty() => {
                return Ok(());
            }
            Some(status) => format!("a run ended with {status} {when}"),
            None => format!("a run did not end within {} s {when}", at_most.as_secs()),
        };
        let log = process.log().display();
        self.violations.add(ViolationKind::Conduct, format!("{problem}, {log}:\n{}", process.tail()));
        process.kill()
    }

    /// Suspends or resumes one process.
    pub(crate) fn signal(&mut self, at: usize, signal: Signal) -> Result<()> {
        self.running.get_mut(at).map_or(Ok(()), |worker| worker.process.signal(signal))
    }

    /// Starts a second process of a pipeline that allows one, and expects that it is refused.
    pub(crate) fn expect_refused_start(&mut self) -> Result<()> {
        let mut second = self.launch_paced(Placement::SameHost)?;
        let until = Instant::now() + REFUSAL_TIMEOUT;
        let ended = loop {
            let ended = second.ended()?;
            if ended.is_some() || Instant::now() > until {
                break ended;
            }
            // A first process that had only just started may be the one that is refused.
            if let Some(first) = self.running.first_mut()
                && first.process.ended()?.is_some_and(|status| !status.success())
                && first.process.text().contains(ALREADY_RUNNING_MESSAGE)
            {
                let first = std::mem::replace(&mut first.process, second);
                self.check_log(&first);
                return Ok(());
            }
            std::thread::sleep(REFUSAL_POLL_INTERVAL);
        };
        self.check_exited()?;
        if self.running.is_empty() {
            // The first process had completed: the second start was legitimate.
            return Ok(());
        }
        let refused = ended.is_some_and(|status| !status.success()) && second.text().contains(ALREADY_RUNNING_MESSAGE);
        if !refused {
            let tail = second.tail();
            self.violations.add(ViolationKind::Conduct, format!("a second start was not refused ({ended:?}):\n{tail}"));
        }
        Ok(())
    }

    /// Ends all processes by SIGTERM.
    pub(crate) fn terminate_all(&mut self) -> Result<()> {
        while !self.running.is_empty() {
            self.terminate(0, Termination::Terminate)?;
        }
        Ok(())
    }

    /// Runs the pipeline to its end, in one process that also recovers what others left. Then starts it again several
    /// times, as a supervisor does, and kills most of these runs: none of them may write anything.
    pub(crate) fn complete(&mut self, at_most: Duration) -> Result<()> {
        self.terminate_all()?;
        let args: &[&str] = if self.unbounded { &["--until-end"] } else { &[] };
        for start in 0..COMPLETED_STARTS {
            let mut process = self.launch(Placement::SameHost, args)?;
            if (1..COMPLETED_STARTS - 1).contains(&start) {
                std::thread::sleep(COMPLETED_KILL_DELAY * start);
                process.kill()?;
            } else {
                self.expect_end(&mut process, at_most, "when all the rest was to be carried")?;
            }
            self.check_log(&process);
        }
        Ok(())
    }

    /// Starts a process that has to refuse the topic that stands in place of its input.
    pub(crate) fn expect_refused_input(&mut self, says: &str, at_most: Duration) -> Result<()> {
        let mut process = self.launch(Placement::SameHost, &["--until-end"])?;
        let ended = process.wait(at_most)?;
        let text = process.text();
        self.check_log(&process);
        if ended.is_none_or(|status| status.success()) || !text.contains(says) {
            let tail = process.tail();
            self.violations.add(ViolationKind::Conduct, format!("another input was not refused ({ended:?}):\n{tail}"));
            process.kill()?;
        }
        Ok(())
    }

    /// The last lines of the logs of the last two processes.
    pub(crate) fn log_tails(&self) -> String {
        let log = |number: u32| {
            let path = self.dir.join(format!("logs/{number:03}.log"));
            let text = std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            format!("  {}\n{}", path.display(), process::tail(&text.unwrap_or_default()))
        };
        (self.started.saturating_sub(2).max(1)..=self.started).map(log).collect()
    }

    /// The delivery that the processes logged; the weakest one, where they differ.
    pub(crate) fn delivery(&self) -> &'static str {
        let said = |promise: &&str| {
            let log = |number: u32| std::fs::read(self.dir.join(format!("logs/{number:03}.log"))).unwrap_or_default();
            (1..=self.started).any(|number| String::from_utf8_lossy(&log(number)).contains(*promise))
        };
        ["at_least_once", "exactly_once"].into_iter().find(said).unwrap_or("delivery unknown")
    }
}

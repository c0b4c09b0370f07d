//! The processes that run the pipeline: one, at times two; and what they must never do.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use crate::acts::{Home, Leave, Spelling};
use crate::pipeline;
use crate::printer;
use crate::process::{self, Process};
use crate::verify::{Kind, Violations};

/// How long a process may take to drain, commit and leave: aqpipe itself allows half a minute.
const LEAVE: Duration = Duration::from_secs(45);
/// How long a start that is to be refused may take.
const REFUSE: Duration = Duration::from_secs(30);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// What says that it was.
const RUNS_ALREADY: &str = "is running already";

/// How often a completed pipeline is started again, all but the first and the last time killed.
const AGAIN: u32 = 6;
/// The first of those is killed after so long, the second after twice that, and so on.
const KILLED_AFTER: Duration = Duration::from_millis(70);
/// The second name of the input, and a link to the directory that it is in.
const MOVED: &str = "moved.csv";
const LINK: &str = "link";
/// Where an instance as on another machine keeps its state.
const FAR_STATE: &str = "state_dir=far";

/// What no process may ever say.
const NEVER: [&str; 3] = ["panicked at", "mistake in aqpipe", "delivery at_least_once"];
/// What a process may end with by itself, to be started again.
const FENCED: &str = "another process decides commits as";

/// The processes of one pipeline.
pub(crate) struct Crew {
    pub(crate) aqpipe: PathBuf,
    /// Where they run, and where their logs are kept.
    pub(crate) dir: PathBuf,
    pub(crate) violations: Arc<Violations>,
    /// Whether they go on for ever.
    pub(crate) endless: bool,
    /// What keeps them from being done before the rounds are.
    pub(crate) pace: Option<String>,
    pub(crate) members: Vec<Member>,
    /// How many were ever started.
    pub(crate) started: u32,
    /// How many were started again because others had taken their place.
    pub(crate) fenced: u32,
    /// How the path of the input is spelt by now, where that is a file.
    pub(crate) spelling: Spelling,
    /// Whether the input has its second name by now.
    pub(crate) renamed: bool,
    /// Whether everything has been carried.
    pub(crate) done: bool,
}

/// One process.
pub(crate) struct Member {
    pub(crate) home: Home,
    pub(crate) process: Process,
}

impl Crew {
    fn command(&self, home: Home, args: &[&str]) -> Command {
        let mut command = Command::new(&self.aqpipe);
        command.args(["run", pipeline::FILE]).args(args).current_dir(&self.dir);
        if home == Home::Far {
            command.args(["--set", "instance=far", "--set", FAR_STATE]);
        }
        if !self.endless && self.spelling != Spelling::Plain {
            command.args(["--set", &format!("source.path={}", self.input())]);
        }
        command.env("RUST_BACKTRACE", "1").env_remove("KAFKA_BROKERS");
        command
    }

    fn launch(&mut self, home: Home, args: &[&str]) -> Result<Process> {
        self.started += 1;
        let log = self.dir.join(format!("logs/{:03}.log", self.started));
        Process::start(self.command(home, args), &log)
    }

    fn launch_paced(&mut self, home: Home) -> Result<Process> {
        let pace: Vec<String> = self.pace.iter().flat_map(|pace| ["--set".to_owned(), pace.clone()]).collect();
        self.launch(home, &pace.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts one more; as on another machine only where none is there yet.
    pub(crate) fn join(&mut self, home: Home) -> Result<()> {
        let taken = self.members.iter().any(|member| member.home == Home::Far);
        let home = if taken { Home::Near } else { home };
        let process = self.launch_paced(home)?;
        self.members.push(Member { home, process });
        Ok(())
    }

    /// The path of the input, as it is spelt by now.
    fn input(&self) -> String {
        let name = if self.renamed { MOVED } else { pipeline::INPUT };
        match self.spelling {
            Spelling::Plain | Spelling::Renamed => name.to_owned(),
            Spelling::Dotted => format!("./{name}"),
            Spelling::Absolute => self.dir.join(name).display().to_string(),
            Spelling::Glob => format!("{}*.csv", &name[..2]),
            Spelling::Linked => format!("{LINK}/{name}"),
        }
    }

    /// Lets all go, and has the next one find the input by another path.
    pub(crate) fn respell(&mut self, spelling: Spelling, how: Leave) -> Result<()> {
        self.leave(0, how)?;
        match spelling {
            Spelling::Renamed if !self.renamed => {
                std::fs::rename(self.dir.join(pipeline::INPUT), self.dir.join(MOVED))
                    .context("cannot rename the input")?;
                self.renamed = true;
            }
            Spelling::Linked if !self.dir.join(LINK).exists() => {
                std::os::unix::fs::symlink(".", self.dir.join(LINK)).context("cannot link the input's directory")?;
            }
            _ => {}
        }
        self.spelling = spelling;
        Ok(())
    }

    /// Kills all, and takes their state directories away.
    pub(crate) fn lose_state(&mut self) -> Result<()> {
        self.look_after()?;
        let homes: Vec<Home> = self.members.iter().map(|member| member.home).collect();
        while !self.members.is_empty() {
            self.leave(0, Leave::Killed)?;
        }
        for home in homes {
            let state = self.dir.join(if home == Home::Far { "far" } else { ".aqpipe" });
            if state.exists() {
                std::fs::remove_dir_all(&state).context("cannot remove a state directory")?;
            }
        }
        Ok(())
    }

    /// Makes sure that one is at work, or everything is done.
    pub(crate) fn at_work(&mut self) -> Result<()> {
        self.look_after()?;
        if self.members.is_empty() && !self.done { self.join(Home::Near) } else { Ok(()) }
    }

    /// Looks whether any has ended by itself.
    pub(crate) fn look_after(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.members.len() {
            match self.members[at].process.ended()? {
                None => at += 1,
                Some(status) => {
                    let member = self.members.remove(at);
                    self.ended(member, status)?;
                }
            }
        }
        Ok(())
    }

    fn ended(&mut self, member: Member, status: ExitStatus) -> Result<()> {
        let Member { home, process } = member;
        self.inspect(&process);
        if status.success() && !self.endless {
            self.done = true;
            return Ok(());
        }
        let text = process.text();
        if text.contains(FENCED) {
            self.fenced += 1;
            printer::say(&format!("  fenced, as {} says: started again", process.log().display()));
            return self.join(home);
        }
        let log = process.log().display();
        self.violations.add(Kind::Conduct, format!("a run ended by itself with {status}, {log}:\n{}", process.tail()));
        Ok(())
    }

    /// Looks for what no process may say.
    fn inspect(&self, process: &Process) {
        let text = process.text();
        for line in text.lines().filter(|line| NEVER.iter().any(|never| line.contains(never))) {
            self.violations.add(Kind::Conduct, format!("{}: {line}", process.log().display()));
        }
    }

    /// Lets one go.
    pub(crate) fn leave(&mut self, at: usize, how: Leave) -> Result<()> {
        self.look_after()?;
        if at >= self.members.len() {
            return Ok(());
        }
        let mut process = self.members.remove(at).process;
        match how {
            Leave::Killed => process.kill()?,
            Leave::Asked => {
                process.signal(Signal::TERM)?;
                self.expect_end(&mut process, LEAVE, "after SIGTERM")?;
            }
        }
        self.inspect(&process);
        Ok(())
    }

    fn expect_end(&self, process: &mut Process, at_most: Duration, when: &str) -> Result<()> {
        let problem = match process.wait(at_most)? {
            Some(status) if status.success() => return Ok(()),
            // It did not listen yet, and had done nothing.
            Some(status) if status.signal() == Some(Signal::TERM.as_raw()) && process.text().is_empty() => {
                return Ok(());
            }
            Some(status) => format!("a run ended with {status} {when}"),
            None => format!("a run did not end within {} s {when}", at_most.as_secs()),
        };
        let log = process.log().display();
        self.violations.add(Kind::Conduct, format!("{problem}, {log}:\n{}", process.tail()));
        process.kill()
    }

    /// Stops one, or lets it go on.
    pub(crate) fn signal(&mut self, at: usize, signal: Signal) -> Result<()> {
        self.members.get_mut(at).map_or(Ok(()), |member| member.process.signal(signal))
    }

    /// Starts a second one of a pipeline that has one alone.
    pub(crate) fn be_refused(&mut self) -> Result<()> {
        let mut second = self.launch_paced(Home::Near)?;
        let until = Instant::now() + REFUSE;
        let ended = loop {
            let ended = second.ended()?;
            if ended.is_some() || Instant::now() > until {
                break ended;
            }
            // The first one may have been so new that the second one came before it.
            if let Some(first) = self.members.first_mut()
                && first.process.ended()?.is_some_and(|status| !status.success())
                && first.process.text().contains(RUNS_ALREADY)
            {
                let first = std::mem::replace(&mut first.process, second);
                self.inspect(&first);
                return Ok(());
            }
            std::thread::sleep(LOOK);
        };
        self.look_after()?;
        if self.members.is_empty() {
            // The first one was done before: there was nobody to refuse the second for.
            return Ok(());
        }
        let refused = ended.is_some_and(|status| !status.success()) && second.text().contains(RUNS_ALREADY);
        if !refused {
            let tail = second.tail();
            self.violations.add(Kind::Conduct, format!("a second start was not refused ({ended:?}):\n{tail}"));
        }
        Ok(())
    }

    /// Asks all to leave.
    pub(crate) fn disband(&mut self) -> Result<()> {
        while !self.members.is_empty() {
            self.leave(0, Leave::Asked)?;
        }
        Ok(())
    }

    /// Carries all the rest, to its end; whatever others left is this one's to finish. Then it is started again and again,
    /// as a supervisor does that only knows how to start, and killed as it comes: nothing may come out any more.
    pub(crate) fn complete(&mut self, at_most: Duration) -> Result<()> {
        self.disband()?;
        let args: &[&str] = if self.endless { &["--until-end"] } else { &[] };
        for again in 0..AGAIN {
            let mut process = self.launch(Home::Near, args)?;
            if (1..AGAIN - 1).contains(&again) {
                std::thread::sleep(KILLED_AFTER * again);
                process.kill()?;
            } else {
                self.expect_end(&mut process, at_most, "when all the rest was to be carried")?;
            }
            self.inspect(&process);
        }
        Ok(())
    }

    /// Starts one that has to refuse what it finds in place of its input.
    pub(crate) fn refuse_another_input(&mut self, says: &str, at_most: Duration) -> Result<()> {
        let mut process = self.launch(Home::Near, &["--until-end"])?;
        let ended = process.wait(at_most)?;
        let text = process.text();
        self.inspect(&process);
        if ended.is_none_or(|status| status.success()) || !text.contains(says) {
            let tail = process.tail();
            self.violations.add(Kind::Conduct, format!("another input was not refused ({ended:?}):\n{tail}"));
            process.kill()?;
        }
        Ok(())
    }

    /// The last lines of the logs of the last processes.
    pub(crate) fn tails(&self) -> String {
        let log = |number: u32| {
            let path = self.dir.join(format!("logs/{number:03}.log"));
            let text = std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            format!("  {}\n{}", path.display(), process::tail(&text.unwrap_or_default()))
        };
        (self.started.saturating_sub(2).max(1)..=self.started).map(log).collect()
    }

    /// What the processes said they give.
    pub(crate) fn delivery(&self) -> &'static str {
        let said = |promise: &&str| {
            let log = |number: u32| std::fs::read(self.dir.join(format!("logs/{number:03}.log"))).unwrap_or_default();
            (1..=self.started).any(|number| String::from_utf8_lossy(&log(number)).contains(*promise))
        };
        ["at_least_once", "exactly_once"].into_iter().find(said).unwrap_or("delivery unknown")
    }
}

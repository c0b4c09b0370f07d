//! Processes that this command started, told apart from later ones with the same process id.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::data_dir::write_whole;

/// How often a process that is waited for is polled.
const EXIT_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A process by its id and its start time, which are unique together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    started: String,
}

impl Process {
    /// The running process with this id.
    pub(crate) fn with_pid(pid: u32) -> Option<Process> {
        let started = if cfg!(target_os = "linux") { started_by_proc(pid) } else { started_by_ps(pid) }?;
        Some(Process { pid, started })
    }

    /// A process that ended before its start time could be read: it is never alive.
    pub(crate) fn ended(pid: u32) -> Process {
        Process { pid, started: "ended".to_owned() }
    }

    /// Reads the process from a file; `None` where the file is missing or damaged.
    pub(crate) fn load(path: &Path) -> Option<Process> {
        parse(&fs::read_to_string(path).ok()?)
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        write_whole(path, &format!("{}\n{}\n", self.pid, self.started))
    }

    pub(crate) fn is_alive(&self) -> bool {
        Process::with_pid(self.pid).is_some_and(|now| now == *self)
    }

    /// Sends a signal, unless the process has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| self.is_alive()) else { return Ok(()) };
        match kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(Error::new(format!("cannot signal process {}", self.pid)).because(error)),
        }
    }

    /// Waits until the process has ended; returns false at the deadline.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(EXIT_POLL_INTERVAL);
        }
        true
    }
}

fn parse(text: &str) -> Option<Process> {
    let (pid, started) = text.split_once('\n')?;
    let pid = pid.trim().parse().ok().filter(|&pid| pid > 1 && i32::try_from(pid).is_ok())?;
    let started = started.trim();
    (!started.is_empty() && !started.contains('\n')).then(|| Process { pid, started: started.to_owned() })
}

fn started_by_proc(pid: u32) -> Option<String> {
    let ticks = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    // The ticks count from boot, so the boot is part of the start time.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{ticks} {}", boot.trim()).trim().to_owned())
}

/// The start time in `/proc/<pid>/stat`; `None` for a zombie.
fn parse_stat(stat: &str) -> Option<u64> {
    // The program's name is in parentheses and may contain spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    // The main thread may have ended while other threads still hold ports and files.
    if matches!(state, "Z" | "X") && threads <= 1 { None } else { fields.nth(1)?.parse().ok() }
}

fn started_by_ps(pid: u32) -> Option<String> {
    let pid = pid.to_string();
    let output =
        Command::new("ps").args(["-o", "stat=", "-o", "lstart=", "-p", &pid]).env("LC_ALL", "C").output().ok()?;
    parse_ps(&String::from_utf8_lossy(&output.stdout))
}

/// The start time in the output of `ps -o stat= -o lstart=`.
fn parse_ps(output: &str) -> Option<String> {
    let (state, started) = output.trim().split_once(char::is_whitespace)?;
    if state.starts_with('Z') { None } else { Some(started.split_whitespace().collect::<Vec<_>>().join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_file_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        assert_eq!(Process::load(&path), None);
        let own = Process::with_pid(std::process::id()).unwrap();
        own.save(&path).unwrap();
        assert_eq!(Process::load(&path), Some(own.clone()));
        assert!(own.is_alive());
    }

    #[test]
    fn a_damaged_process_file_names_no_process() {
        for text in ["", "12", "12\n", "0\n5", "1\n5", "-4\n5", "4294967295\n5", "12\n5\n6", "x\n5"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse("12\n5 boot\n"), Some(Process { pid: 12, started: "5 boot".to_owned() }));
    }

    #[test]
    fn a_number_that_another_process_has_now_is_not_signalled() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let now = Process::with_pid(child.id()).unwrap();
        let before = Process { pid: now.pid, started: "1".to_owned() };
        assert!(!before.is_alive());
        before.signal(Signal::KILL).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        now.signal(Signal::KILL).unwrap();
        // Nobody has waited for the child yet, and still it counts as ended.
        assert!(now.wait_until(Instant::now() + Duration::from_secs(10)));
        child.wait().unwrap();
    }

    #[test]
    fn the_start_time_is_found_behind_a_name_with_parentheses() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 8 9";
        assert_eq!(parse_stat(stat), Some(4711));
        assert_eq!(parse_stat(&stat.replace(" S ", " Z ")), None);
        assert_eq!(parse_stat(&stat.replace(" S ", " Z ").replace(" 1 0 4711", " 2 0 4711")), Some(4711));
        assert_eq!(parse_stat("7 (a) S 1"), None);
    }

    #[test]
    fn the_start_time_is_found_in_the_output_of_ps() {
        assert_eq!(parse_ps("Ss   Mon Jan  1 10:00:00 2024\n").as_deref(), Some("Mon Jan 1 10:00:00 2024"));
        assert_eq!(parse_ps("Z    Mon Jan  1 10:00:00 2024\n"), None);
        assert_eq!(parse_ps(""), None);
    }
}

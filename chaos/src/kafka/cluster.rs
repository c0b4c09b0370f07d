//! The brokers: started by `aqpipe kafka up`, killed by their number, started again.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::process;

/// How long brokers may take until all of them answer.
const UP: Duration = Duration::from_secs(180);
/// How long they may take to stop.
const DOWN: Duration = Duration::from_secs(60);
/// How often a broker's process is looked for before it counts as gone, and the pause between.
const LOOKS_MOST: u32 = 10;
const LOOK: Duration = Duration::from_millis(100);
/// How much is shown of a line: brokers can say everything they know in one.
const LINE: usize = 240;
/// Where brokers may listen: below the ports that systems give to outgoing connections.
const PORTS: std::ops::Range<u16> = 21_000..28_000;

/// A local Kafka.
#[derive(Debug)]
pub(crate) struct Cluster {
    aqpipe: PathBuf,
    dir: PathBuf,
    port: u16,
    brokers: u16,
    /// Whether it was started here, and so ends with this.
    own: bool,
    /// Instead of the system's Java.
    java_home: Option<PathBuf>,
}

/// What to start.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) port: u16,
    pub(crate) brokers: u16,
    pub(crate) java_home: Option<PathBuf>,
}

/// The first of so many free ports in a row; different processes begin to look at different places.
pub(crate) fn free_ports(count: u16) -> Result<u16> {
    let len = PORTS.len();
    let begin = usize::try_from(std::process::id()).unwrap_or_default() * 16 % len;
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut first = (0..len / 8).map(|step| PORTS.start + ((begin + step * 8) % len) as u16);
    first.find(|first| (*first..first + count).all(free)).context("no free ports")
}

impl Cluster {
    /// Starts brokers in a directory.
    pub(crate) fn start(aqpipe: &Path, dir: &Path, wish: Wish) -> Result<Cluster> {
        let Wish { port, brokers, java_home } = wish;
        let cluster = Cluster { aqpipe: aqpipe.to_owned(), dir: dir.to_owned(), port, brokers, own: true, java_home };
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let (port, brokers) = (port.to_string(), brokers.to_string());
        cluster.up(&["--port", &port, "--brokers", &brokers])?;
        Ok(cluster)
    }

    /// Brokers that run in a directory already.
    pub(crate) fn given(aqpipe: &Path, dir: &Path) -> Result<Cluster> {
        let path = dir.join("cluster.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let read: serde_json::Value = serde_json::from_slice(&text).context("cluster.json is no JSON")?;
        let port = read["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let brokers = read["controllers"].as_array().and_then(|all| u16::try_from(all.len()).ok());
        let (Some(port), Some(brokers)) = (port, brokers) else {
            bail!("{} does not say where the brokers are", path.display());
        };
        let (aqpipe, dir) = (aqpipe.to_owned(), dir.to_owned());
        let cluster = Cluster { aqpipe, dir, port, brokers, own: false, java_home: None };
        cluster.up(&[])?;
        Ok(cluster)
    }

    pub(crate) fn brokers(&self) -> u16 {
        self.brokers
    }

    /// How many copies there are of each record.
    pub(crate) fn replication(&self) -> i32 {
        i32::from(self.brokers.min(3))
    }

    /// Where clients connect.
    pub(crate) fn bootstrap(&self) -> String {
        let addresses = (0..self.brokers).map(|at| format!("127.0.0.1:{}", self.port + at));
        addresses.collect::<Vec<_>>().join(",")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.aqpipe);
        command.args(["kafka"]).args(args).arg("--dir").arg(&self.dir);
        if let Some(home) = &self.java_home {
            command.env("JAVA_HOME", home);
        }
        command
    }

    fn up(&self, args: &[&str]) -> Result<()> {
        let mut command = self.command(&["up"]);
        command.args(["--topic", "chaos", "--timeout", "120"]).args(args);
        process::run(command, &self.dir.join("up.log"), UP).map(drop)
    }

    /// Starts those that do not run.
    pub(crate) fn restart(&self) -> Result<()> {
        self.up(&[])
    }

    /// Ends a broker, counted from 1, at once.
    pub(crate) fn kill(&self, node: u16) -> Result<()> {
        let dir = self.dir.join(format!("node-{node}"));
        let text = fs::read_to_string(dir.join("pid")).with_context(|| format!("broker {node} does not run"))?;
        let number = text.lines().next().and_then(|line| line.trim().parse().ok());
        let pid = number.and_then(Pid::from_raw).with_context(|| format!("the pid of broker {node} is {text:?}"))?;
        // A number that another process has by now must not be signalled.
        let own = dir.join("server.properties");
        let is_broker = || -> Result<bool> {
            let args =
                Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.as_raw_nonzero().to_string()]).output();
            Ok(String::from_utf8_lossy(&args.context("cannot run ps")?.stdout).contains(&*own.to_string_lossy()))
        };
        // On a machine that is busy enough one look may find nothing.
        let mut looks = 0;
        while !is_broker()? {
            looks += 1;
            if looks < LOOKS_MOST {
                std::thread::sleep(LOOK);
                continue;
            }
            bail!("process {text:?} is not broker {node}");
        }
        kill_process(pid, Signal::KILL).with_context(|| format!("broker {node} cannot be killed"))
    }

    /// The last lines of the brokers' logs that may tell something.
    pub(crate) fn tails(&self) -> String {
        let tail = |node: u16| {
            let path = self.dir.join(format!("node-{node}/broker.log"));
            let text = fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            let bad = text.lines().filter(|line| ["] WARN", "] ERROR", "] FATAL"].iter().any(|it| line.contains(it)));
            let bad: Vec<String> = bad.map(|line| line.chars().take(LINE).collect()).collect();
            format!("  {}\n{}", path.display(), process::tail(&bad.join("\n")))
        };
        (1..=self.brokers).map(tail).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.own {
            let down = self.command(&["down", "--timeout", "10"]);
            // Whoever keeps the directory can end what is left of it with the same command.
            let _ = process::run(down, &self.dir.join("down.log"), DOWN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_in_a_row_and_free() {
        let first = free_ports(4).expect("ports");
        let held: Vec<_> = (first..first + 4).map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))).collect();
        assert!(held.iter().all(Result::is_ok));
        let other = free_ports(4).expect("ports");
        assert!(other >= first + 4 || other + 4 <= first, "what is held is not found");
    }

    #[test]
    fn a_directory_without_a_cluster_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(Cluster::given(Path::new("aqpipe"), dir.path()).is_err());
    }
}

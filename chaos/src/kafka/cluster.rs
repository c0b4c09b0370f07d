//! The brokers: started by `aqpipe kafka up`, killed by their process id, restarted.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::process;

/// How long brokers may take to start and answer.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(180);
/// How long they may take to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);
/// How many times a broker's process is looked up before it counts as gone: on a busy machine one lookup may find nothing.
const PROCESS_LOOKUPS_MAX: u32 = 10;
/// How often a killed broker is looked for until it has ended: half a minute on a busy machine.
const DYING_LOOKUPS_MAX: u32 = 300;
/// The pause between two lookups.
const PROCESS_LOOKUP_INTERVAL: Duration = Duration::from_millis(100);
/// How much of a log line is shown: a broker may log its whole state in one line.
const LOG_LINE_CHARS_MAX: usize = 240;
/// The ports of brokers: below the ephemeral ports of outgoing connections.
const BROKER_PORTS: std::ops::Range<u16> = 21_000..28_000;

/// A local Kafka.
#[derive(Debug)]
pub(crate) struct Cluster {
    aqpipe: PathBuf,
    dir: PathBuf,
    port: u16,
    brokers: u16,
    /// Whether it was started here, and is stopped on drop.
    owned: bool,
    /// Replaces the system's Java.
    java_home: Option<PathBuf>,
}

/// The options of a cluster to start.
#[derive(Debug)]
pub(crate) struct ClusterOptions {
    pub(crate) port: u16,
    pub(crate) brokers: u16,
    pub(crate) java_home: Option<PathBuf>,
}

/// The first of `count` consecutive free ports. The search of each process begins elsewhere.
pub(crate) fn free_ports(count: u16) -> Result<u16> {
    let len = BROKER_PORTS.len();
    let begin = usize::try_from(std::process::id()).unwrap_or_default() * 16 % len;
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut first = (0..len / 8).map(|step| BROKER_PORTS.start + ((begin + step * 8) % len) as u16);
    first.find(|first| (*first..first + count).all(free)).context("no free ports")
}

impl Cluster {
    /// Starts brokers in a directory.
    pub(crate) fn start(aqpipe: &Path, dir: &Path, options: ClusterOptions) -> Result<Cluster> {
        let ClusterOptions { port, brokers, java_home } = options;
        let cluster = Cluster { aqpipe: aqpipe.to_owned(), dir: dir.to_owned(), port, brokers, owned: true, java_home };
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let (port, brokers) = (port.to_string(), brokers.to_string());
        cluster.up(&["--port", &port, "--brokers", &brokers])?;
        Ok(cluster)
    }

    /// Attaches to brokers that run in a directory already.
    pub(crate) fn attach(aqpipe: &Path, dir: &Path) -> Result<Cluster> {
        let path = dir.join("cluster.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let read: serde_json::Value = serde_json::from_slice(&text).context("cluster.json is no JSON")?;
        let port = read["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let brokers = read["controllers"].as_array().and_then(|all| u16::try_from(all.len()).ok());
        let (Some(port), Some(brokers)) = (port, brokers) else {
            bail!("{} does not say where the brokers are", path.display());
        };
        let (aqpipe, dir) = (aqpipe.to_owned(), dir.to_owned());
        let cluster = Cluster { aqpipe, dir, port, brokers, owned: false, java_home: None };
        cluster.up(&[])?;
        Ok(cluster)
    }

    pub(crate) fn brokers(&self) -> u16 {
        self.brokers
    }

    /// The replication factor of topics.
    pub(crate) fn replication(&self) -> i32 {
        i32::from(self.brokers.min(3))
    }

    /// The bootstrap servers.
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
        process::run(command, &self.dir.join("up.log"), STARTUP_TIMEOUT).map(drop)
    }

    /// Starts the brokers that do not run.
    pub(crate) fn restart(&self) -> Result<()> {
        self.up(&[])
    }

    /// Kills a broker, counted from 1.
    pub(crate) fn kill(&self, node: u16) -> Result<()> {
        let dir = self.dir.join(format!("node-{node}"));
        let text = fs::read_to_string(dir.join("pid")).with_context(|| format!("broker {node} does not run"))?;
        let number = text.lines().next().and_then(|line| line.trim().parse().ok());
        let pid = number.and_then(Pid::from_raw).with_context(|| format!("the pid of broker {node} is {text:?}"))?;
        // The process id may belong to another process by now, which must not be signalled.
        let owned = dir.join("server.properties");
        let is_broker = || -> Result<bool> {
            let args =
                Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.as_raw_nonzero().to_string()]).output();
            Ok(String::from_utf8_lossy(&args.context("cannot run ps")?.stdout).contains(&*owned.to_string_lossy()))
        };
        let mut lookups = 0;
        while !is_broker()? {
            lookups += 1;
            if lookups < PROCESS_LOOKUPS_MAX {
                std::thread::sleep(PROCESS_LOOKUP_INTERVAL);
                continue;
            }
            bail!("process {text:?} is not broker {node}");
        }
        kill_process(pid, Signal::KILL).with_context(|| format!("broker {node} cannot be killed"))?;
        // Killed, it may take its time to end, and would be taken for a running one by whoever starts brokers.
        let mut lookups = 0;
        while is_broker()? {
            lookups += 1;
            if lookups == DYING_LOOKUPS_MAX {
                bail!("process {text:?}, broker {node}, was killed and does not end");
            }
            std::thread::sleep(PROCESS_LOOKUP_INTERVAL);
        }
        Ok(())
    }

    /// The last warnings and errors of the brokers' logs.
    pub(crate) fn log_tails(&self) -> String {
        let tail = |node: u16| {
            let path = self.dir.join(format!("node-{node}/broker.log"));
            let text = fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            let malformed =
                text.lines().filter(|line| ["] WARN", "] ERROR", "] FATAL"].iter().any(|it| line.contains(it)));
            let malformed: Vec<String> =
                malformed.map(|line| line.chars().take(LOG_LINE_CHARS_MAX).collect()).collect();
            format!("  {}\n{}", path.display(), process::tail(&malformed.join("\n")))
        };
        (1..=self.brokers).map(tail).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.owned {
            let down = self.command(&["down", "--timeout", "10"]);
            // Whoever keeps the directory can end what is left of it with the same command.
            let _ = process::run(down, &self.dir.join("down.log"), SHUTDOWN_TIMEOUT);
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
        assert!(Cluster::attach(Path::new("aqpipe"), dir.path()).is_err());
    }
}
